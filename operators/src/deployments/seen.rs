//! Seen versions: what the topology of a colony says about the version of a service.
//!
//! The version before a new one is that of the sighting just before it, whatever is seen later: a function of the set of
//! sightings. Of them the newest ones are kept, and of each version the first, the last and the one before it: a row that
//! arrives later than so many others may miss what was between. A version that comes back is seen as a rollback of those
//! that came after it, also when another version follows.

use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Sightings of a service that are kept; beyond that those go first that are between two of their own version.
const KEPT_MAX: usize = 64;

/// A service as the topology of its colony shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// Colony.
    pub colony_id: String,
    /// Service.
    pub service_id: String,
    /// Its version.
    pub version: String,
    /// When.
    pub at: TimeMs,
}

/// All sightings of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// First and last sighting of each version.
    times: BTreeMap<String, (TimeMs, TimeMs)>,
    /// The sighting just before the first one of each version.
    before: BTreeMap<String, (TimeMs, String)>,
    /// Sightings by time: all of them up to [`KEPT_MAX`].
    kept: BTreeSet<(TimeMs, String)>,
}

/// A change of version that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenChange {
    /// The version before.
    pub from: String,
    /// The version that was new.
    pub to: String,
    /// When it was first seen.
    pub at: TimeMs,
    /// After it a version from before it was seen.
    pub is_rolled_back: bool,
}

impl Seen {
    /// Adds a sighting. Returns whether a change of version may have changed.
    pub fn add(&mut self, version: &str, at: TimeMs) -> bool {
        let sighting = (at, version.to_owned());
        if self.kept.contains(&sighting) {
            return false;
        }
        // that the latest version is seen again changes nothing
        let is_latest = self.latest().is_some_and(|(_, known)| known == version);
        let mut is_telling = self.follow(&sighting);
        let known = self.times.get(version).copied();
        if known.is_none_or(|(first, _)| at < first) {
            is_telling = true;
            match self.last_before(&sighting) {
                Some(before) => self.before.insert(version.to_owned(), before),
                None => self.before.remove(version),
            };
        }
        let (first, last) = known.unwrap_or((at, at));
        is_telling |= at > last && !is_latest;
        self.times.insert(version.to_owned(), (at.min(first), at.max(last)));
        self.kept.insert(sighting);
        if self.kept.len() > KEPT_MAX {
            self.drop_one();
        }
        is_telling
    }

    /// Notes a sighting as the one before versions that were new after it. Returns whether one of them follows another
    /// version than before.
    fn follow(&mut self, sighting: &(TimeMs, String)) -> bool {
        let mut is_telling = false;
        for (version, (first, _)) in &self.times {
            let is_before = *version != sighting.1 && (sighting.0, sighting.1.as_str()) < (*first, version.as_str());
            let known = self.before.get(version);
            if is_before && known.is_none_or(|known| known < sighting) {
                is_telling |= known.is_none_or(|known| known.1 != sighting.1);
                self.before.insert(version.clone(), sighting.clone());
            }
        }
        is_telling
    }

    /// The last known sighting before one.
    fn last_before(&self, sighting: &(TimeMs, String)) -> Option<(TimeMs, String)> {
        let of_version = |(version, (first, last)): (&String, &(TimeMs, TimeMs))| {
            [*first, *last].map(|at| (at, version.clone())).into_iter().filter(|known| known < sighting).max()
        };
        let kept = self.kept.range(..sighting.clone()).next_back().cloned();
        kept.into_iter().chain(self.times.iter().filter_map(of_version)).max()
    }

    /// Drops the oldest sighting between two of its own version; where there is none, the oldest.
    fn drop_one(&mut self) {
        let all: Vec<&(TimeMs, String)> = self.kept.iter().collect();
        let between = all.windows(3).find(|three| three.iter().all(|one| one.1 == three[1].1)).map(|three| three[1]);
        if let Some(dropped) = between.or(all.first().copied()).cloned() {
            self.kept.remove(&dropped);
        }
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The latest sighting.
    fn latest(&self) -> Option<(TimeMs, &str)> {
        self.times.iter().map(|(version, (_, last))| (*last, version.as_str())).max()
    }

    /// The versions that were new after the first one, by the time at which they were first seen.
    pub fn changes(&self) -> Vec<SeenChange> {
        let mut first: Vec<(TimeMs, &str)> =
            self.times.iter().map(|(version, (at, _))| (*at, version.as_str())).collect();
        first.sort_unstable();
        // the latest sighting of any version that was first seen up to here
        let mut earlier = first.first().and_then(|(_, version)| self.last(version));
        let mut changes = Vec::new();
        for new in first.iter().skip(1) {
            let last = self.last(new.1);
            changes.push(SeenChange {
                from: self.before.get(new.1).map(|(_, version)| version.clone()).unwrap_or_default(),
                to: new.1.to_owned(),
                at: new.0,
                is_rolled_back: earlier > last,
            });
            earlier = earlier.max(last);
        }
        changes
    }

    fn last<'a>(&self, version: &'a str) -> Option<(TimeMs, &'a str)> {
        self.times.get(version).map(|(_, last)| (*last, version))
    }

