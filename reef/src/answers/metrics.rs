//! Metrics of a range of time: series with at most a few hundred points each.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::names;
use super::page;
use super::part::{self, Listed, Part, Place};
use super::range::{RANGE_MS, Range, RangeQuestion};
use super::refusal::{AnswerError, Refusal};
pub use super::series::PointSum;
use super::series::{Found, Key, Wanted};
use super::services;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs, format_duration_ms};
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::collections::{BTreeMap, BTreeSet};

/// Most buckets of an answer.
const ROWS_MAX: usize = 2_000_000;
/// Most points of a series.
pub const POINTS_MAX: i64 = 200;
/// Steps that are taken without one in the question.
const STEPS_MS: [i64; 7] = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS];

/// Which metrics are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsQuestion {
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
    /// Of these names; empty for all.
    #[serde(default)]
    pub metric_names: Vec<String>,
    /// When.
    #[serde(default)]
    pub range: RangeQuestion,
    /// Length of a point; without it the shortest of the usual ones with at most `points_max` points.
    pub step_ms: Option<i64>,
    /// Most points of a series without a step; [`POINTS_MAX`] if not given.
    #[serde(default)]
    pub points_max: Option<i64>,
    /// Which part of the list of series.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// The series, by colony, service and metric.
    pub series: Listed<SeriesLine>,
    /// The range, from and to a multiple of the step since 1970; `None` where nothing has been received.
    pub range: Option<Range>,
    /// Length of a point.
    pub step_ms: i64,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesLine {
    /// The colony.
    pub colony_id: String,
    /// Its application.
    pub application_name: String,
    /// Its environment.
    pub environment: String,
    /// The service.
    pub service_id: String,
    /// The metric.
    pub metric_name: String,
    /// By time; a step without a bucket has none.
    pub points: Vec<(TimeMs, PointSum)>,
}

impl Metrics {
    /// For people.
    pub fn text(&self) -> String {
        let Listed { items, total, .. } = &self.series;
        let mut text = match (self.range, *total) {
            (None, _) => "No metric has been received.\n".to_owned(),
            (Some(range), 0) => format!("No metric from {} to {}.\n", page::time(range.from), page::time(range.to)),
            (Some(range), total) => format!(
                "Metrics from {} to {}, a point each {} ({} of {total} series):\n",
                page::time(range.from),
                page::time(range.to),
                format_duration_ms(self.step_ms),
                items.len(),
            ),
        };
        text.push_str(&page::table(&items.iter().map(SeriesLine::row).collect::<Vec<_>>()));
        text.push_str(&self.completeness.closing(self.series.next_cursor.as_deref()));
        text
    }
}

