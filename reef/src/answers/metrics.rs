//! Metrics of a range of time: series with at most a few hundred points each.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::names;
use super::part::{Listed, Part};
use super::range::{RANGE_MS, Range, RangeQuestion};
use super::refusal::{AnswerError, Refusal};
use model::metric::MetricPoint;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs, format_duration_ms};
use serde::{Deserialize, Serialize};
use sinks::{Span, StoreReader};
use std::collections::{BTreeMap, BTreeSet};

/// Rows read at once.
const PAGE_ROWS: usize = 50_000;
/// Most rows of a range that are looked through.
const ROWS_MAX: u64 = 2_000_000;
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
    /// Length of a point; without it the shortest of the usual ones with at most [`POINTS_MAX`] points.
    pub step_ms: Option<i64>,
    /// Which part of the list of series.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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

/// The buckets of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PointSum {
    /// Samples, where the buckets say.
    pub samples: u64,
    /// Stored buckets.
    pub buckets: u32,
    /// Mean of the buckets' p95 (of their mean where they have none), weighted by samples.
    pub value: Option<f64>,
    /// Greatest sample.
    pub max: Option<f64>,
    weight: f64,
}

impl PointSum {
    fn add(&mut self, point: &MetricPoint) {
        self.buckets += 1;
        self.samples = self.samples.saturating_add(point.count.unwrap_or(0));
        if let Some(value) = point.value().filter(|value| value.is_finite()) {
            let weight = point.count.unwrap_or(1).max(1) as f64;
            let sum = self.value.unwrap_or(0.0) * self.weight + value * weight;
            self.weight += weight;
            self.value = Some(sum / self.weight);
        }
        let greatest = point.max.map(|max| max.0).filter(|max| max.is_finite());
        self.max = self.max.into_iter().chain(greatest).reduce(f64::max);
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
    names::check_list(&question.metric_names, "metric_names")?;
    let metric_names: BTreeSet<&str> = question.metric_names.iter().map(String::as_str).collect();
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let completeness =
        Completeness::of(&fleet, |id, colony| filter.takes_colony(id, &colony.application_name, &colony.environment));
    let range = question.range.resolved(&fleet)?;
    let step_ms = step(question.step_ms, range)?;
    let range = range.map(|range| range.widened(step_ms));
    let mut known = BTreeSet::new();
    let mut found: BTreeMap<[String; 3], BTreeMap<TimeMs, PointSum>> = BTreeMap::new();
    if let Some(Range { from, to }) = range {
        let span = Span { from, to: Some(to), with_late: true };
        let rows = reader.count_in(span).await?.1;
        if rows > ROWS_MAX {
            let message = format!("the range has {rows} metric buckets");
            let hint = format!("ask for a shorter one: at most {ROWS_MAX} are looked through");
            return Err(Refusal::invalid(message, hint).at("start_time").into());
        }
        let mut after: Option<MetricPoint> = None;
        loop {
            let page = reader.metrics_in(span, after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.row);
            for point in page.into_iter().map(|stored| stored.row) {
                let names = point.series.names();
                let (application, environment) = fleet.identity(names.colony_id);
                if !filter.takes_colony(names.colony_id, application, environment)
                    || !filter.takes_service(names.service_id)
                {
                    continue;
                }
                known.insert(names.metric_name.to_owned());
                if metric_names.is_empty() || metric_names.contains(names.metric_name) {
                    let key = [names.colony_id, names.service_id, names.metric_name].map(str::to_owned);
                    let at = point.timestamp.floor_to(step_ms);
                    found.entry(key).or_default().entry(at).or_default().add(&point);
                }
            }
        }
    }
    if let Some((place, name)) = question.metric_names.iter().enumerate().find(|(_, name)| !known.contains(*name)) {
        let message = format!("no metric {name:?} was observed in the range");
        let hint = names::near_hint("metric", &name.to_lowercase(), &known);
        return Err(Refusal::not_found(message, hint).at(&format!("metric_names[{place}]")).into());
    }
    let line = |([colony_id, service_id, metric_name], points): ([String; 3], BTreeMap<TimeMs, PointSum>)| {
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
    let lines = found.into_iter().map(line).collect();
    Ok(Metrics { series: question.part.of(lines)?, range, step_ms, completeness })
}

/// The length of a point.
fn step(given: Option<i64>, range: Option<Range>) -> Result<i64, Refusal> {
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
        None => Ok(STEPS_MS.into_iter().find(|step_ms| points(*step_ms) <= POINTS_MAX).unwrap_or(DAY_MS)),
    }
}
