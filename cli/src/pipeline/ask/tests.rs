//! The socket of a running reef and its callers.
#![allow(clippy::unwrap_used)]

use super::door::{Facts, answer_at};
use super::question::{Answer, Question};
use super::{caller, socket_of};
use crate::exit::Exit;
use crate::output::Output;
use crate::pipeline::rules::Known;
use crate::sockets::short;
use async_trait::async_trait;
use mesh::Network;
use model::clock::SystemClock;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use pipelines::config::{Format, ReefConfig, parse};
use pipelines::run::RunningReef;
use reef::Rules;
use reef::analysis::{Analyst, AnalyzeQuestion};
use reef::answers::Scope;
use sinks::memory::MemoryStore;
use sinks::resolve::Seen;
use sinks::rollup::Summary;
use sinks::schema::DerivedTable;
use sinks::transfer::{Cursor, Page};
use sinks::{SinkError, Span, StoreReader, StoreWriter, StoredRow, Totals, Watermarks};
use std::collections::BTreeMap;
use std::future::pending;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const RULES: Rules = Rules { correlates: true, max_lag_ms: 1, min_occurrences: 3 };

fn reef_at(store: &Path) -> ReefConfig {
    let text = format!("reef_id: r\nsources: [{{kind: files, events: [e.csv]}}]\nstorage: {{path: {store:?}}}\n");
    parse(&text, Format::Yaml, Path::new("reef.yaml")).unwrap()
}

fn facts() -> Facts {
    let known = Known { store_name: "s".to_owned(), rules: RULES, scope: Scope::default() };
    let analyst = Arc::new(Analyst::without_model());
    Facts {
        known,
        network: Network::plain(),
        doors: None,
        answer_wait: Duration::from_secs(60),
        analyst,
        sql: reef::sql::SqlEngine::default(),
    }
}

