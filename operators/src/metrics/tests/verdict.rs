//! What the verdict makes of rows, given by hand.

use super::*;
use crate::metrics::row::{FoundRow, MetricScanRow};
use model::pattern::{Correlation, PatternState};

const DAY_MS: i64 = 86_400_000;

/// The strengths of a pair at one instant: r and p-value of one direction, then of its mirror.
type Seen<'a> = &'a [(f64, f64)];

fn found(at: TimeMs, r: f64, p: f64, mirror: bool) -> MetricScanRow {
    let (a, b) = (key("a", "gauge"), key("b", "gauge"));
    let (source, target) = if mirror { (b, a) } else { (a, b) };
    MetricScanRow::Found(Box::new(FoundRow {
        at,
        source,
        target,
        source_identity: ("app".into(), "test".into()),
        target_identity: ("app".into(), "test".into()),
        step_ms: 60_000,
        lag_ms: 300_000,
        lag_low_ms: 240_000,
        lag_high_ms: 360_000,
        coefficient: Real(r),
        points: 1440,
        effective_points: Real(100.0),
        judged_coefficient: Real(r),
        p_value: Real(p),
        target_from: at - DAY_MS,
        target_to: at,
        mirror,
        explained: None,
    }))
}

/// The pair after a walk over days; the last is the present. It is the only pair tested, so q is p.
fn walked(days: &[Seen<'_>]) -> Option<Correlation> {
    let mut rows = Vec::new();
    for (day, seen) in days.iter().enumerate() {
        let at = TimeMs(START + day as i64 * DAY_MS - 1);
        let p_values = vec![Real(seen.first().map_or(1.0, |(_, p)| *p))];
        rows.push((MetricScanRow::Tested { at, current: day + 1 == days.len(), shard: 0, p_values }, 1));
        rows.extend(seen.iter().enumerate().map(|(i, (r, p))| (found(at, *r, *p, i == 1), 1)));
    }
    let findings = MetricVerdict::new(MetricParams::default()).apply(rows);
    let forward =
        |(finding, _): (Finding, i64)| (finding.correlation.key.source.colony_id == "a").then_some(finding.correlation);
    findings.into_iter().find_map(forward)
}

fn state(days: &[Seen<'_>]) -> PatternState {
    walked(days).unwrap().state
}

#[test]
fn a_confirmed_pair_is_kept_up_to_twice_the_false_discovery_rate() {
    assert_eq!(state(&[&[(0.9, 0.08)]]), PatternState::Candidate, "not sure enough to begin with");
    assert_eq!(state(&[&[(0.9, 0.01)], &[(0.76, 0.08)]]), PatternState::Confirmed);
    assert_eq!(state(&[&[(0.9, 0.01)], &[(0.76, 0.08)], &[(0.76, 0.099)]]), PatternState::Confirmed);
    assert_eq!(state(&[&[(0.9, 0.01)], &[(0.9, 0.11)]]), PatternState::Withdrawn);
    assert_eq!(state(&[&[(0.9, 0.01)], &[(0.9, 0.11)], &[(0.9, 0.08)]]), PatternState::Withdrawn, "it must enter anew");
}

#[test]
fn what_keeps_a_pair_confirmed_is_asked_the_same_questions_as_what_confirms_it() {
    let kept = walked(&[&[(0.9, 0.01)], &[(0.9, 0.08), (0.6, 0.08)]]).unwrap();
    assert_eq!((kept.state, kept.explained_by), (PatternState::Confirmed, None));
    let both_ways = walked(&[&[(0.9, 0.01)], &[(0.9, 0.08), (0.85, 0.08)]]).unwrap();
    assert_eq!((both_ways.state, both_ways.explained_by.as_deref()), (PatternState::Withdrawn, Some("co_moving")));
}

#[test]
fn a_pair_that_is_no_longer_there_shows_no_confidence_of_the_past() {
    let gone = walked(&[&[(0.9, 0.01)], &[]]).unwrap();
    assert_eq!(gone.state, PatternState::Withdrawn);
    assert_eq!((gone.q_value.0, gone.confidence.0), (1.0, 0.0));
    assert_eq!((gone.coefficient.0, gone.lag_seconds), (0.9, 300), "what it was stays on show");
    // one that exists but is too weak to be confirmed shows its current values
    let weak = walked(&[&[(0.9, 0.01)], &[(0.9, 0.2)]]).unwrap();
    assert_eq!((weak.state, weak.q_value.0, weak.confidence.0), (PatternState::Withdrawn, 0.2, 0.8));
}
