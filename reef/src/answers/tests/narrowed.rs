//! Metrics of one service, or of one name, are read by the store alone, not with those of the whole fleet.

use super::*;
use crate::answers::metrics::{Metrics, MetricsQuestion, metrics};
use async_trait::async_trait;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::rows::RollupKey;
use sinks::resolve::Seen;
use sinks::rollup::Summary;
use sinks::schema::DerivedTable;
use sinks::transfer::{Cursor, Page};
use sinks::{MetricFilter, SinkError, Span, StoreReader, StoredRow, Totals, Watermarks};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A reader that counts the metric buckets that it hands out.
struct Counting {
    of: Arc<dyn StoreReader>,
    buckets: AtomicUsize,
}

impl Counting {
    fn counted<T>(&self, rows: Vec<T>) -> Vec<T> {
        self.buckets.fetch_add(rows.len(), Ordering::Relaxed);
        rows
    }
}

#[async_trait]
impl StoreReader for Counting {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        self.of.positions().await
    }
    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        self.of.watermarks().await
    }
    async fn identities(&self) -> Result<BTreeMap<String, model::colony::ColonyIdentity>, SinkError> {
        self.of.identities().await
    }
    async fn events_in(
        &self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError> {
        self.of.events_in(span, after, limit).await
    }
    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        self.of.service_names().await
    }
    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        self.of.event_types().await
    }
    async fn events_of(&self, types: &[String], after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError> {
        self.of.events_of(types, after, limit).await
    }
    async fn metrics_in(
        &self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        Ok(self.counted(self.of.metrics_in(span, after, limit).await?))
    }
    async fn metrics_of(&self, colonies: &[String], from: TimeMs, to: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        Ok(self.counted(self.of.metrics_of(colonies, from, to).await?))
    }
    async fn metrics_where(
        &self,
        filter: &MetricFilter,
        from: TimeMs,
        to: TimeMs,
    ) -> Result<Vec<MetricPoint>, SinkError> {
        Ok(self.counted(self.of.metrics_where(filter, from, to).await?))
    }
    async fn count_in(&self, span: Span) -> Result<(u64, u64), SinkError> {
        self.of.count_in(span).await
    }
    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        self.of.correlations().await
    }
    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        self.of.evidence(correlation_id).await
    }
    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        self.of.colony_status().await
    }
    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        self.of.services().await
    }
    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        self.of.calls().await
    }
    async fn hours(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        self.of.hours(from, to).await
    }
    async fn rows_of(
        &self,
        table: &'static DerivedTable,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        self.of.rows_of(table, after, limit).await
    }
    async fn rows_with(
        &self,
        table: &'static DerivedTable,
        texts: (&'static str, &[String]),
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        self.of.rows_with(table, texts, after, limit).await
    }
    async fn newest_of(
        &self,
        table: &'static DerivedTable,
        before: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        self.of.newest_of(table, before, limit).await
    }
    async fn count_of(&self, table: &'static DerivedTable, most: u64) -> Result<u64, SinkError> {
        self.of.count_of(table, most).await
    }
    async fn totals(&self) -> Result<Totals, SinkError> {
        self.of.totals().await
    }
}

/// The answer, and how many buckets were read for it.
async fn read(store: &MemoryStore, question: &MetricsQuestion) -> (Result<Metrics, AnswerError>, usize) {
    let reader = Counting { of: store.reader(), buckets: AtomicUsize::new(0) };
    let answer = metrics(question, &reader, &Scope::default()).await;
    (answer, reader.buckets.load(Ordering::Relaxed))
}

fn refused((answer, buckets): (Result<Metrics, AnswerError>, usize)) -> (Refusal, usize) {
    match answer.unwrap_err() {
        AnswerError::Refused(refusal) => (refusal, buckets),
        AnswerError::Store(error) => panic!("{error}"),
    }
}

fn shown(answer: &Metrics) -> usize {
    let points = answer.series.items.iter().flat_map(|line| &line.points);
    points.map(|(_, sum)| sum.buckets as usize).sum()
}

