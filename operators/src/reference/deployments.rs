//! The timeline of deployments from scratch: all rows at once, each rule in its plainest form.

use crate::deployments::group::{OPEN_MS, SAME_VERSION_MS, SKEW_MS, SPAN_MS, UNNAMED_MS};
use crate::deployments::report::Report;
use crate::deployments::words::Phase;
use crate::deployments::{Deployment, Input, Kind, Status};
use crate::ext::Change;
use model::derived::DerivedRow;
use model::event::Event;
use model::time::{HOUR_MS, TimeMs};
use model::version::Version;
use std::collections::{BTreeMap, BTreeSet};

/// Times at which a service was seen with a version.
type Sightings = Vec<(TimeMs, String)>;

/// The rows of the timeline, sorted.
pub fn rows(changes: &[Change<Input>]) -> Vec<DerivedRow> {
    let mut copies: BTreeMap<&Event, i64> = BTreeMap::new();
    let mut services: BTreeMap<(String, String), (Vec<Report>, Sightings)> = BTreeMap::new();
    for (input, diff) in changes {
        match input {
            Input::Event(event) => *copies.entry(event).or_default() += diff,
            Input::Seen(seen) => {
                let key = (seen.colony_id.clone(), seen.service_id.clone());
                services.entry(key).or_default().1.push((seen.at, seen.version.clone()));
            }
            Input::Earlier(_) => unreachable!("the reference knows all rows"),
        }
    }
    // rising by identity, then by version and content: the last one that is present counts
    let present = copies.into_iter().filter(|(_, count)| *count > 0);
    let winners: BTreeMap<(&str, &str), &Event> =
        present.map(|(event, _)| ((event.colony_id.as_str(), event.event_id.as_str()), event)).collect();
    for event in winners.into_values().filter(|event| !event.withdrawn) {
        if let Some(report) = Report::of(event) {
            services.entry((event.colony_id.clone(), event.service_id.clone())).or_default().0.push(report);
        }
    }
    let mut rows = Vec::new();
    for ((colony_id, service_id), (mut reports, mut sightings)) in services {
        reports.sort();
        sightings.sort();
        let deployments = of_service(&service_id, &reports, &sightings);
        rows.extend(deployments.iter().map(|deployment| deployment.row(&colony_id, &service_id)));
    }
    rows.sort();
    rows
}

fn of_service(service_id: &str, reports: &[Report], sightings: &Sightings) -> Vec<Deployment> {
    let mut groups = grouped(reports);
    groups.sort_by_key(|group| (began(group), group[0].event_id.clone()));
    let changes = seen_changes(sightings);
    let is_left = |version: &str| is_seen_left(sightings, version);
    let alone: Vec<&(TimeMs, String, String)> =
        changes.iter().filter(|(at, _, to)| !groups.iter().any(|group| explains(group, *at, to))).collect();

    let mut rows: Vec<Deployment> = Vec::new();
    for group in &groups {
        let start = began(group);
        let mut row = plain_row(group);
        if row.to_version.is_empty() && row.kind == Kind::Deployment {
            let end = row.completed_at.unwrap_or(start) + SAME_VERSION_MS;
            let near = changes.iter().find(|(at, ..)| *at >= start && *at <= end);
            row.to_version = near.map(|(.., to)| to.clone()).unwrap_or_default();
        }
        // what was in effect: the latest of event and sighting, else what the topology shows
        let by_event = rows.iter().rev().find(|row| row.status != Status::Failed);
        let by_sight = alone.iter().rev().find(|(at, _, to)| *at <= start && !is_left(to));
        let before = match (by_event, by_sight) {
            (Some(event), Some((at, _, to))) if *at > event.started_at => Some(to.clone()),
            (Some(event), _) => (!event.to_version.is_empty()).then(|| event.to_version.clone()),
            (None, Some((.., to))) => Some(to.clone()),
            (None, None) => None,
        };
        let shown = firsts(sightings).into_iter().rev().filter(|(at, _)| *at < start).map(|(_, version)| version);
        let before = before.or_else(|| shown.into_iter().find(|shown| !Version::are_same(shown, &row.to_version)));
        if row.kind == Kind::Rollback {
            put_back(&mut rows, &mut row, group);
        }
        if row.from_version.is_empty() {
            row.from_version = before.unwrap_or_default();
        }
        rows.push(row);
    }
    let identity = groups.last().map(|group| (group[0].application_name.clone(), group[0].environment.clone()));
    let (application_name, environment) = identity.unwrap_or_default();
    for (at, from, to) in alone {
        rows.push(Deployment {
            deployment_id: format!("observed:{service_id}:{to}"),
            application_name: application_name.clone(),
            environment: environment.clone(),
            from_version: from.clone(),
            to_version: to.clone(),
            started_at: *at,
            completed_at: Some(*at),
            status: if is_left(to) { Status::RolledBack } else { Status::Success },
            kind: Kind::Observed,
            reported_by: Vec::new(),
            reported_as: Vec::new(),
        });
    }
    rows
}

