//! What a page costs the store: as many reads however many rows there are.

use async_trait::async_trait;
use model::clock::SystemClock;
use model::derived::{DerivedChange, Value};
use model::event::{Event, Severity};
use model::instruments::Registry;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::real::Real;
use model::rows::{RollupKey, Rows};
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use reef::analysis::journal::Record;
use reef::analysis::{Analyst, AnalyzeQuestion, Asked};
use reef::answers::Scope;
use reef::api::{Groups, Listening, Pages, Reading, Services};
use reef::sql::SqlEngine;
use sinks::analyses::ANALYSES;
use sinks::compliance::commit_of;
use sinks::memory::MemoryStore;
use sinks::resolve::Seen;
use sinks::rollup::Summary;
use sinks::schema::{DERIVED, DerivedTable};
use sinks::transfer::{Cursor, Page};
use sinks::{Commit, SinkError, Span, StoreReader, StoreWriter, StoredRow, Totals, Watermarks};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// 2024-11-13 12:00.
const NOON: TimeMs = TimeMs(1_731_499_200_000);
/// Most reads of one page.
const READS_MAX: usize = 3_000;
/// Reads that may be added by pages of a longer list.
const MORE_MAX: usize = 8;
const PAGES: [&str; 11] = [
    "/",
    "/patterns?state=all",
    "/timeline?range=30d",
    "/timeline?range=30d&order=effect",
    "/deployment?id=shop-staging/d-1",
    "/compare",
    "/services",
    "/events?range=30d",
    "/series?range=24h",
    "/analyses",
    "/health",
];

/// A store whose reads are counted.
struct Counting {
    store: Arc<dyn StoreReader>,
    reads: AtomicUsize,
    /// Rows of derived tables.
    rows: AtomicUsize,
    /// Lists of the services that rows name.
    services: AtomicUsize,
}

impl Counting {
    fn of(store: &MemoryStore) -> Arc<Counting> {
        let [reads, rows, services] = std::array::from_fn(|_| AtomicUsize::new(0));
        Arc::new(Counting { store: store.reader(), reads, rows, services })
    }

    fn read(&self) -> &dyn StoreReader {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.store.as_ref()
    }

    fn counted(&self, page: Page) -> Page {
        self.rows.fetch_add(page.len(), Ordering::Relaxed);
        page
    }

    /// Reads, and rows of derived tables, so far.
    fn cost(&self) -> [usize; 2] {
        [&self.reads, &self.rows].map(|count| count.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl StoreReader for Counting {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        self.read().positions().await
    }
    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        self.read().watermarks().await
    }
    async fn events_in(
        &self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError> {
        self.read().events_in(span, after, limit).await
    }
    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        self.read().event_types().await
    }
    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        self.services.fetch_add(1, Ordering::Relaxed);
        self.read().service_names().await
    }
    async fn events_of(&self, types: &[String], after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError> {
        self.read().events_of(types, after, limit).await
    }
    async fn metrics_in(
        &self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        self.read().metrics_in(span, after, limit).await
    }
    async fn metrics_of(&self, colonies: &[String], from: TimeMs, to: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        self.read().metrics_of(colonies, from, to).await
    }
    async fn count_in(&self, span: Span) -> Result<(u64, u64), SinkError> {
        self.read().count_in(span).await
    }
    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        self.read().correlations().await
    }
    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        self.read().evidence(correlation_id).await
    }
    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        self.read().colony_status().await
    }
    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        self.read().services().await
    }
    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        self.read().calls().await
    }
    async fn hours(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        self.read().hours(from, to).await
    }
    async fn rows_of(
        &self,
        table: &'static DerivedTable,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        Ok(self.counted(self.read().rows_of(table, after, limit).await?))
    }
    async fn rows_with(
        &self,
        table: &'static DerivedTable,
        texts: (&'static str, &[String]),
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        Ok(self.counted(self.read().rows_with(table, texts, after, limit).await?))
    }
    async fn newest_of(
        &self,
        table: &'static DerivedTable,
        before: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        Ok(self.counted(self.read().newest_of(table, before, limit).await?))
    }
    async fn count_of(&self, table: &'static DerivedTable, most: u64) -> Result<u64, SinkError> {
        self.read().count_of(table, most).await
    }
    /// Not counted: the services measure the store beside pages as well, whenever they get to it.
    async fn totals(&self) -> Result<Totals, SinkError> {
        self.store.totals().await
    }
}