impl SeriesLine {
    fn row(&self) -> Vec<String> {
        let values: Vec<f64> = self.points.iter().filter_map(|(_, sum)| sum.value).collect();
        let shown = |value: Option<f64>| value.map_or("–".to_owned(), page::number);
        vec![
            self.colony_id.clone(),
            page::or_dash(&self.service_id).to_owned(),
            self.metric_name.clone(),
            format!("last {}", shown(values.last().copied())),
            format!("lowest {}", shown(values.iter().copied().reduce(f64::min))),
            format!("highest {}", shown(values.iter().copied().reduce(f64::max))),
            format!("{} points", self.points.len()),
        ]
    }
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown or too much.
pub async fn metrics(
    question: &MetricsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Metrics, AnswerError> {
    metrics_up_to(ROWS_MAX, question, reader, scope).await
}

/// The same of at most `rows_max` buckets.
pub(super) async fn metrics_up_to(
    rows_max: usize,
    question: &MetricsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Metrics, AnswerError> {
    names::check_list(&question.metric_names, "metric_names")?;
    let asked = part::asked("metrics", &MetricsQuestion { part: Part::default(), ..question.clone() });
    let (limit, place) = (question.part.reach()?, question.part.place::<Key>(&asked)?);
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let completeness =
        Completeness::of(&fleet, |id, colony| filter.takes_colony(id, &colony.application_name, &colony.environment));
    let range = question.range.ending(place.as_ref().and_then(|place| place.to)).resolved(&fleet)?;
    let to = range.map(|range| range.to);
    let points_max = question.points_max.unwrap_or(POINTS_MAX).clamp(1, POINTS_MAX);
    let step_ms = step(question.step_ms, range, points_max)?;
    let range = range.map(|range| range.widened(step_ms));
    let metric_names = question.metric_names.iter().map(String::as_str).collect();
    let wanted = Wanted {
        fleet: &fleet,
        filter: &filter,
        metric_names,
        after: place.as_ref().map(|place| &place.after),
        step_ms,
        rows_max,
    };
    let Found { series, metric_names: mut known, services: mut seen, .. } = match range {
        Some(range) => {
            let found = wanted.read(range, reader).await?;
            found.ok_or_else(|| question.range.too_many("metric buckets", rows_max))?
        }
        None => Found::default(),
    };
    if place.is_none() {
        let is_seen = filter.service().is_none_or(|service| seen.contains(service));
        if let Some(range) = range
            && (!is_seen || question.metric_names.iter().any(|name| !known.contains(name)))
        {
            let mut named = wanted.named(range, reader).await?;
            known.append(&mut named.metric_names);
            seen.append(&mut named.services);
        }
        services::observed(&filter, seen, reader).await?;
        are_known(&question.metric_names, &known)?;
    }
    let line = |([colony_id, service_id, metric_name], points): (Key, BTreeMap<TimeMs, PointSum>)| {
        let (application, environment) = fleet.identity(&colony_id);
        SeriesLine {
            application_name: application.to_owned(),
            environment: environment.to_owned(),
            points: points.into_iter().collect(),
            colony_id,
            service_id,
            metric_name,
        }
    };
    let counts = (place.map_or(0, |place| place.before), series.len());
    let lines = series.into_iter().take(limit).map(line).collect();
    let cursor = |line: &SeriesLine, before: usize| {
        let after = [&line.colony_id, &line.service_id, &line.metric_name].map(String::clone);
        Place { to, before, after }.cursor(&asked)
    };
    Ok(Metrics { series: Listed::of(&question.part, lines, counts, cursor), range, step_ms, completeness })
}

/// Fails for a metric that was not observed.
fn are_known(metric_names: &[String], known: &BTreeSet<String>) -> Result<(), Refusal> {
    let unknown = metric_names.iter().enumerate().find(|(_, name)| !known.contains(*name));
    let Some((place, name)) = unknown else { return Ok(()) };
    let message = format!("no metric {name:?} was observed in the range");
    let hint = names::near_hint("metric", &name.to_lowercase(), known);
    Err(Refusal::not_found(message, hint).at(&format!("metric_names[{place}]")))
}

/// The length of a point.
fn step(given: Option<i64>, range: Option<Range>, points_max: i64) -> Result<i64, Refusal> {
    let length_ms = range.map_or(RANGE_MS, |range| range.to - range.from);
    let longest_ms = length_ms.max(MINUTE_MS);
    let points = |step_ms: i64| {
        let length_ms = range.map(|range| range.widened(step_ms)).map_or(0, |range| range.to - range.from);
        length_ms / step_ms
    };
    match given {
        Some(step_ms) if step_ms < SECOND_MS => {
            let message = format!("a step of {} is too short", format_duration_ms(step_ms.max(0)));
            Err(Refusal::invalid(message, "take at least 1s").at("step"))
        }
        Some(step_ms) if step_ms > longest_ms => {
            let message = format!("a step of {} is longer than the range", format_duration_ms(step_ms));
            let hint = format!("take at most {}, or leave it empty", format_duration_ms(longest_ms));
            Err(Refusal::invalid(message, hint).at("step"))
        }
        Some(step_ms) if points(step_ms) > POINTS_MAX => {
            let message = format!("{} points of {} are too many", points(step_ms), format_duration_ms(step_ms));
            // one more than fit into the range, as it may begin and end within a step; shown in at most two units
            let least_ms = length_ms / (POINTS_MAX - 1) + 1;
            let unit_ms = if least_ms < HOUR_MS { SECOND_MS } else { MINUTE_MS };
            let least_ms = (least_ms + unit_ms - 1) / unit_ms * unit_ms;
            let hint = format!("take at least {}, or leave it empty", format_duration_ms(least_ms));
            Err(Refusal::invalid(message, hint).at("step"))
        }
        Some(step_ms) => Ok(step_ms),
        None => {
            // a range that begins within a step has a point more
            let fits =
                |step_ms: &i64| (length_ms + step_ms - 1) / step_ms <= points_max && points(*step_ms) <= POINTS_MAX;
            Ok(STEPS_MS.into_iter().find(fits).unwrap_or(DAY_MS))
        }
    }
}