/// The number of the file at a path, once there is another one than `before`.
async fn new_socket(path: &Path, before: Option<u64>) -> u64 {
    use std::os::unix::fs::MetadataExt;
    loop {
        match std::fs::symlink_metadata(path).ok().map(|data| data.ino()).filter(|number| Some(*number) != before) {
            Some(number) => return number,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test]
async fn a_run_that_ends_leaves_the_socket_of_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("r.duckdb");
    let memory = MemoryStore::new();
    let open = async || {
        let (reef, options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
        announcer.open(memory.reader()).await.unwrap();
        let path = store.clone();
        ((options, announcer), tokio::spawn(async move { answer_at(&path, reef, facts()).await }))
    };
    let (_first_run, first) = open().await;
    let number = new_socket(&socket_of(&store), None).await;
    let (_next_run, next) = open().await;
    let own = new_socket(&socket_of(&store), Some(number)).await;
    first.abort();
    let _ = first.await;
    assert_eq!(new_socket(&socket_of(&store), None).await, own);
    tokio::net::UnixStream::connect(socket_of(&store)).await.unwrap();
    next.abort();
    let _ = next.await;
    assert!(!socket_of(&store).exists());
}

#[tokio::test]
async fn a_socket_is_open_to_its_user_alone_and_gone_with_its_run() {
    let folder = tempfile::tempdir().unwrap();
    // as long as paths of deployments are: longer than a socket's path may be
    let deep = folder.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    for folder in [folder.path(), &deep] {
        let store = folder.join("r.duckdb");
        std::fs::write(socket_of(&store), "left over").unwrap();
        let (reef, _options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
        let memory = MemoryStore::new();
        announcer.open(memory.reader()).await.unwrap();
        let facts = facts();
        let path = store.clone();
        let door = tokio::spawn(async move { answer_at(&path, reef, facts).await });
        let is_socket = || {
            use std::os::unix::fs::FileTypeExt;
            std::fs::symlink_metadata(socket_of(&store)).is_ok_and(|data| data.file_type().is_socket())
        };
        while !is_socket() {
            tokio::task::yield_now().await;
        }
        assert_eq!(std::fs::metadata(socket_of(&store)).unwrap().permissions().mode() & 0o777, 0o600);
        let (path, _folder) = short(&socket_of(&store)).unwrap();
        tokio::net::UnixStream::connect(path).await.unwrap();
        door.abort();
        assert!(door.await.unwrap_err().is_cancelled());
        assert!(std::fs::read_dir(folder).unwrap().all(|entry| entry.unwrap().path() == deep), "nothing is left");
    }
}

#[tokio::test]
async fn a_plain_answer_is_that_of_the_store_without_what_the_run_says() {
    use reef::answers;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("r.duckdb");
    let (running, _options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    let memory = MemoryStore::new();
    announcer.open(memory.reader()).await.unwrap();
    let path = store.clone();
    let door = tokio::spawn(async move { answer_at(&path, running, facts()).await });
    new_socket(&socket_of(&store), None).await;
    let config = reef_at(&store);
    let ask = async |question: Question| match caller::response(&question, (&config, Path::new("reef.yaml"))).await {
        Ok(Answer::Found { document, page }) => (document, page),
        other => panic!("{other:?}"),
    };
    let about = || answers::Question::Topology(answers::topology::TopologyQuestion::default());
    let (with_run, _) = ask(Question::Reef { about: about() }).await;
    assert!(with_run["running"]["pid"].is_number(), "{with_run}");
    let (plain, page) = ask(Question::Plain { about: about() }).await;
    let of_store = about().answer(memory.reader().as_ref(), &Scope::default()).await.unwrap();
    assert_eq!((page, plain), (of_store.text(), reef::rpc::document(of_store).unwrap()));
    let status = answers::Question::Status(answers::status::StatusQuestion::default());
    let (status, _) = ask(Question::Plain { about: status }).await;
    assert_ne!(status["state"], "stopped", "only the run knows: {status}");
    door.abort();
    let _ = door.await;
}

/// A store that stops answering once the run has opened it.
#[derive(Default)]
struct Stuck {
    is_open: AtomicBool,
    /// Whether it has patterns nevertheless.
    has_patterns: bool,
}

#[async_trait]
impl StoreReader for Stuck {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        pending().await
    }
    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        pending().await
    }
    async fn events_in(&self, _: Span, _: Option<&Event>, _: usize) -> Result<Vec<StoredRow<Event>>, SinkError> {
        pending().await
    }
    async fn metrics_in(
        &self,
        _: Span,
        _: Option<&MetricPoint>,
        _: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        pending().await
    }
    async fn count_in(&self, _: Span) -> Result<(u64, u64), SinkError> {
        pending().await
    }
    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        // the run itself reads them when it opens the store
        let was_open = self.is_open.swap(true, Ordering::Relaxed);
        if was_open && !self.has_patterns { pending().await } else { Ok(Vec::new()) }
    }
    async fn evidence(&self, _: &str) -> Result<Vec<Evidence>, SinkError> {
        pending().await
    }
    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        pending().await
    }
    async fn rows_of(&self, _: &'static DerivedTable, _: Option<&Cursor>, _: usize) -> Result<Page, SinkError> {
        pending().await
    }
    async fn rows_with(
        &self,
        _: &'static DerivedTable,
        _: (&'static str, &[String]),
        _: Option<&Cursor>,
        _: usize,
    ) -> Result<Page, SinkError> {
        pending().await
    }
    async fn newest_of(&self, _: &'static DerivedTable, _: Option<&Cursor>, _: usize) -> Result<Page, SinkError> {
        pending().await
    }
    async fn count_of(&self, _: &'static DerivedTable, _: u64) -> Result<u64, SinkError> {
        pending().await
    }
    async fn totals(&self) -> Result<Totals, SinkError> {
        pending().await
    }
    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        pending().await
    }
    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        pending().await
    }
    async fn events_of(&self, _: &[String], _: Option<&Event>, _: usize) -> Result<Vec<Event>, SinkError> {
        pending().await
    }
    async fn metrics_of(&self, _: &[String], _: TimeMs, _: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        pending().await
    }
    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        pending().await
    }
    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        pending().await
    }
    async fn hours(&self, _: TimeMs, _: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        pending().await
    }
}

