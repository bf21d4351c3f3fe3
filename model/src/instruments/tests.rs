//! Instruments are read and shown as they were counted, in text that a scraper takes, with a bound on labels.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::clock::ManualClock;
use crate::exposition::Exposition;
use proptest::prelude::*;

#[test]
fn what_is_counted_is_shown_under_its_full_name_with_its_unit() {
    let registry = Registry::new();
    registry.counter("ticks", "Ticks that are stored").add(3);
    registry.gauge("queue_bytes", "Bytes that wait").set(7_u64);
    registry.moment("event_timestamp_seconds", "Newest event time").set(TimeMs(1_672_772_778_123));
    registry.durations("commit_duration_seconds", "Commits").observe(Duration::from_millis(20));
    let text = registry.text();
    let read = Exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read.sum("reef_ticks_total", &[]), 3.0);
    assert_eq!(read.sum("reef_queue_bytes", &[]), 7.0);
    assert_eq!(read.sum("reef_event_timestamp_seconds", &[]), 1_672_772_778.123);
    assert_eq!(read.sum("reef_commit_duration_seconds_count", &[]), 1.0);
    assert!(text.contains("# UNIT reef_queue_bytes bytes\n") && text.contains("# UNIT reef_commit_duration_seconds"));
}

#[test]
fn an_instrument_that_is_asked_for_again_is_the_same() {
    let registry = Registry::new();
    registry.counters("rows", "Rows", &["kind"]).with(&["events"]).add(2);
    registry.clone().counters("rows", "Rows", &["kind"]).with(&["events"]).add(3);
    assert_eq!(registry.counters("rows", "Rows", &["kind"]).sum(), 5);
    assert_eq!(Exposition::parse(&registry.text()).unwrap().samples("reef_rows_total").len(), 1);
}

#[test]
fn what_is_not_set_is_not_shown() {
    let registry = Registry::new();
    let (gauge, moment) = (registry.gauge("patterns", "P"), registry.moment("late_timestamp_seconds", "L"));
    let family = registry.gauges("rows_left", "R", &["of"]);
    let unset = family.with(&["a"]);
    assert_eq!((gauge.get(), moment.get(), unset.get()), (None, None, None));
    assert_eq!(Exposition::parse(&registry.text()).unwrap().families().count(), 0);
    family.with(&["b"]).set(0_i64);
    moment.lower(TimeMs(9_000));
    moment.lower(TimeMs(4_000));
    moment.lower(TimeMs(5_000));
    assert_eq!(moment.get(), Some(TimeMs(4_000)));
    let read = Exposition::parse(&registry.text()).unwrap();
    assert_eq!((read.samples("reef_rows_left").len(), read.families().count()), (1, 2));
}

#[test]
fn an_age_is_as_of_the_moment_at_which_it_is_read() {
    let (registry, clock) = (Registry::new(), ManualClock::at(TimeMs(10_000)));
    let newest = registry.moments("source_timestamp_seconds", "Newest", &["source"]);
    registry.ages("source_lag_seconds", "Behind", &newest, &(clock.clone() as SharedClock));
    newest.with(&["files"]).raise(TimeMs(8_000));
    newest.with(&["files"]).raise(TimeMs(7_000));
    let lag = || Exposition::parse(&registry.text()).unwrap().sum("reef_source_lag_seconds", &[("source", "files")]);
    assert_eq!(lag(), 2.0);
    clock.advance(1_500);
    assert_eq!(lag(), 3.5);
}

#[test]
fn labels_are_bounded_and_sums_stay_right() {
    let registry = Registry::new();
    let rows = registry.counters("rows", "Rows", &["kind", "colony"]);
    let in_all = 3 * LABELS_MAX;
    for colony in 0..in_all {
        rows.with(&["events", &format!("colony-{colony}")]).add(1);
        rows.with(&["metrics", &format!("colony-{colony}")]).add(2);
    }
    assert_eq!((rows.of("kind", "events"), rows.of("kind", "metrics")), (in_all as u64, 2 * in_all as u64));
    assert_eq!(rows.all().len(), 2 * (LABELS_MAX + 1));
    let beyond = (in_all - LABELS_MAX) as f64;
    let read = Exposition::parse(&registry.text()).unwrap();
    assert_eq!(read.sum("reef_rows_total", &[("kind", "events"), ("colony", OTHER)]), beyond);
    assert_eq!(read.samples_max(), 2 * (LABELS_MAX + 1));
}

proptest! {
    #[test]
    fn any_text_is_a_label_and_comes_back_as_it_was(values in prop::collection::btree_set(".{0,20}", 1..6)) {
        let registry = Registry::new();
        let rows = registry.counters("rows", "Rows", &["source"]);
        for (number, value) in values.iter().enumerate() {
            rows.with(&[value]).add(number as u64 + 1);
        }
        let text = registry.text();
        let read = Exposition::parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        for (number, value) in values.iter().enumerate() {
            prop_assert_eq!(read.sum("reef_rows_total", &[("source", value)]), number as f64 + 1.0);
        }
    }
}
