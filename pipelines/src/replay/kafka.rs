//! Recorded in Kafka: resolves once which records a replay reads, so that each pass and each resumed call reads the
//! same ones; and finds events that were moved out of the range.

use crate::config::ReefConfig;
use crate::error::RunError;
use crate::open::inputs::{self, InputError};
use crate::replay::ledger::Entry;
use crate::replay::{Recording, ReplayError, TimeRange};
use crate::run::RunOptions;
use model::check::FUTURE_SKEW_MS_MAX;
use model::clock::SharedClock;
use model::event::Event;
use model::position::Positions;
use model::time::TimeMs;
use sources::kafka::{KafkaConfig, KafkaEnd, KafkaStart, Offsets, PartitionSeen, TopicSeen, probe};
use sources::{Source, SourceError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::watch;

/// What of a recording stays the same in every pass over it.
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    /// Where reading ends, by source.
    ends: BTreeMap<String, Offsets>,
    moved: Arc<Moved>,
}

impl Fixed {
    /// Resolves the ends of the topics: the current ones or, for a resumed replay, those at its start. Then reads the
    /// events once to find moved ones. Stored rows need neither, because a store has each event once.
    ///
    /// # Errors
    /// If the brokers do not respond, or the reef has no topics.
    pub(crate) async fn of(
        config: &ReefConfig,
        recording: Recording,
        entry: &Entry,
        options: &RunOptions,
    ) -> Result<Fixed, ReplayError> {
        if recording == Recording::Stored {
            return Ok(Fixed::default());
        }
        let mut fixed = Fixed::default();
        let mut moved = Moved::default();
        for kafka in topics_of(config)? {
            let name = kafka.source_name();
            let end = match entry.end_of(&name).and_then(|text| Offsets::parse(text)?.ok()) {
                Some(end) => end,
                None => end_now(&kafka).await.map_err(|cause| failed(&name, cause))?,
            };
            if kafka.events_topic.is_some() {
                let events = KafkaConfig { metrics_topic: None, ..bounded(kafka, entry.range(), end.clone()) };
                let source = events.build(&Positions::default(), &options.clock);
                let read = match source {
                    Ok(mut source) => moved.read(&mut source, entry.range(), &options.shutdown).await,
                    Err(cause) => Err(cause),
                };
                read.map_err(|cause| failed(&name, cause))?;
            }
            fixed.ends.insert(name, end);
        }
        fixed.moved = Arc::new(moved);
        Ok(fixed)
    }

    /// The ends as stored with the positions of a replay.
    pub(crate) fn ends(&self) -> BTreeMap<String, String> {
        self.ends.iter().map(|(source, end)| (source.clone(), end.to_string())).collect()
    }

    /// The events that have moved.
    pub(crate) fn moved(&self) -> Arc<Moved> {
        Arc::clone(&self.moved)
    }

    /// The topics as sources, each at the position of `entry`.
    ///
    /// # Errors
    /// When a source cannot be built, or the reef has no topics.
    pub(crate) fn sources(
        &self,
        config: &ReefConfig,
        entry: &Entry,
        clock: &SharedClock,
    ) -> Result<Vec<Box<dyn Source>>, ReplayError> {
        let open = |kafka: KafkaConfig| -> Result<Box<dyn Source>, ReplayError> {
            let name = kafka.source_name();
            let end = self.ends.get(&name).cloned().unwrap_or(Offsets::Of(BTreeMap::new()));
            let source = bounded(kafka, entry.range(), end).build(&entry.of_source(&name), clock);
            Ok(Box::new(source.map_err(|cause| failed(&name, cause))?))
        };
        topics_of(config)?.into_iter().map(open).collect()
    }
}

fn topics_of(config: &ReefConfig) -> Result<Vec<KafkaConfig>, ReplayError> {
    let recorded = inputs::kafka(config).map_err(RunError::from)?;
    if recorded.is_empty() { Err(ReplayError::NoKafka) } else { Ok(recorded) }
}

