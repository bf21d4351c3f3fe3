//! A colony and a reef for tests: real gRPC through real tunnels, over the network that a test chooses.

use crate::datagrams::Underlay;
use crate::discovery::Discovery;
use crate::door::{Door, DoorSettings};
use crate::error::MeshError;
use crate::guard::GuardLayer;
use crate::link::MeshColony;
use crate::listener::{Incoming, Listener};
use crate::network::{Network, ReefSettings, Route};
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::registry::{Range, Registry};
use crate::secret::{Secret, SecretSource};
use crate::sim::{Path, SimNet};
use crate::stats::PeerStats;
use model::clock::{Clock, SharedClock, SystemClock};
use model::time::TimeMs;
use proto::mesh::v1::mesh_service_server::MeshServiceServer;
use proto::reef::v1::colony_federation_server::{ColonyFederation, ColonyFederationServer};
use proto::reef::v1::{
    Event, GetMetricsRequest, GetMetricsResponse, GetSummaryRequest, GetSummaryResponse, GetTopologyRequest,
    GetTopologyResponse, MetricSummary, StreamEventsRequest,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Held while Go builds a program: the second build finds in Go's cache what the first one has made.
pub(super) static BUILDS: Mutex<()> = Mutex::new(());

/// A clock that goes with tokio's, from a fixed day: a test that is paused moves both. It can be set besides.
#[derive(Debug)]
pub(super) struct TestClock {
    start: tokio::time::Instant,
    pub(super) step_ms: AtomicI64,
}

impl TestClock {
    pub(super) fn new() -> Arc<TestClock> {
        Arc::new(TestClock { start: tokio::time::Instant::now(), step_ms: AtomicI64::new(0) })
    }
}

impl Clock for TestClock {
    fn now(&self) -> TimeMs {
        let passed = i64::try_from(self.start.elapsed().as_millis()).unwrap();
        TimeMs(1_764_000_000_000 + passed + self.step_ms.load(Ordering::Relaxed))
    }
}

/// Services of a colony that know nothing but their name.
pub(super) struct Colonial {
    pub(super) colony_id: String,
}

type Events = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

#[tonic::async_trait]
impl ColonyFederation for Colonial {
    /// As many buckets as the range has seconds.
    async fn get_summary(&self, request: Request<GetSummaryRequest>) -> Result<Response<GetSummaryResponse>, Status> {
        let request = request.into_inner();
        let seconds = request.end_time.unwrap_or_default().seconds - request.start_time.unwrap_or_default().seconds;
        let metric =
            MetricSummary { service_id: "s".repeat(100), metric_name: "m".repeat(100), ..MetricSummary::default() };
        let metrics = vec![metric; usize::try_from(seconds).unwrap()];
        Ok(Response::new(GetSummaryResponse { colony_id: self.colony_id.clone(), metrics, ..Default::default() }))
    }

    type StreamEventsStream = Events;

    /// One event every 100 ms, without end.
    async fn stream_events(&self, _: Request<StreamEventsRequest>) -> Result<Response<Events>, Status> {
        let ticks = futures(tokio::time::interval(Duration::from_millis(100)));
        Ok(Response::new(Box::pin(ticks)))
    }

    async fn get_metrics(&self, _: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_topology(&self, _: Request<GetTopologyRequest>) -> Result<Response<GetTopologyResponse>, Status> {
        Ok(Response::new(GetTopologyResponse::default()))
    }
}

struct Ticks(tokio::time::Interval);

fn futures(interval: tokio::time::Interval) -> Ticks {
    Ticks(interval)
}

impl Stream for Ticks {
    type Item = Result<Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_tick(cx).map(|_| Some(Ok(Event { event_id: "tick".into(), ..Event::default() })))
    }
}

/// A network to play on, with a folder for files.
pub(super) struct World {
    pub(super) underlay: Underlay,
    pub(super) clock: SharedClock,
    pub(super) discovery: Option<Discovery>,
    pub(super) stun: Vec<String>,
    pub(super) folder: tempfile::TempDir,
}

impl World {
    pub(super) fn sim(path: Path) -> (World, SimNet) {
        let net = SimNet::new(7, path);
        (World::over(Underlay::Sim(net.clone()), TestClock::new()), net)
    }

    pub(super) fn udp() -> World {
        World::over(Underlay::Udp, SystemClock::shared())
    }

    fn over(underlay: Underlay, clock: SharedClock) -> World {
        World { underlay, clock, discovery: None, stun: Vec::new(), folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A colony with its own secret.
    pub(super) async fn colony(&self, colony_id: &str) -> TestColony {
        TestColony::start(self, colony_id, PrivateKey::generate(), "127.0.0.1:0".parse().unwrap(), Secret::generate())
            .await
    }

    /// A reef's handle.
    pub(super) fn reef(&self, reef_id: &str) -> Network {
        Network::of_reef(ReefSettings {
            reef_id: reef_id.to_owned(),
            discovery: self.discovery.clone(),
            underlay: self.underlay.clone(),
            clock: self.clock.clone(),
        })
    }
}

/// A colony that serves health and federation inside its mesh.
pub(super) struct TestColony {
    pub(super) colony_id: String,
    pub(super) key: PrivateKey,
    pub(super) secret: Secret,
    pub(super) registry: Registry,
    pub(super) address: SocketAddr,
    pub(super) door: Arc<DoorView>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// What a test inspects in a served door.
pub(super) struct DoorView {
    pub(super) endpoint: Arc<crate::endpoint::Endpoint>,
    pub(super) observed: tokio::sync::watch::Receiver<Option<SocketAddr>>,
}

impl DoorView {
    pub(super) fn peers(&self) -> Vec<PeerStats> {
        match &self.endpoint.lock().side {
            crate::endpoint::Side::Colony(peers) => peers.stats(tokio::time::Instant::now()),
            _ => Vec::new(),
        }
    }
}

pub(super) fn range() -> Range {
    Range::new("10.42.0.0/16", Ipv4Addr::new(10, 42, 0, 1), Ipv4Addr::new(10, 42, 0, 100)).unwrap()
}

impl TestColony {
    pub(super) async fn start(
        world: &World,
        colony_id: &str,
        key: PrivateKey,
        listen: SocketAddr,
        secret: Secret,
    ) -> TestColony {
        let path = world.path(&format!("{colony_id}.json"));
        let registry = Registry::open(&path, colony_id, key.public(), world.clock.clone()).unwrap();
        registry.set_own_secret(&secret, None).unwrap();
        let door = Door::open(DoorSettings {
            key: key.clone(),
            listen,
            range: range(),
            connect_port: 9000,
            mtu: 1420,
            peers_max: 64,
            registry: registry.clone(),
            stun: world.stun.clone(),
            underlay: world.underlay.clone(),
        })
        .unwrap();
        let address = door.address();
        let view = Arc::new(DoorView { endpoint: door.endpoint.clone(), observed: door.view().observed() });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(serve(door, colony_id.to_owned(), stopped));
        let colony_id = colony_id.to_owned();
        TestColony { colony_id, key, secret, registry, address, door: view, stop: Some(stop), task }
    }

    pub(super) fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    pub(super) fn mesh_colony(&self) -> MeshColony {
        MeshColony {
            mesh_ip: Some(Ipv4Addr::new(10, 42, 0, 1)),
            endpoint: Some(self.address.to_string()),
            public_key: Some(self.public_key()),
            ..MeshColony::new(&self.colony_id, SecretSource::Text(self.secret.clone()))
        }
    }

    pub(super) fn route(&self) -> Route {
        Route::Mesh(Box::new(self.mesh_colony()))
    }

    /// Stops as a process does that ends.
    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }

    /// Stops at once without notifying peers, as after a power failure.
    pub(super) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(door: Door, colony_id: String, stopped: tokio::sync::oneshot::Receiver<()>) {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let registrar = door.registrar();
    let incoming: Incoming = Listener::Mesh(door).incoming();
    Server::builder()
        .layer(GuardLayer)
        .add_service(health_service)
        .add_service(MeshServiceServer::new(registrar))
        .add_service(ColonyFederationServer::new(Colonial { colony_id }))
        .serve_with_incoming_shutdown(incoming, async {
            let _ = stopped.await;
        })
        .await
        .unwrap();
}

/// Asks a colony for `seconds` buckets.
pub(super) async fn summary(channel: tonic::transport::Channel, seconds: i64) -> Result<GetSummaryResponse, Status> {
    let mut client = proto::reef::v1::colony_federation_client::ColonyFederationClient::new(channel)
        .max_decoding_message_size(512 * 1024 * 1024);
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = GetSummaryRequest { start_time: at(0), end_time: at(seconds), ..GetSummaryRequest::default() };
    client.get_summary(request).await.map(Response::into_inner)
}

/// The error of a dial that must fail.
pub(super) async fn refusal(network: &Network, route: &Route) -> MeshError {
    match network.dial(route).await {
        Ok(_) => panic!("it was let in"),
        Err(error) => error,
    }
}

/// Calls until there is a response, for at most `limit`; returns how long it took.
pub(super) async fn answers_within(channel: &tonic::transport::Channel, limit: Duration) -> Duration {
    let started = tokio::time::Instant::now();
    let ask = async {
        while summary(channel.clone(), 1).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(limit, ask).await.expect("the colony answers again");
    started.elapsed()
}
