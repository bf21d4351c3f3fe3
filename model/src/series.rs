//! The definition of a metric series, and the process-wide table that gives each series a number.
//!
//! Rows refer to their series by [`SeriesId`]: four bytes that are copied, compared and hashed. The table only grows, by
//! one entry for each series that the process sees, so that ids stay valid and names can be borrowed without a lock.
//!
//! Numbers depend on the order of arrival. Nothing that is stored, sent or published may depend on them: that uses the
//! names (the order of [`SeriesId`], [`SeriesId::owner_hash`]).

use foldhash::fast::RandomState as FastHash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering as Memory};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

/// A metric of a service of a colony: an end of a correlation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// Colony.
    pub colony_id: String,
    /// Service.
    pub service_id: String,
    /// Metric name.
    pub metric_name: String,
}

/// The identity of a stored series; a bucket is a series and a time.
///
/// Operators correlate by [`SeriesKey`] and interval alone: application and environment follow from the colony, and a
/// colony that has changed them goes on as the same series there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    /// Colony, service and metric.
    pub key: SeriesKey,
    /// Length of a bucket; `None` when the source does not say (then it is learnt from the spacing).
    pub interval_seconds: Option<u32>,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony; may be empty.
    pub environment: String,
}

/// The names of a series, borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef<'a> {
    /// Colony.
    pub colony_id: &'a str,
    /// Application of the colony.
    pub application_name: &'a str,
    /// Environment of the colony.
    pub environment: &'a str,
    /// Service.
    pub service_id: &'a str,
    /// Metric name.
    pub metric_name: &'a str,
    /// Length of a bucket.
    pub interval_seconds: Option<u32>,
}

impl Series {
    /// The same, borrowed. Stores write series in the order of these names.
    pub fn names(&self) -> SeriesRef<'_> {
        SeriesRef {
            colony_id: &self.key.colony_id,
            application_name: &self.application_name,
            environment: &self.environment,
            service_id: &self.key.service_id,
            metric_name: &self.key.metric_name,
            interval_seconds: self.interval_seconds,
        }
    }

    /// The bytes of all names.
    pub fn text_bytes(&self) -> usize {
        let SeriesRef { colony_id, application_name, environment, service_id, metric_name, .. } = self.names();
        [colony_id, application_name, environment, service_id, metric_name].into_iter().map(str::len).sum()
    }
}

impl SeriesRef<'_> {
    fn to_series(self) -> Series {
        Series {
            key: SeriesKey {
                colony_id: self.colony_id.to_owned(),
                service_id: self.service_id.to_owned(),
                metric_name: self.metric_name.to_owned(),
            },
            interval_seconds: self.interval_seconds,
            application_name: self.application_name.to_owned(),
            environment: self.environment.to_owned(),
        }
    }
}

/// A series of this process; dereferences to its [`Series`]. The default is the series without names.
///
/// ```
/// use coral_model::series::{SeriesId, SeriesRef};
/// let names = SeriesRef { colony_id: "shop", service_id: "api", metric_name: "latency_ms", ..SeriesRef::default() };
/// let id = SeriesId::of(names);
/// assert_eq!(id, SeriesId::of(names), "the same names have the same number");
/// assert_eq!(id.key.service_id, "api");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SeriesId(u32);

impl SeriesId {
    /// The number of the series with these names.
    pub fn of(names: SeriesRef<'_>) -> SeriesId {
        // a length of 0 says nothing, and stores write it where none is known
        let interval_seconds = names.interval_seconds.filter(|seconds| *seconds > 0);
        TABLE.number(SeriesRef { interval_seconds, ..names })
    }

    /// Its names, as long as the process lives.
    pub fn series(self) -> &'static Series {
        &TABLE.entry(self.0).series
    }

    /// A copy of this series with the changes applied.
    pub fn with(self, change: impl FnOnce(&mut Series)) -> SeriesId {
        let mut series = self.series().clone();
        change(&mut series);
        SeriesId::of(series.names())
    }

    /// A hash of colony, service and metric that is the same on every machine. It decides which worker owns the series.
    pub fn owner_hash(self) -> u64 {
        TABLE.entry(self.0).owner_hash
    }

    /// The number, as an index into tables by series.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Deref for SeriesId {
    type Target = Series;

    fn deref(&self) -> &Series {
        self.series()
    }
}

impl fmt::Debug for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.series().fmt(f)
    }
}

impl Hash for SeriesId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.0);
    }
}

