//! One test for each kind: what makes one, what makes none, and what ends it.

use super::{Events, noise, sample, told};
use crate::derived_events::DerivedEvents;
use crate::metrics::block::Sample;
use model::series::{SeriesId, SeriesRef};

const DAY: i64 = 96;

/// 100 ms by day and 40 by night.
fn daily(quarter: i64) -> f64 {
    70.0 + 30.0 * (quarter as f64 / DAY as f64 * std::f64::consts::TAU).sin() + 3.0 * noise(quarter)
}

#[test]
fn a_latency_far_above_what_is_usual_at_this_time_of_day_is_a_spike() {
    let spike = 5 * DAY + 60;
    let with = |height: f64, quarters: i64| {
        told("http_latency_ms", 6 * DAY, |q| {
            if (spike..spike + quarters).contains(&q) { daily(q) * height } else { daily(q) }
        })
    };
    assert_eq!(with(3.0, 4), [format!("latency_spike {spike}")]);
    assert_eq!(with(3.0, 1), Vec::<String>::new(), "one cell is none");
    assert_eq!(with(1.3, 4), Vec::<String>::new(), "so much is usual by day");
    assert_eq!(told("http_latency_ms", 14 * DAY, daily), Vec::<String>::new(), "the course of the day is none");
    let unknown = told("http_latency_ms", 3 * DAY, |q| if q > 250 { 900.0 } else { daily(q) });
    assert_eq!(unknown, Vec::<String>::new(), "two days say nothing of what is usual");
    let fewer = told("requests_per_minute", 6 * DAY, |q| if q / 4 == spike / 4 { 900.0 } else { daily(q) });
    assert_eq!(fewer, Vec::<String>::new(), "of demand nothing is worse");
}

#[test]
fn a_spike_ends_below_the_lower_threshold_only() {
    let at = 5 * DAY;
    let value = |q: i64| match q - at {
        0 | 1 => 0.08,
        // between the thresholds, then above again
        2..6 => 0.02,
        6..8 => 0.08,
        // three cells below, then a second one
        20..22 => 0.08,
        _ => 0.01,
    };
    let found = told("error_rate", 6 * DAY, value);
    assert_eq!(found, [format!("error_spike {at}"), format!("error_spike {}", at + 20)]);
}

#[test]
fn a_resource_is_nearly_full_from_nine_tenths_on() {
    let full = |metric: &str, whole: f64| {
        told(metric, 40, |q| {
            whole
                * if (10..20).contains(&q) {
                    0.93
                } else if (20..24).contains(&q) {
                    0.85
                } else {
                    0.5
                }
        })
    };
    assert_eq!(full("db.pool.utilization", 1.0), ["saturation 10"]);
    assert_eq!(full("db.pool.utilization", 100.0), ["saturation 10"]);
    assert_eq!(full("cpu_usage_pct", 100.0), ["saturation 10"]);
    assert_eq!(full("cpu_usage_pct", 1.0), Vec::<String>::new(), "0.93 percent");
    assert_eq!(full("cpu_usage", 4000.0), Vec::<String>::new(), "no share of anything");
    assert_eq!(full("http_latency_ms", 100.0), Vec::<String>::new());
}

#[test]
fn a_level_that_stays_elsewhere_for_hours_has_shifted() {
    let at = 9 * DAY + 30;
    let shifted = |by: f64, until: i64| {
        told("queue_depth", 17 * DAY, |q| daily(q) + if (at..until).contains(&q) { by } else { 0.0 })
    };
    assert_eq!(shifted(60.0, 99 * DAY), [format!("level_shift {at}")]);
    assert_eq!(shifted(-50.0, 99 * DAY), [format!("level_shift {at}")]);
    assert_eq!(shifted(60.0, at + 6), Vec::<String>::new(), "an hour and a half");
    assert_eq!(shifted(8.0, 99 * DAY), Vec::<String>::new(), "hardly more than the noise");
}

#[test]
fn memory_that_grows_for_hours_grows_since_the_restart() {
    let restart = 4 * DAY + 50;
    let leak = |q: i64| 100.0 + if q >= restart { 2.0 * (q - restart) as f64 } else { 140.0 } + noise(q);
    assert_eq!(told("memory_rss_mb", 5 * DAY, leak), [format!("memory_growth {restart}")]);
    assert_eq!(told("memory_rss_mb", 5 * DAY, |q| 100.0 + 5.0 * noise(q)), Vec::<String>::new());
    let of_queue = told("queue_depth", 5 * DAY, leak);
    assert!(of_queue.iter().all(|told| !told.starts_with("memory")), "no memory: {of_queue:?}");
    let usual = told("memory_rss_mb", 8 * DAY, |q| 100.0 + (q % DAY).min(40) as f64);
    assert_eq!(usual, Vec::<String>::new(), "what it does every day is usual");
}

#[test]
fn late_and_withdrawn_samples_correct_what_was_derived() {
    let (mut operator, mut events) = (DerivedEvents::default(), Events::default());
    let at = 5 * DAY;
    let value = |q: i64| if (at..at + 4).contains(&q) { 300.0 } else { daily(q) };
    operator.apply((0..6 * DAY).filter(|q| *q != at).map(|q| (sample("latency_ms", q, value(q)), 1)));
    events.apply(operator.evaluate());
    assert_eq!(events.told(), [format!("latency_spike {}", at + 1)]);
    operator.apply([(sample("latency_ms", at, value(at)), 1)]);
    events.apply(operator.evaluate());
    assert_eq!(events.told(), [format!("latency_spike {at}")], "it began earlier");
    operator.apply((at..at + 4).map(|q| (sample("latency_ms", q, 300.0), -1)));
    events.apply(operator.evaluate());
    assert!(events.told().is_empty());
}

#[test]
fn an_event_has_the_names_of_the_newest_sample() {
    let named = |quarter: i64, application_name: &str| {
        let known = sample("db.pool.utilization", quarter, if quarter < 30 { 0.5 } else { 0.97 });
        let names = SeriesRef { application_name, ..known.series.series().names() };
        Sample { series: SeriesId::of(names), ..known }
    };
    let mut operator = DerivedEvents::default();
    let applied = |operator: &mut DerivedEvents, samples: &[Sample], diff: i64| -> Vec<(String, i64)> {
        operator.apply(samples.iter().map(|sample| (*sample, diff)));
        operator.evaluate().into_iter().map(|(event, diff)| (event.application_name, diff)).collect()
    };
    let one = |name: &str, diff: i64| (name.to_owned(), diff);
    let first: Vec<Sample> = (0..40).map(|quarter| named(quarter, "shop")).collect();
    assert_eq!(applied(&mut operator, &first, 1), [one("shop", 1)]);
    let renamed = [named(40, "a-shop")];
    assert_eq!(applied(&mut operator, &renamed, 1), [one("shop", -1), one("a-shop", 1)]);
    assert_eq!(applied(&mut operator, &renamed, -1), [one("a-shop", -1), one("shop", 1)]);
}
