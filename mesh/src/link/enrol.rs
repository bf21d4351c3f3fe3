//! Enrol: a reef registers at a colony, through a tunnel that is up.

use super::connector::Connector;
use crate::endpoint::Endpoint;
use crate::error::{MeshError, printable};
use crate::noise::keys::PublicKey;
use model::time::TimeMs;
use proto::mesh::v1::mesh_service_client::MeshServiceClient;
use proto::mesh::v1::{RegisterRequest, RegisterResponse};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Endpoint as HttpEndpoint;

/// How long one registration may take.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);
/// Retries of a registration whose connection breaks.
const REGISTER_TRIES: u32 = 3;

/// The result of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) address: Ipv4Addr,
    pub(crate) read_only: bool,
    pub(crate) secret_expires_at: Option<TimeMs>,
}

/// Why a link is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be a peer.
    Join,
    /// To see whether the reef would be admitted; nothing changes.
    Ask,
}

/// Registers this reef through a tunnel that is up, or asks whether it could.
pub(crate) async fn register(
    endpoint: &Arc<Endpoint>,
    at: SocketAddrV4,
    colony_id: &str,
    reef_id: &str,
    (key, purpose): (PublicKey, Purpose),
) -> Result<Admitted, MeshError> {
    let request = RegisterRequest {
        agent_id: reef_id.to_owned(),
        colony_id: colony_id.to_owned(),
        wireguard_pubkey: key.to_string(),
        only_ask: purpose == Purpose::Ask,
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
