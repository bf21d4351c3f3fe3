//! The colonies of a store, kept current by the rows that a run writes.

use super::minutes;
use crate::impact::{Colonies, Colony, colonies};
use model::rows::Rows;
use model::time::TimeMs;
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;

/// What states the names of a colony.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Status,
    Row,
}

/// The colonies, as of the last rows that were noted. The store is read again only if rows may have changed more than how
/// far metrics reach: its answer takes a pass over its metrics.
#[derive(Debug, Default)]
pub(super) struct KnownColonies {
    colonies: Colonies,
    /// Application and environment that the newest noted rows of a colony state.
    stated: BTreeMap<(String, By), (String, String)>,
    is_stale: bool,
}

impl KnownColonies {
    /// As the store has them.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn of_store(reader: &dyn StoreReader) -> Result<KnownColonies, SinkError> {
        Ok(KnownColonies { colonies: colonies::read(reader).await?, ..KnownColonies::default() })
    }

    /// Those of a store that has not been asked.
    pub(super) fn unread() -> KnownColonies {
        KnownColonies { is_stale: true, ..KnownColonies::default() }
    }

    pub(super) fn all(&self) -> &Colonies {
        &self.colonies
    }

    pub(super) fn get(&self, id: &str) -> Option<&Colony> {
        self.colonies.get(id)
    }

    /// Whether they are to be read again.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Rows that they follow from may have been deleted.
    pub(super) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    /// Reads them again if that is needed; returns those that were known before. All noted rows are stored.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn refresh(&mut self, reader: &dyn StoreReader) -> Result<Option<Colonies>, SinkError> {
        if !self.is_stale {
            return Ok(None);
        }
        let now = colonies::read(reader).await?;
        self.is_stale = false;
        Ok(Some(std::mem::replace(&mut self.colonies, now)))
    }

    /// Rows on time are being written. Returns the colonies whose metrics reach further now, each with its newest metric
    /// before and after; none while the colonies are to be read again, which then shows how far they reach.
    pub(super) fn note(&mut self, rows: &Rows) -> Vec<(String, TimeMs, TimeMs)> {
        if self.is_stale {
            return Vec::new();
        }
        for status in &rows.colonies {
            self.state((&status.colony_id, By::Status), (&status.application_name, &status.environment));
        }
        let mut named: BTreeMap<&str, (TimeMs, bool, &str, &str)> = BTreeMap::new();
        for event in &rows.events {
            let row = (event.timestamp, false, event.application_name.as_str(), event.environment.as_str());
            let newest = named.entry(&event.colony_id).or_insert(row);
            *newest = row.max(*newest);
        }
        let mut metrics: BTreeMap<&str, TimeMs> = BTreeMap::new();
        for (series, time) in minutes::newest(&rows.metrics) {
            let names = series.series().names();
            let row = (time, true, names.application_name, names.environment);
            let newest = named.entry(names.colony_id).or_insert(row);
            *newest = row.max(*newest);
            let newest = metrics.entry(names.colony_id).or_insert(time);
            *newest = time.max(*newest);
        }
        for (id, (_, _, application, environment)) in named {
            self.state((id, By::Row), (application, environment));
        }
        let mut moved = Vec::new();
        for (id, newest) in metrics {
            match self.colonies.get_mut(id).and_then(|colony| colony.newest_metric.as_mut()) {
                Some(known) if *known < newest => moved.push((id.to_owned(), std::mem::replace(known, newest), newest)),
                Some(_) => {}
                // its first metrics: it may be a sibling of others now
                None => self.is_stale = true,
            }
        }
        moved
    }

    /// A row states these names of its colony: they count only if they differ from those stated before.
    fn state(&mut self, (id, by): (&str, By), (application, environment): (&str, &str)) {
        let Some(colony) = self.colonies.get(id) else {
            self.is_stale = true;
            return;
        };
        let known = || (colony.application_name.clone(), colony.environment.clone());
        let stated = self.stated.entry((id.to_owned(), by)).or_insert_with(known);
        if (stated.0.as_str(), stated.1.as_str()) != (application, environment) {
            *stated = (application.to_owned(), environment.to_owned());
            self.is_stale = true;
        }
    }
}
