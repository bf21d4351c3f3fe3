//! Reports of a run, during it and at its end; rendered by the command line, never by the pipeline.

use crate::deferred::DeferredRows;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use serde::{Serialize, Serializer};
use sources::InputReport;
use std::collections::{BTreeMap, BTreeSet};

/// What the run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Opening the store, rebuilding windows from stored rows.
    #[default]
    Restoring,
    /// Reading input and correlating it.
    Running,
    /// Input has stopped; the last tick is being correlated and committed.
    Draining,
}

/// A snapshot of a run. Counts of rows and ticks only rise.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What the run is doing.
    pub phase: Phase,
    /// Events read by this run, repeats included.
    pub events: u64,
    /// Metric rows read by this run, repeats included.
    pub metrics: u64,
    /// Rows refused by this run.
    pub rejects: u64,
    /// Rows beyond the allowed lateness.
    pub late: u64,
    /// The earliest of these; RFC 3339 when serialised.
    #[serde(serialize_with = "rfc_3339")]
    pub late_from: Option<TimeMs>,
    /// Ticks committed.
    pub ticks: u64,
    /// Greatest event time reached; RFC 3339 when serialised.
    #[serde(serialize_with = "rfc_3339")]
    pub event_time: Option<TimeMs>,
    /// Live colonies that respond, and expected ones.
    pub colonies: (u64, u64),
    /// Confirmed patterns at the last evaluation.
    pub confirmed: u64,
    /// Candidates at the last evaluation.
    pub candidates: u64,
    /// Bytes read and bytes in all, for finite input.
    pub bytes: Option<(u64, u64)>,
    /// Rows read and rows in all, for recorded input.
    pub rows: Option<(u64, u64)>,
}

impl Progress {
    /// Progress of finite input, and its total: bytes of files, rows of a recording.
    pub fn input(&self) -> Option<(u64, u64)> {
        self.bytes.or(self.rows)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All input was finite and has been read.
    InputFinished,
    /// The run was stopped, and drained.
    Stopped,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Why it ended.
    pub ended: Ended,
    /// The last snapshot.
    pub progress: Progress,
    /// Refused rows by reason, this run.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Rows of this run that were not applied.
    pub outcome: RowOutcome,
    /// Eligible ordered pairs of event types tested at the last evaluation.
    pub event_pairs_tested: u64,
    /// Pairs of metric series tested at the last evaluation.
    pub metric_pairs_tested: u64,
    /// Why no pattern of events, or of metrics, is confirmed: a sentence for each kind without one, and one for events that
    /// do not count because events are derived from newer metrics.
    pub unconfirmed: Vec<String>,
    /// Unreadable inputs, files without new rows, corrections in accepted rows.
    pub inputs: InputReport,
    /// Rows that lie after this machine's clock and are read again once it has passed them.
    pub held: Option<DeferredRows>,
    /// Stored rows that patterns ignore because of their time.
    pub outside: OutsideRows,
    /// Rows deleted because their retention was over, by table.
    pub deleted: BTreeMap<String, u64>,
    /// Colonies and Kafka sources that could not be reached when it ended, each with its last error.
    pub unreachable: BTreeMap<String, String>,
    /// Wall-clock length of the run.
    pub elapsed_ms: u64,
    /// Where everything is stored, for people, e.g. `DuckDB .coral/my-infrastructure.duckdb`.
    pub store: String,
}

/// Rows of one kind that no pattern rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// The time of the patterns.
    #[serde(serialize_with = "rfc_3339_time")]
    pub now: TimeMs,
    /// Where their look-back begins.
    #[serde(serialize_with = "rfc_3339_time")]
    pub since: TimeMs,
    /// Rows a day or more after now: of a colony whose clock is wrong, or that is ahead of all others.
    pub newer: u64,
    /// Rows before the look-back; not counted where a store would have to read them all.
    pub older: Option<u64>,
}

/// The same for both kinds of rows; `None` if there are none, or all are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutsideRows {
    /// Events.
    pub events: Option<Outside>,
    /// Metric rows.
    pub metrics: Option<Outside>,
}

