//! Patterns of whole colonies and what they follow from: as the oracle says, for any order, steps and shards.

use super::fleets::{feed, fleet, latest, params};
use super::support::{Chain, assert_same, stamp};
use crate::events::EventStamp;
use crate::reference;
use model::event::EventTypeKey;
use model::pattern::{ANY_SERVICE, Correlation, Finding, PatternState};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn of_service(event: EventStamp, service_id: &str) -> EventStamp {
    EventStamp { key: EventTypeKey { service_id: service_id.to_owned(), ..event.key }, ..event }
}

/// Each event is of one of two services of its colony, so that the colony as a whole counts as well.
fn in_two_services(events: Vec<EventStamp>) -> Vec<EventStamp> {
    let services = ["web", "db"];
    events.into_iter().enumerate().map(|(serial, event)| of_service(event, services[serial % 3 / 2])).collect()
}

proptest! {
    // three times the types, nine times the pairs
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn findings_of_both_levels_are_those_of_the_oracle(
        (events, shuffled) in fleet().prop_map(in_two_services).prop_flat_map(|events| {
            (Just(events.clone()), Just(events).prop_shuffle())
        }),
        step in 15..80usize,
    ) {
        let Some(now) = latest(&events) else { return Ok(()) };
        let expected = reference::events::findings(&events.iter().cloned().collect(), &BTreeSet::new(), &params(), now);
        let at_once = feed(&shuffled, shuffled.len(), 1, now);
        assert_same(&at_once, &expected);
        // bit for bit, in any order
        let in_order = feed(&events, step, 1, now);
        prop_assert_eq!(&in_order, &at_once);
        let in_shards = feed(&shuffled, step, 3, now);
        prop_assert_eq!(&in_shards, &at_once);
    }
}

/// When source `index` of 24 happens, at odd times of three days.
fn source_ms(index: i64) -> i64 {
    index * 3 * HOUR_MS + (index * index * 611_953) % (2 * HOUR_MS)
}

/// When its target follows.
fn target_ms(index: i64) -> i64 {
    source_ms(index) + 12 * MINUTE_MS + (index % 7) * 3_000
}

/// Deployments and alerts of three days, in services of two colonies.
#[derive(Default)]
struct Days(Vec<EventStamp>);

impl Days {
    fn add(&mut self, (colony, event_type): (&str, &str), service_id: &str, at_ms: i64) {
        let at = TimeMs(19_003 * DAY_MS + at_ms);
        let one = stamp(colony, event_type, at, &format!("{colony}{:05}", self.0.len()));
        self.0.push(of_service(one, service_id));
    }

    fn deploy(&mut self, service_id: &str, at_ms: i64) {
        self.add(("a", "deploy"), service_id, at_ms);
    }

    fn alert(&mut self, service_id: &str, at_ms: i64) {
        self.add(("b", "alert"), service_id, at_ms);
    }

    /// The findings at its end, which are those of the oracle.
    fn findings(&self) -> Vec<Finding> {
        let now = latest(&self.0).unwrap();
        let found = |peers: usize| {
            let mut chain = Chain::new(&params(), peers);
            chain.apply(self.0.iter().cloned().map(|event| (event, 1)).collect());
            chain.evaluate(now)
        };
        let at_once = found(1);
        let set: BTreeSet<EventStamp> = self.0.iter().cloned().collect();
        assert_same(&at_once, &reference::events::findings(&set, &BTreeSet::new(), &params(), now));
        assert_eq!(found(3), at_once);
        at_once
    }
}

/// The patterns of deployments that alerts follow, by their services: `*>web`.
fn forward(found: &[Finding]) -> Vec<(String, &Correlation)> {
    let rows = found.iter().map(|finding| &finding.correlation).filter(|row| row.key.source.colony_id == "a");
    rows.map(|row| (format!("{}>{}", row.key.source.service_id, row.key.target.service_id), row)).collect()
}

fn confirmed(found: &[Finding]) -> Vec<String> {
    let rows = forward(found).into_iter().filter(|(_, row)| row.state == PatternState::Confirmed);
    let mut services: Vec<String> = rows.map(|(services, _)| services).collect();
    services.sort_unstable();
    services
}

