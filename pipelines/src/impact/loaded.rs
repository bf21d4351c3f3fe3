//! Loaded: the metrics around deployments, read at once for all that are judged together.
//!
//! A look at one deployment needs two spans of each of eight days. Read span by span, and deployment by deployment, the
//! queries cost more than the rest of a run; deployments that follow each other share most of these days. So the hours of
//! all spans are read together, and each deployment takes its spans from memory.

use super::verdict::Watched;
use super::windows::{Moment, Series};
use model::meaning::Meanings;
use model::time::{HOUR_MS, TimeMs};
use sinks::{SeriesValues, SinkError, StoreReader, ValuesOf};
use std::collections::{BTreeMap, BTreeSet};

/// Hours read at once: a list of them is bound to a query.
const HOURS_MAX: usize = 512;

/// Values of one metric of one service, by time.
type Values = Vec<(TimeMs, f64)>;
/// By service and metric.
type OfColony = BTreeMap<(String, String), Values>;

/// Metrics around moments, by colony.
#[derive(Debug, Default)]
pub struct Loaded {
    colonies: BTreeMap<String, OfColony>,
    points: usize,
}

impl Loaded {
    /// Those around these moments, of these colonies and services; no service means all.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(
        moments: &[Moment],
        (colonies, services): (BTreeSet<String>, BTreeSet<String>),
        reader: &dyn StoreReader,
    ) -> Result<Loaded, SinkError> {
        let mut hours: BTreeSet<TimeMs> = BTreeSet::new();
        for span in moments.iter().copied().flat_map(Moment::spans) {
            let first = span.start.floor_to(HOUR_MS);
            let all = std::iter::successors(Some(first), |hour| Some(*hour + HOUR_MS));
            hours.extend(all.take_while(|hour| *hour < span.end));
        }
        let hours: Vec<TimeMs> = hours.into_iter().collect();
        let mut found: Vec<SeriesValues> = Vec::new();
        for part in hours.chunks(HOURS_MAX) {
            let hours = part.iter().copied().collect();
            let wanted = ValuesOf { colonies: colonies.clone(), services: services.clone(), hours };
            found.append(&mut reader.values_of(&wanted).await?);
        }
        Ok(Loaded::of(found))
    }

    /// Parts of a series rise in time. Of series that differ only in their interval, application or environment, the last in
    /// the order of these names counts where they have the same times.
    fn of(mut found: Vec<SeriesValues>) -> Loaded {
        // a stable sort: parts of a series stay in order
        found.sort_by(|a, b| {
            let place = |one: &SeriesValues| {
                let names = one.series.series().names();
                (names.colony_id, names.interval_seconds.unwrap_or(0), names.application_name, names.environment)
            };
            place(a).cmp(&place(b))
        });
        let mut loaded = Loaded::default();
        for SeriesValues { series, values } in found {
            loaded.points += values.len();
            let names = series.series().names();
            let of_colony = loaded.colonies.entry(names.colony_id.to_owned()).or_default();
            let key = (names.service_id.to_owned(), names.metric_name.to_owned());
            add(of_colony.entry(key).or_default(), values);
        }
        loaded
    }

    /// How many values they are.
    pub fn points(&self) -> usize {
        self.points
    }

    /// The metrics of a service around a moment, of all services if its name is empty, beside those of a sibling.
    pub fn watched(
        &self,
        moment: Moment,
        (colony_id, service_id): (&str, &str),
        sibling: Option<&str>,
        meanings: &Meanings,
    ) -> Vec<Watched> {
        let Some(own) = self.colonies.get(colony_id) else { return Vec::new() };
        let of_sibling = sibling.and_then(|sibling| self.colonies.get(sibling));
        let is_own = |service: &str| service_id.is_empty() || service == service_id;
        let watched = |(key, values): (&(String, String), &Values)| {
            let series = within(values, moment);
            let sibling = of_sibling.and_then(|others| others.get(key)).map(|values| within(values, moment));
            let (service_id, metric_name) = key.clone();
            let meaning = meanings.of(&metric_name);
            let sibling = sibling.filter(|series| !series.is_empty());
            (!series.is_empty()).then_some(Watched { service_id, metric_name, meaning, series, sibling })
        };
        own.iter().filter(|((service, _), _)| is_own(service)).filter_map(watched).collect()
    }
}

/// Adds values; where a time has one already, the new one counts.
fn add(all: &mut Values, values: Values) {
    let values = values.into_iter().filter(|(_, value)| value.is_finite());
    let last = all.last().map(|(time, _)| *time);
    let values: Values = values.collect();
    if values.first().is_none_or(|(first, _)| last.is_none_or(|last| last < *first)) {
        all.extend(values);
        return;
    }
    let mut merged: BTreeMap<TimeMs, f64> = std::mem::take(all).into_iter().collect();
    merged.extend(values);
    all.extend(merged);
}

/// The values in the spans of a moment.
fn within(values: &Values, moment: Moment) -> Series {
    let mut spans: Vec<_> = moment.spans().collect();
    spans.sort_by_key(|span| span.start);
    let place = |time: TimeMs| values.partition_point(|(known, _)| *known < time);
    spans.into_iter().flat_map(|span| values[place(span.start)..place(span.end)].iter().copied()).collect()
}
