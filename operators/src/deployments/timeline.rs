//! The timeline of a service: its deployments by time, with the version before each and what became of it.

use super::deployment::{Deployment, Kind, Status};
use super::group::{Group, SAME_VERSION_MS, groups};
use super::report::Report;
use super::seen::{Seen, SeenChange};
use model::time::{HOUR_MS, TimeMs};
use model::version::Version;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How much later than the topology an event may tell of a version.
const EVENT_AFTER_MS: i64 = HOUR_MS;

/// What is known of a service from before a time at which its older events were forgotten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Earlier {
    /// Colony.
    pub colony_id: String,
    /// Service.
    pub service_id: String,
    /// Deployments that began before this are no longer changed.
    pub before: TimeMs,
    /// The version in effect then, if known.
    pub in_effect: Option<String>,
    /// The version that a rollback of it puts back, if known.
    pub put_back: Option<String>,
    /// All versions that were known then, sorted.
    pub versions: Vec<String>,
    /// Events that report one of these deployments, sorted; only those that are still stored or known.
    pub reported_by: Vec<String>,
}

impl Earlier {
    /// What deployments that began before a time leave behind, beside what was known.
    pub fn of(
        (colony_id, service_id): (&str, &str),
        before: TimeMs,
        rows: &[Deployment],
        known: Option<Earlier>,
    ) -> Earlier {
        let (mut in_effect, mut put_back, mut versions, mut reported_by) =
            known.map(|known| (known.in_effect, known.put_back, known.versions, known.reported_by)).unwrap_or_default();
        let mut sorted: Vec<&Deployment> = rows.iter().collect();
        sorted.sort_by_key(|row| (row.started_at, &row.deployment_id));
        for row in sorted {
            // one that was put back is followed by the rollback, unless nothing but the topology shows it
            let is_left = row.status == Status::RolledBack && row.kind == Kind::Observed;
            if row.status != Status::Failed && !is_left {
                in_effect = (!row.to_version.is_empty()).then(|| row.to_version.clone());
                // what is before a version that was put back itself is not known
                put_back =
                    (row.kind != Kind::Rollback && !row.from_version.is_empty()).then(|| row.from_version.clone());
            }
            versions.extend([&row.from_version, &row.to_version].into_iter().filter(|text| !text.is_empty()).cloned());
            reported_by.extend(row.reported_by.iter().cloned());
        }
        for names in [&mut versions, &mut reported_by] {
            names.sort();
            names.dedup();
        }
        let (colony_id, service_id) = (colony_id.to_owned(), service_id.to_owned());
        Earlier { colony_id, service_id, before, in_effect, put_back, versions, reported_by }
    }

    /// Whether an event reports one of these deployments.
    pub fn reports(&self, event_id: &str) -> bool {
        self.reported_by.binary_search_by(|known| known.as_str().cmp(event_id)).is_ok()
    }
}

/// The deployments of a service, by id.
pub fn timeline(
    service_id: &str,
    reports: &BTreeSet<Report>,
    seen: &Seen,
    earlier: Option<&Earlier>,
) -> BTreeMap<String, Deployment> {
    // the end of a deployment may be known for longer than its start
    let is_final = |report: &&Report| earlier.is_some_and(|earlier| earlier.reports(&report.event_id));
    let mut groups = groups(reports.iter().filter(|report| !is_final(report)));
    let began: Vec<TimeMs> = groups.iter().map(Group::started_at).collect();
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|place| (began[*place], &groups[*place].reports[0].event_id));
    let mut sorted: Vec<Group<'_>> = Vec::with_capacity(groups.len());
    for place in order {
        sorted.push(std::mem::replace(&mut groups[place], Group { reports: Vec::new() }));
    }
    sorted.retain(|group| earlier.is_none_or(|earlier| group.started_at() >= earlier.before));
    let changes = unexplained(seen, &sorted, earlier);
    let rows = rows(&sorted, &changes, seen, earlier);
    let observed = changes.into_iter().map(|change| observed(service_id, change, &sorted));
    rows.into_iter().chain(observed).map(|row| (row.deployment_id.clone(), row)).collect()
}