fn grouped(reports: &[Report]) -> Vec<Vec<Report>> {
    let mut groups: Vec<Vec<Report>> = Vec::new();
    for report in reports {
        let mut joined = None;
        for (place, group) in groups.iter().enumerate() {
            if belongs(group, report) {
                joined = Some(place);
            }
        }
        match joined {
            Some(place) => groups[place].push(report.clone()),
            None => groups.push(vec![report.clone()]),
        }
    }
    groups
}

fn belongs(group: &[Report], report: &Report) -> bool {
    let gap = report.at - group[group.len() - 1].at;
    let span = report.at - group[0].at;
    let any = |phases: &[Phase]| group.iter().any(|known| phases.contains(&known.phase));
    let ended = any(&[Phase::Finished, Phase::Failed]);
    let ends = report.phase == Phase::Finished || report.phase == Phase::Failed;
    let waits = any(&[Phase::Started]) && !ended;
    let mut verdicts = BTreeSet::new();
    for known in group {
        if let (Some(a), Some(b)) = (&known.to, &report.to) {
            verdicts.extend(a.is_same(b));
        }
    }
    let (same, different) = (verdicts.contains(&true), verdicts.contains(&false) && !verdicts.contains(&true));
    let names: Vec<&String> = group.iter().filter_map(|known| known.reference.as_ref()).collect();
    let is_named_so = report.reference.as_ref().is_some_and(|name| names.contains(&name));
    let is_named_else = report.reference.is_some() && !names.is_empty() && !is_named_so;
    let has_versions = group.iter().any(|known| known.to.is_some());

    if group[0].is_rollback != report.is_rollback || gap > OPEN_MS || span > SPAN_MS || different {
        return false;
    }
    if report.phase == Phase::Started && ended && gap > SAME_VERSION_MS {
        return false;
    }
    if is_named_so {
        return true;
    }
    if span > SAME_VERSION_MS && !any(&[Phase::Started]) {
        return false;
    }
    if same {
        return gap <= SAME_VERSION_MS || (ends && waits);
    }
    if is_named_else && (report.to.is_none() || !has_versions) {
        return false;
    }
    gap <= UNNAMED_MS || (ends && waits && report.to.is_none())
}

fn began(group: &[Report]) -> TimeMs {
    let mut times: Vec<TimeMs> = group.iter().map(Report::began_at).collect();
    times.sort();
    times[0]
}

fn plain_row(group: &[Report]) -> Deployment {
    let times = |phase: Phase| group.iter().filter(move |report| report.phase == phase).map(|report| report.at);
    let first_start = times(Phase::Started).min();
    let last_start = times(Phase::Started).max();
    let mut status = Status::Running;
    let mut completed_at = None;
    let ends: Vec<&Report> =
        group.iter().filter(|report| [Phase::Finished, Phase::Failed].contains(&report.phase)).collect();
    let whole: Vec<&Report> = group.iter().filter(|report| report.phase == Phase::Whole).collect();
    if let Some(end) = ends.last() {
        if last_start.is_none_or(|start| start <= end.at + SKEW_MS) {
            completed_at = Some(end.at);
            status = if end.phase == Phase::Failed { Status::Failed } else { Status::Success };
        }
    } else if let Some(start) = first_start {
        completed_at = whole.iter().map(|report| report.at).find(|at| *at > start + SKEW_MS);
    } else {
        let measured = whole.iter().find(|report| report.duration_ms.is_some()).or(whole.first());
        completed_at = measured.map(|report| report.at);
    }
    if ends.is_empty() && completed_at.is_some() {
        status = Status::Success;
    }
    let mut to: Vec<&Version> = group.iter().filter_map(|report| report.to.as_ref()).collect();
    to.sort_by_key(|version| version.kind);
    let text = |version: Option<&Version>| version.map(|version| version.text.clone()).unwrap_or_default();
    let names: BTreeSet<String> = group.iter().filter_map(|report| report.reference.clone()).collect();
    Deployment {
        deployment_id: group[0].event_id.clone(),
        application_name: group[0].application_name.clone(),
        environment: group[0].environment.clone(),
        from_version: text(group.iter().find_map(|report| report.from.as_ref())),
        to_version: text(to.first().copied()),
        started_at: began(group),
        completed_at,
        status,
        kind: if group[0].is_rollback { Kind::Rollback } else { Kind::Deployment },
        reported_by: group.iter().map(|report| report.event_id.clone()).collect(),
        reported_as: names.into_iter().collect(),
    }
}

