//! Deferred rows: rejected because they are ahead of the reader's clock, and read again once it has passed them.
//!
//! A source's position advances past such rows, so that later rows are read. The position before them is committed
//! under [`DEFERRED_NAME`], with source, partition, and the time at which the clock accepts the first of them. A run
//! that starts later than that rewinds the partition; rows that are already stored change nothing. A machine whose
//! clock was wrong for one run thus loses nothing once it is corrected.

use async_trait::async_trait;
use model::check::{FUTURE_SKEW_MS_MAX, far_future_time};
use model::position::Positions;
use model::reject::{Reject, RejectReason};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use serde::{Deserialize, Serialize};
use sources::{Arrival, Batch, Source, SourceError};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// The name under which deferred partitions are committed.
pub const DEFERRED_NAME: &str = "held-back";
/// No clock is wrong by more: times further ahead are no times, and stay refused.
const AHEAD_MS_MAX: i64 = 100 * 366 * DAY_MS;
/// How long runs ask for rows that the clock takes by now. After that they are given up, with a message.
const ASKED_MS_MAX: i64 = 7 * DAY_MS;
/// How long a run lasts at least before it gives up rows of a source that it reads: each partition has had its turn.
const RUN_MS_MIN: i64 = 10 * MINUTE_MS;
/// The source whose partitions are cheap to read from their start, which also replaces their earlier rejects.
const FILES: &str = "files";

/// Rows of one partition that wait for the clock. The stored form is JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DeferredPart {
    /// The position before the first of them; `None` is the start.
    from: Option<String>,
    /// When the clock will take the first of them.
    when: TimeMs,
    rows: u64,
    first: TimeMs,
    last: TimeMs,
    /// When a run first asked for them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_since: Option<TimeMs>,
}

/// What waits for the clock, over all partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeferredRows {
    /// Rows refused for their time and not yet read again.
    pub rows: u64,
    /// How many of them this run has met.
    pub met: u64,
    /// The earliest time of such a row.
    #[serde(serialize_with = "rfc_3339")]
    pub first: TimeMs,
    /// The latest.
    #[serde(serialize_with = "rfc_3339")]
    pub last: TimeMs,
    /// The machine's clock when the run ended.
    #[serde(serialize_with = "rfc_3339")]
    pub clock: TimeMs,
    /// The first run after this time reads the first of them again.
    #[serde(serialize_with = "rfc_3339")]
    pub read_again_from: TimeMs,
}

/// How much waits for the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Partitions that go back to a position before such rows.
    pub(crate) positions: usize,
    /// Their rows.
    pub(crate) rows: u64,
}

fn rfc_3339<S: serde::Serializer>(time: &TimeMs, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Whether a partition of the first source may be read by the other: a topic belongs to any Kafka source that names it,
/// and another topic renames the source.
fn may_read((source, partition): (&str, &str), other: &str) -> bool {
    if !source.starts_with("kafka:") {
        return source == other;
    }
    let topic = partition.rsplit_once('/').map_or(partition, |(topic, _)| topic);
    other.strip_prefix("kafka:").is_some_and(|topics| topics.split(',').any(|own| own == topic))
}

/// Orders positions of one partition: the start, then offsets as numbers. Positions that are no numbers are never
/// compared: no two sources have such a partition.
fn by_offset(one: &Option<String>, other: &Option<String>) -> Ordering {
    let number = |from: &Option<String>| from.as_ref().map(|text| (text.parse::<i64>().ok(), text.clone()));
    number(one).cmp(&number(other))
}

/// All deferred rows, and the positions of the sources.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    held: BTreeMap<(String, String), DeferredPart>,
    /// Position of each partition, by source.
    reached: BTreeMap<String, Positions>,
    /// Rows of a source rejected since its last position: their locations and times.
    open: BTreeMap<String, Vec<(String, TimeMs)>>,
    moved: BTreeSet<(String, String)>,
    /// Those that the clock took when the run began, and that have not been read again yet.
    due: BTreeSet<(String, String)>,
    met: u64,
    /// When this run asked, and the sources that it reads.
    asked: Option<(TimeMs, Vec<String>)>,
    /// Those of them that have delivered a batch.
    delivered: BTreeSet<String>,
}

