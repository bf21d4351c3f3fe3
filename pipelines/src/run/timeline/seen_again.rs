//! Seen again: sightings that a restart adds so that the versions of a topology are in effect as the stored rows say.
//!
//! A row says which version was new, when, and after which one. It does not say when these versions were seen last, and
//! that decides what was rolled back: a version stayed if it was seen after all earlier ones. So versions that stayed are
//! seen again where a fact is missing, in the order in which they were new, and after all of them: none of these sightings
//! is before a new version, which would then follow another one.

use model::time::TimeMs;
use operators::deployments::{Deployment, Status};
use std::collections::BTreeMap;

/// What to add to the sightings of a service. `rows` are its observed changes.
pub(super) fn seen_again<'a>(sightings: &[(TimeMs, &'a str)], rows: &[&'a Deployment]) -> Vec<(TimeMs, &'a str)> {
    let Some(newest) = rows.iter().map(|row| row.started_at).max() else { return Vec::new() };
    let mut times: BTreeMap<&'a str, (TimeMs, TimeMs)> = BTreeMap::new();
    for (at, version) in sightings.iter().copied() {
        let (first, last) = times.entry(version).or_insert((at, at));
        (*first, *last) = (at.min(*first), at.max(*last));
    }
    let mut born: Vec<(TimeMs, &'a str)> = times.iter().map(|(version, (first, _))| (*first, *version)).collect();
    born.sort_unstable();
    let status: BTreeMap<&str, Status> = rows.iter().map(|row| (row.to_version.as_str(), row.status)).collect();
    let is_left = |version: &str| status.get(version) == Some(&Status::RolledBack);
    let has_stayed = |place: usize| place == 0 || status.contains_key(born[place].1) && !is_left(born[place].1);
    let stayed: Vec<usize> = (0..born.len()).filter(|place| has_stayed(*place)).collect();

    let mut added = Vec::new();
    let mut newest_before: Option<TimeMs> = None;
    for (number, place) in stayed.iter().copied().enumerate() {
        let end = stayed.get(number + 1).copied().unwrap_or(born.len());
        let left = born[place + 1..end].iter().filter(|(_, version)| is_left(version));
        let others = left.map(|(_, version)| times[version].1).chain(newest_before).max();
        let version = born[place].1;
        let (first, mut last) = times[version];
        let at = newest + (number as i64 + 1);
        if others.is_some_and(|others| last <= others) && at > first {
            last = last.max(at);
            added.push((at, version));
        }
        newest_before = others.max(Some(last));
    }
    added
}
