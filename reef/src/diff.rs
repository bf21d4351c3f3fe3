//! Compares the patterns of two stores: gained, lost, changed, with the changes of each.

use crate::report::{PatternLine, better_first};
use model::pattern::{Correlation, PatternState};
use serde::Serialize;
use std::collections::BTreeMap;

/// The difference between patterns before and after, each list best first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatternDiff {
    /// How many there are of each kind.
    pub counts: DiffCounts,
    /// There now, not before.
    pub gained: Vec<PatternLine>,
    /// There before, not now.
    pub lost: Vec<PatternLine>,
    /// There both times, with other numbers.
    pub changed: Vec<PatternChange>,
}

/// How many patterns differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiffCounts {
    /// There now, not before.
    pub gained: u64,
    /// Confirmed now, and not before (gained or changed).
    pub gained_confirmed: u64,
    /// There before, not now.
    pub lost: u64,
    /// Confirmed before, and not now (lost or changed).
    pub lost_confirmed: u64,
    /// There both times, with other numbers.
    pub changed: u64,
    /// There both times, the same.
    pub unchanged: u64,
}

/// One pattern, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatternChange {
    /// The columns that differ.
    pub columns: Vec<&'static str>,
    /// Before.
    pub before: PatternLine,
    /// After.
    pub after: PatternLine,
}

impl PatternDiff {
    /// Compares two sets of patterns by their ids. Two rows of one pattern are the same when state, score, confidence, lag
    /// with its range, occurrences and explanation are: what a verdict consists of.
    pub fn between(before: &[Correlation], after: &[Correlation]) -> PatternDiff {
        let by_key = |rows: &'_ [Correlation]| -> BTreeMap<String, Correlation> {
            rows.iter().map(|row| (row.key.correlation_id(), row.clone())).collect()
        };
        let (old, new) = (by_key(before), by_key(after));
        let absent_in = |rows: &BTreeMap<String, Correlation>, others: &BTreeMap<String, Correlation>| {
            ranked(rows.iter().filter(|(id, _)| !others.contains_key(*id)).map(|(_, row)| row.clone()).collect())
        };
        let (gained, lost) = (absent_in(&new, &old), absent_in(&old, &new));
        let both: Vec<Correlation> =
            ranked(new.iter().filter(|(id, _)| old.contains_key(*id)).map(|(_, row)| row.clone()).collect());
        let mut counts = DiffCounts { gained: gained.len() as u64, lost: lost.len() as u64, ..DiffCounts::default() };
        let mut changed = Vec::new();
        for now in &both {
            let Some(then) = old.get(&now.key.correlation_id()) else { continue };
            let columns = differing(then, now);
            if columns.is_empty() {
                counts.unchanged += 1;
            } else {
                changed.push(PatternChange { columns, before: PatternLine::of(then), after: PatternLine::of(now) });
            }
        }
        counts.changed = changed.len() as u64;
        let is_confirmed = |rows: &BTreeMap<String, Correlation>, id: &str| {
            rows.get(id).is_some_and(|row| row.state == PatternState::Confirmed)
        };
        let confirmed_only_in = |rows: &BTreeMap<String, Correlation>, others: &BTreeMap<String, Correlation>| {
            rows.keys().filter(|id| is_confirmed(rows, id) && !is_confirmed(others, id)).count() as u64
        };
        counts.gained_confirmed = confirmed_only_in(&new, &old);
        counts.lost_confirmed = confirmed_only_in(&old, &new);
        let lines = |rows: Vec<Correlation>| rows.iter().map(PatternLine::of).collect();
        PatternDiff { counts, gained: lines(gained), lost: lines(lost), changed }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty() && self.changed.is_empty()
    }
}

/// Confirmed before candidates before withdrawn, each best first.
fn ranked(mut rows: Vec<Correlation>) -> Vec<Correlation> {
    let rank = |row: &Correlation| match row.state {
        PatternState::Confirmed => 0,
        PatternState::Candidate => 1,
        PatternState::Withdrawn => 2,
    };
    rows.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| better_first(a, b)));
    rows
}