fn part_of(source: &str, partition: &str) -> String {
    serde_json::json!([source, partition]).to_string()
}

fn read(positions: &BTreeMap<String, Positions>) -> BTreeMap<(String, String), DeferredPart> {
    let stored = positions.get(DEFERRED_NAME).map(|held| &held.0).into_iter().flatten();
    // an empty text: nothing is deferred there any more
    stored
        .filter_map(|(part, text)| Some((serde_json::from_str(part).ok()?, serde_json::from_str(text).ok()?)))
        .collect()
}

impl Deferred {
    /// As it was committed, for a run that begins at `now`.
    pub(crate) fn of_store(positions: &BTreeMap<String, Positions>, now: TimeMs) -> Deferred {
        let held = read(positions);
        let due = held.iter().filter(|(_, held)| held.when <= now).map(|(key, _)| key.clone()).collect();
        Deferred { held, due, reached: positions.clone(), ..Deferred::default() }
    }

    /// All files have been read to their ends: one that could be read again and has not been is no input any more. What
    /// other sources have held back stays, since it may lie behind the end that this run reads to.
    pub(crate) fn forget_unread(&mut self) {
        for key in self.due.extract_if(.., |(source, _)| source == FILES) {
            tracing::info!(
                file = %key.1,
                "rows that lay after this machine's clock are not read again: the file is no input any more"
            );
            self.held.remove(&key);
            self.moved.insert(key);
        }
    }

    /// A live run of these sources begins, and asks for what the clock takes by now.
    pub(crate) fn ask(&mut self, sources: Vec<String>, now: TimeMs) {
        for key in &self.due {
            let Some(held) = self.held.get_mut(key) else { continue };
            if held.asked_since.is_none() {
                self.moved.insert(key.clone());
            }
            let since = *held.asked_since.get_or_insert(now);
            if !sources.iter().any(|source| may_read((&key.0, &key.1), source)) {
                tracing::warn!(
                    source = %key.0, partition = %key.1, rows = held.rows, first = %held.first,
                    given_up_after = %(since + ASKED_MS_MAX),
                    "rows that were ahead of this machine's clock wait for a source that is not configured any more"
                );
            }
        }
        self.asked = Some((now, sources));
    }

    /// A live run ends in which no source has panicked. What runs have asked for long enough is given up where no source
    /// of this run may read it; or where one that may has delivered, none of these is unreachable, and the run has lasted
    /// long enough.
    pub(crate) fn give_up(&mut self, now: TimeMs, is_unreachable: impl Fn(&str) -> bool) {
        let Some((asked_at, sources)) = &self.asked else { return };
        let (held, delivered) = (&self.held, &self.delivered);
        let readers = |key: &(String, String)| {
            sources.iter().filter(|source| may_read((&key.0, &key.1), source)).collect::<Vec<_>>()
        };
        let is_over = |key: &(String, String)| {
            let since = held.get(key).and_then(|held| held.asked_since);
            let readers = readers(key);
            let has_had_its_turn = now - *asked_at >= RUN_MS_MIN
                && readers.iter().any(|source| delivered.contains(*source))
                && !readers.iter().any(|source| is_unreachable(source));
            since.is_some_and(|since| now - since >= ASKED_MS_MAX) && (readers.is_empty() || has_had_its_turn)
        };
        let over: Vec<(String, String)> = self.due.extract_if(.., is_over).collect();
        for key in over {
            let why = match readers(&key).is_empty() {
                true => "no configured source reads their partition",
                false => {
                    "in a run of ten minutes or more, a source of their partition has delivered, and none is unreachable"
                }
            };
            if let Some(held) = self.held.remove(&key) {
                tracing::warn!(
                    source = %key.0, partition = %key.1, rows = held.rows, first = %held.first, last = %held.last, why,
                    "rows that were ahead of this machine's clock have not come again in a week of asking: they are given \
                     up; where they still exist, a replay or an import of their range brings them"
                );
            }
            self.moved.insert(key);
        }
    }

