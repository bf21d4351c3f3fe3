//! Versions that are seen in a topology, and what stays known when events are forgotten.

use super::{Rows, at, evaluated, event, line, sighting, told};
use crate::deployments::state::KEEP_MS;
use crate::deployments::{Deployments, Earlier, Input};
use model::event::Event;
use model::time::{DAY_MS, MINUTE_MS};

fn of(event: Event) -> Input {
    Input::of_event(&event).unwrap()
}

#[test]
fn a_change_of_version_without_an_event_is_observed() {
    let seen = || vec![sighting(0, "v1"), sighting(1, "v1"), sighting(30, "v2"), sighting(31, "v2")];
    assert_eq!(told(seen()), ["30-30 v1>v2 success observed"]);
    assert_eq!(told(vec![sighting(0, "v1"), sighting(9, "v1")]), Vec::<String>::new());
    let mut reversed = seen();
    reversed.reverse();
    assert_eq!(told(reversed), told(seen()));
    let back = seen().into_iter().chain([sighting(60, "v1")]).collect::<Vec<_>>();
    assert_eq!(told(back), ["30-30 v1>v2 rolled_back observed"]);
}

#[test]
fn what_was_put_back_stays_so_when_the_next_version_is_seen() {
    let seen =
        || vec![sighting(0, "v1"), sighting(30, "v2"), sighting(60, "v1"), sighting(90, "v3"), sighting(95, "v3")];
    let expected = ["30-30 v1>v2 rolled_back observed", "90-90 v1>v3 success observed"];
    assert_eq!(told(seen()), expected);
    let mut reversed = seen();
    reversed.reverse();
    assert_eq!(told(reversed), expected);
    // in effect again after all
    let again = told(seen().into_iter().chain([sighting(120, "v2")]));
    assert_eq!(again, ["30-30 v1>v2 success observed", "90-90 v1>v3 rolled_back observed"]);
}

#[test]
fn what_an_event_tells_is_not_observed_again() {
    let seen = || vec![sighting(0, "2.0.0"), sighting(30, "2.1.0")];
    for deploy in [
        event(25, "a", "deploy", "version=v2.1.0"),
        event(40, "a", "deploy", "version=v2.1.0"),
        event(25, "a", "deploy", "git_sha=9fceb02"),
        event(25, "a", "deploy", ""),
    ] {
        let found = told(seen().into_iter().chain([of(deploy.clone())]));
        assert_eq!(found.len(), 1, "{deploy:?}: {found:?}");
        assert!(
            found[0].contains(" 2.0.0>") && !found[0].contains("observed"),
            "the version before is known: {found:?}"
        );
    }
    let unnamed = told(seen().into_iter().chain([of(event(25, "a", "deploy", ""))]));
    assert_eq!(unnamed, ["25-25 2.0.0>2.1.0 success"], "the topology names it");
    let next = told(seen().into_iter().chain([of(event(300, "a", "deploy", "version=2.2.0"))]));
    assert_eq!(next, ["30-30 2.0.0>2.1.0 success observed", "300-300 2.1.0>2.2.0 success"]);
}

#[test]
fn forgotten_deployments_stay_and_the_version_in_effect_stays_known() {
    let (mut operator, mut rows) = (Deployments::default(), Rows::default());
    let mut feed = |operator: &mut Deployments, event: Event| {
        rows.apply(evaluated(operator, vec![(of(event), 1)]));
        rows.deployments().iter().map(line).collect::<Vec<_>>()
    };
    feed(&mut operator, event(0, "a", "deploy", "version=v1"));
    operator.forget(at(0) + KEEP_MS + MINUTE_MS, DAY_MS);
    let later = event(KEEP_MS / MINUTE_MS + 5, "b", "deploy", "version=v2");
    let found = feed(&mut operator, later);
    assert_eq!(found[0], "0-0 >v1 success", "no longer known, but still there");
    assert!(found[1].ends_with("v1>v2 success"), "{found:?}");
    let stale = feed(&mut operator, event(0, "c", "deploy", "version=v1.5"));
    assert_eq!(stale, found, "what is forgotten is no longer changed");
}

