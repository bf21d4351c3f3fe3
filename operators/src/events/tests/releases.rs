//! Releases of eight projects in a year, with the relations that their dependencies and habits imply: a generated twin,
//! and the real ones where they are beside the checkout.

use super::support::Chain;
use crate::events::{EventParams, EventStamp};
use fixtures::twins::{self, Twin};
use model::colony::identity_from_id;
use model::event::{Event, EventTypeKey};
use model::pattern::{Finding, PatternState};
use model::time::{DAY_MS, TimeMs};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A year of releases and what is known to be true of it.
pub(crate) struct Releases {
    pub(crate) name: &'static str,
    pub(crate) events: Vec<EventStamp>,
    truth: Value,
}

/// The twin, and the real ones where this machine has them.
pub(crate) fn all() -> Vec<Releases> {
    let Twin { events, truth, .. } = twins::releases(twins::SEED);
    let twin = Releases { name: "the twin", events: events.iter().map(stamp).collect(), truth };
    std::iter::once(twin).chain(real()).collect()
}

fn stamp(event: &Event) -> EventStamp {
    EventStamp {
        key: event.type_key(),
        at: event.timestamp,
        event_id: event.event_id.clone(),
        application_name: event.application_name.clone(),
        environment: event.environment.clone(),
    }
}

fn real() -> Option<Releases> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/releases");
    if !folder.is_dir() {
        eprintln!("SKIPPED releases on real data: {} is absent; its twin is tested", folder.display());
        return None;
    }
    let truth = std::fs::read_to_string(folder.join("ground_truth.json")).unwrap();
    Some(Releases { name: "real", events: releases(&folder), truth: serde_json::from_str(&truth).unwrap() })
}

fn releases(folder: &Path) -> Vec<EventStamp> {
    let text = std::fs::read_to_string(folder.join("events.ndjson")).unwrap();
    let events: BTreeMap<(String, String), EventStamp> = text
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| row[name].as_str().unwrap().to_owned();
            let (application_name, environment) = identity_from_id(&field("colony_id"));
            let key = EventTypeKey {
                colony_id: field("colony_id"),
                service_id: field("service_id"),
                event_type: field("event_type"),
            };
            let at = TimeMs::parse_rfc3339(&field("timestamp")).unwrap();
            let stamp = EventStamp { key, at, event_id: field("event_id"), application_name, environment };
            ((field("colony_id"), field("event_id")), stamp)
        })
        .collect();
    events.into_values().collect()
}

fn findings(events: &[EventStamp], horizon_days: i64) -> Vec<Finding> {
    let params = EventParams { horizon_ms: horizon_days * DAY_MS, ..EventParams::default() };
    let mut chain = Chain::new(&params, 1);
    chain.apply(events.iter().cloned().map(|event| (event, 1)).collect());
    chain.evaluate(events.iter().map(|event| event.at).max().unwrap())
}

fn confirmed(findings: &[Finding]) -> BTreeMap<(String, String), &Finding> {
    findings
        .iter()
        .filter(|finding| finding.correlation.state == PatternState::Confirmed)
        .map(|finding| {
            let key = &finding.correlation.key;
            ((key.source.colony_id.clone(), key.target.colony_id.clone()), finding)
        })
        .collect()
}

#[test]
fn the_known_relations_are_confirmed_with_their_lag() {
    for Releases { name, events, truth } in all() {
        let relations = truth["relations"].as_array().unwrap();
        assert!(relations.len() >= 13, "{name}");
        for horizon_days in [30, 365] {
            let findings = findings(&events, horizon_days);
            let confirmed = confirmed(&findings);
            let is_found = |relation: &&Value| {
                let name = |field: &str| relation[field].as_str().unwrap().to_owned();
                let bound = |index: usize| relation["lag_iqr_minutes"][index].as_f64().unwrap() * 60.0;
                let found = confirmed.get(&(name("source_colony"), name("target_colony")));
                found.is_some_and(|finding| {
                    let lag_seconds = f64::from(finding.correlation.lag_seconds);
                    lag_seconds >= bound(0) - 60.0 && lag_seconds <= bound(1) + 60.0
                })
            };
            let (count, of) = (relations.iter().filter(is_found).count(), relations.len());
            let case = format!("{name}, horizon {horizon_days} d: {count} of {of} relations");
            eprintln!("{case}, {} confirmed in all", confirmed.len());
            // of the 15 relations of the real ones: 13 in a month, all in a year
            let least = if horizon_days == 365 { 15 } else { 13 };
            assert!(count * 15 >= of * least, "{case}");
            let types: BTreeSet<&str> =
                confirmed.values().map(|finding| finding.correlation.correlation_type.as_str()).collect();
            assert_eq!(types, BTreeSet::from(["deployment_cascade"]), "{name}");
        }
    }
}

#[test]
fn nothing_is_confirmed_when_each_timeline_is_moved_by_other_weeks() {
    // different multiples of seven days for the eight projects
    let assignments: [[i64; 8]; 5] = [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [7, 6, 5, 4, 3, 2, 1, 0],
        [3, 0, 6, 1, 7, 4, 2, 5],
        [0, 5, 10, 15, 20, 25, 30, 35],
        [8, 3, 12, 1, 17, 6, 22, 11],
    ];
    for Releases { name, events, .. } in all() {
        let colonies: BTreeSet<String> = events.iter().map(|event| event.key.colony_id.clone()).collect();
        let colonies: Vec<String> = colonies.into_iter().collect();
        for weeks in assignments {
            let decoy: Vec<EventStamp> = events
                .iter()
                .map(|event| {
                    let colony = colonies.iter().position(|colony| *colony == event.key.colony_id).unwrap();
                    EventStamp { at: event.at + weeks[colony] * 7 * DAY_MS, ..event.clone() }
                })
                .collect();
            for horizon_days in [30, 365] {
                let findings = findings(&decoy, horizon_days);
                let found: Vec<String> = confirmed(&findings)
                    .values()
                    .map(|finding| finding.correlation.pattern_description.clone())
                    .collect();
                assert!(found.is_empty(), "{name}, weeks {weeks:?}, horizon {horizon_days} d: {found:?}");
            }
        }
    }
}
