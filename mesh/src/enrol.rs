//! Registration inside the tunnel: the colony's service and the reef's call.

use crate::door::{DoorSettings, registered};
use crate::endpoint::{Endpoint, Side};
use crate::error::MeshError;
use crate::keys::PublicKey;
use crate::link::Connector;
use crate::listener::Peer;
use crate::registry::Refusal;
use model::time::TimeMs;
use proto::mesh::v1::mesh_service_client::MeshServiceClient;
use proto::mesh::v1::mesh_service_server::MeshService;
use proto::mesh::v1::{RegisterRequest, RegisterResponse};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::Endpoint as HttpEndpoint;
use tonic::{Request, Response, Status};

/// How long one registration may take.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);
/// Registrations are tried again so often when the connection breaks on the way.
const REGISTER_TRIES: u32 = 3;

/// `coral.mesh.v1.MeshService` of a colony.
#[derive(Clone)]
pub struct Registrar {
    endpoint: Arc<Endpoint>,
    settings: Arc<DoorSettings>,
}

impl Registrar {
    pub(crate) fn new(endpoint: Arc<Endpoint>, settings: Arc<DoorSettings>) -> Registrar {
        Registrar { endpoint, settings }
    }

    fn check(&self, request: &RegisterRequest, key: PublicKey) -> Result<(), Refusal> {
        if !request.colony_secret.is_empty() {
            return Err(Refusal::SecretSent);
        }
        let here = self.settings.registry.colony_id();
        if request.colony_id != here {
            return Err(Refusal::WrongColony { here: here.to_owned() });
        }
        if request.wireguard_pubkey.parse() != Ok(key) {
            return Err(Refusal::WrongKey);
        }
        Ok(())
    }
}

fn refused(refusal: &Refusal) -> RegisterResponse {
    RegisterResponse { reason: refusal.code().to_owned(), detail: refusal.to_string(), ..RegisterResponse::default() }
}

fn timestamp(time: TimeMs) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.0.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    prost_types::Timestamp { seconds: time.0.div_euclid(1_000), nanos }
}

#[tonic::async_trait]
impl MeshService for Registrar {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.mesh.clone());
        let peer = peer.ok_or_else(|| Status::unauthenticated("registration works inside the mesh only"))?;
        let request = request.into_inner();
        if let Err(refusal) = self.check(&request, peer.key) {
            tracing::warn!(reef_id = %request.agent_id.escape_debug(), reason = refusal.code(), "registration refused");
            return Ok(Response::new(refused(&refusal)));
        }
        let settings = self.settings.clone();
        let (reef_id, key, secret) = (request.agent_id.clone(), peer.key, peer.secret.clone());
        // it waits for a lock on a file
        let written = tokio::task::spawn_blocking(move || {
            let limits = (&settings.range, settings.peers_max);
            let result = settings.registry.register(&reef_id, key, &secret, limits)?;
            Ok::<_, MeshError>(result.map(|reef| (reef, settings.registry.state())))
        });
        let written = written.await.map_err(|error| Status::internal(error.to_string()))?;
        let written = written.map_err(|error| {
            tracing::error!(%error, "a registration cannot be stored");
            Status::internal("the colony cannot store the registration; its log says why")
        })?;
        let (reef, state) = match written {
            Ok(written) => written,
            Err(refusal) => {
                tracing::warn!(reef_id = %request.agent_id.escape_debug(), reason = refusal.code(), "registration refused");
                return Ok(Response::new(refused(&refusal)));
            }
        };
        let is_there = match &mut self.endpoint.lock().side {
            Side::Colony(peers) => peers.register(&registered(&reef, &state), Instant::now()),
            Side::Reef(_) | Side::Idle => false,
        };
        if !is_there {
            return Err(Status::unavailable("the tunnel has ended meanwhile"));
        }
        let grant = state.grant(&reef.secret);
        tracing::info!(reef_id = %reef.reef_id, address = %reef.address, secret = %reef.secret, "a reef has registered");
        Ok(Response::new(RegisterResponse {
            accepted: true,
            assigned_ip: reef.address.to_string(),
            mesh_subnet: self.settings.range.to_string(),
            registered_at: Some(timestamp(reef.registered_at)),
            read_only: grant.is_some_and(|grant| grant.read_only),
            secret_expires_at: grant.and_then(|grant| grant.expires_at).map(timestamp),
            ..RegisterResponse::default()
        }))
    }
}

/// What a reef learns from its registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) address: Ipv4Addr,
    pub(crate) read_only: bool,
    pub(crate) secret_expires_at: Option<TimeMs>,
}

/// Registers this reef through a tunnel that is up.
pub(crate) async fn register(
    endpoint: &Arc<Endpoint>,
    at: SocketAddrV4,
    colony_id: &str,
    reef_id: &str,
    key: PublicKey,
) -> Result<Admitted, MeshError> {
    let request = RegisterRequest {
        agent_id: reef_id.to_owned(),
        colony_id: colony_id.to_owned(),
        wireguard_pubkey: key.to_string(),
        ..RegisterRequest::default()
    };
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| MeshError::Register {
        colony_id: colony_id.to_owned(),
        at: at.into(),
        cause,
    };
    let mut tried = 0;
    let answer = loop {
        tried += 1;
        match tokio::time::timeout(REGISTER_TIMEOUT, call(endpoint, at, request.clone())).await {
            Ok(Ok(answer)) => break answer,
            Ok(Err(error)) if tried >= REGISTER_TRIES => return Err(failed(error)),
            Err(error) if tried >= REGISTER_TRIES => return Err(failed(error.into())),
            Ok(Err(error)) => tracing::debug!(colony_id, %error, "the registration is tried again"),
            Err(_) => tracing::debug!(colony_id, "the registration took too long and is tried again"),
        }
    };
    if !answer.accepted {
        let detail = if answer.detail.is_empty() { answer.reason.clone() } else { printable(&answer.detail) };
        return Err(MeshError::Refused { colony_id: colony_id.to_owned(), reason: printable(&answer.reason), detail });
    }
    let address = answer.assigned_ip.parse::<Ipv4Addr>().ok().filter(|address| {
        !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && address != at.ip()
    });
    let address =
        address.ok_or_else(|| failed(format!("it gave the address {:?}", printable(&answer.assigned_ip)).into()))?;
    let time = |at: prost_types::Timestamp| TimeMs(at.seconds.saturating_mul(1_000) + i64::from(at.nanos) / 1_000_000);
    Ok(Admitted { address, read_only: answer.read_only, secret_expires_at: answer.secret_expires_at.map(time) })
}

async fn call(
    endpoint: &Arc<Endpoint>,
    at: SocketAddrV4,
    request: RegisterRequest,
) -> Result<RegisterResponse, Box<dyn std::error::Error + Send + Sync>> {
    let http = HttpEndpoint::from_shared(format!("http://{at}"))?;
    let channel = http.connect_with_connector(Connector::once(endpoint.clone(), at)).await?;
    let answer = MeshServiceClient::new(channel).max_decoding_message_size(64 * 1024).register(request).await?;
    Ok(answer.into_inner())
}

/// A text from outside, as it may stand in a message.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
