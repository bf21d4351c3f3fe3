//! Relations of an instant that others explain: the weaker direction of a pair, and third series.

use super::reason::Bar;
use super::relation::Relation;
use model::metric::SeriesKey;
use model::real::Real;
use std::collections::BTreeMap;

/// Tolerance for the lags of two relations to add up to that of a third, in steps of the coarsest of their grids.
const LAG_SLACK_STEPS: i64 = 2;

/// A relation with what the instant as a whole says about it.
#[derive(Clone)]
pub(super) struct Judged<'a> {
    pub(super) relation: Relation<'a>,
    pub(super) q: f64,
    /// Whether q is low enough to confirm it or, where it was confirmed, to keep it so.
    pub(super) sure: bool,
    pub(super) explained: Option<String>,
    pub(super) bar: Bar,
}

impl Judged<'_> {
    /// Would be confirmed, as far as is known yet.
    pub(super) fn believed(&self) -> bool {
        self.sure && self.explained.is_none()
    }
}

/// Source and target.
pub(super) type Direction<'a> = (&'a SeriesKey, &'a SeriesKey);

pub(super) fn direction<'a>(relation: &Relation<'a>) -> Direction<'a> {
    (relation.source(), relation.target())
}

/// Relations that would be confirmed but also exist in reverse: the reverse has its own peak, and the mean of |r| is not
/// greater by more than `2 / sqrt(effective points)` (methods, section 3.2). Two slow series that both drift look like
/// this. A relation at lag 0 claims no direction.
pub(super) fn without_direction<'a>(judged: &BTreeMap<Direction<'a>, Judged<'a>>) -> Vec<Direction<'a>> {
    let runs_both_ways = |relation: &Relation<'_>| {
        let reverse = judged.get(&(relation.target(), relation.source()));
        let margin = 2.0 / relation.evidence.effective_points.sqrt();
        reverse.is_some_and(|other| relation.mean.abs() - other.relation.mean.abs() <= margin)
    };
    let believed = judged.values().filter(|j| j.believed()).map(|j| &j.relation);
    believed.filter(|relation| relation.lag_ms() > 0 && runs_both_ways(relation)).map(direction).collect()
}

/// One undirected relation seen from one of its ends.
#[derive(Clone, Copy)]
struct Edge<'r, 'a> {
    other: &'a SeriesKey,
    relation: &'r Relation<'a>,
    /// From this end to the other, ms.
    lag_ms: i64,
}

/// A third series that explains a relation.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    pub(super) series: &'a SeriesKey,
    /// `mediator` if it is between source and target in time, otherwise `common_cause`.
    pub(super) role: &'static str,
}

/// Which relations a third series explains. In a triangle of relations between three colonies whose lags add up, the
/// weakest follows from the other two: if z drives x and y, r(x,y) = r(x,z) r(z,y) is below both. (The data-processing
/// rule of network inference; given z, r falls to at most r / (1 + r).) Only relations that would be confirmed count.
pub(super) fn third_series<'a>(judged: &BTreeMap<Direction<'a>, Judged<'a>>) -> BTreeMap<Direction<'a>, Cause<'a>> {
    let mut edges: BTreeMap<&SeriesKey, BTreeMap<&SeriesKey, Edge<'_, '_>>> = BTreeMap::new();
    let believed: Vec<&Relation<'a>> = judged.values().filter(|j| j.believed()).map(|j| &j.relation).collect();
    for relation in &believed {
        let (source, target) = direction(relation);
        let forth = Edge { other: target, relation, lag_ms: relation.lag_ms() };
        let back = Edge { other: source, relation, lag_ms: -relation.lag_ms() };
        edges.entry(source).or_default().insert(target, forth);
        edges.entry(target).or_default().insert(source, back);
    }
    // a total order, so that exactly one relation of a triangle is the weakest
    let strength = |relation: &Relation<'a>| (Real(relation.mean.abs()), relation.source(), relation.target());
    let mut causes = BTreeMap::new();
    for relation in &believed {
        let (source, target) = direction(relation);
        let (Some(of_source), Some(of_target)) = (edges.get(source), edges.get(target)) else { continue };
        let mut best: Option<(Real, Cause<'a>)> = None;
        for (third, first) in of_source {
            let Some(second) = of_target.get(*third) else { continue };
            if third.colony_id == source.colony_id || third.colony_id == target.colony_id {
                continue;
            }
            let step_ms = relation.row.step_ms.max(first.relation.row.step_ms).max(second.relation.row.step_ms);
            let adds_up = (first.lag_ms - second.lag_ms - relation.lag_ms()).abs() <= LAG_SLACK_STEPS * step_ms;
            let weakest =
                strength(relation) < strength(first.relation) && strength(relation) < strength(second.relation);
            let weaker_leg = Real(first.relation.mean.abs().min(second.relation.mean.abs()));
            if adds_up && weakest && best.is_none_or(|(leg, _)| weaker_leg > leg) {
                let between = first.lag_ms > 0 && second.lag_ms < 0;
                let role = if between { "mediator" } else { "common_cause" };
                best = Some((weaker_leg, Cause { series: first.other, role }));
            }
        }
        if let Some((_, cause)) = best {
            causes.insert((source, target), cause);
        }
    }
    causes
}
