//! The metrics of a deployment's service, read from a store and judged.

use super::line::{AFTER_MS, Line};
use super::verdict::{Circumstances, Watched, judge};
use super::windows::{Moment, Series};
use super::{Colonies, Impact};
use model::meaning::Meanings;
use model::time::MINUTE_MS;
use sinks::{SinkError, StoreReader};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Series around a moment, by colony, service and metric.
pub struct Around(BTreeMap<(String, String, String), Series>);

impl Around {
    /// Those of these colonies.
    ///
    /// # Errors
    /// Those of the store.
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
    pub fn watched(
        &self,
        (colony_id, service_id): (&str, &str),
        sibling: Option<&str>,
        meanings: &Meanings,
    ) -> Vec<Watched> {
        let is_own =
            |colony: &str, service: &str| colony == colony_id && (service_id.is_empty() || service == service_id);
        let own = self.0.iter().filter(|((colony, service, _), _)| is_own(colony, service));
        let of_sibling = |service: &String, metric: &String| {
            self.0.get(&(sibling?.to_owned(), service.clone(), metric.clone())).cloned()
        };
        own.map(|((_, service, metric), series)| Watched {
            service_id: service.clone(),
            metric_name: metric.clone(),
            meaning: meanings.of(metric),
            series: series.clone(),
            sibling: of_sibling(service, metric),
        })
        .collect()
    }
}

/// What a deployment did to the metrics of its service. `lines` are all deployments that may matter (see [`reaches`]), this
/// one among them or not, identified, in any order.
///
/// # Errors
/// Those of the store.
pub async fn impact_on(
    line: &Line,
    lines: &[Line],
    (colonies, meanings): (&Colonies, &Meanings),
    reader: &dyn StoreReader,
) -> Result<Impact, SinkError> {
    let moment = line.moment();
    let sibling = sibling_of(line, lines, colonies);
    let read: Vec<String> = [Some(line.colony_id.clone()), sibling.clone()].into_iter().flatten().collect();
    let around = Around::read(moment, &read, reader).await?;
    let watched = around.watched((&line.colony_id, &line.service_id), sibling.as_deref(), meanings);
    let is_other = |other: &&Line| {
        (other.colony_id == line.colony_id || Some(&other.colony_id) == sibling.as_ref())
            && other.service_id == line.service_id
            && !other.is(line)
    };
    // another service of the colony is watched by its own metrics
    let is_overlap = |other: &&Line| !other.is_rollback && line.is_near(other) && other.service_id == line.service_id;
    let mut overlaps: Vec<&Line> = lines.iter().filter(is_overlap).collect();
    overlaps.sort_by_key(|other| (Reverse(other.start), &other.deployment_id));
    let newest = colonies.get(&line.colony_id).and_then(|colony| colony.newest_metric);
    let circumstances = Circumstances {
        moment,
        is_running: line.end.is_none(),
        went_wrong: line.went_wrong,
        overlaps: overlaps.into_iter().map(|other| other.deployment_id.clone()).collect(),
        others: lines.iter().filter(is_other).map(Line::moment).collect(),
        // a bucket ends a minute or more after its time
        known_to: newest.filter(|_| !watched.is_empty()).map(|newest| newest + MINUTE_MS),
    };
    Ok(judge(&circumstances, &watched))
}

/// Another environment of the application in which nothing was deployed around that time.
fn sibling_of(line: &Line, lines: &[Line], colonies: &Colonies) -> Option<String> {
    let Moment { start, end } = line.moment();
    let is_quiet = |id: &String| {
        !lines.iter().any(|other| {
            let moment = other.moment();
            other.colony_id == *id
                && moment.start - AFTER_MS <= end + AFTER_MS
                && moment.end + AFTER_MS >= start - AFTER_MS
        })
    };
    let others = colonies.iter().filter(|(id, colony)| {
        **id != line.colony_id
            && colony.application_name == line.application_name
            && colony.environment != line.environment
            && colony.newest_metric.is_some()
    });
    others.map(|(id, _)| id).find(|id| is_quiet(id)).cloned()
}
