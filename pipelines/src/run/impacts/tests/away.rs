//! A store that cannot be read for now: impacts stay as they are, and what was to be read is read later.

use super::*;
use async_trait::async_trait;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::rows::RollupKey;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use sinks::resolve::Seen;
use sinks::rollup::Summary;
use sinks::schema::DerivedTable;
use sinks::transfer::{Cursor, Page};
use sinks::{Span, StoredRow, Totals, Watermarks};

struct Away;

fn no<T>() -> Result<T, SinkError> {
    let (doing, store, hint) = ("cannot read".to_owned(), "a store".to_owned(), "wait".to_owned());
    Err(SinkError { class: FaultClass::Retry, doing, store, hint, cause: None })
}

#[async_trait]
impl StoreReader for Away {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        no()
    }
    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        no()
    }
    async fn events_in(&self, _: Span, _: Option<&Event>, _: usize) -> Result<Vec<StoredRow<Event>>, SinkError> {
        no()
    }
    async fn metrics_in(
        &self,
        _: Span,
        _: Option<&MetricPoint>,
        _: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        no()
    }
    async fn count_in(&self, _: Span) -> Result<(u64, u64), SinkError> {
        no()
    }
    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        no()
    }
    async fn evidence(&self, _: &str) -> Result<Vec<Evidence>, SinkError> {
        no()
    }
    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        no()
    }
    async fn rows_of(&self, _: &'static DerivedTable, _: Option<&Cursor>, _: usize) -> Result<Page, SinkError> {
        no()
    }
    async fn rows_with(
        &self,
        _: &'static DerivedTable,
        _: (&'static str, &[String]),
        _: Option<&Cursor>,
        _: usize,
    ) -> Result<Page, SinkError> {
        no()
    }
    async fn newest_of(&self, _: &'static DerivedTable, _: Option<&Cursor>, _: usize) -> Result<Page, SinkError> {
        no()
    }
    async fn count_of(&self, _: &'static DerivedTable, _: u64) -> Result<u64, SinkError> {
        no()
    }
    async fn totals(&self) -> Result<Totals, SinkError> {
        no()
    }
    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        no()
    }
    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        no()
    }
    async fn events_of(&self, _: &[String], _: Option<&Event>, _: usize) -> Result<Vec<Event>, SinkError> {
        no()
    }
    async fn metrics_of(&self, _: &[String], _: TimeMs, _: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        no()
    }
    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        no()
    }
    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        no()
    }
    async fn hours(&self, _: TimeMs, _: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        no()
    }
}

#[tokio::test]
async fn impacts_of_deleted_deployments_are_deleted_once_the_store_can_be_read() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let mut impacts = impacts_of(&store).await;
    let [timeline, _] = stored(&store).await;
    let slow = timeline.iter().find(|row| row[1] == Value::Text("slow".into())).unwrap();
    let removed = vec![slow[..2].to_vec()];
    let mut changes = vec![DerivedChange { table: TIMELINE.to_owned(), upserts: Vec::new(), removed }];
    impacts.follow(&mut changes, &Away).await.unwrap();
    assert_eq!(changes.len(), 1, "the deployment itself");
    let before = impacts.backlog();
    assert!(impacts.judge(4, &Away).await.is_err());
    assert_eq!(impacts.backlog(), before, "what is due stays so");
    let mut changes = Vec::new();
    impacts.follow(&mut changes, store.reader().as_ref()).await.unwrap();
    assert_eq!((changes.len(), changes[0].table.as_str(), changes[0].removed.len()), (1, rows::TABLE, 2));
    let mut changes = Vec::new();
    impacts.follow(&mut changes, store.reader().as_ref()).await.unwrap();
    assert_eq!(changes, []);
}
