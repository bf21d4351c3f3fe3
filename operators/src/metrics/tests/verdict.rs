//! What the verdict makes of rows, given by hand.

use super::*;
use crate::metrics::row::{LagWindow, MetricScanRow, MissingRow, PairRow, TestedRow, Worth};
use crate::tested::Supply;
use model::pattern::{Correlation, PatternState};

const DAY_MS: i64 = 86_400_000;
const LAG_MS: i64 = 300_000;

/// The strengths of a pair at one instant: r and independent points of one direction, then of its mirror.
type Seen<'a> = &'a [(f64, f64)];

fn window(lag_ms: i64, r: f64, effective: f64) -> LagWindow {
    LagWindow {
        lag_ms,
        peak: Some((240_000, 360_000)),
        coefficient: Real(r),
        points: 1440,
        level: Worth { coefficient: Real(r), effective_points: Real(effective) },
        differences: Worth { coefficient: Real(0.0), effective_points: Real(3.0) },
        drifts: false,
        explained: None,
    }
}

fn pair_row(at: TimeMs, lags: Vec<LagWindow>) -> MetricScanRow {
    MetricScanRow::Pair(Box::new(PairRow {
        at,
        first: key("a", "gauge"),
        second: key("b", "gauge"),
        first_identity: ("app".into(), "test".into()),
        second_identity: ("app".into(), "test".into()),
        step_ms: 60_000,
        target_from: at - DAY_MS,
        target_to: at,
        lags,
    }))
}

fn at(day: usize) -> TimeMs {
    TimeMs(START + day as i64 * DAY_MS - 1)
}