    /// Takes note of a batch, in the order of delivery.
    pub(crate) fn observe(&mut self, source: &str, batch: &Batch, now: TimeMs) {
        if !self.delivered.contains(source) {
            self.delivered.insert(source.to_owned());
        }
        for partition in batch.restarted.iter().chain(&batch.rewound) {
            // a Kafka source that was renamed may have left an entry under each name
            let is_meant = |(of, known): &(String, String)| known == partition && may_read((of, known), source);
            let meant: Vec<(String, String)> = self.held.keys().filter(|key| is_meant(key)).cloned().collect();
            let is_due = |key: &&(String, String)| self.due.contains(*key);
            let from = |key: &(String, String)| self.held.get(key).and_then(|held| held.from.clone());
            let due = meant.iter().filter(is_due).map(from).min_by(by_offset);
            let back = due.or_else(|| meant.iter().map(from).min_by(by_offset));
            let Some(back) = back else { continue };
            for key in meant {
                // one from before does not come again with this rewind; all others do
                let is_again = |held: &DeferredPart| by_offset(&held.from, &back).is_ge();
                if !self.held.get(&key).is_some_and(is_again) {
                    continue;
                }
                self.due.remove(&key);
                if let Some(held) = self.held.remove(&key) {
                    tracing::info!(
                        source, partition, rows = held.rows, first = %held.first,
                        "rows that were ahead of this machine's clock are read again"
                    );
                }
                self.moved.insert(key);
            }
            // it was rewound: its rows that are still ahead are deferred from there, not from its earlier position
            let reached = self.reached.entry(source.to_owned()).or_default();
            match back {
                Some(from) => drop(reached.0.insert(partition.clone(), from)),
                None => drop(reached.0.remove(partition)),
            }
        }
        let ahead = batch.rejects.iter().filter_map(|reject| Some((reject.place.clone(), time_ahead(reject, now)?)));
        self.open.entry(source.to_owned()).or_default().extend(ahead);
        if batch.positions.0.is_empty() {
            return;
        }
        let refused = self.open.remove(source).unwrap_or_default();
        let reached = self.reached.entry(source.to_owned()).or_default();
        self.met += refused.len() as u64;
        let names_none = |place: &str| !batch.positions.0.keys().any(|partition| is_in(place, partition));
        for partition in batch.positions.0.keys() {
            let own = refused.iter().filter(|(place, _)| is_in(place, partition) || names_none(place));
            let times: Vec<TimeMs> = own.map(|(_, time)| *time).collect();
            let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { continue };
            let before = reached.0.get(partition).filter(|_| source != FILES);
            let key = (source.to_owned(), partition.clone());
            let fresh = || DeferredPart {
                from: before.cloned(),
                when: *first,
                rows: 0,
                first: *first,
                last: *last,
                asked_since: None,
            };
            let held = self.held.entry(key.clone()).or_insert_with(fresh);
            held.rows += times.len() as u64;
            held.first = held.first.min(*first);
            held.last = held.last.max(*last);
            held.when = held.first - FUTURE_SKEW_MS_MAX;
            self.moved.insert(key);
        }
        reached.advance(batch.positions.clone());
    }

    /// Changes since the last commit.
    pub(crate) fn take_moved(&mut self) -> Positions {
        let text = |key: &(String, String)| self.held.get(key).map(|held| serde_json::json!(held).to_string());
        let moved = std::mem::take(&mut self.moved);
        Positions(moved.iter().map(|key| (part_of(&key.0, &key.1), text(key).unwrap_or_default())).collect())
    }

    /// How much waits for the clock.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting { positions: self.held.len(), rows: self.held.values().map(|held| held.rows).sum() }
    }

    /// What waits for the clock; `None` when nothing does.
    pub(crate) fn rows(&self, clock: TimeMs) -> Option<DeferredRows> {
        // what is due waits for its source, not for the clock
        let held = || self.held.iter().filter(|(key, _)| !self.due.contains(*key)).map(|(_, held)| held);
        Some(DeferredRows {
            rows: held().map(|held| held.rows).sum(),
            met: self.met,
            first: held().map(|held| held.first).min()?,
            last: held().map(|held| held.last).max()?,
            clock,
            read_again_from: held().map(|held| held.when).min()?,
        })
    }
}