/// A deployment so many times ten minutes before noon.
fn deployed(number: i64) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let id = format!("d-{number}");
    let start = NOON - number * 10 * MINUTE_MS;
    let value = |column: &str| match column {
        "colony_id" => text("shop-staging"),
        "deployment_id" => text(&id),
        "application_name" => text("shop"),
        "environment" => text("staging"),
        "service_id" => text("web"),
        "from_version" => text(&format!("v1.{}.0", 2_000 - number)),
        "to_version" => text(&format!("v1.{}.0", 2_001 - number)),
        "started_at" => Value::Time(start),
        "completed_at" => Value::Time(start + MINUTE_MS),
        "status" => text("success"),
        "kind" => text("deployment"),
        "reported_by" => Value::Texts(vec![id.clone()]),
        "issues_detected" | "related_events" | "reported_as" => Value::Texts(Vec::new()),
        _ => Value::Null,
    };
    let table = DERIVED.iter().find(|derived| derived.table.name == "deployment_timeline").unwrap();
    table.table.columns.iter().map(|(column, _)| value(column)).collect()
}

fn happened(number: i64) -> Event {
    Event {
        event_type: "deploy".to_owned(),
        service_id: "web".to_owned(),
        severity: Severity::Info,
        ..fixtures::event("shop-staging", &format!("d-{number}"), NOON - number * 10 * MINUTE_MS)
    }
}

fn metric(environment: &str) -> Vec<MetricPoint> {
    let names = SeriesRef {
        colony_id: &format!("shop-{environment}"),
        application_name: "shop",
        environment,
        service_id: "web",
        metric_name: "latency",
        interval_seconds: Some(60),
    };
    let series = SeriesId::of(names);
    let point = |minute: i64| {
        let p95 = Some(Real(100.0 + (minute % 7) as f64));
        MetricPoint { series, timestamp: NOON - minute * MINUTE_MS, p95, count: Some(10), ..MetricPoint::default() }
    };
    (1..=600).map(point).collect()
}

/// How many reads each page needs over a store with so many deployments, as reported and as recognised.
async fn reads(deployments: i64) -> Vec<usize> {
    let metrics = [metric("staging"), metric("production")].concat();
    let events = (1..=deployments).map(happened).collect();
    let upserts = (1..=deployments).map(deployed).collect();
    let table = "deployment_timeline".to_owned();
    let timeline = DerivedChange { table, upserts, removed: Vec::new() };
    let rows = Rows { events, metrics: metrics.into(), ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: vec![timeline], ..commit_of(1, rows) }).await.unwrap();
    let counting = Counting::of(&store);
    let folder = tempfile::tempdir().unwrap();
    let services = served(&counting, Analyst::without_model(), folder.path()).await;
    let mut all = Vec::new();
    for path in PAGES {
        let [before, _] = counting.cost();
        page(services.address(), path).await;
        all.push(counting.cost()[0] - before);
    }
    services.close().await;
    all
}

/// Pages over a store; questions in words are answered by this analyst.
async fn served(counting: &Arc<Counting>, analyst: Analyst, folder: &Path) -> Services {
    let listening = Listening {
        listen: "127.0.0.1:0".parse().unwrap(),
        require_token: false,
        tokens: folder.join("tokens.json"),
        pages: Pages::Beside,
        groups: Groups::default(),
    };
    let reading = Reading::Store(Arc::<Counting>::clone(counting));
    let scope = Scope { reef_id: "shop-reef-a1b2c3".to_owned(), ..Scope::default() };
    let asked = (Arc::new(analyst), SqlEngine::default());
    Services::open_with(&listening, (reading, scope), asked, Registry::new(), SystemClock::shared()).await.unwrap()
}

/// The page at a path.
async fn page(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{path}: {text}");
    text
}

