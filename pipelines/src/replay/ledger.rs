//! Ledger: the name under which a replay stores its positions, and what an identical call resumes.
//!
//! Positions of a replay are committed with its rows like those of any source, under a separate name:
//! `replay:<from>..<to>` or `backfill:<from>..<to>`. Its parts are those of the sources read (`<source>/<part>`), plus
//! `state` (`running` or `done`), `asked`, the arguments of the call, and `end:<source>`, the resolved end of a growing
//! recording.

use super::{Request, TimeRange};
use model::position::Positions;
use model::time::TimeMs;
use std::collections::BTreeMap;

const STATE: &str = "state";
const ASKED: &str = "asked";
const RUNNING: &str = "running";
const DONE: &str = "done";
const END: &str = "end:";

/// One replay, as the target store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    name: String,
    asked: String,
    range: TimeRange,
    stored: Positions,
    is_resumed: bool,
    /// Parts that a finished replay of the same range has left.
    left_over: Vec<String>,
    /// Where the recording ends, by source.
    ends: BTreeMap<String, String>,
}

impl Entry {
    /// The replay that `request` resumes, otherwise a new one.
    ///
    /// The unfinished one of the same range has priority, then the latest with the same arguments: with `--to now` or
    /// `--from 24h` the range itself differs from call to call.
    pub fn find(request: &Request, stored: &BTreeMap<String, Positions>) -> Entry {
        let (task, asked) = (request.task.as_str(), request.asked());
        let new = Entry {
            name: format!("{task}:{}", request.range),
            asked: asked.clone(),
            range: request.range,
            stored: Positions::default(),
            is_resumed: false,
            left_over: Vec::new(),
            ends: BTreeMap::new(),
        };
        let left_over =
            stored.get(&new.name).map(|positions| positions.0.keys().cloned().collect()).unwrap_or_default();
        let unfinished = stored.iter().filter_map(|(name, positions)| {
            let range = TimeRange::parse(name.strip_prefix(task)?.strip_prefix(':')?)?;
            let part = |part: &str| positions.0.get(part).map(String::as_str);
            let is_meant = range == request.range || part(ASKED) == Some(asked.as_str());
            (is_meant && part(STATE) == Some(RUNNING)).then_some((range == request.range, range, name, positions))
        });
        match unfinished.max_by_key(|(is_same, range, ..)| (*is_same, range.to)) {
            Some((_, range, name, positions)) => {
                let known = positions.0.iter().filter(|(_, end)| !end.is_empty());
                let end = |(part, end): (&String, &String)| Some((part.strip_prefix(END)?.to_owned(), end.clone()));
                let ends = known.filter_map(end).collect();
                Entry { name: name.clone(), range, stored: positions.clone(), is_resumed: true, ends, ..new }
            }
            None => Entry { left_over, ..new },
        }
    }

    /// The name of its positions.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its range.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// Whether an earlier call began it.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Where the recording of `source` ends, if that is known.
    pub fn end_of(&self, source: &str) -> Option<&str> {
        self.ends.get(source).map(String::as_str)
    }

    /// The same replay with the ends of its recording.
    pub fn ending_at(self, ends: BTreeMap<String, String>) -> Entry {
        Entry { ends, ..self }
    }

    /// The same replay without anything done.
    pub fn from_the_start(&self) -> Entry {
        Entry { stored: Positions::default(), ..self.clone() }
    }

    /// Committed before the first row if a finished replay of the same range has left its positions: an interrupted new
    /// one must not resume from them.
    pub fn begun(&self) -> Option<Positions> {
        let parts: BTreeMap<String, String> = self
            .left_over
            .iter()
            .filter(|part| ![STATE, ASKED].contains(&part.as_str()))
            .map(|part| (part.clone(), String::new()))
            .collect();
        (!parts.is_empty()).then(|| {
            let mut begun = self.in_state(RUNNING);
            for (part, nothing) in parts {
                begun.0.entry(part).or_insert(nothing);
            }
            begun
        })
    }

    /// Where `source` resumes.
    pub fn of_source(&self, source: &str) -> Positions {
        let part = |part: &String| part.strip_prefix(source)?.strip_prefix('/').map(str::to_owned);
        let known = self.stored.0.iter().filter(|(_, at)| !at.is_empty());
        Positions(known.filter_map(|(name, at)| Some((part(name)?, at.clone()))).collect())
    }

    /// The stored form of `positions` of `source`.
    pub fn kept(&self, source: &str, positions: Positions) -> Positions {
        let mut kept = self.in_state(RUNNING);
        kept.0.extend(positions.0.into_iter().map(|(part, at)| (format!("{source}/{part}"), at)));
        kept
    }

    /// The final state: an identical call then starts over.
    pub fn done(&self) -> Positions {
        self.in_state(DONE)
    }

    fn in_state(&self, state: &str) -> Positions {
        let ends = self.ends.iter().map(|(source, end)| (format!("{END}{source}"), end.clone()));
        let words = [(STATE.to_owned(), state.to_owned()), (ASKED.to_owned(), self.asked.clone())];
        Positions(words.into_iter().chain(ends).collect())
    }
}