/// Whether a location such as `events/0@17` is in this partition.
fn is_in(place: &str, partition: &str) -> bool {
    place.strip_prefix(partition).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
}

/// The time of a row that was refused for its time, if a clock may be that wrong.
fn time_ahead(reject: &Reject, now: TimeMs) -> Option<TimeMs> {
    let is_ahead = reject.reason == RejectReason::FarFuture;
    far_future_time(&reject.detail).filter(|time| is_ahead && *time <= now + AHEAD_MS_MAX)
}

/// Positions from which what the clock now takes is read again, and the partitions that go back, by source.
pub(crate) fn rewind(
    positions: &BTreeMap<String, Positions>,
    now: TimeMs,
) -> (BTreeMap<String, Positions>, BTreeMap<String, BTreeSet<String>>) {
    let mut moved = positions.clone();
    let mut rewound: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // a Kafka source that was renamed may have left an entry under each name: the earliest position counts
    let mut back: BTreeMap<(&String, String), Option<String>> = BTreeMap::new();
    for ((source, partition), held) in read(positions) {
        if held.when > now {
            continue;
        }
        for (name, of_source) in positions.iter().filter(|(name, _)| may_read((&source, &partition), name)) {
            if *name != source && !of_source.0.contains_key(&partition) {
                continue;
            }
            let from = back.entry((name, partition.clone())).or_insert_with(|| held.from.clone());
            if by_offset(&held.from, from).is_lt() {
                from.clone_from(&held.from);
            }
        }
        rewound.entry(source).or_default().insert(partition);
    }
    for ((name, partition), from) in back {
        let of_source = moved.entry(name.clone()).or_default();
        match from {
            Some(from) => drop(of_source.0.insert(partition, from)),
            None => drop(of_source.0.remove(&partition)),
        }
    }
    (moved, rewound)
}

/// The rewound partitions that this source may read.
pub(crate) fn rewound_of(rewound: &BTreeMap<String, BTreeSet<String>>, source: &str) -> BTreeSet<String> {
    let all = rewound.iter().flat_map(|(name, partitions)| partitions.iter().map(move |partition| (name, partition)));
    let own = all.filter(|(name, partition)| may_read((name, partition), source));
    own.map(|(_, partition)| partition.clone()).collect()
}

/// A source with rewound partitions: reported with the first batch of each.
pub(crate) struct Rewound {
    pub(crate) inner: Box<dyn Source>,
    pub(crate) partitions: BTreeSet<String>,
}

#[async_trait]
impl Source for Rewound {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn is_finite(&self) -> bool {
        self.inner.is_finite()
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let Some(mut batch) = self.inner.next_batch().await? else { return Ok(None) };
        // the others have advanced: rows that waited for the clock are not late because of it
        if batch.arrival == Arrival::Backlog {
            batch.arrival = Arrival::Again;
        }
        for partition in batch.positions.0.keys() {
            if self.partitions.remove(partition) {
                batch.rewound.push(partition.clone());
            }
        }
        if self.name() == FILES {
            let again = batch.rewound.iter().filter(|partition| !batch.restarted.contains(partition));
            let again: Vec<String> = again.cloned().collect();
            batch.restarted.extend(again);
        }
        Ok(Some(batch))
    }

    fn is_acknowledged(&self) -> bool {
        self.inner.is_acknowledged()
    }

    fn committed(&mut self, positions: &Positions) {
        self.inner.committed(positions);
    }

    fn progress_bytes(&self) -> Option<(u64, u64)> {
        self.inner.progress_bytes()
    }

    fn progress_rows(&self) -> Option<(u64, u64)> {
        self.inner.progress_rows()
    }

    fn outage(&self) -> Option<String> {
        self.inner.outage()
    }
}