/// Whether a group means this version, where any of its names can be compared.
fn means(group: &[Report], version: &str) -> Option<bool> {
    let version = Version::read(version)?;
    let verdicts: Vec<bool> = group.iter().filter_map(|report| report.to.as_ref()?.is_same(&version)).collect();
    if verdicts.is_empty() { None } else { Some(verdicts.contains(&true)) }
}

/// A rollback to a version puts it back, so what it undoes is the last step away from that version; where it names the
/// version that is left, the last step to it. Only steps that are still in force can be undone: the last one that did
/// not fail, and attempts after it.
fn put_back(rows: &mut [Deployment], rollback: &mut Deployment, group: &[Report]) {
    let holds = |place: usize| rows[place].status != Status::Failed;
    let standing = (0..rows.len()).rev().find(|place| holds(*place));
    let since: Vec<usize> = (0..rows.len())
        .filter(|place| standing.is_none_or(|standing| *place > standing) && rows[*place].kind == Kind::Deployment)
        .collect();
    let away = |place: usize| means(group, &rows[place].from_version);
    let to_it = |place: usize| means(group, &rows[place].to_version);
    let step = since.iter().copied().filter(|place| away(*place) == Some(true) || to_it(*place) == Some(true)).max();
    let mut left = step;
    if let (None, Some(last)) = (step, since.last().copied()) {
        // a version that is neither before nor after an attempt: one that the standing step has left behind
        let is_further_back = away(last) == Some(false) && standing.is_some_and(|place| to_it(place) != Some(true));
        left = if is_further_back { None } else { Some(last) };
    }
    if let (None, Some(standing)) = (left, standing) {
        left = Some(standing);
        if rows[standing].kind == Kind::Rollback {
            if to_it(standing) == Some(true) || away(standing) == Some(true) {
                // the same rollback, reported a second time
                rollback.from_version = rows[standing].from_version.clone();
                rollback.to_version = rows[standing].to_version.clone();
                return;
            }
            // one more step back
            let mut steps: Vec<usize> = (0..standing).filter(|place| rows[*place].kind == Kind::Deployment).collect();
            steps.retain(|place| ![Status::Failed, Status::RolledBack].contains(&rows[*place].status));
            left = steps.pop();
        }
    }
    let Some(left) = left else { return };
    if rollback.to_version.is_empty() || to_it(left) == Some(true) {
        rollback.to_version = rows[left].from_version.clone();
    }
    rollback.from_version = rows[left].to_version.clone();
    if rollback.status != Status::Failed {
        rows[left].completed_at = rows[left].completed_at.or(Some(rollback.started_at));
        rows[left].status = Status::RolledBack;
    }
}

fn first_seen(sightings: &Sightings, version: &str) -> TimeMs {
    let times = sightings.iter().filter(|(_, known)| known == version).map(|(at, _)| *at);
    times.min().unwrap_or(TimeMs(0))
}

/// Versions by the time they were first seen.
fn firsts(sightings: &Sightings) -> Vec<(TimeMs, String)> {
    let versions: BTreeSet<&String> = sightings.iter().map(|(_, version)| version).collect();
    let mut firsts: Vec<(TimeMs, String)> =
        versions.into_iter().map(|version| (first_seen(sightings, version), version.clone())).collect();
    firsts.sort();
    firsts
}

/// `(at, from, to)` of each version that was new after the first one. The version before it is that of the sighting
/// before it.
fn seen_changes(sightings: &Sightings) -> Vec<(TimeMs, String, String)> {
    let change = |(at, to): (TimeMs, String)| {
        let before = sightings.iter().rfind(|known| **known < (at, to.clone()))?;
        Some((at, before.1.clone(), to))
    };
    firsts(sightings).into_iter().skip(1).filter_map(change).collect()
}

/// Whether, after this version was seen last, one was seen that is older than it.
fn is_seen_left(sightings: &Sightings, version: &str) -> bool {
    let born = (first_seen(sightings, version), version);
    let gone = sightings.iter().rposition(|(_, known)| known == version);
    let after = gone.map_or(&[][..], |place| &sightings[place + 1..]);
    after.iter().any(|(_, known)| (first_seen(sightings, known), known.as_str()) < born)
}

fn explains(group: &[Report], at: TimeMs, version: &str) -> bool {
    let start = began(group);
    match means(group, version) {
        Some(same) => same && start <= at + HOUR_MS,
        None => start <= at + SAME_VERSION_MS && at <= start + HOUR_MS,
    }
}
