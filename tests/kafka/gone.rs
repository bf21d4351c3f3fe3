//! A topic that is deleted, or recreated and shorter, while it is read up to an end.

use super::broker::shared;
use super::client::{self, Sent};
use super::{event, pause, unique};
use model::clock::SystemClock;
use model::position::Positions;
use sources::kafka::{KafkaConfig, KafkaEnd};
use sources::{Source, SourceError};
use std::time::Duration;

/// More than the source, its queue and the library prefetch.
const MESSAGES: usize = 150_000;

/// What a bounded read says whose topic `change`s after its first batch.
fn error_after(brokers: &str, topic: &str, change: impl FnOnce()) -> SourceError {
    client::create_topic(brokers, topic, 1);
    let messages: Vec<Sent> = (0..MESSAGES).map(|number| Sent::text(0, &event(number))).collect();
    client::send(brokers, topic, &messages);
    let config = KafkaConfig {
        end: KafkaEnd::Now,
        queue_bytes_max: 64 << 10,
        metadata_interval: Duration::from_millis(500),
        gone_after: Duration::from_secs(3),
        ..KafkaConfig::new(brokers, None, Some(topic))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
    assert!(runtime.block_on(source.next_batch()).unwrap().is_some());
    change();
    let end = async {
        loop {
            match source.next_batch().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it cannot have reached its end"),
                Err(error) => return error,
            }
        }
    };
    let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(90), end).await });
    ended.expect("it does not wait indefinitely")
}

#[test]
fn a_bounded_read_says_that_its_topic_was_deleted_or_recreated() {
    let Some(brokers) = shared() else { return };
    let topic = unique("deleted");
    let error = error_after(brokers, &topic, || client::delete_topic(brokers, &topic));
    assert!(matches!(error, SourceError::KafkaShort { partition: 0, wanted: 150_000, found: None, .. }), "{error:?}");
    let wanted = format!("{topic}/0 no longer exists, but the read was planned up to offset 150000");
    assert!(error.to_string().contains(&wanted) && error.to_string().contains("start again"), "{error}");

    let topic = unique("anew");
    let anew = || {
        client::delete_topic(brokers, &topic);
        // the name is free once the brokers have forgotten the topic
        (0..20).for_each(|_| pause());
        client::create_topic(brokers, &topic, 1);
        client::send(brokers, &topic, &[Sent::text(0, &event(0))]);
    };
    let error = error_after(brokers, &topic, anew);
    assert!(matches!(error, SourceError::KafkaShort { wanted: 150_000, found: Some(1), .. }), "{error:?}");
}