#[tokio::test]
async fn a_page_reads_no_more_of_a_longer_history() {
    let (some, many) = (reads(300).await, reads(600).await);
    for ((path, some), many) in PAGES.into_iter().zip(some).zip(many) {
        assert!(some > 0 && some <= READS_MAX, "{path} needs {some} reads");
        assert!(many <= some + MORE_MAX, "{path} needs {some} reads of 300 deployments, and {many} of 600");
    }
}

/// An analysis so many minutes before noon.
fn asked(number: usize) -> Record {
    Record {
        analysis_id: format!("a-{number:05}"),
        asked_at: (NOON - number as i64 * MINUTE_MS).to_string(),
        question: "why is production slower than staging?".to_owned(),
        outcome: "template".to_owned(),
        answer: "text".repeat(100),
        ..Record::default()
    }
}

/// What the list of so many stored analyses costs: a first look of the process, the same again, an older part, and one
/// analysis. The journal has all of them as well, and one that no run has copied yet.
async fn costs_of_analyses(count: usize) -> [[usize; 2]; 4] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("analyses.ndjson");
    let lines: Vec<String> = (0..=count).rev().map(|n| serde_json::to_string(&asked(n)).unwrap()).collect();
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    let upserts = (1..=count).map(|number| asked(number).values().unwrap()).collect();
    let change = DerivedChange { table: ANALYSES.to_owned(), upserts, removed: Vec::new() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: vec![change], ..commit_of(1, Rows::default()) }).await.unwrap();
    let counting = Counting::of(&store);
    let services = served(&counting, Analyst::recording(&file, SystemClock::shared()), folder.path()).await;
    let cost = async |path: &str| -> ([usize; 2], String) {
        let before = counting.cost();
        let body = page(services.address(), path).await;
        let after = counting.cost();
        ([after[0] - before[0], after[1] - before[1]], body)
    };
    let (first, body) = cost("/analyses").await;
    assert!(body.contains("a-00000") && body.contains("a-00049") && !body.contains("a-00050"), "{body}");
    let (again, body) = cost("/analyses").await;
    let older = body.split("href=\"/analyses?cursor=").nth(1).unwrap().split('"').next().unwrap();
    let (older, body) = cost(&format!("/analyses?cursor={older}")).await;
    assert!(body.contains("a-00050") && !body.contains("a-00049"), "{body}");
    let (one, _) = cost("/analyses/a-00003").await;
    services.close().await;
    [first, again, older, one]
}

#[tokio::test]
async fn the_list_of_analyses_reads_as_much_of_50_as_of_5000() {
    let (some, many) = (costs_of_analyses(51).await, costs_of_analyses(5_000).await);
    let [_, again, older, one] = some;
    let [first_of_many, again_of_many, older_of_many, one_of_many] = many;
    // a process looks once for what its journal has
    assert!(first_of_many[1] > 5_000, "{first_of_many:?}");
    assert_eq!((again_of_many, one_of_many), (again, one), "reads and rows");
    // the part and one more, and what is looked for of the journal
    assert!(again[1] <= 51 && one[1] <= 1, "{again:?} {one:?}");
    assert!(older_of_many[0] <= older[0] && older_of_many[1] <= 51, "{older:?} {older_of_many:?}");
}

#[tokio::test]
async fn a_question_without_a_model_searches_no_rows_for_names() {
    let mut store = MemoryStore::new();
    let rows = Rows { metrics: [metric("staging"), metric("production")].concat().into(), ..Rows::default() };
    store.commit(&commit_of(1, rows)).await.unwrap();
    let counting = Counting::of(&store);
    let words = "why is production slower than staging?".to_owned();
    let asked = Asked {
        question: AnalyzeQuestion { question: words, patterns: true, ..AnalyzeQuestion::default() },
        caller: "local".to_owned(),
        role: "admin".to_owned(),
        streamed: false,
        wait: Duration::from_secs(20),
    };
    let from = (counting.as_ref() as &dyn StoreReader, &Scope::default());
    let answer = Analyst::without_model().analyze(&asked, from, None).await.unwrap();
    assert_eq!(answer.found.completeness.colonies.len(), 2, "{}", answer.answer());
    assert_eq!(counting.services.load(Ordering::Relaxed), 0);
}