fn differing(then: &Correlation, now: &Correlation) -> Vec<&'static str> {
    let columns = [
        ("state", then.state != now.state),
        ("correlation_score", then.correlation_score != now.correlation_score),
        ("coefficient", then.coefficient != now.coefficient),
        ("confidence", then.confidence != now.confidence),
        ("lag_seconds", then.lag_seconds != now.lag_seconds),
        ("lag_low_seconds", then.lag_low_seconds != now.lag_low_seconds),
        ("lag_high_seconds", then.lag_high_seconds != now.lag_high_seconds),
        ("occurrence_count", then.occurrence_count != now.occurrence_count),
        ("explained_by", then.explained_by != now.explained_by),
        ("part_of", then.part_of != now.part_of),
    ];
    columns.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::real::Real;
    use proptest::prelude::*;
    use sinks::compliance::rows::finding;

    /// Patterns `p0`…, each with a number that determines its content.
    fn patterns(numbers: &BTreeMap<u8, u8>) -> Vec<Correlation> {
        let pattern = |(name, number): (&u8, &u8)| {
            let mut row = finding(&format!("p{name}"), 0.5, &[]).correlation;
            row.state = match number % 3 {
                0 => PatternState::Confirmed,
                1 => PatternState::Candidate,
                _ => PatternState::Withdrawn,
            };
            row.confidence = Real(f64::from(*number) / 10.0);
            row.lag_seconds = i32::from(number / 4);
            row
        };
        numbers.iter().map(pattern).collect()
    }

    fn numbers() -> impl Strategy<Value = BTreeMap<u8, u8>> {
        proptest::collection::btree_map(0..12_u8, 0..8_u8, 0..12)
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(numbers in numbers()) {
            let rows = patterns(&numbers);
            let diff = PatternDiff::between(&rows, &rows);
            prop_assert!(diff.is_empty());
            prop_assert_eq!(diff.counts, DiffCounts { unchanged: rows.len() as u64, ..DiffCounts::default() });
        }

        #[test]
        fn the_other_way_round_it_is_mirrored(a in numbers(), b in numbers()) {
            let (a, b) = (patterns(&a), patterns(&b));
            let (there, back) = (PatternDiff::between(&a, &b), PatternDiff::between(&b, &a));
            prop_assert_eq!(&there.gained, &back.lost);
            prop_assert_eq!(&there.lost, &back.gained);
            let ids = |changes: &[PatternChange], swap: bool| {
                let mut sides: Vec<(PatternLine, PatternLine)> = changes.iter().map(|change| {
                    let (before, after) = (change.before.clone(), change.after.clone());
                    if swap { (after, before) } else { (before, after) }
                }).collect();
                sides.sort_by(|a, b| a.0.correlation_id.cmp(&b.0.correlation_id));
                sides
            };
            prop_assert_eq!(ids(&there.changed, false), ids(&back.changed, true));
            prop_assert_eq!(there.counts.gained_confirmed, back.counts.lost_confirmed);
            prop_assert_eq!(there.counts.unchanged, back.counts.unchanged);
            let all = there.counts.gained + there.counts.changed + there.counts.unchanged;
            prop_assert_eq!(all, b.len() as u64, "each pattern is counted once");
        }
    }

    #[test]
    fn a_change_names_its_columns_and_shows_both_sides() {
        let before = finding("deploy", 0.5, &[("e", "f")]).correlation;
        let mut after = before.clone();
        (after.state, after.lag_seconds) = (PatternState::Candidate, 8_160);
        let gained = finding("restart", 0.9, &[("e", "f")]).correlation;
        let diff = PatternDiff::between(std::slice::from_ref(&before), &[after, gained]);
        assert_eq!(diff.changed[0].columns, ["state", "lag_seconds"]);
        let counts = DiffCounts { gained: 1, gained_confirmed: 1, lost_confirmed: 1, changed: 1, ..Default::default() };
        assert_eq!(diff.counts, counts);
        let text = crate::text::diff(&diff, 20);
        assert!(text.starts_with("Patterns: 1 gained, 0 lost, 1 changed, 0 unchanged"), "{text}");
        assert!(text.contains("state confirmed -> candidate, lag 2h15m -> 2h16m"), "{text}");
        assert!(text.contains("shop/production/api/restart -> shop/production/api/error_spike"), "{text}");
        let none =
            crate::text::diff(&PatternDiff::between(std::slice::from_ref(&before), std::slice::from_ref(&before)), 20);
        assert_eq!(none, "Patterns: nothing differs, 1 unchanged\n");
    }

    #[test]
    fn changes_that_cannot_be_seen_are_only_counted() {
        let before = finding("deploy", 0.5, &[("e", "f")]).correlation;
        let mut after = before.clone();
        after.confidence = Real(before.confidence.0 + 0.000_001);
        let diff = PatternDiff::between(std::slice::from_ref(&before), &[after]);
        assert_eq!(diff.counts.changed, 1, "programs see it");
        assert_eq!(
            crate::text::diff(&diff, 20),
            "Patterns: 0 gained, 0 lost, 0 changed, 0 unchanged; confirmed: 0 more, 0 no longer\n\
             1 more differ only in digits that are not shown (all: --json)\n"
        );
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let many: Vec<Correlation> = (0..30).map(|i| finding(&format!("p{i}"), 0.5, &[]).correlation).collect();
        let text = crate::text::diff(&PatternDiff::between(&[], &many), 20);
        assert!(text.contains("gained: 30, the best 20 (all: --json)"), "{text}");
    }
}