#[test]
fn a_deployment_whose_start_is_forgotten_before_its_end_stays_one() {
    let (mut operator, mut rows) = (Deployments::default(), Rows::default());
    let mut feed = |operator: &mut Deployments, event: Event| {
        rows.apply(evaluated(operator, vec![(of(event), 1)]));
        rows.deployments().iter().map(line).collect::<Vec<_>>()
    };
    feed(&mut operator, event(0, "a", "deploy_started", "version=v1"));
    feed(&mut operator, event(20, "b", "deploy_finished", "version=v1"));
    // between the two
    operator.forget(at(10) + KEEP_MS, DAY_MS);
    let later = event(KEEP_MS / MINUTE_MS, "c", "deploy", "version=v2");
    let found = feed(&mut operator, later);
    assert_eq!((found.len(), found[0].as_str()), (2, "0-20 >v1 success"), "{found:?}");
    assert!(found[1].ends_with("v1>v2 success"), "{found:?}");
    // a newer copy of its end makes no second one either
    let amended = Event { version: 1, ..event(21, "b", "deploy_finished", "version=v1") };
    assert_eq!(feed(&mut operator, amended), found);
}

#[test]
fn a_rollback_of_a_deployment_that_is_final_knows_both_versions() {
    let rolled_back = |metadata: &str| {
        let (mut operator, mut rows) = (Deployments::default(), Rows::default());
        for (minute, id, version) in [(0, "a", "version=v1"), (60, "b", "version=v2")] {
            rows.apply(evaluated(&mut operator, vec![(of(event(minute, id, "deploy", version)), 1)]));
        }
        operator.forget(at(60) + KEEP_MS + MINUTE_MS, DAY_MS);
        let later = event(KEEP_MS / MINUTE_MS + 90, "c", "rollback", metadata);
        rows.apply(evaluated(&mut operator, vec![(of(later), 1)]));
        let next = event(KEEP_MS / MINUTE_MS + 300, "d", "deploy", "version=v3");
        rows.apply(evaluated(&mut operator, vec![(of(next), 1)]));
        let told: Vec<String> = rows.deployments().iter().map(line).collect();
        told[2..].iter().map(|told| told.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    for metadata in ["", "version=v1", "version=v2"] {
        assert_eq!(rolled_back(metadata), ["v2>v1 success rollback", "v1>v3 success"], "{metadata}");
    }
}

/// As a new process continues with what the store holds.
#[test]
fn a_restart_from_recent_events_gives_the_same_rows() {
    let all: Vec<Event> =
        (0..8).map(|n| event(n * 600, &format!("e{n}"), "deploy", &format!("version=v{n}"))).collect();
    let mut whole = Rows::default();
    whole.apply(evaluated(&mut Deployments::default(), all.iter().cloned().map(|event| (of(event), 1)).collect()));

    let boundary = at(4 * 600 - 60);
    let stored = whole.deployments();
    let old: Vec<_> = stored.iter().filter(|row| row.started_at < boundary).cloned().collect();
    let earlier = Earlier::of(("shop-production", "api"), boundary, &old, None);
    assert_eq!((earlier.in_effect.as_deref(), earlier.versions.len()), (Some("v3"), 4));
    // the events that are read back begin before the boundary
    let mut restarted = Rows::default();
    let recent = all.into_iter().skip(3).map(of).chain([Input::Earlier(earlier), sighting(100, "v2")]);
    restarted.apply(evaluated(&mut Deployments::default(), recent.map(|input| (input, 1)).collect()));
    let expected: Vec<_> = stored.into_iter().filter(|row| row.started_at >= boundary).collect();
    assert_eq!(restarted.deployments(), expected);
}
