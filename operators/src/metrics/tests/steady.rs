//! When a finding changes: minutes that change no verdict change none, and a run fed minute by minute says what a run over
//! everything says.

use super::*;
use model::pattern::{Correlation, PatternState};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// A day, then some hours of the next one.
const DAY: usize = (DAY_MS / MINUTE_MS) as usize;
const HOUR: usize = (HOUR_MS / MINUTE_MS) as usize;

fn params() -> MetricParams {
    MetricParams { window_ms: 4 * HOUR_MS, max_lag_ms: 20 * MINUTE_MS, ..MetricParams::default() }
}

fn now(minute: usize) -> TimeMs {
    TimeMs(START + minute as i64 * MINUTE_MS)
}

/// What b does is what a did three minutes before; from `breaks` on it is something far greater. c has nothing to do with
/// them.
fn history(minutes: usize, breaks: usize) -> Vec<Vec<MetricPoint>> {
    let mut random = Random(41);
    let driver: Vec<f64> = (0..minutes + 3).map(|_| random.normal()).collect();
    let source: Vec<f64> = (0..minutes).map(|t| driver[t + 3] + 0.1 * random.normal()).collect();
    let target = |t: usize| if t < breaks { driver[t] } else { 100.0 * (t % 7) as f64 };
    let target: Vec<f64> = (0..minutes).map(|t| target(t) + 0.1 * random.normal()).collect();
    let other: Vec<f64> = (0..minutes).map(|_| random.normal()).collect();
    let all = [("a", source), ("b", target), ("c", other)];
    let series: Vec<Vec<MetricPoint>> =
        all.iter().map(|(colony, values)| minutely(&key(colony, "gauge"), values)).collect();
    (0..minutes).map(|minute| series.iter().map(|points| points[minute]).collect()).collect()
}

fn until(history: &[Vec<MetricPoint>], minute: usize) -> Vec<MetricPoint> {
    history[..=minute].iter().flatten().copied().collect()
}

/// The one relation.
fn relation(run: &Run) -> Correlation {
    let found = run.findings();
    assert_eq!(found.len(), 1, "{found:#?}");
    let row = found[0].correlation.clone();
    assert_eq!((&*row.key.source.colony_id, &*row.key.target.colony_id, row.lag_seconds), ("a", "b", 180));
    row
}

fn added(points: Vec<MetricPoint>) -> Vec<(MetricPoint, i64)> {
    points.into_iter().map(|point| (point, 1)).collect()
}

#[test]
fn a_minute_that_changes_no_verdict_changes_no_finding() {
    let (first, last) = (DAY + HOUR + 20, DAY + 3 * HOUR + 10);
    let history = history(last + 1, usize::MAX);
    let mut live = Run::new(params(), 2);
    live.apply(added(until(&history, first)));
    live.look(now(first));
    let mut renewed = 0;
    for (minute, points) in history.iter().enumerate().skip(first + 1) {
        let before = relation(&live);
        assert_eq!(before.state, PatternState::Confirmed);
        live.apply(added(points.clone()));
        live.look(now(minute));
        if minute % HOUR == HOUR - 1 {
            // an hour has closed: its figures are those that are shown from here on
            renewed += usize::from(relation(&live) != before);
        } else {
            assert_eq!(relation(&live), before, "minute {minute}");
        }
        if minute % 13 == 0 {
            let at_once = run_until(until(&history, minute), params(), now(minute));
            assert_eq!(live.findings(), at_once.findings(), "minute {minute}");
        }
    }
    assert_eq!(renewed, 2);
}

#[test]
fn a_verdict_that_changes_is_said_in_its_minute_and_stays_from_the_end_of_its_hour_on() {
    let (breaks, last) = (DAY + HOUR + 35, DAY + 3 * HOUR + 10);
    let history = history(last + 1, breaks);
    let mut live = Run::new(params(), 1);
    live.apply(added(until(&history, breaks - 1)));
    live.look(now(breaks - 1));
    assert_eq!(relation(&live).state, PatternState::Confirmed);
    let mut changes = Vec::new();
    for (minute, points) in history.iter().enumerate().skip(breaks) {
        let before = relation(&live);
        live.apply(added(points.clone()));
        live.look(now(minute));
        let after = relation(&live);
        if after != before {
            changes.push(minute);
        }
        if minute % 11 == 0 {
            let at_once = run_until(until(&history, minute), params(), now(minute));
            assert_eq!(live.findings(), at_once.findings(), "minute {minute}");
        }
    }
    assert_eq!(relation(&live).state, PatternState::Withdrawn);
    let end_of_hour = DAY + 2 * HOUR - 1;
    assert!(changes.iter().any(|minute| *minute < breaks + 10), "{changes:?}");
    let later: Vec<usize> = changes.into_iter().filter(|minute| *minute > end_of_hour).collect();
    assert_eq!(later, [DAY + 3 * HOUR - 1], "once the hour of the change is over only the next hour renews it");
}

#[test]
fn late_and_amended_samples_of_the_last_hour_correct_what_is_shown() {
    let last = DAY + 2 * HOUR + 25;
    let history = history(last + 1, usize::MAX);
    // a value of the last hour comes late, another is amended
    let (late, amended) = (history[DAY + 2 * HOUR - 9][1], history[DAY + 2 * HOUR - 20][0]);
    let before = MetricPoint { mean: Some(Real(7.0)), count: Some(1), ..amended };
    let mut live = Run::new(params(), 1);
    let mut points = until(&history, last);
    points.retain(|point| *point != late && *point != amended);
    points.push(before);
    live.apply(added(points));
    live.look(now(last));
    let wrong = relation(&live);
    live.apply(vec![(late, 1), (amended, 1)]);
    live.look(now(last));
    let right = relation(&live);
    assert_ne!(right, wrong);
    let at_once = run_until(until(&history, last), params(), now(last));
    assert_eq!(live.findings(), at_once.findings());
}
