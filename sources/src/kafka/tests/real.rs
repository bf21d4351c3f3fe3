//! The contract on Apache Kafka itself, killed and restarted during the read.

#[expect(dead_code, reason = "the end-to-end tests share one")]
#[path = "../../../../tests/kafka/broker.rs"]
mod broker;
#[expect(dead_code, reason = "the end-to-end tests send more kinds of messages")]
#[path = "../../../../tests/kafka/client.rs"]
mod client;

use super::*;
use broker::Broker;
use model::clock::SystemClock;
use std::sync::Mutex;

/// Interval of checks of a starting broker.
#[expect(clippy::disallowed_methods, reason = "the condition is the broker's")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// A broker with the rows of [`KafkaScenario`].
struct RealScenario {
    broker: Mutex<Broker>,
    config: KafkaConfig,
}

impl RealScenario {
    fn new() -> Option<RealScenario> {
        let broker = Broker::own()?;
        let brokers = broker.brokers();
        let (events, metrics) = messages();
        for (topic, messages) in [("e", events), ("m", metrics)] {
            client::create_topic(&brokers, topic, 3);
            let with_partition = |(number, sent): (usize, &Sent)| client::Sent {
                partition: (number % 3) as i32,
                key: sent.key.clone(),
                value: sent.value.clone(),
                timestamp: None,
                content_type: sent.content_type,
            };
            let sent: Vec<client::Sent> = messages.iter().enumerate().map(with_partition).collect();
            client::send(&brokers, topic, &sent);
        }
        let config = KafkaConfig {
            batch_delay: Duration::from_millis(5),
            backoff: crate::backoff::BackoffConfig {
                first: Duration::from_millis(10),
                max: Duration::from_millis(500),
            },
            ..KafkaConfig::new(&brokers, Some("m"), Some("e"))
        };
        Some(RealScenario { broker: Mutex::new(broker), config })
    }
}

#[async_trait]
impl Harness for RealScenario {
    async fn build(&self, positions: &Positions) -> Box<dyn Source> {
        Box::new(self.config.build(positions, &SystemClock::shared()).unwrap())
    }

    async fn fail(&self) {
        self.broker.lock().unwrap().kill();
    }

    async fn recover(&self) {
        tokio::task::block_in_place(|| self.broker.lock().unwrap().restart());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_a_real_broker() {
    let Some(mut real) = tokio::task::block_in_place(RealScenario::new) else { return };
    let expected = Scenario { rows: EVENTS + METRICS, rejects: BROKEN, can_fail: true };
    compliance::check(&real, &expected).await;
    real.config.end = KafkaEnd::Now;
    compliance::check(&real, &Scenario { can_fail: false, ..expected }).await;
}