fn failed(source_name: &str, cause: SourceError) -> ReplayError {
    RunError::from(InputError::Source { source_name: source_name.to_owned(), cause }).into()
}

/// A recording of `range`, read up to `end`.
fn bounded(kafka: KafkaConfig, range: TimeRange, end: Offsets) -> KafkaConfig {
    // an event is at most this far ahead of its record's time: no row of the range is before it, but a late one may be
    // anywhere after it, so everything is read up to the end
    let start = KafkaStart::Time(range.from - FUTURE_SKEW_MS_MAX);
    KafkaConfig { start, end: KafkaEnd::Seen(end), ..kafka }
}

/// Where the topics end now.
async fn end_now(kafka: &KafkaConfig) -> Result<Offsets, SourceError> {
    let asked = KafkaConfig { start: KafkaStart::Earliest, end: KafkaEnd::Now, ..kafka.clone() };
    let answer = tokio::task::spawn_blocking(move || probe(&asked)).await;
    let seen = answer.unwrap_or_else(|error| {
        Err(SourceError::Kafka { brokers: kafka.brokers.clone(), problem: format!("asking failed: {error}") })
    })?;
    let of_topic = |TopicSeen { topic, partitions, .. }: TopicSeen| {
        let end = move |seen: PartitionSeen| (format!("{topic}/{}", seen.partition), seen.high);
        partitions.into_iter().map(end).collect::<Vec<_>>()
    };
    Ok(Offsets::Of(seen.into_iter().flat_map(of_topic).collect()))
}

/// Events of a recording that were amended or withdrawn by a copy outside the range. Their older copies inside do not
/// count: considering all copies, the event is not in the range.
///
/// Copies without a version (0) that are not withdrawn are not searched, as in all look-ups for the engine
/// ([`sinks::StoreWriter::newer_events`]).
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// The greatest such copy, by colony and event.
    newest: HashMap<(String, String), Rank>,
    /// Applications and environments, each once.
    names: HashSet<Arc<str>>,
}

/// Amended events outside the range at most, in some 200 bytes each.
const MOVED_MAX: usize = 2_000_000;

/// What decides between a copy outside the range and one inside: their times differ, so nothing behind the time does.
type Rank = (u64, bool, Arc<str>, Arc<str>, TimeMs);

impl Moved {
    /// Whether a newer copy of this event is outside.
    pub(crate) fn supersedes(&self, event: &Event) -> bool {
        if self.newest.is_empty() {
            return false;
        }
        let newest = self.newest.get(&(event.colony_id.clone(), event.event_id.clone()));
        newest.is_some_and(|(version, withdrawn, application, environment, timestamp)| {
            let of_event =
                (event.version, event.withdrawn, &*event.application_name, &*event.environment, event.timestamp);
            (*version, *withdrawn, &**application, &**environment, *timestamp) > of_event
        })
    }