fn rfc_3339_time<S: serde::Serializer>(time: &TimeMs, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Rows that differ from the stored copy, and were not applied: see [`sinks::outcome`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowOutcome {
    /// Rows that differ from stored ones, have no higher version, and were not applied.
    pub not_taken: u64,
    /// Of these, metric buckets with fewer samples than the stored ones.
    pub fewer_samples: u64,
    /// Events whose id belongs to an event of another time, without a higher version.
    pub reused_ids: u64,
}

/// What a process that does not lead did for a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServeSummary {
    /// Its place in `engine.hosts`.
    pub process: usize,
    /// Why the run ended.
    pub ended: Ended,
    /// Its last snapshot: the rows it read for the run.
    pub progress: Progress,
    /// Wall-clock time in the cluster.
    pub elapsed_ms: u64,
}

fn rfc_3339<S: Serializer>(time: &Option<TimeMs>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// Which colonies and sources respond, by the last status of each.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    answering: BTreeSet<String>,
    unreachable: BTreeMap<String, String>,
    /// Outages of sources by their number: in a cluster several have one name.
    outages: BTreeMap<usize, (String, String)>,
}

impl Reach {
    /// Adds statuses of sources, oldest first.
    pub(crate) fn observe(&mut self, statuses: &[ColonyStatus]) {
        for status in statuses {
            let ColonyStatus { colony_id, last_error, last_success_at, .. } = status;
            if status.is_lost() {
                self.answering.remove(colony_id);
                self.unreachable.insert(colony_id.clone(), last_error.clone());
            } else if last_success_at.is_some() {
                self.answering.insert(colony_id.clone());
                self.unreachable.remove(colony_id);
            }
        }
    }

    /// Notes what a source that is no colony says of itself.
    pub(crate) fn observe_source(&mut self, number: usize, source: &str, outage: Option<String>) {
        match outage {
            Some(words) => drop(self.outages.insert(number, (source.to_owned(), words))),
            None => drop(self.outages.remove(&number)),
        }
    }

    /// Number of colonies and sources that do not respond.
    pub(crate) fn unreachable(&self) -> usize {
        self.unreachable.len() + self.outages.len()
    }

    /// Whether a source, or the colony behind it, does not respond.
    pub(crate) fn is_unreachable(&self, source: &str) -> bool {
        let colony_id = source.split_once(':').map_or(source, |(_, colony_id)| colony_id);
        self.unreachable.contains_key(colony_id) || self.outages.values().any(|(name, _)| name == source)
    }

    /// Number of those that respond.
    pub(crate) fn answering(&self) -> u64 {
        self.answering.len() as u64
    }

    /// Those that do not, each with its last error.
    pub(crate) fn into_unreachable(self) -> BTreeMap<String, String> {
        let mut unreachable = self.unreachable;
        unreachable.extend(self.outages.into_values());
        unreachable
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn status(colony_id: &str, health: &str, last_success_at: Option<TimeMs>) -> ColonyStatus {
        let last_error = if health == "unreachable" { "127.0.0.1:9: refused".to_owned() } else { String::new() };
        ColonyStatus { last_success_at, last_error, ..fixtures::colony_status(colony_id, health) }
    }

    #[test]
    fn the_latest_status_of_a_colony_says_whether_it_answers() {
        let once = Some(TimeMs(1));
        let mut reach = Reach::default();
        reach.observe(&[status("a", "healthy", once), status("b", "degraded", once), status("c", "unreachable", None)]);
        assert_eq!(reach.answering(), 2);
        // lost after it had answered: its last success is still known
        reach.observe(&[status("a", "unreachable", once)]);
        assert_eq!(reach.answering(), 1);
        // back, and one that comes for the first time
        reach.observe(&[
            status("a", "unhealthy", once),
            status("b", "unreachable", once),
            status("c", "healthy", once),
        ]);
        assert_eq!(reach.answering(), 2);
        assert!(reach.is_unreachable("colony-events:b") && !reach.is_unreachable("colony-events:c"));
        // a colony that has revoked this reef answers no call either
        reach.observe(&[status("a", "revoked", once)]);
        assert_eq!((reach.answering(), reach.unreachable()), (1, 2));
        reach.observe(&[status("a", "healthy", once)]);
        let lost = BTreeMap::from([("b".to_owned(), "127.0.0.1:9: refused".to_owned())]);
        assert_eq!(reach.into_unreachable(), lost);
    }

    #[test]
    fn of_sources_with_one_name_each_says_for_itself() {
        let mut reach = Reach::default();
        reach.observe_source(2, "kafka:m", Some("b:9092: away".to_owned()));
        reach.observe_source(0, "kafka:m", None);
        reach.observe_source(1, "kafka:e", Some("b:9092: away".to_owned()));
        reach.observe_source(1, "kafka:e", None);
        assert!(reach.is_unreachable("kafka:m") && !reach.is_unreachable("kafka:e"));
        assert_eq!(reach.into_unreachable(), BTreeMap::from([("kafka:m".to_owned(), "b:9092: away".to_owned())]));
    }

    #[test]
    fn times_are_text_for_programs() {
        let at = Progress { event_time: Some(TimeMs(1_672_772_778_000)), ..Progress::default() };
        assert_eq!(serde_json::to_value(&at).unwrap()["event_time"], "2023-01-03T19:06:18.000Z");
        let none = serde_json::to_value(Progress::default()).unwrap();
        assert_eq!(none["event_time"], serde_json::Value::Null);
    }
}
