//! Ends: a statement that its caller leaves asks a colony for nothing more.

use super::COLONY;
use mesh::Network;
use model::clock::SystemClock;
use pipelines::config::{self, Format};
use pipelines::open::live::LiveColonies;
use proto::convert::time_from_wire;
use proto::reef::v1;
use proto::reef::v1::colony_federation_server::{ColonyFederation, ColonyFederationServer};
use reef::answers::Scope;
use reef::sql::{Limits, SqlEngine, SqlQuestion};
use sinks::StoreWriter;
use sinks::memory::MemoryStore;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{interval, timeout};
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Without a call for so long, a colony is no longer asked: each call follows the last one at once.
const QUIET: Duration = Duration::from_secs(1);
/// The longest range of a response, in milliseconds: all of its time takes the colony years.
const RANGE_MAX_MS: i64 = 1_000;

/// A colony without rows that answers for a second of its time at once. Counts the calls.
struct Endless(Arc<AtomicU64>);

#[tonic::async_trait]
impl ColonyFederation for Endless {
    async fn get_summary(
        &self,
        request: Request<v1::GetSummaryRequest>,
    ) -> Result<Response<v1::GetSummaryResponse>, Status> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let v1::GetSummaryRequest { start_time, end_time, .. } = request.into_inner();
        let [from, to] = [start_time, end_time].map(|time| time.as_ref().and_then(time_from_wire).unwrap());
        if to.0 - from.0 > RANGE_MAX_MS {
            return Err(Status::resource_exhausted("too many rows; ask for a shorter range"));
        }
        Ok(Response::new(v1::GetSummaryResponse { colony_id: COLONY.to_owned(), ..Default::default() }))
    }

    type StreamEventsStream = BoxStream<v1::Event>;

    async fn stream_events(
        &self,
        _: Request<v1::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        Err(Status::unimplemented("not needed here"))
    }

    async fn get_metrics(&self, _: Request<v1::GetMetricsRequest>) -> Result<Response<v1::GetMetricsResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }

    async fn get_topology(
        &self,
        _: Request<v1::GetTopologyRequest>,
    ) -> Result<Response<v1::GetTopologyResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_its_caller_leaves_asks_its_colony_for_nothing_more() {
    let (calls, listener) = (Arc::new(AtomicU64::new(0)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let text = format!(
        "reef_id = \"test-reef-a1b2c3\"\nname = \"test\"\n[[colonies]]\ncolony_id = {COLONY:?}\nendpoint = \
         \"http://{}\"\n[storage]\ntype = \"duckdb\"\npath = \"reef.duckdb\"\n",
        listener.local_addr().unwrap()
    );
    let service = ColonyFederationServer::new(Endless(Arc::clone(&calls)));
    let server = Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    let server = tokio::spawn(server);
    let config = config::parse(&text, Format::Toml, Path::new("reef.toml")).unwrap();
    let colonies = LiveColonies::of(&config, Network::plain(), SystemClock::shared());
    // its own time limit does not end it
    let engine = SqlEngine::new(Limits { timeout: PATIENCE * 60, ..Limits::default() }).with_colonies(colonies);
    let question =
        SqlQuestion { sql: format!("SELECT count(*) FROM colony.\"{COLONY}\".metrics"), ..SqlQuestion::default() };
    // the threads of the engine stay: a statement does not end with them
    let (asking, store) = (engine.clone(), MemoryStore::new());
    let reader = store.reader();
    let mut asked = tokio::spawn(async move { asking.answer(&question, &reader, &Scope::default()).await });
    let begun = async {
        let mut pause = interval(Duration::from_millis(10));
        while calls.load(Ordering::SeqCst) < 200 {
            pause.tick().await;
        }
    };
    tokio::select! {
        begun = timeout(PATIENCE, begun) => begun.unwrap(),
        answer = &mut asked => panic!("all of its time is read: {:?}", answer.unwrap().map(|it| it.notes)),
    }
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    let quiet = async {
        let (mut pause, mut before) = (interval(QUIET), 0);
        // the first one is at once
        pause.tick().await;
        while calls.load(Ordering::SeqCst) != before {
            before = calls.load(Ordering::SeqCst);
            pause.tick().await;
        }
    };
    timeout(PATIENCE, quiet).await.unwrap();
    drop((engine, store));
    server.abort();
}
