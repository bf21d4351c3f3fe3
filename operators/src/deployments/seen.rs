//! Seen versions: what the topology of a colony says about the version of a service.
//!
//! Of all sightings only the first of each version and the latest one are kept: a function of their set, and bounded by
//! the number of versions. A version that comes back is seen as a rollback of those that came after it.

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
    first: BTreeMap<String, TimeMs>,
    latest: Option<(TimeMs, String)>,
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
    /// A version from before it was seen last.
    pub is_rolled_back: bool,
}

impl Seen {
    /// Adds a sighting. Returns whether a change of version may have changed.
    pub fn add(&mut self, version: &str, at: TimeMs) -> bool {
        let mut is_new = false;
        let first = self.first.entry(version.to_owned()).or_insert_with(|| {
            is_new = true;
            at
        });
        is_new |= at < *first;
        *first = at.min(*first);
        let latest = (at, version.to_owned());
        if self.latest.as_ref().is_none_or(|known| *known < latest) {
            is_new |= self.latest.as_ref().is_none_or(|(_, known)| known != version);
            self.latest = Some(latest);
        }
        is_new
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The versions that were new after the first one, by the time at which they were first seen.
    pub fn changes(&self) -> Vec<SeenChange> {
        let mut first: Vec<(TimeMs, &String)> = self.first.iter().map(|(version, at)| (*at, version)).collect();
        first.sort();
        let latest = self.latest.as_ref().and_then(|(_, version)| self.first.get(version)).copied();
        first
            .windows(2)
            .map(|pair| SeenChange {
                from: pair[0].1.clone(),
                to: pair[1].1.clone(),
                at: pair[1].0,
                is_rolled_back: latest.is_some_and(|latest| latest < pair[1].0),
            })
            .collect()
    }

    /// The versions first seen up to a time, the newest first.
    pub fn until(&self, time: TimeMs) -> Vec<&String> {
        let mut first: Vec<(TimeMs, &String)> = self.first.iter().map(|(version, at)| (*at, version)).collect();
        first.retain(|(at, _)| *at <= time);
        first.sort();
        first.into_iter().rev().map(|(_, version)| version).collect()
    }

    /// Forgets versions first seen before `horizon`, except the newest of them.
    pub fn forget_before(&mut self, horizon: TimeMs) {
        let kept = self.until(horizon).first().map(|version| (*version).clone());
        self.first.retain(|version, at| *at >= horizon || Some(version) == kept.as_ref());
    }
}
