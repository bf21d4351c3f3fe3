//! Derived events after a restart: which of them are final, and what the store has of the others.
//!
//! A restart reads back as many metric rows as correlations need. Derived events of the first days after that would be
//! judged by less history than they were, so they stay as they are stored, and patterns get them from there. Later ones are
//! computed again and replace what the store has: a run may end between the commit of rows and that of their results.

use model::derived::{DerivedChange, Value};
use model::time::TimeMs;
use operators::derived_events::state::final_before;
use operators::derived_events::{DerivedEvent, Input, TABLE};
use sinks::schema::{DERIVED, DerivedTable};
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

/// The stored derived events that are computed again, by key, until that has happened.
#[derive(Debug, Default)]
pub(crate) struct StoredDerivedEvents(BTreeMap<Vec<Value>, Vec<Value>>);

fn key_of(row: &[Value]) -> &[Value] {
    &row[..table().table.key]
}

fn table() -> &'static DerivedTable {
    let table = DERIVED.iter().find(|derived| derived.table.name == TABLE);
    table.unwrap_or_else(|| unreachable!("the schema has a table of derived events"))
}

impl StoredDerivedEvents {
    /// Reads the events that are computed again when metric rows are read back from `since` on, and what the engine needs
    /// of those before, of which patterns look at those from `events_from` on. `None`: everything is computed again.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn read(
        reader: &dyn StoreReader,
        since: Option<TimeMs>,
        events_from: Option<TimeMs>,
    ) -> Result<(StoredDerivedEvents, Vec<Input>), SinkError> {
        let (mut rows, mut after) = (BTreeMap::new(), None);
        let mut known: Vec<Input> = since.map(Input::HistoryFrom).into_iter().collect();
        loop {
            let page = reader.rows_of(table(), after.as_ref(), PAGE_ROWS).await?;
            for row in page.rows() {
                match DerivedEvent::of_row(&row) {
                    Some(event) if since.is_some_and(|since| event.since < final_before(since)) => {
                        let is_old = events_from.is_some_and(|from| event.since < from);
                        known.extend((!is_old).then_some(Input::Final(event)));
                    }
                    _ => {
                        rows.insert(key_of(&row).to_vec(), row);
                    }
                }
            }
            after = page.end();
            if after.is_none() {
                return Ok((StoredDerivedEvents(rows), known));
            }
        }
    }

    /// What to write of what an evaluation has computed: after the first one only what differs from the store, and without
    /// what the store has and no longer holds.
    pub(crate) fn corrections(&mut self, computed: Vec<DerivedChange>) -> Vec<DerivedChange> {
        let (own, mut corrections): (Vec<_>, Vec<_>) = computed.into_iter().partition(|change| change.table == TABLE);
        let mut stored = std::mem::take(&mut self.0);
        let mut change = DerivedChange { table: TABLE.to_owned(), ..DerivedChange::default() };
        for one in own {
            let is_new = |row: &Vec<Value>| stored.remove(key_of(row)).as_ref() != Some(row);
            change.upserts.extend(one.upserts.into_iter().filter(is_new));
            change.removed.extend(one.removed);
        }
        change.removed.extend(stored.into_keys());
        if !change.upserts.is_empty() || !change.removed.is_empty() {
            corrections.push(change);
        }
        corrections
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::series::SeriesRef;
    use model::time::{DAY_MS, HOUR_MS};
    use operators::derived_events::Kind;
    use sinks::compliance::commit_of;
    use sinks::compliance::rows::START;
    use sinks::memory::MemoryStore;
    use sinks::{Commit, StoreWriter};

    const NAMES: SeriesRef<'_> = SeriesRef {
        colony_id: "shop-production",
        application_name: "shop",
        environment: "production",
        service_id: "api",
        metric_name: "http_latency_ms",
        interval_seconds: Some(60),
    };

    fn event(since: TimeMs, value: f64) -> DerivedEvent {
        DerivedEvent::new(Kind::LatencySpike, NAMES, since, value, Some(100.0))
    }

    fn row(since: TimeMs, value: f64) -> Vec<Value> {
        let row = event(since, value).row();
        [row.key, row.content].concat()
    }

    fn change(upserts: Vec<Vec<Value>>, removed: Vec<Vec<Value>>) -> DerivedChange {
        DerivedChange { table: TABLE.to_owned(), upserts, removed }
    }

    /// The store has two final events, two that are found again, one of them with another value, and one that is not.
    #[tokio::test]
    async fn after_a_restart_final_ones_stay_and_the_rest_is_computed_again() {
        let boundary = final_before(START);
        let (old, same, changed, gone) = (boundary - DAY_MS, boundary, boundary + HOUR_MS, boundary + 2 * HOUR_MS);
        let oldest = boundary - 50 * DAY_MS;
        let stored = [oldest, old, same, changed, gone].map(|since| row(since, 250.0)).to_vec();
        let mut store = MemoryStore::new();
        let rows = model::rows::Rows::default();
        store.commit(&Commit { derived: vec![change(stored, Vec::new())], ..commit_of(1, rows) }).await.unwrap();

        let reader = store.reader();
        let read = StoredDerivedEvents::read(reader.as_ref(), Some(START), Some(boundary - 9 * DAY_MS));
        let (mut known, fed) = read.await.unwrap();
        assert_eq!(fed, [Input::HistoryFrom(START), Input::Final(event(old, 250.0))], "patterns do not see the oldest");
        let found = vec![row(same, 250.0), row(changed, 260.0)];
        let removed = vec![key_of(&row(gone, 250.0)).to_vec()];
        assert_eq!(
            known.corrections(vec![change(found, Vec::new())]),
            [change(vec![row(changed, 260.0)], removed.clone())]
        );
        // from then on all that is found is new
        let next = change(vec![row(gone, 250.0)], Vec::new());
        assert_eq!(known.corrections(vec![next.clone()]), [next]);
        assert!(known.corrections(Vec::new()).is_empty());
        let all = StoredDerivedEvents::read(reader.as_ref(), None, None).await.unwrap();
        assert_eq!((all.0.0.len(), all.1.len()), (5, 0), "without history none is final");
    }
}