/// The rows of a walk over days; the last is the present. It is the only pair tested, so q is 1 / E.
fn rows(days: &[Seen<'_>]) -> Vec<(MetricScanRow, i64)> {
    let mut rows = Vec::new();
    for (day, seen) in days.iter().enumerate() {
        let (at, current) = (at(day), day + 1 == days.len());
        let tested = TestedRow { at, current, shard: 0, pairs: 1, supply: Supply::default() };
        rows.push((MetricScanRow::Tested(tested), 1));
        let lags: Vec<LagWindow> =
            seen.iter().zip([LAG_MS, -LAG_MS]).map(|((r, effective), lag_ms)| window(lag_ms, *r, *effective)).collect();
        rows.extend((!lags.is_empty()).then(|| (pair_row(at, lags.into_iter().rev().collect()), 1)));
    }
    rows
}

fn verdict_of(rows: Vec<(MetricScanRow, i64)>) -> Option<Correlation> {
    let findings = MetricVerdict::new(MetricParams::default()).apply(rows);
    let forward =
        |(finding, _): (Finding, i64)| (finding.correlation.key.source.colony_id == "a").then_some(finding.correlation);
    findings.into_iter().find_map(forward)
}

fn walked(days: &[Seen<'_>]) -> Option<Correlation> {
    verdict_of(rows(days))
}

fn state(days: &[Seen<'_>]) -> PatternState {
    walked(days).unwrap().state
}

#[test]
fn evidence_grows_from_day_to_day() {
    // fourteen independent points a day at r = .85: nothing by itself, enough after three days
    let day: Seen<'_> = &[(0.85, 14.0)];
    let states: Vec<PatternState> = (1..=5).map(|days| state(&vec![day; days])).collect();
    assert_eq!(states[0], PatternState::Candidate);
    assert_eq!(states[2..], [PatternState::Confirmed; 3]);
    let one = walked(&[day]).unwrap();
    let reason = one.reason.unwrap();
    assert!(reason.starts_with("14 independent points in 1d, judged r = 0.85; about "), "{reason}");
    assert!(reason.ends_with("d more needed at this rate"), "{reason}");
    let five = walked(&[day; 5]).unwrap();
    assert_eq!(five.effective_points, Some(Real(58.0)));
    assert!((five.judged_coefficient.unwrap().0 - 0.85).abs() < 1e-9);
    assert!((five.e_value.0 * five.chance_level.unwrap().0 - 1.0).abs() < 1e-9);
    assert!(five.pattern_description.ends_with("judged over 5 windows of 1d"), "{}", five.pattern_description);
}

#[test]
fn of_a_few_points_a_day_it_says_in_which_window_there_would_be_enough() {
    // a tide: evidence older than a week does not count, and four points a day need sixteen days
    let day: Seen<'_> = &[(0.85, 4.0)];
    let reason = |days: usize| walked(&vec![day; days]).unwrap().reason.unwrap();
    assert_eq!(reason(1), "4 independent points in 1d, judged r = 0.85; a metric_window of 16d would do");
    assert_eq!(reason(3), "6 independent points in 3 windows of 1d, judged r = 0.85; a metric_window of 16d would do");
}

#[test]
fn days_of_opposite_sign_are_no_evidence() {
    let days: Vec<Seen<'_>> = vec![&[(0.9, 20.0)], &[(-0.9, 20.0)], &[(0.9, 20.0)], &[(-0.9, 20.0)]];
    let found = walked(&days).unwrap();
    assert!(found.e_value.0 < 0.01, "{}", found.e_value.0);
}

#[test]
fn a_confirmed_pair_is_kept_until_a_window_contradicts_it() {
    let (strong, weak) = ([(0.95, 60.0)], [(0.65, 20.0)]);
    assert_eq!(state(&[&strong]), PatternState::Confirmed);
    // 20 points cannot tell .65 from .75
    assert_eq!(state(&[&strong, &weak]), PatternState::Confirmed);
    assert_eq!(state(&[&strong, &weak, &weak, &strong]), PatternState::Confirmed);
    assert!(walked(&[&weak]).is_none(), "what keeps it is not enough to begin with");
    assert_eq!(state(&[&strong, &[(0.65, 1000.0)]]), PatternState::Withdrawn, "1,000 points can");
    let gone = walked(&[&strong, &[(0.1, 100.0)]]).unwrap();
    assert_eq!(gone.reason.as_deref(), Some("|r| = 0.10 is below 0.80, which it must reach again"));
    // above what would have kept it, below what it needs after it was withdrawn
    for (r, shown) in [(0.78, "0.78"), (0.7999, "0.79")] {
        let back = walked(&[&strong, &[(0.1, 1000.0)], &[(r, 14.0)]]).unwrap();
        assert_eq!(back.state, PatternState::Withdrawn);
        let reason = format!("|r| = {shown} is below 0.80, which it must reach again");
        assert_eq!(back.reason.as_deref(), Some(&*reason));
    }
    let again = walked(&[&strong, &[(0.1, 1000.0)], &[(0.801, 14.0)]]).unwrap();
    assert_eq!(again.reason, None, "it has reached it again");
}

#[test]
fn what_keeps_a_pair_confirmed_is_asked_the_same_questions_as_what_confirms_it() {
    let kept = walked(&[&[(0.95, 60.0)], &[(0.9, 60.0), (0.6, 60.0)]]).unwrap();
    assert_eq!((kept.state, kept.explained_by), (PatternState::Confirmed, None));
    let both_ways = walked(&[&[(0.95, 60.0), (0.9, 60.0)], &[(0.9, 60.0), (0.9, 60.0)]]).unwrap();
    assert_eq!((both_ways.state, both_ways.explained_by.as_deref()), (PatternState::Candidate, Some("co_moving")));
    let reverse = [(0.9, 60.0), (0.95, 60.0)];
    let mirror = walked(&[&reverse]).unwrap();
    assert!(mirror.explained_by.unwrap().starts_with("mirror:"));
}

#[test]
fn one_day_that_another_cause_explains_does_not_withdraw_what_others_confirm() {
    let mut rows = rows(&[&[(0.95, 60.0)], &[(0.95, 60.0)], &[(0.95, 60.0)]]);
    for (row, _) in &mut rows {
        if let MetricScanRow::Pair(pair) = row
            && pair.at == at(2)
        {
            pair.lags[0].explained = Some(crate::metrics::row::Explained::FewPoints);
        }
    }
    assert_eq!(verdict_of(rows.clone()).unwrap().state, PatternState::Confirmed);
    for (row, _) in &mut rows {
        if let MetricScanRow::Pair(pair) = row
            && pair.at == at(1)
        {
            pair.lags[0].explained = Some(crate::metrics::row::Explained::FewPoints);
        }
    }
    let explained = verdict_of(rows).unwrap();
    assert_eq!((explained.state, explained.explained_by.as_deref()), (PatternState::Withdrawn, Some("few_points")));
}

#[test]
fn a_pair_that_is_no_longer_there_shows_no_confidence_of_the_past() {
    let mut rows = rows(&[&[(0.95, 60.0)], &[]]);
    let gone = verdict_of(rows.clone()).unwrap();
    assert_eq!(gone.state, PatternState::Withdrawn);
    assert_eq!((gone.q_value.0, gone.confidence.0), (1.0, 0.0));
    assert_eq!((gone.coefficient.0, gone.lag_seconds), (0.95, 300), "what it was stays on show");
    // the scan says what is missing
    let (first, second) = (key("a", "gauge"), key("b", "gauge"));
    let missing = MissingRow { at: at(1), first, second, first_observed_ms: DAY_MS, second_observed_ms: DAY_MS / 2 };
    rows.push((MetricScanRow::Missing(Box::new(missing)), 1));
    let reason = verdict_of(rows).unwrap().reason.unwrap();
    assert_eq!(reason, "b/api/gauge has 12h of data in the last 1d: 80 % of the last 1d is needed");
}