fn row<'a>(found: &'a [Finding], services: &str) -> &'a Correlation {
    forward(found).into_iter().find(|(of, _)| of == services).unwrap().1
}

/// Each service of either side has two of the sixteen occurrences, fewer than a pattern of its own needs.
#[test]
fn a_relation_spread_over_eight_services_on_each_side_is_one_of_whole_colonies() {
    let mut days = Days::default();
    for index in 0..24 {
        days.deploy(&format!("front{}", index % 8), source_ms(index));
        if index % 3 == 2 {
            days.alert(&format!("back{}", index / 3), source_ms(index) + (40 + index) * MINUTE_MS);
        } else {
            days.alert(&format!("back{}", index * 5 / 3 % 8), target_ms(index));
        }
    }
    let found = days.findings();
    assert_eq!(confirmed(&found), ["*>*"]);
    let whole = row(&found, "*>*");
    assert_eq!(
        (whole.key.source.service_id.as_str(), whole.key.target.service_id.as_str()),
        (ANY_SERVICE, ANY_SERVICE)
    );
    assert_eq!((whole.occurrence_count, &whole.part_of, &whole.reason), (16, &None, &None));
    let text = &whole.pattern_description;
    let begin =
        "deploy of any service in app-a (production) is followed by alert of any service in app-b (production), 12m";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.contains(" later in 16 of 24 cases "), "{text}");
}

/// Another service has events of the same types, without a relation: the colonies as a whole add nothing but noise.
#[test]
fn a_pattern_of_whole_colonies_follows_from_that_of_two_services_with_more_evidence() {
    let mut days = Days::default();
    for index in 0..24 {
        days.deploy("web", source_ms(index));
        if index % 5 != 4 {
            days.alert("web", target_ms(index));
        }
        if index % 4 == 1 {
            days.deploy("db", source_ms(index) + 2 * HOUR_MS + index * index * 1_000);
            days.alert("db", source_ms(index) + 95 * MINUTE_MS + index * index * 7_000);
        }
    }
    let found = days.findings();
    assert_eq!(confirmed(&found), ["web>web"]);
    let id = row(&found, "web>web").key.correlation_id();
    for services in ["*>*", "*>web", "web>*"] {
        let whole = row(&found, services);
        assert_eq!((whole.state, whole.part_of.as_deref()), (PatternState::Candidate, Some(&*id)), "{services}");
        assert_eq!(whole.reason.as_deref(), Some("follows from a more specific pattern"), "{services}");
        assert!(whole.q_value.0 < 0.001, "{services}: it would be confirmed by itself");
    }
}

/// Each of two pairs of services has half of the occurrences: all together have more evidence, and nothing to add.
#[test]
fn a_pattern_of_whole_colonies_follows_from_confirmed_ones_that_cover_it() {
    let mut days = Days::default();
    for index in 0..24 {
        let service_id = ["web", "db"][index as usize % 2];
        days.deploy(service_id, source_ms(index));
        days.alert(service_id, target_ms(index));
    }
    let found = days.findings();
    assert_eq!(confirmed(&found), ["db>db", "web>web"]);
    let (whole, strongest) = (row(&found, "*>*"), row(&found, "db>db"));
    assert!(whole.e_value > strongest.e_value && strongest.e_value > row(&found, "web>web").e_value);
    assert_eq!(whole.part_of, Some(strongest.key.correlation_id()));
    assert_eq!(row(&found, "web>*").part_of, Some(row(&found, "web>web").key.correlation_id()));
    assert_eq!(row(&found, "*>db").part_of, Some(strongest.key.correlation_id()));
}

#[test]
fn a_colony_with_one_service_of_a_type_has_no_pattern_as_a_whole() {
    let mut days = Days::default();
    for index in 0..24 {
        days.deploy(["web", "db"][index as usize % 2], source_ms(index));
        days.alert("web", target_ms(index));
    }
    let found = days.findings();
    let services: BTreeSet<String> = forward(&found).into_iter().map(|(services, _)| services).collect();
    assert!(services.contains("*>web"), "{services:?}");
    assert!(services.iter().all(|services| services.ends_with(">web")), "{services:?}");
}
