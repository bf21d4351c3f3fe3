//! The reference store passes the harness of all stores.

use super::*;
use crate::compliance::derived::SCHEMA;
use crate::compliance::{Dump, Fixture, run_all};

#[async_trait]
impl Fixture for MemoryStore {
    type Opened = MemoryStore;

    async fn open(&self) -> MemoryStore {
        self.clone()
    }

    async fn close(&self, _store: MemoryStore) {}

    async fn dump(&self, store: &mut MemoryStore) -> Dump {
        fn lines<K: std::fmt::Debug, V: std::fmt::Debug>(rows: &BTreeMap<K, V>) -> Vec<String> {
            rows.iter().map(|(key, row)| format!("{key:?} {row:?}")).collect()
        }
        let mut tables = store.tables();
        let seen = |seen: String, first: TimeMs| format!("{seen} {first}");
        let mut dump = Dump::from([
            ("federated_events".into(), lines(&tables.events)),
            ("federated_metrics".into(), lines(&tables.metrics)),
            ("late_event_copies".into(), lines(&tables.late_events)),
            ("late_metric_copies".into(), lines(&tables.late_metrics)),
            ("env_metric_summary".into(), lines(&tables.summaries)),
            ("service_nodes".into(), tables.nodes.values().map(|n| seen(format!("{n:?}"), n.first_seen_at)).collect()),
            ("service_edges".into(), tables.edges.values().map(|e| seen(format!("{e:?}"), e.first_seen_at)).collect()),
            ("colony_status".into(), lines(&tables.colonies)),
            ("correlations".into(), {
                tables.findings.values_mut().for_each(|revised| revised.updated_at = TimeMs(0));
                lines(&tables.findings)
            }),
            ("rejects".into(), lines(&tables.rejects)),
            ("rejects_omitted".into(), lines(&tables.rejects_omitted)),
            ("source_positions".into(), lines(&tables.positions)),
        ]);
        dump.extend(tables.derived.iter().map(|(table, rows)| ((*table).to_owned(), lines(rows))));
        dump
    }

    async fn fail_next_commit(&self, _store: &mut MemoryStore) -> bool {
        false
    }
}

#[tokio::test]
async fn compliance() {
    run_all(|| MemoryStore::with_schema(SCHEMA)).await;
}
