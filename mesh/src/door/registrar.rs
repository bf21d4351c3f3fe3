//! Registrar: the colony's registration service inside the tunnel.

use super::{DoorSettings, registered};
use crate::caller::Peer;
use crate::endpoint::Endpoint;
use crate::error::MeshError;
use crate::noise::keys::PublicKey;
use crate::noise::psk::Psk;
use crate::registry::{Reef, Refusal, State};
use model::time::TimeMs;
use proto::mesh::v1::mesh_service_server::MeshService;
use proto::mesh::v1::{RegisterRequest, RegisterResponse};
use std::sync::Arc;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

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

    /// The response to a reef that asks only: from a copy of the state, which is then dropped.
    fn would_admit(&self, reef_id: &str, key: PublicKey, proved: &Psk) -> RegisterResponse {
        let mut state = self.settings.registry.state();
        let limits = (&self.settings.range, self.settings.peers_max);
        match state.register(reef_id, key, proved, limits, self.settings.registry.now()) {
            Ok(reef) => self.accepted(&reef, &state),
            Err(refusal) => refused(&refusal),
        }
    }

    fn accepted(&self, reef: &Reef, state: &State) -> RegisterResponse {
        let grant = state.grant(&reef.secret);
        RegisterResponse {
            accepted: true,
            assigned_ip: reef.address.to_string(),
            mesh_subnet: self.settings.range.to_string(),
            registered_at: Some(timestamp(reef.registered_at)),
            read_only: grant.is_some_and(|grant| grant.read_only),
            secret_expires_at: grant.and_then(|grant| grant.expires_at).map(timestamp),
            ..RegisterResponse::default()
        }
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
        let (reef_id, key, proved) = (request.agent_id.clone(), peer.key, peer.proved.clone());
        if request.only_ask {
            return Ok(Response::new(self.would_admit(&request.agent_id, key, &proved)));
        }
        // it waits for a lock on a file
        let written = tokio::task::spawn_blocking(move || {
            let limits = (&settings.range, settings.peers_max);
            let result = settings.registry.register(&reef_id, key, &proved, limits)?;
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
        let is_there = self.endpoint.lock().register(&registered(&reef, &state), Instant::now());
        if !is_there {
            return Err(Status::unavailable("the tunnel has ended in the meantime"));
        }
        tracing::info!(reef_id = %reef.reef_id, address = %reef.address, secret = %reef.secret, "a reef has registered");
        Ok(Response::new(self.accepted(&reef, &state)))
    }
}
