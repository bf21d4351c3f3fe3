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

/// Series around a moment, by colony, service and metric.
pub(super) struct Around(BTreeMap<(String, String, String), Series>);

impl Around {
    /// Those of these colonies.
    pub async fn read(moment: Moment, colonies: &[String], reader: &dyn StoreReader) -> Result<Around, SinkError> {
        let mut all: BTreeMap<(String, String, String), Series> = BTreeMap::new();
        for span in moment.spans() {
            for point in reader.metrics_of(colonies, span.start, span.end).await? {
                let names = point.series.names();
                if let Some(value) = point.value().filter(|value| value.is_finite()) {
                    let key = (names.colony_id.to_owned(), names.service_id.to_owned(), names.metric_name.to_owned());
                    all.entry(key).or_default().insert(point.timestamp, value);
                }
            }
        }
        Ok(Around(all))
    }

    /// The metrics of a service, of all services if its name is empty, beside those of a sibling.
    pub fn watched(&self, (colony_id, service_id): (&str, &str), sibling: Option<&str>, scope: &Scope) -> Vec<Watched> {
        let is_own =
            |colony: &str, service: &str| colony == colony_id && (service_id.is_empty() || service == service_id);
        let own = self.0.iter().filter(|((colony, service, _), _)| is_own(colony, service));
        let of_sibling = |service: &String, metric: &String| {
            self.0.get(&(sibling?.to_owned(), service.clone(), metric.clone())).cloned()
        };
        own.map(|((_, service, metric), series)| Watched {
            service_id: service.clone(),
            metric_name: metric.clone(),
            meaning: scope.metrics.of(metric),
            series: series.clone(),
            sibling: of_sibling(service, metric),
        })
        .collect()
    }
}

/// Other deployments of the colony that began before what followed this one was over.
pub(super) fn overlapping(line: &DeploymentLine, lines: &[DeploymentLine]) -> Vec<DeploymentLine> {
    lines.iter().filter(|other| other.kind != "rollback" && is_near(line, other)).cloned().collect()
}

/// Whether `other` is another deployment of the colony or a rollback there, and what follows one of the two is not over
/// when the other begins.
pub(super) fn is_near(line: &DeploymentLine, other: &DeploymentLine) -> bool {
    let until = |line: &DeploymentLine| line.end.unwrap_or(line.start) + AFTER_MS;
    other.colony_id == line.colony_id
        && other.deployment_id != line.deployment_id
        && other.start <= until(line)
        && line.start <= until(other)
}

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
    let around = Around::read(moment, &colonies, reader).await?;
    let watched = around.watched((&line.colony_id, &line.service_id), sibling.as_deref(), scope);
    let is_other = |other: &&DeploymentLine| {
        (other.colony_id == line.colony_id || Some(&other.colony_id) == sibling.as_ref())
            && other.service_id == line.service_id
            && (&other.colony_id, &other.deployment_id) != (&line.colony_id, &line.deployment_id)
    };
    let others = lines.iter().filter(is_other);
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
        others: others.map(|other| Moment { start: other.start, end: other.end.unwrap_or(other.start) }).collect(),
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
