//! Runs that follow a topic: rows, topics and partitions that arrive later, and a broker that is killed during the run.

use super::broker::{Broker, shared};
use super::client::{self, Sent};
use super::{count, event, events, held, positions, source, unique, until};
use crate::support::{Reef, json, program};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// A run that continues until it is stopped, and its output.
struct Following {
    child: Option<Child>,
    said: Receiver<String>,
}

impl Following {
    /// Returns once the run has started: an earlier signal would simply end it.
    fn start(reef: &Reef) -> Following {
        let mut command = Command::new(program("coral-pipeline"));
        command.arg("run").arg(reef.config()).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, said) = sync_channel(1_000);
        std::thread::Builder::new()
            .name("stderr".to_owned())
            // a full channel must not hold the run up
            .spawn(move || lines.map_while(Result::ok).for_each(|line| drop(tell.try_send(line))))
            .unwrap();
        let following = Following { child: Some(child), said };
        following.wait_for("running");
        following
    }

    /// Waits until a line of the run's messages has these words.
    fn wait_for(&self, words: &str) {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(120)).unwrap_or_else(|_| panic!("no {words:?}"));
            if line.contains(words) {
                return;
            }
        }
    }

    /// SIGTERM, the exit that must follow, and the summary.
    fn stop(mut self) -> serde_json::Value {
        let child = self.child.take().unwrap();
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        json(&child.wait_with_output().unwrap())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// No other process can open a running reef's store, so it is stopped for the check; it reads the rest afterwards.
fn follow_until_held(reef: &Reef, wanted: &[usize]) {
    let mut round = 0;
    until("the store holds every event", || {
        let following = Following::start(reef);
        round += 1;
        (0..5 * round).for_each(|_| super::pause());
        following.stop();
        held(reef) == wanted
    });
}

#[test]
fn rows_are_read_as_they_arrive_until_the_run_is_stopped() {
    let Some(brokers) = shared() else { return };
    let topic = unique("follow");
    client::create_topic(brokers, &topic, 2);
    client::send(brokers, &topic, &events(0..20));
    let reef = Reef::new(&source(brokers, &topic, ""));
    let following = Following::start(&reef);
    client::send(brokers, &topic, &events(20..30));
    let summary = following.stop();
    assert_eq!(summary["summary"]["ended"], "stopped");
    assert_eq!(summary["summary"]["unreachable"], serde_json::json!({}));
    follow_until_held(&reef, &(0..30).collect::<Vec<_>>());
    assert_eq!(positions(&reef), format!("{topic}/0\t15\n{topic}/1\t15\n"));
    // killed, not stopped: committed rows are not read again
    let mut killed = reef.start();
    killed.kill().unwrap();
    killed.wait().unwrap();
    client::send(brokers, &topic, &events(30..32));
    follow_until_held(&reef, &(0..32).collect::<Vec<_>>());
}

#[test]
fn a_topic_and_a_partition_that_come_later_are_read_from_their_start() {
    let Some(brokers) = shared() else { return };
    let (topic, other) = (unique("grows"), unique("later"));
    client::create_topic(brokers, &topic, 2);
    client::send(brokers, &topic, &events(0..10));
    // refreshed by a restart at the latest; while it runs, every interval (tested on the mock cluster)
    let reef = Reef::new(&source(brokers, &topic, &format!("topics.metrics = \"{other}\"\nstart = \"earliest\"")));
    follow_until_held(&reef, &(0..10).collect::<Vec<_>>());
    client::add_partitions(brokers, &topic, 3);
    client::send(brokers, &topic, &[Sent::text(2, &event(10))]);
    client::create_topic(brokers, &other, 1);
    let metric = "{\"colony_id\":\"shop-production\",\"service_id\":\"api\",\"metric_name\":\"m\",\"timestamp\":1672770000000,\"p95\":1.5}";
    client::send(brokers, &other, &[Sent::text(0, metric)]);
    follow_until_held(&reef, &(0..11).collect::<Vec<_>>());
    until("the metric is stored", || {
        let following = Following::start(&reef);
        (0..10).for_each(|_| super::pause());
        following.stop();
        reef.query("SELECT count(*) FROM federated_metrics") == "1\n"
    });
    let expected = format!("{topic}/0\t5\n{topic}/1\t5\n{topic}/2\t1\n{other}/0\t1\n");
    assert_eq!(positions(&reef), expected);
}

/// A broker that is killed during a run and comes back costs nothing, and a bounded read waits for one that is away.
pub fn killed_and_back(broker: &mut Broker) {
    let brokers = broker.brokers();
    let [topic, bounded] = ["killed", "waits"].map(unique);
    for (topic, count) in [(&topic, 1_000), (&bounded, 100)] {
        client::create_topic(&brokers, topic, 2);
        client::send(&brokers, topic, &events(0..count));
    }
    let reef = Reef::new(&source(&brokers, &topic, ""));
    let following = Following::start(&reef);
    broker.kill();
    broker.restart();
    client::send(&brokers, &topic, &events(1_000..1_100));
    until("the broker answers", || client::answers(&brokers));
    following.stop();
    broker.kill();
    let waiting = Reef::new(&source(&brokers, &bounded, "end = \"now\""));
    let bounded_read = waiting.start();
    // unavailable when the run starts: it waits and reports that, and a run that is stopped then has lost nothing
    let following = Following::start(&reef);
    following.wait_for("kafka lost");
    super::pause();
    let summary = following.stop();
    let unreachable = summary["summary"]["unreachable"].as_object().unwrap();
    assert!(unreachable.values().any(|it| it.as_str().unwrap().contains(&brokers)), "{summary:#}");
    assert_eq!(count(&summary, "events"), 0);
    broker.restart();
    let summary = json(&bounded_read.wait_with_output().unwrap());
    assert_eq!((count(&summary, "events"), held(&waiting).len()), (100, 100));
    assert_eq!(summary["summary"]["unreachable"], serde_json::json!({}), "it is back");
    follow_until_held(&reef, &(0..1_100).collect::<Vec<_>>());
    assert_eq!(reef.query("SELECT count(*) FROM federated_events"), "1100\n");
}