/// By the names.
impl Ord for SeriesId {
    fn cmp(&self, other: &SeriesId) -> Ordering {
        if self.0 == other.0 { Ordering::Equal } else { self.series().cmp(other.series()) }
    }
}

impl PartialOrd for SeriesId {
    fn partial_cmp(&self, other: &SeriesId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As names: a number means nothing to another process.
impl Serialize for SeriesId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.series().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SeriesId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SeriesId, D::Error> {
        Ok(SeriesId::of(Series::deserialize(deserializer)?.names()))
    }
}

/// FNV-1a over the parts, each followed by a zero byte; the same on every machine.
///
/// ```
/// use coral_model::series::fixed_hash;
/// assert_eq!(fixed_hash(&["a", "b"]), fixed_hash(&["a", "b"]));
/// assert_ne!(fixed_hash(&["ab", ""]), fixed_hash(&["a", "b"]));
/// ```
pub fn fixed_hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain(std::iter::once(0)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    // FNV's low bits alone are weak for a small modulus
    hash ^ (hash >> 32)
}

static TABLE: LazyLock<SeriesTable> = LazyLock::new(|| {
    let table = SeriesTable::default();
    assert_eq!(table.number(SeriesRef::default()), SeriesId::default(), "the series without names is the first");
    table
});

/// Entries of the first block; each further block has twice as many as the one before it.
const FIRST_BLOCK: u32 = 1_024;
/// Enough blocks for every number.
const BLOCKS: usize = 22;
/// Parts of the index, each with its own lock.
const SHARDS: usize = 16;

struct Entry {
    series: Series,
    owner_hash: u64,
}

type Block = Box<[OnceLock<Entry>]>;

/// All series of the process. Blocks never move, so names are read without a lock.
struct SeriesTable {
    blocks: [OnceLock<Block>; BLOCKS],
    next: AtomicU32,
    index: [Mutex<HashMap<u64, Vec<u32>, FastHash>>; SHARDS],
    hasher: FastHash,
}

impl Default for SeriesTable {
    fn default() -> SeriesTable {
        SeriesTable {
            blocks: [const { OnceLock::new() }; BLOCKS],
            next: AtomicU32::new(0),
            index: std::array::from_fn(|_| Mutex::default()),
            hasher: FastHash::default(),
        }
    }
}

impl SeriesTable {
    fn number(&self, names: SeriesRef<'_>) -> SeriesId {
        let hash = self.hasher.hash_one(names);
        let mut index = self.index[hash as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = index.entry(hash).or_default();
        if let Some(known) = numbers.iter().find(|number| self.entry(**number).series.names() == names) {
            return SeriesId(*known);
        }
        let number = self.next.fetch_add(1, Memory::Relaxed);
        let (block, place) = place_of(number);
        let owner_hash = fixed_hash(&[names.colony_id, names.service_id, names.metric_name]);
        let size = (FIRST_BLOCK as usize) << block;
        let entries = self.blocks[block].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        let is_new = entries[place].set(Entry { series: names.to_series(), owner_hash }).is_ok();
        assert!(is_new, "the number of a series is given once");
        numbers.push(number);
        SeriesId(number)
    }

    fn entry(&self, number: u32) -> &Entry {
        let (block, place) = place_of(number);
        let entry = self.blocks[block].get().and_then(|entries| entries[place].get());
        // an id is handed out only after its entry was written
        match entry {
            Some(entry) => entry,
            None => unreachable!("series {number} was never given"),
        }
    }
}

/// Block and place of a number: 1,024 in the first block, 2,048 in the next, and so on.
fn place_of(number: u32) -> (usize, usize) {
    let shifted = u64::from(number) + u64::from(FIRST_BLOCK);
    let block = shifted.ilog2() - FIRST_BLOCK.ilog2();
    (block as usize, (shifted - (u64::from(FIRST_BLOCK) << block)) as usize)
}

/// The series that one reader has seen. Rows of a file or a topic come series by series, or in the same order of series
/// again and again, so most look-ups compare names once and take no lock.
#[derive(Debug, Default)]
pub struct SeriesCache {
    /// By the hash of their names. Of two series with the same hash only one is kept.
    known: HashMap<u64, SeriesId, FastHash>,
    hasher: FastHash,
    /// The series of the row before.
    before: Option<SeriesId>,
    /// The series that followed each series last.
    followers: HashMap<SeriesId, SeriesId, FastHash>,
}

/// Series that a reader remembers.
const CACHED_MAX: usize = 100_000;

impl SeriesCache {
    /// The number of a series that was [kept](SeriesCache::keep) before.
    pub fn find(&mut self, names: SeriesRef<'_>) -> Option<SeriesId> {
        let is = |id: &SeriesId| id.series().names() == names;
        if let Some(before) = self.before {
            if is(&before) {
                return Some(before);
            }
            if let Some(next) = self.followers.get(&before).copied().filter(|id| is(id)) {
                self.before = Some(next);
                return Some(next);
            }
        }
        let found = self.known.get(&self.hasher.hash_one(names)).copied().filter(|id| is(id))?;
        self.note(found);
        Some(found)
    }

