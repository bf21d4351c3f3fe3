//! Look-ups over all rows of the reference store: types of events, names of services, events with a newer version.

use super::Tables;
use crate::store::AmendedEvent;
use model::event::Event;
use model::series::SeriesId;
use std::collections::BTreeSet;

impl Tables {
    /// The types of events on time, in order.
    pub(super) fn event_types(&self) -> Vec<String> {
        let types = self.events.values().filter(|held| held.on_time).map(|held| held.row.event_type.clone());
        types.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The amended events on time that share their identity with one of `events`.
    pub(super) fn newer_events(&self, events: &[Event]) -> Vec<Event> {
        let identities: BTreeSet<(String, String)> =
            events.iter().map(|row| (row.colony_id.clone(), row.event_id.clone())).collect();
        let stored = identities.iter().filter_map(|identity| self.events.get(identity));
        let newer = stored.filter(|held| held.on_time && held.row.is_amended());
        newer.map(|held| held.row.clone()).collect()
    }

    /// All amended events on time.
    pub(super) fn amended_events(&self) -> Vec<AmendedEvent> {
        let amended = self.events.values().filter(|held| held.on_time && held.row.is_amended());
        let named = amended.map(|held| AmendedEvent {
            colony_id: held.row.colony_id.clone(),
            event_id: held.row.event_id.clone(),
            timestamp: held.row.timestamp,
        });
        named.collect()
    }

    /// The services of all rows, in order.
    pub(super) fn service_names(&self) -> Vec<String> {
        let events = self.events.values().map(|held| &held.row).chain(self.late_events.values());
        let mut names: BTreeSet<String> = events.map(|event| event.service_id.clone()).collect();
        let buckets = self.metrics.values().map(|held| held.row.series);
        let series: BTreeSet<SeriesId> = buckets.chain(self.late_metrics.values().map(|row| row.series)).collect();
        names.extend(series.into_iter().map(|series| series.series().key.service_id.clone()));
        names.into_iter().collect()
    }
}