/// Rows of the groups, in their order. `changes` were seen between them.
fn rows(groups: &[Group<'_>], changes: &[SeenChange], seen: &Seen, earlier: Option<&Earlier>) -> Vec<Deployment> {
    let mut rows: Vec<Deployment> = Vec::new();
    let mut in_effect = earlier.and_then(|earlier| earlier.in_effect.clone());
    let mut changes = changes.iter().filter(|change| !change.is_rolled_back).peekable();
    for group in groups {
        let mut row = row(group);
        while let Some(change) = changes.next_if(|change| change.at <= row.started_at) {
            in_effect = Some(change.to.clone());
        }
        if row.to_version.is_empty() && row.kind == Kind::Deployment {
            row.to_version = seen_just_after(seen, &row).unwrap_or_default();
        }
        let before = in_effect.clone().or_else(|| seen_before(seen, &row));
        if row.kind == Kind::Rollback && !roll_back(&mut rows, &mut row, group) {
            roll_back_earlier(&mut row, group, (before.as_deref(), earlier));
        }
        if row.from_version.is_empty() {
            row.from_version = before.unwrap_or_default();
        }
        if row.status != Status::Failed {
            in_effect = (!row.to_version.is_empty()).then(|| row.to_version.clone());
        }
        rows.push(row);
    }
    rows
}

fn row(group: &Group<'_>) -> Deployment {
    let reports = &group.reports;
    let (completed_at, status) = match group.end() {
        None => (None, Status::Running),
        Some((at, has_failed)) => (Some(at), if has_failed { Status::Failed } else { Status::Success }),
    };
    let from = reports.iter().find_map(|report| report.from.as_ref());
    let references: BTreeSet<&String> = reports.iter().filter_map(|report| report.reference.as_ref()).collect();
    Deployment {
        deployment_id: reports[0].event_id.clone(),
        application_name: reports[0].application_name.clone(),
        environment: reports[0].environment.clone(),
        from_version: from.map(|version| version.text.clone()).unwrap_or_default(),
        to_version: group.to().map(|version| version.text.clone()).unwrap_or_default(),
        started_at: group.started_at(),
        completed_at,
        status,
        kind: if group.is_rollback() { Kind::Rollback } else { Kind::Deployment },
        reported_by: reports.iter().map(|report| report.event_id.clone()).collect(),
        reported_as: references.into_iter().cloned().collect(),
    }
}

/// What a rollback is about.
enum Undone {
    /// It undoes this deployment.
    Deployment(usize),
    /// It says again what this rollback says.
    Repeated(usize),
}

/// Marks the deployment that `rollback` undoes, and determines the versions of the rollback itself. An event may name the
/// version that is left or the one that is put back. Returns whether there is one.
fn roll_back(rows: &mut [Deployment], rollback: &mut Deployment, group: &Group<'_>) -> bool {
    match undone(rows, group) {
        None => return false,
        Some(Undone::Repeated(place)) => {
            rollback.from_version = rows[place].from_version.clone();
            rollback.to_version = rows[place].to_version.clone();
        }
        Some(Undone::Deployment(place)) => {
            let left = &mut rows[place];
            if rollback.to_version.is_empty() || is_version(group, &left.to_version) == Some(true) {
                rollback.to_version = left.from_version.clone();
            }
            rollback.from_version = left.to_version.clone();
            if rollback.status != Status::Failed {
                left.status = Status::RolledBack;
                left.completed_at = left.completed_at.or(Some(rollback.started_at));
            }
        }
    }
    true
}

/// Determines the versions of a rollback of a deployment that is final. `in_effect` is the version before the rollback.
fn roll_back_earlier(
    rollback: &mut Deployment,
    group: &Group<'_>,
    (in_effect, earlier): (Option<&str>, Option<&Earlier>),
) {
    let known = earlier.and_then(|earlier| Some((earlier.in_effect.as_deref()?, earlier.put_back.as_ref()?)));
    // a version that was seen since then is another one
    let Some((left, put_back)) = known.filter(|(left, _)| in_effect == Some(left)) else { return };
    if rollback.to_version.is_empty() || is_version(group, left) == Some(true) {
        rollback.to_version.clone_from(put_back);
    }
    rollback.from_version = left.to_owned();
}

/// What a rollback is about: of the deployments that failed since the last change that did not, the last one to or from
/// the version that is named, or the last one where none is named; else that last change itself.
fn undone(rows: &[Deployment], group: &Group<'_>) -> Option<Undone> {
    let is = |version: &str| is_version(group, version);
    let in_effect = rows.iter().rposition(|row| row.status != Status::Failed);
    let after = in_effect.map_or(0, |place| place + 1);
    let mut attempts = (after..rows.len()).rev().filter(|place| rows[*place].kind == Kind::Deployment).peekable();
    if let Some(last) = attempts.peek().copied() {
        let named = |place: &usize| [&rows[*place].to_version, &rows[*place].from_version].map(|text| is(text));
        if let Some(place) = attempts.find(|place| named(place).contains(&Some(true))) {
            return Some(Undone::Deployment(place));
        }
        let is_elsewhere = in_effect.is_some_and(|place| is(&rows[place].to_version) != Some(true));
        if is(&rows[last].from_version) != Some(false) || !is_elsewhere {
            return Some(Undone::Deployment(last));
        }
    }
    let place = in_effect?;
    let row = &rows[place];
    if row.kind == Kind::Rollback {
        if is(&row.to_version) == Some(true) || is(&row.from_version) == Some(true) {
            return Some(Undone::Repeated(place));
        }
        let is_open =
            |row: &Deployment| row.kind == Kind::Deployment && [Status::Running, Status::Success].contains(&row.status);
        return rows[..place].iter().rposition(is_open).map(Undone::Deployment);
    }
    Some(Undone::Deployment(place))
}

/// Whether the reports of a group name this version; `None` where that cannot be said.
fn is_version(group: &Group<'_>, version: &str) -> Option<bool> {
    group.is_to(&Version::read(version)?)
}

/// The version before a deployment, as the topology shows it.
fn seen_before(seen: &Seen, row: &Deployment) -> Option<String> {
    let mut seen = seen.until(row.started_at - 1).into_iter();
    seen.find(|version| !Version::are_same(version, &row.to_version)).cloned()
}

/// The version that the topology shows first around a deployment whose events name none.
fn seen_just_after(seen: &Seen, row: &Deployment) -> Option<String> {
    let span = row.started_at..=row.completed_at.unwrap_or(row.started_at) + SAME_VERSION_MS;
    seen.changes().into_iter().find(|change| span.contains(&change.at)).map(|change| change.to)
}

/// Changes of version that were seen and that no event explains.
fn unexplained(seen: &Seen, groups: &[Group<'_>], earlier: Option<&Earlier>) -> Vec<SeenChange> {
    let explains = |group: &Group<'_>, change: &SeenChange| {
        let is_near =
            group.started_at() <= change.at + SAME_VERSION_MS && change.at <= group.started_at() + EVENT_AFTER_MS;
        match Version::read(&change.to).map(|version| group.is_to(&version)) {
            Some(Some(is_same)) => is_same && group.started_at() <= change.at + EVENT_AFTER_MS,
            // of another kind, or not named: the time decides
            _ => is_near,
        }
    };
    let mut changes = seen.changes();
    changes.retain(|change| {
        let is_known = earlier.is_some_and(|earlier| {
            change.at < earlier.before || earlier.versions.iter().any(|known| Version::are_same(known, &change.to))
        });
        !is_known && !groups.iter().any(|group| explains(group, change))
    });
    changes
}

/// A change of version as a row; its colony is described by its events, if it has any.
fn observed(service_id: &str, change: SeenChange, groups: &[Group<'_>]) -> Deployment {
    let identity = groups.last().map(|group| group.reports[0]);
    Deployment {
        deployment_id: format!("observed:{service_id}:{}", change.to),
        application_name: identity.map(|report| report.application_name.clone()).unwrap_or_default(),
        environment: identity.map(|report| report.environment.clone()).unwrap_or_default(),
        from_version: change.from,
        to_version: change.to,
        started_at: change.at,
        completed_at: Some(change.at),
        status: if change.is_rolled_back { Status::RolledBack } else { Status::Success },
        kind: Kind::Observed,
        reported_by: Vec::new(),
        reported_as: Vec::new(),
    }
}