    /// Gives the series a number, and remembers it.
    pub fn keep(&mut self, names: SeriesRef<'_>) -> SeriesId {
        let id = SeriesId::of(names);
        if self.known.len() >= CACHED_MAX {
            *self = SeriesCache::default();
        }
        self.known.insert(self.hasher.hash_one(names), id);
        self.note(id);
        id
    }

    /// The number of a series, known or not.
    pub fn number(&mut self, names: SeriesRef<'_>) -> SeriesId {
        self.find(names).unwrap_or_else(|| self.keep(names))
    }

    fn note(&mut self, id: SeriesId) {
        if let Some(before) = self.before.replace(id) {
            self.followers.insert(before, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(colony_id: &'a str, service_id: &'a str, environment: &'a str) -> SeriesRef<'a> {
        SeriesRef {
            colony_id,
            service_id,
            environment,
            metric_name: "m",
            application_name: "a",
            interval_seconds: None,
        }
    }

    #[test]
    fn blocks_hold_every_number_once() {
        assert_eq!(place_of(0), (0, 0));
        assert_eq!(place_of(1_023), (0, 1_023));
        assert_eq!(place_of(1_024), (1, 0));
        assert_eq!(place_of(3_071), (1, 2_047));
        assert_eq!(place_of(3_072), (2, 0));
        let (block, place) = place_of(u32::MAX - FIRST_BLOCK);
        assert!(block < BLOCKS && place < (FIRST_BLOCK as usize) << block);
    }

    #[test]
    fn series_differ_by_every_part_of_their_identity() {
        let one = names("series-a", "s", "e");
        let id = SeriesId::of(one);
        for other in [
            names("series-b", "s", "e"),
            names("series-a", "t", "e"),
            names("series-a", "s", "f"),
            SeriesRef { metric_name: "n", ..one },
            SeriesRef { application_name: "b", ..one },
            SeriesRef { interval_seconds: Some(60), ..one },
        ] {
            assert_ne!(SeriesId::of(other), id, "{other:?}");
            assert_eq!(SeriesId::of(other).names(), other);
        }
        assert_eq!(SeriesId::of(names("series-a", "s", "f")).owner_hash(), id.owner_hash(), "attributes do not divide");
    }

    /// Numbers follow the order of arrival, everything that is seen of them the names.
    #[test]
    fn ids_are_ordered_by_their_names() {
        let ids = ["order-c", "order-a", "order-b"].map(|colony| SeriesId::of(names(colony, "s", "e")));
        let mut sorted = ids.to_vec();
        sorted.sort();
        assert_eq!(sorted.iter().map(|id| &*id.key.colony_id).collect::<Vec<_>>(), ["order-a", "order-b", "order-c"]);
    }

    #[test]
    fn threads_that_see_the_same_series_give_it_one_number() {
        let see = || {
            let texts: Vec<String> = (0..3_000).map(|n| format!("thread-{n}")).collect();
            texts.iter().map(|text| SeriesId::of(names(text, "s", "e"))).collect::<Vec<_>>()
        };
        let all: Vec<Vec<SeriesId>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(see)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        assert!(all.len() == 4 && all.iter().all(|ids| *ids == all[0]));
        assert!(all[0].iter().enumerate().all(|(n, id)| id.key.colony_id == format!("thread-{n}")));
    }

    #[test]
    fn a_cache_finds_what_it_kept_in_whatever_order() {
        let texts: Vec<String> = (0..50).map(|n| format!("cache-{n}")).collect();
        let mut cache = SeriesCache::default();
        assert_eq!(cache.find(names(&texts[0], "s", "e")), None);
        let ids: Vec<SeriesId> = texts.iter().map(|text| cache.keep(names(text, "s", "e"))).collect();
        for order in [(0..50).collect::<Vec<usize>>(), (0..50).rev().collect(), vec![3, 3, 3, 49, 0, 7, 7]] {
            for n in order {
                assert_eq!(cache.find(names(&texts[n], "s", "e")), Some(ids[n]));
            }
        }
        assert_eq!(cache.find(names(&texts[0], "s", "other")), None);
    }
}
