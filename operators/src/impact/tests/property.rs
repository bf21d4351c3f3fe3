//! The comparison and the judgement against the slow reference.

use super::*;
use crate::impact::MetricImpact;
use crate::impact::ranks::Comparison;
use crate::reference::impact as reference;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn are_near(one: f64, other: f64) -> bool {
    one == other || (one - other).abs() <= 1e-9 * (1.0 + one.abs().max(other.abs()))
}

/// Few different values, so that many are equal; or a walk, whose neighbours resemble each other.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let one_of_few = prop::collection::vec((-4..8_i32).prop_map(f64::from), 0..40);
    let walk = prop::collection::vec(-1.0..1.0_f64, 0..70).prop_map(|steps| {
        let mut at = 10.0;
        steps
            .into_iter()
            .map(|step| {
                at += step;
                at
            })
            .collect::<Vec<f64>>()
    });
    prop_oneof![one_of_few, walk]
}

proptest! {
    #[test]
    fn groups_compare_as_they_do_pair_by_pair(before in values(), after in values()) {
        let (found, expected) = (compare(&before, &after), reference::compare(&before, &after));
        prop_assert_eq!(found.is_some(), before.len() > 1 && after.len() > 1);
        prop_assert_eq!(found.is_some(), expected.is_some());
        if let (Some(found), Some(expected)) = (found, expected) {
            let numbers = |it: Comparison| {
                [it.z, it.delta, it.shift, it.interval.0, it.interval.1, it.effective.0, it.effective.1]
            };
            for (one, other) in numbers(found).into_iter().zip(numbers(expected)) {
                prop_assert!(are_near(one, other), "{:?} and {:?}", found, expected);
            }
        }
    }
}

fn one_of<T: Clone>(random: &mut Random, values: &[T]) -> T {
    values[(random.uniform() * values.len() as f64) as usize].clone()
}

/// A metric with gaps, over the day of the deployment and some days before; whole numbers, so that some are equal.
fn metric(random: &mut Random, level: f64, rise: f64) -> Series {
    let (days, phi, kept) =
        (one_of(random, &[0, 2, 3, 7]), one_of(random, &[0.0, 0.5, 0.9]), one_of(random, &[0.1, 0.9]));
    let mut series = Series::new();
    for day in 0..=days {
        let of_day = random.series(level, phi);
        for (time, value) in raised(of_day, if day == 0 { rise } else { 0.0 }) {
            if random.uniform() < kept {
                series.insert(time - day * DAY_MS, value.round());
            }
        }
    }
    series
}

fn case(random: &mut Random) -> (Circumstances, Vec<Watched>) {
    let minutes = |minutes: i64| START + minutes * MINUTE_MS;
    let known_to = one_of(random, &[None, Some(3), Some(20), Some(40), Some(120), Some(120), Some(120)]);
    let disturbed = one_of(random, &[0..0, 1..3, 1..7]);
    let circumstances = Circumstances {
        moment: Moment { start: START, end: minutes(one_of(random, &[0, 4])) },
        is_running: one_of(random, &[false, false, false, true]),
        went_wrong: one_of(random, &[None, None, None, None, Some("failed")]),
        crashed: one_of(random, &[None, None, None, None, Some("its service crashed".to_owned())]),
        overlaps: one_of(random, &[Vec::new(), Vec::new(), vec!["e-9".to_owned()]]),
        crash_overlaps: one_of(random, &[Vec::new(), vec!["e-9".to_owned()]]),
        others: disturbed.map(|day| Moment { start: START - day * DAY_MS, end: START - day * DAY_MS }).collect(),
        known_to: known_to.map(minutes),
    };
    let mut metrics = Vec::new();
    for name in ["latency", "error_rate", "throughput", "water_level"] {
        let level = one_of(random, &[0.0, 5.0, 100.0, 100.0]);
        let rise = one_of(random, &[0.0, 0.0, 0.0, 0.15, 0.3, 0.7, -0.5]) * level;
        let sibling = one_of(random, &[0.0, 1.0]) * level;
        if random.uniform() < 0.6 {
            let series = metric(random, level, rise);
            let sibling = (random.uniform() < 0.4).then(|| metric(random, sibling, rise));
            metrics.push(Watched { sibling, ..watched(name, series) });
        }
    }
    (circumstances, metrics)
}

#[test]
fn deployments_are_judged_as_from_scratch() {
    let (mut verdicts, mut significances, mut adjusted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..600 {
        let (circumstances, watched) = case(&mut Random(seed));
        let (found, expected) = (judge(&circumstances, &watched), reference::judge(&circumstances, &watched));
        assert_eq!((found.verdict, found.look_minutes), (expected.verdict, expected.look_minutes), "seed {seed}");
        assert_eq!(found.impact_score.is_some(), expected.impact_score.is_some(), "seed {seed}");
        assert!(are_near(found.impact_score.unwrap_or(0.0), expected.impact_score.unwrap_or(0.0)), "seed {seed}");
        assert_eq!(found.changes.len(), expected.changes.len(), "seed {seed}");
        for (one, other) in found.changes.iter().zip(&expected.changes) {
            let words = |it: &MetricImpact| {
                (
                    it.metric_name.clone(),
                    it.significance,
                    it.sample_count,
                    it.adjusted_for.clone(),
                    it.percent_change.is_some(),
                )
            };
            assert_eq!(words(one), words(other), "seed {seed}");
            let numbers = |it: &MetricImpact| {
                let percent = it.percent_change.unwrap_or(0.0);
                let sizes = [it.before_value, it.after_value, percent, it.change, it.change_low, it.change_high];
                (sizes, [it.q_value, it.cliffs_delta, it.effective_points])
            };
            let ((a, b), (c, d)) = (numbers(one), numbers(other));
            let near = a.iter().chain(&b).zip(c.iter().chain(&d)).all(|(one, other)| are_near(*one, *other));
            assert!(near, "seed {seed}: {one:?} and {other:?}");
            significances.insert(one.significance);
            adjusted.insert(one.adjusted_for.clone());
        }
        verdicts.insert(found.verdict.as_str());
    }
    // each way through the judgement was taken
    assert_eq!((verdicts.len(), significances.len(), adjusted.len()), (4, 4, 4));
}
