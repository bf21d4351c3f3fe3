//! A colony that returns the requested number of bytes, inside a mesh or over plain TCP.

use coral_mesh::keys::{PrivateKey, PublicKey};
use coral_mesh::registry::{Range, Registry};
use coral_mesh::secret::Secret;
use coral_mesh::{Door, DoorSettings, GuardLayer, Incoming, Listen, Listener, Underlay};
use model::clock::SystemClock;
use proto::mesh::v1::mesh_service_server::MeshServiceServer;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use proto::reef::v1::colony_federation_server::{ColonyFederation, ColonyFederationServer};
use proto::reef::v1::{
    Event, GetMetricsRequest, GetMetricsResponse, GetSummaryRequest, GetSummaryResponse, GetTopologyRequest,
    GetTopologyResponse, MetricSummary, StreamEventsRequest,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::{Stream, iter};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

const BUCKET_BYTES: usize = 1024;
const EVENT_BYTES: usize = 4 * 1024;

struct Services;

type Events = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

#[tonic::async_trait]
impl ColonyFederation for Services {
    /// As many KiB as the range has seconds.
    async fn get_summary(&self, request: Request<GetSummaryRequest>) -> Result<Response<GetSummaryResponse>, Status> {
        let count = usize::try_from(request.into_inner().end_time.unwrap_or_default().seconds).unwrap();
        let metric = MetricSummary { service_id: "s".repeat(BUCKET_BYTES), ..MetricSummary::default() };
        Ok(Response::new(GetSummaryResponse { metrics: vec![metric; count], ..GetSummaryResponse::default() }))
    }

    type StreamEventsStream = Events;

    async fn stream_events(&self, request: Request<StreamEventsRequest>) -> Result<Response<Events>, Status> {
        let count: usize = request.into_inner().min_severity.parse().unwrap();
        let event = || Ok(Event { description: "e".repeat(EVENT_BYTES), ..Event::default() });
        Ok(Response::new(Box::pin(iter((0..count).map(move |_| event())))))
    }

    async fn get_metrics(&self, _: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        Ok(Response::new(GetMetricsResponse::default()))
    }

    async fn get_topology(&self, _: Request<GetTopologyRequest>) -> Result<Response<GetTopologyResponse>, Status> {
        Ok(Response::new(GetTopologyResponse::default()))
    }
}

pub(crate) struct Colony {
    pub(crate) address: SocketAddr,
    pub(crate) key: PublicKey,
    pub(crate) secret: Secret,
    _folder: tempfile::TempDir,
}

pub(crate) async fn colony(underlay: Underlay, colony_id: &str, secret: Option<Secret>) -> Colony {
    let (folder, key) = (tempfile::tempdir().unwrap(), PrivateKey::generate());
    let secret = secret.unwrap_or_else(Secret::generate);
    let path = folder.path().join("mesh.json");
    let registry = Registry::open(&path, colony_id, key.public(), SystemClock::shared()).unwrap();
    registry.set_own_secret(&secret, None).unwrap();
    let own = Ipv4Addr::new(10, 42, 0, 1);
    let door = Door::open(DoorSettings {
        key: key.clone(),
        listen: "127.0.0.1:0".parse().unwrap(),
        range: Range::new("10.42.0.0/16", own, Ipv4Addr::new(10, 42, 0, 100)).unwrap(),
        connect_port: 9000,
        mtu: 1420,
        peers_max: 64,
        registry,
        stun: Vec::new(),
        underlay,
    })
    .unwrap();
    let address = door.address();
    let registrar = door.registrar();
    let incoming: Incoming = Listener::Mesh(door).incoming();
    tokio::spawn(async move {
        Server::builder()
            .layer(GuardLayer)
            .add_service(MeshServiceServer::new(registrar))
            .add_service(ColonyFederationServer::new(Services))
            .serve_with_incoming(incoming)
            .await
            .unwrap();
    });
    Colony { address, key: key.public(), secret, _folder: folder }
}

/// The same services over plain TCP.
pub(crate) async fn plain() -> String {
    let listener = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let endpoint = format!("http://{}", listener.address().unwrap());
    let serve =
        Server::builder().add_service(ColonyFederationServer::new(Services)).serve_with_incoming(listener.incoming());
    tokio::spawn(serve);
    endpoint
}

pub(crate) async fn summary(channel: Channel, bytes: usize) -> usize {
    let mut client = ColonyFederationClient::new(channel).max_decoding_message_size(usize::MAX);
    let seconds = i64::try_from(bytes / BUCKET_BYTES).unwrap();
    let end_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = GetSummaryRequest { end_time, ..GetSummaryRequest::default() };
    client.get_summary(request).await.unwrap().into_inner().metrics.len() * BUCKET_BYTES
}

pub(crate) async fn topology(channel: Channel) {
    ColonyFederationClient::new(channel).get_topology(GetTopologyRequest::default()).await.unwrap();
}

/// Streams events: Mbit/s and the longest time between two of them.
pub(crate) async fn events(channel: Channel, bytes: usize) -> (f64, Duration) {
    let count = (bytes / EVENT_BYTES).to_string();
    let request = StreamEventsRequest { min_severity: count, ..StreamEventsRequest::default() };
    let started = Instant::now();
    let mut stream = ColonyFederationClient::new(channel).stream_events(request).await.unwrap().into_inner();
    let (mut last, mut stall) = (Instant::now(), Duration::ZERO);
    while stream.message().await.unwrap().is_some() {
        stall = stall.max(last.elapsed());
        last = Instant::now();
    }
    (bytes as f64 * 8.0 / 1e6 / started.elapsed().as_secs_f64(), stall)
}