#[tokio::test]
async fn a_caller_of_a_busy_reef_gets_an_error_after_the_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let config = reef_at(&folder.path().join("r.duckdb"));
    let store = folder.path().join("r.duckdb");
    let (reef, _options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    announcer.open(Arc::new(Stuck::default())).await.unwrap();
    let facts = Facts { answer_wait: Duration::from_secs(1), ..facts() };
    let path = store.clone();
    let door = tokio::spawn(async move { answer_at(&path, reef, facts).await });
    new_socket(&socket_of(&store), None).await;
    for question in [Question::Report { all: false }, Question::Show { id: "c-1".to_owned() }] {
        let (output, captured) = Output::captured(true);
        let failure = caller::ask(&question, (&config, Path::new("reef.yaml")), &output).await.unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Failed, "not_answered"));
        assert_eq!(failure.message, "the reef is busy: its store gave no answer within 1 s");
        assert_eq!(captured.stdout(), "");
    }
    door.abort();
    let _ = door.await;
}

#[tokio::test]
async fn questions_in_words_that_wait_hold_up_no_other_caller() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("r.duckdb");
    let config = reef_at(&store);
    let (reef, _options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    announcer.open(Arc::new(Stuck { has_patterns: true, ..Stuck::default() })).await.unwrap();
    let path = store.clone();
    let door = tokio::spawn(async move { answer_at(&path, reef, facts()).await });
    new_socket(&socket_of(&store), None).await;
    let about = AnalyzeQuestion { question: "what happened?".to_owned(), ..AnalyzeQuestion::default() };
    let line = serde_json::to_string(&Question::Analyze { about, streamed: false }).unwrap() + "\n";
    let (path, _folder) = short(&socket_of(&store)).unwrap();
    let mut waiting = Vec::new();
    // more than there are places
    for _ in 0..12 {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(line.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    let show = Question::Show { id: "c-1".to_owned() };
    let answer = caller::response(&show, (&config, Path::new("reef.yaml")));
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
    assert!(matches!(answer, Ok(Ok(Answer::Unclear { ids })) if ids.is_empty()), "it waits for questions in words");
    door.abort();
    let _ = door.await;
}

#[tokio::test]
async fn a_socket_of_a_process_that_was_killed_is_passed_over_and_the_store_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let config = reef_at(&folder.path().join("r.duckdb"));
    pipelines::open::store::open(&config).await.unwrap().close().await.unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("r.duckdb.sock")).unwrap());
    let (output, captured) = Output::captured(true);
    let question = Question::Report { all: false };
    caller::ask(&question, (&config, Path::new("reef.yaml")), &output).await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!(
        (&document["report"]["counts"]["confirmed"], &document["running"]),
        (&0.into(), &serde_json::Value::Null)
    );
}

#[tokio::test]
async fn a_pattern_that_is_not_there_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let config = reef_at(&folder.path().join("r.duckdb"));
    let (output, _captured) = Output::captured(false);
    let show = Question::Show { id: "c-0".to_owned() };
    let missing = caller::ask(&show, (&config, Path::new("reef.yaml")), &output).await.unwrap_err();
    assert_eq!((missing.exit, missing.code), (crate::exit::Exit::NotFound, "store_missing"));
    pipelines::open::store::open(&config).await.unwrap().close().await.unwrap();
    let unknown = caller::ask(&show, (&config, Path::new("reef.yaml")), &output).await.unwrap_err();
    assert_eq!((unknown.exit, unknown.code), (crate::exit::Exit::NotFound, "pattern_unknown"));
}

#[test]
fn questions_and_answers_survive_the_way() {
    for question in [Question::Report { all: true }, Question::Show { id: "c-1".to_owned() }] {
        let text = serde_json::to_string(&question).unwrap();
        assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
    }
    let answer = Answer::Unclear { ids: vec!["c-1".to_owned()] };
    assert_eq!(serde_json::from_str::<Answer>(&serde_json::to_string(&answer).unwrap()).unwrap(), answer);
}