    /// Notes a copy; says whether there is room for more.
    pub(crate) fn note(&mut self, event: Event, range: TimeRange) -> bool {
        if range.holds(event.timestamp) || (event.version == 0 && !event.withdrawn) {
            return true;
        }
        let (application, environment) = (self.name(&event.application_name), self.name(&event.environment));
        let rank = (event.version, event.withdrawn, application, environment, event.timestamp);
        let newest = self.newest.entry((event.colony_id, event.event_id)).or_insert_with(|| rank.clone());
        if rank > *newest {
            *newest = rank;
        }
        self.newest.len() <= MOVED_MAX
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    /// Reads a source to its end, or until the run is stopped.
    async fn read(
        &mut self,
        source: &mut dyn Source,
        range: TimeRange,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<(), SourceError> {
        let mut stop = shutdown.clone();
        loop {
            let batch = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                batch = source.next_batch() => batch?,
            };
            let Some(batch) = batch else { return Ok(()) };
            if !batch.rows.events.into_iter().all(|event| self.note(event, range)) {
                let problem = format!(
                    "more than {MOVED_MAX} events outside the range were amended or withdrawn, which is more than can be \
                     kept in view: replay a wider range"
                );
                return Err(SourceError::Kafka { brokers: source.name().to_owned(), problem });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::replay::in_range::{InRange, Tally};
    use crate::replay::{Request, Task};
    use async_trait::async_trait;
    use model::rows::Rows;
    use model::time::MINUTE_MS;
    use sinks::compliance::rows::{START, event};
    use sources::Batch;

    struct Copies(Vec<Event>);

    #[async_trait]
    impl Source for Copies {
        fn name(&self) -> &str {
            "copies"
        }
        fn is_finite(&self) -> bool {
            true
        }
        async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
            Ok(self
                .0
                .pop()
                .map(|event| Batch { rows: Rows { events: vec![event], ..Rows::default() }, ..Batch::default() }))
        }
    }

    fn copy(id: &str, version: u64, minute: i64) -> Event {
        Event { version, ..event(id, minute * MINUTE_MS) }
    }

    /// For any order of the copies.
    #[tokio::test]
    async fn an_event_that_moved_out_of_the_range_does_not_pass_by_its_older_copy() {
        let range = TimeRange { from: START, to: START + 10 * MINUTE_MS };
        let request = Request {
            task: Task::Replay,
            range,
            words: ("a".to_owned(), "b".to_owned()),
            recording: Recording::Kafka,
            into: None,
            what_if: None,
        };
        let copies = vec![
            copy("stays", 0, 1),
            copy("out", 0, 2),
            copy("out", 1, 30),
            copy("and-back", 0, 3),
            copy("and-back", 1, 30),
            copy("and-back", 2, 4),
            Event { withdrawn: true, ..copy("withdrawn", 1, -30) },
            copy("withdrawn", 0, 5),
        ];
        let (_stop, shutdown) = watch::channel(false);
        for copies in [copies.clone(), copies.into_iter().rev().collect()] {
            let mut moved = Moved::default();
            moved.read(&mut Copies(copies.clone()), range, &shutdown).await.unwrap();
            let entry = Entry::find(&request, &BTreeMap::new());
            let tally = Arc::new(Tally::default());
            let mut source = InRange::new(Box::new(Copies(copies)), entry, Arc::new(moved), Arc::clone(&tally));
            let mut passed = Vec::new();
            while let Some(batch) = source.next_batch().await.unwrap() {
                passed.extend(batch.rows.events);
            }
            passed.sort();
            assert_eq!(passed, vec![copy("and-back", 2, 4), copy("stays", 0, 1)]);
            assert_eq!(tally.outside(), 6);
        }
    }

    /// A moved event costs its ids, not its content.
    #[test]
    fn what_is_kept_of_a_moved_event_does_not_grow_with_its_content() {
        let range = TimeRange { from: START, to: START + 10 * MINUTE_MS };
        let metadata = BTreeMap::from([("diff".to_owned(), "x".repeat(64 * 1024))]);
        let mut moved = Moved::default();
        for number in 0..1_000 {
            let description = "y".repeat(1_024);
            let event = Event { description, metadata: metadata.clone(), ..copy(&format!("e{number}"), 1, 30) };
            let allowed_bytes = event.colony_id.len() + event.event_id.len() + 64;
            assert!(moved.note(event, range), "there is room for many more");
            let ((colony, id), (_, _, application, environment, _)) = moved.newest.iter().next().unwrap();
            assert!(colony.capacity() + id.capacity() <= allowed_bytes, "ids keep no room for what was beside them");
            assert!(moved.names.contains(application) && moved.names.contains(environment));
        }
        // names are kept once for all events, and nothing else has a length
        let entry_bytes = size_of::<((String, String), Rank)>();
        assert_eq!((moved.newest.len(), moved.names.len()), (1_000, 2));
        assert!(entry_bytes <= 128, "{entry_bytes} bytes of an event beside its ids");
        // copies of known events take no more room
        for version in 2..100 {
            assert!(moved.note(Event { metadata: metadata.clone(), ..copy("e0", version, 40) }, range));
        }
        assert_eq!((moved.newest.len(), moved.names.len()), (1_000, 2));
    }
}