impl TimeRange {
    /// Reads back what `Display` writes.
    fn parse(text: &str) -> Option<TimeRange> {
        let (from, to) = text.split_once("..")?;
        Some(TimeRange { from: TimeMs::parse_rfc3339(from)?, to: TimeMs::parse_rfc3339(to)? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Recording, RequestedTime, Task};
    use super::*;

    fn request(from: &str, from_ms: i64, to: &str, to_ms: i64) -> Request {
        let moment = |time, text: &str| RequestedTime { time: TimeMs(time), text: text.to_owned() };
        Request {
            task: Task::Replay,
            range: TimeRange { from: TimeMs(from_ms), to: TimeMs(to_ms) },
            words: (moment(from_ms, from).text, to.to_owned()),
            recording: Recording::Stored,
            into: None,
            what_if: None,
        }
    }

    fn stored(entries: &[(&Entry, Positions)]) -> BTreeMap<String, Positions> {
        entries.iter().map(|(entry, positions)| (entry.name().to_owned(), positions.clone())).collect()
    }

    fn at(position: &str) -> Positions {
        Positions(BTreeMap::from([("events".to_owned(), position.to_owned())]))
    }

    #[test]
    fn an_unfinished_replay_resumes_with_its_own_end() {
        let first = Entry::find(&request("24h", 1_000, "now", 5_000), &BTreeMap::new());
        assert!(!first.is_resumed() && first.of_source("stored").0.is_empty());
        let kept = stored(&[(&first, first.kept("stored", at("7")))]);
        // a minute later the same words mean another range
        let again = Entry::find(&request("24h", 61_000, "now", 65_000), &kept);
        assert!(again.is_resumed());
        assert_eq!((again.range(), again.of_source("stored")), (first.range(), at("7")));
        assert!(again.of_source("coral.events").0.is_empty(), "another recording has its own positions");
        let other_words = Entry::find(&request("12h", 61_000, "now", 65_000), &kept);
        assert!(!other_words.is_resumed());
        let same_range = Entry::find(&request("x", 1_000, "y", 5_000), &kept);
        assert!(same_range.is_resumed(), "however it is written");
    }

    #[test]
    fn a_resumed_replay_keeps_its_end_and_a_new_one_has_none() {
        let request = request("a", 1_000, "b", 5_000);
        let first = Entry::find(&request, &BTreeMap::new())
            .ending_at([("kafka:e".to_owned(), "offset:e/0=7".to_owned())].into());
        let mut positions = first.kept("kafka:e", at("3"));
        let resumed = Entry::find(&request, &stored(&[(&first, positions.clone())]));
        assert_eq!((resumed.end_of("kafka:e"), resumed.of_source("kafka:e")), (Some("offset:e/0=7"), at("3")));
        positions.advance(resumed.done());
        let again = Entry::find(&request, &stored(&[(&first, positions.clone())]));
        assert_eq!(again.end_of("kafka:e"), None, "newer rows are read as well");
        // interrupted before its first row
        let again = again.ending_at([("kafka:e".to_owned(), "offset:e/0=9".to_owned())].into());
        positions.advance(again.begun().unwrap());
        let resumed = Entry::find(&request, &stored(&[(&first, positions)]));
        assert_eq!(
            (resumed.end_of("kafka:e"), resumed.of_source("kafka:e")),
            (Some("offset:e/0=9"), Positions::default())
        );
    }

    #[test]
    fn a_finished_replay_starts_over_and_tasks_are_separate() {
        let request = request("a", 1_000, "b", 5_000);
        let first = Entry::find(&request, &BTreeMap::new());
        let mut positions = first.kept("stored", at("7"));
        positions.advance(first.done());
        let after_done = stored(&[(&first, positions)]);
        assert!(!Entry::find(&request, &after_done).is_resumed());
        let running = stored(&[(&first, first.kept("stored", at("7")))]);
        let backfill = Request { task: Task::Backfill, ..request };
        assert!(!Entry::find(&backfill, &running).is_resumed());
    }

    /// Stores merge positions by part and forget none.
    #[test]
    fn a_repeated_and_interrupted_replay_does_not_resume_from_the_positions_of_the_first() {
        let request = request("a", 1_000, "b", 5_000);
        let first = Entry::find(&request, &BTreeMap::new());
        assert_eq!(first.begun(), None);
        let mut held = first.kept("stored", at("9"));
        held.advance(first.done());
        let again = Entry::find(&request, &stored(&[(&first, held.clone())]));
        assert!(!again.is_resumed() && again.of_source("stored").0.is_empty());
        held.advance(again.begun().unwrap());
        // interrupted before it has moved any part
        let resumed = Entry::find(&request, &stored(&[(&first, held.clone())]));
        assert!(resumed.is_resumed() && resumed.of_source("stored").0.is_empty(), "{resumed:?}");
        // or after it has moved this one
        held.advance(again.kept("stored", at("3")));
        let resumed = Entry::find(&request, &stored(&[(&first, held)]));
        assert_eq!(resumed.of_source("stored"), at("3"));
    }
}