    /// The versions first seen up to a time, the newest first.
    pub fn until(&self, time: TimeMs) -> Vec<&String> {
        let mut first: Vec<(TimeMs, &String)> = self.times.iter().map(|(version, (at, _))| (*at, version)).collect();
        first.retain(|(at, _)| *at <= time);
        first.sort();
        first.into_iter().rev().map(|(_, version)| version).collect()
    }

    /// Forgets versions last seen before `horizon`, except the newest of them and the one that was seen last.
    pub fn forget_before(&mut self, horizon: TimeMs) {
        let newest = self.until(horizon).first().map(|version| (*version).clone());
        let latest = self.latest().map(|(_, version)| version.to_owned());
        self.times.retain(|version, (_, last)| {
            *last >= horizon || Some(version) == newest.as_ref() || Some(version) == latest.as_ref()
        });
        self.before.retain(|version, _| self.times.contains_key(version));
        self.kept.retain(|(_, version)| self.times.contains_key(version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sightings: &[(i64, &str)]) -> Seen {
        let mut seen = Seen::default();
        for (at, version) in sightings {
            seen.add(version, TimeMs(*at));
        }
        seen
    }

    fn told(seen: &Seen) -> Vec<String> {
        let line = |change: &SeenChange| format!("{}>{} {}", change.from, change.to, change.is_rolled_back);
        seen.changes().iter().map(line).collect()
    }

    #[test]
    fn what_is_seen_later_does_not_change_the_version_before() {
        let all = [(0, "v1"), (10, "v2"), (20, "v1"), (30, "v3"), (40, "v1")];
        assert_eq!(told(&seen(&all[..4])), ["v1>v2 true", "v1>v3 false"]);
        assert_eq!(told(&seen(&all)), ["v1>v2 true", "v1>v3 true"]);
    }

    /// Every way in which six sightings can show three versions, in many orders of arrival; and whether a change is
    /// announced.
    #[test]
    fn any_order_of_arrival_gives_the_same_changes() {
        for number in 0..3_usize.pow(5) {
            let version = |place: u32| ["1", "2", "3"][(number / 3_usize.pow(place)) % 3];
            let all: Vec<(i64, &str)> = [(0, "1")]
                .into_iter()
                .chain((0..5).map(|place| (i64::from(place) * 10 + 10, version(place))))
                .collect();
            let expected = seen(&all).changes();
            for order in (0..720_usize).step_by(5) {
                let (mut left, mut rest, mut arrived) = (all.clone(), order, Seen::default());
                while !left.is_empty() {
                    let (at, version) = left.remove(rest % left.len());
                    rest /= left.len() + 1;
                    let before = arrived.changes();
                    let is_telling = arrived.add(version, TimeMs(at));
                    assert!(
                        is_telling || arrived.changes() == before,
                        "{all:?} {order}: {version} at {at} is announced"
                    );
                }
                assert_eq!(arrived.changes(), expected, "{all:?} in order {order}");
            }
        }
    }

    /// Two versions that are seen in turn for long: the memory is bounded, and what was known stays.
    #[test]
    fn many_sightings_are_kept_in_bounded_memory() {
        let mut seen = seen(&[(0, "1"), (10, "2"), (20, "1"), (30, "3")]);
        let before = told(&seen);
        for number in 0..10_000 {
            seen.add(["3", "4"][number as usize % 2], TimeMs(100 + number));
        }
        assert!(seen.kept.len() <= KEPT_MAX);
        assert_eq!(told(&seen)[..2], before[..2]);
        assert_eq!(told(&seen)[2], "3>4 false");
        seen.add("5", TimeMs(20_000));
        assert_eq!(told(&seen)[3], "4>5 false");
    }
}
