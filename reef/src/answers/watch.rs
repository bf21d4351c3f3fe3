//! The metrics of a deployment's service, read from the store and judged.

use super::fleet::{Fleet, Scope};
use super::incidents::AFTER_MS;
use super::timeline::DeploymentLine;
use crate::impact::Impact;
use crate::impact::verdict::{Circumstances, Watched, judge};
use crate::impact::windows::{Moment, Series};
use model::time::MINUTE_MS;
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;

/// What the deployment did to the metrics of its service.
pub(super) async fn impact_on(
    line: &DeploymentLine,
    (lines, overlapping): (&[DeploymentLine], &[DeploymentLine]),
    (fleet, scope): (&Fleet, &Scope),
    reader: &dyn StoreReader,
) -> Result<Impact, SinkError> {
    let moment = Moment { start: line.start, end: line.end.unwrap_or(line.start) };
    let sibling = sibling_of(line, lines, fleet);
    let colonies: Vec<String> = [Some(line.colony_id.clone()), sibling.clone()].into_iter().flatten().collect();
    let mut all: BTreeMap<(String, String, String), Series> = BTreeMap::new();
    for span in moment.spans() {
        for point in reader.metrics_of(&colonies, span.start, span.end).await? {
            let names = point.series.names();
            let is_of_service = line.service_id.is_empty() || names.service_id == line.service_id;
            if let Some(value) = point.value().filter(|value| value.is_finite() && is_of_service) {
                let key = (names.colony_id.to_owned(), names.service_id.to_owned(), names.metric_name.to_owned());
                all.entry(key).or_default().insert(point.timestamp, value);
            }
        }
    }
    let of_sibling =
        |service: &String, metric: &String| all.get(&(sibling.clone()?, service.clone(), metric.clone())).cloned();
    let own = all.iter().filter(|((colony, ..), _)| *colony == line.colony_id);
    let watched: Vec<Watched> = own
        .map(|((_, service, metric), series)| Watched {
            service_id: service.clone(),
            metric_name: metric.clone(),
            meaning: scope.metrics.of(metric),
            series: series.clone(),
            sibling: of_sibling(service, metric),
        })
        .collect();
    let newest = fleet.colonies.get(&line.colony_id).and_then(|colony| colony.newest_metric);
    let circumstances = Circumstances {
        moment,
        is_running: line.end.is_none(),
        went_wrong: match line.status.as_str() {
            "failed" => Some("failed"),
            "rolled_back" => Some("was rolled back"),
            _ => None,
        },
        // another service of the colony is watched by its own metrics
        overlaps: overlapping
            .iter()
            .filter(|other| other.service_id == line.service_id)
            .map(|other| other.deployment_id.clone())
            .collect(),
        // a bucket ends a minute or more after its time
        known_to: newest.filter(|_| !watched.is_empty()).map(|newest| newest + MINUTE_MS),
    };
    Ok(judge(&circumstances, &watched))
}

/// Another environment of the application in which the service was not deployed around that time.
fn sibling_of(line: &DeploymentLine, lines: &[DeploymentLine], fleet: &Fleet) -> Option<String> {
    let (from, to) = (line.start - AFTER_MS, line.end.unwrap_or(line.start) + AFTER_MS);
    let is_quiet = |id: &String| {
        !lines.iter().any(|other| {
            let other_to = other.end.unwrap_or(other.start) + AFTER_MS;
            other.colony_id == *id && other.start - AFTER_MS <= to && other_to >= from
        })
    };
    let others = fleet.colonies.iter().filter(|(id, colony)| {
        **id != line.colony_id
            && colony.application_name == line.application_name
            && colony.environment != line.environment
            && colony.newest_metric.is_some()
    });
    others.map(|(id, _)| id).find(|id| is_quiet(id)).cloned()
}
