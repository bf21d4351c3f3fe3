//! Random histories: for any order, steps, repeats, retractions and workers the timeline equals that of the reference.

use super::{Rows, at, event, sighting};
use crate::deployments::{Deployments, Input, Sighting};
use crate::ext::Change;
use crate::reference;
use crate::shard::fixed_hash;
use model::derived::DerivedRow;
use model::event::{Event, Severity};
use proptest::prelude::*;

const TYPES: [&str; 7] =
    ["deploy", "deployment_started", "deploy_finished", "deploy_failed", "rollback", "rollback_started", "alert"];
const METADATA: [&str; 9] = [
    "",
    "version=v1",
    "version=2.0",
    "tag=v2.0",
    "git_sha=9fceb02d",
    "revision=17",
    "deployment_id=a",
    "deployment_id=b version=v3",
    "version=v1 duration_seconds=240 from_version=v0",
];
const SEEN: [&str; 4] = ["v1", "2.0", "v3", "9fceb02d"];

fn input() -> impl Strategy<Value = Change<Input>> {
    let one_event = (0..30_u8, 0..TYPES.len(), 0..METADATA.len(), 0..500_i64, 0..4_u64, 0..12_u8, 0..4_u8);
    let one_event = one_event.prop_map(|(id, event_type, metadata, minute, version, odd, place)| {
        let event = event(minute, &format!("e{id}"), TYPES[event_type], METADATA[metadata]);
        let event = Event {
            version: version.saturating_sub(2),
            withdrawn: odd == 0,
            severity: if odd == 1 { Severity::Error } else { Severity::Info },
            colony_id: format!("shop-{}", place % 2),
            service_id: format!("api{}", place / 2),
            ..event
        };
        (Input::Event(event), if odd == 2 || odd == 3 { -1 } else { 1 })
    });
    let seen = (0..500_i64, 0..SEEN.len(), 0..4_u8).prop_map(|(minute, version, place)| {
        let Input::Seen(seen) = sighting(minute, SEEN[version]) else { unreachable!() };
        let (colony_id, service_id) = (format!("shop-{}", place % 2), format!("api{}", place / 2));
        (Input::Seen(Sighting { colony_id, service_id, ..seen }), 1)
    });
    prop_oneof![6 => one_event, 1 => seen]
}

/// The rows after feeding `changes` in ticks to so many workers, as the dataflow divides them.
fn fed(changes: &[Change<Input>], tick: usize, workers: usize) -> Vec<DerivedRow> {
    let mut operators: Vec<Deployments> = (0..workers).map(|_| Deployments::default()).collect();
    let mut rows = Rows::default();
    for (number, tick) in changes.chunks(tick.max(1)).enumerate() {
        let mut shares: Vec<Vec<Change<Input>>> = vec![Vec::new(); workers];
        for change in tick {
            shares[(fixed_hash(&[change.0.colony_id()]) % workers as u64) as usize].push(change.clone());
        }
        for (operator, share) in operators.iter_mut().zip(shares) {
            operator.apply(share);
            if number % 3 == 1 {
                rows.apply(operator.evaluate());
            }
        }
    }
    for operator in &mut operators {
        rows.apply(operator.evaluate());
    }
    rows.rows()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_timeline_is_that_of_the_reference(
        (changes, shuffled) in prop::collection::vec(input(), 0..60)
            .prop_flat_map(|changes| (Just(changes.clone()), Just(changes).prop_shuffle())),
        tick in 1..12_usize,
    ) {
        let expected = reference::deployments::rows(&changes);
        prop_assert_eq!(&fed(&changes, changes.len(), 1), &expected);
        prop_assert_eq!(&fed(&changes, tick, 1), &expected);
        prop_assert_eq!(&fed(&shuffled, tick, 3), &expected);
        // everything a second time, late, changes nothing where nothing was retracted
        let kept: Vec<Change<Input>> = changes.into_iter().filter(|(_, diff)| *diff > 0).collect();
        let expected = reference::deployments::rows(&kept);
        let twice: Vec<Change<Input>> = kept.iter().chain(&shuffled).filter(|(_, diff)| *diff > 0).cloned().collect();
        prop_assert_eq!(&fed(&twice, tick, 3), &expected);
    }

    #[test]
    fn retracting_everything_leaves_nothing(changes in prop::collection::vec(input(), 0..40)) {
        let events = changes.into_iter().filter(|(input, _)| matches!(input, Input::Event(_)));
        let events: Vec<Change<Input>> = events.map(|(input, _)| (input, 1)).collect();
        let back = events.iter().rev().map(|(input, diff)| (input.clone(), -diff));
        let both: Vec<Change<Input>> = events.iter().cloned().chain(back).collect();
        prop_assert_eq!(fed(&both, 5, 1), Vec::new());
    }
}

#[test]
fn times_are_what_the_tests_take_them_for() {
    assert_eq!(at(0).to_string(), "2024-11-13T14:30:00.000Z");
}
