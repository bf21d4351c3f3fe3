//! Seen versions: what the topology of a colony says about the version of a service.
//!
//! Of all sightings only the first and the last one of each version are kept: a function of their set, and bounded by the
//! number of versions. A version that comes back is seen as a rollback of those that came after it, also when another
//! version follows.

use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
        let is_latest = self.latest().is_some_and(|(_, known)| known == version);
        let Some((first, last)) = self.times.get_mut(version) else {
            self.times.insert(version.to_owned(), (at, at));
            return true;
        };
        // that the latest version is seen again changes nothing
        let is_telling = at < *first || (at > *last && !is_latest);
        (*first, *last) = (at.min(*first), at.max(*last));
        is_telling
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
        let mut sightings = first.clone();
        sightings.extend(self.times.iter().map(|(version, (_, at))| (*at, version.as_str())));
        sightings.sort_unstable();
        // the latest sighting of any version that was first seen up to here
        let mut earlier = first.first().and_then(|(_, version)| self.last(version));
        let mut changes = Vec::new();
        for new in first.iter().skip(1) {
            let before = sightings.partition_point(|known| known < new);
            let last = self.last(new.1);
            changes.push(SeenChange {
                from: sightings[before - 1].1.to_owned(),
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

    /// Forgets versions last seen before `horizon`, except the newest of them.
    pub fn forget_before(&mut self, horizon: TimeMs) {
        let kept = self.until(horizon).first().map(|version| (*version).clone());
        self.times.retain(|version, (_, last)| *last >= horizon || Some(version) == kept.as_ref());
    }
}