#[tokio::test]
async fn a_service_or_a_metric_alone_reads_its_own_buckets_only() {
    let mut store = store().await;
    let of_web = |point: MetricPoint| {
        let names = SeriesRef { service_id: "web", ..point.series.names() };
        MetricPoint { series: SeriesId::of(names), ..point }
    };
    let web: Vec<MetricPoint> = metric("staging", "latency", 80.0).into_iter().map(of_web).collect();
    store.commit(&commit_of(2, Rows { metrics: web.into(), ..Rows::default() })).await.unwrap();
    let (all, of_fleet) = read(&store, &MetricsQuestion::default()).await;
    assert!(of_fleet >= shown(&all.unwrap()) && of_fleet > 4_000, "{of_fleet}");
    let service = Filter { service: Some("api".to_owned()), ..Filter::default() };
    let names = vec!["latency".to_owned()];
    for question in [
        MetricsQuestion { filter: service.clone(), ..MetricsQuestion::default() },
        MetricsQuestion { metric_names: names.clone(), ..MetricsQuestion::default() },
        MetricsQuestion { filter: service, metric_names: names, ..MetricsQuestion::default() },
    ] {
        let (answer, buckets) = read(&store, &question).await;
        assert_eq!(buckets, shown(&answer.unwrap()), "{question:?}");
        assert!(buckets > 0 && buckets < of_fleet, "{buckets} of {of_fleet}: {question:?}");
    }
    // one that there is not: what there is instead is named
    let unknown = MetricsQuestion { metric_names: vec!["latencY".to_owned()], ..MetricsQuestion::default() };
    let (refusal, _) = refused(read(&store, &unknown).await);
    assert!(refusal.field.as_deref() == Some("metric_names[0]") && refusal.hint.contains("latency"), "{refusal:?}");
}

#[tokio::test]
async fn what_there_is_instead_of_an_unknown_name_is_read_of_the_last_hour_only() {
    let mut store = store().await;
    // a service with buckets in the first hour only, which is in no topology
    let of_batch = |point: MetricPoint| {
        let names = SeriesRef { service_id: "batch", ..point.series.names() };
        MetricPoint { series: SeriesId::of(names), ..point }
    };
    let first = metric("production", "latency", 80.0).into_iter().filter(|point| point.timestamp < at(-420));
    let batch: Vec<MetricPoint> = first.map(of_batch).collect();
    assert_eq!(batch.len(), 60);
    store.commit(&commit_of(2, Rows { metrics: batch.into(), ..Rows::default() })).await.unwrap();

    let whole = MetricsQuestion { filter: in_environment("production"), ..MetricsQuestion::default() };
    let whole = read(&store, &whole).await.1;
    let ask = async |service: Option<&str>, metric: Option<&str>| {
        let filter = Filter { service: service.map(str::to_owned), ..in_environment("production") };
        let metric_names = metric.into_iter().map(str::to_owned).collect();
        refused(read(&store, &MetricsQuestion { filter, metric_names, ..MetricsQuestion::default() }).await)
    };
    for (service, metric, field, hint) in [
        (Some("apii"), None, "service_id", "\"api\""),
        (None, Some("latencY"), "metric_names[0]", "\"latency\""),
        (Some("api"), Some("latencY"), "metric_names[0]", "\"latency\""),
    ] {
        let (refusal, buckets) = ask(service, metric).await;
        assert_eq!(refusal.field.as_deref(), Some(field), "{refusal:?}");
        assert!(refusal.hint.contains(hint), "{refusal:?}");
        assert!(buckets > 0 && buckets * 4 < whole, "{buckets} of {whole}: {refusal:?}");
    }
    // it was observed, if long ago: what is not known is the metric
    let (refusal, buckets) = ask(Some("batch"), Some("latencY")).await;
    assert_eq!((refusal.field.as_deref(), buckets), (Some("metric_names[0]"), 60), "{refusal:?}");
}
