//! A small discovery service: only the creator of a registration can change it; look-ups are public.

use super::client::WRITE_TOKEN;
use super::messages::{Colony, Fault, Health, LookupColony, RegisterColony, Registered};
use crate::error::{MeshError, listen_refused};
use crate::limit::Buckets;
use crate::noise::keys::PublicKey;
use crate::private_file;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as UrlPath, State as AppState};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::clock::SharedClock;
use model::time::{DAY_MS, SECOND_MS, TimeMs};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// How long a registration is valid, and how long its id stays reserved.
const TTL_SECONDS: i64 = 300;
const RESERVED_MS: i64 = 30 * DAY_MS;
const BODY_BYTES_MAX: usize = 64 * 1024;
const COLONIES_MAX: usize = 10_000;
const ENDPOINTS_MAX: usize = 16;
const METADATA_MAX: usize = 16;
const TEXT_MAX: usize = 256;

/// How the service runs.
#[derive(Clone, Debug)]
pub struct DiscoverySettings {
    /// TCP address, `host:port`.
    pub listen: String,
    /// Where registrations are stored; without it a restart forgets the owners of ids.
    pub file: Option<PathBuf>,
    /// The clock.
    pub clock: SharedClock,
}

/// A registration, with the digest of the token that created it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    colony: Colony,
    registered_at: TimeMs,
    /// When it was last written to the file.
    #[serde(skip)]
    stored_at: Option<TimeMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_sha256: Option<String>,
}

/// Registrations by id.
type Entries = BTreeMap<String, Entry>;

struct Shared {
    settings: DiscoverySettings,
    started: TimeMs,
    entries: Mutex<Entries>,
    buckets: Mutex<Buckets>,
}

/// The service, listening.
#[derive(Debug)]
pub struct DiscoveryServer {
    listener: TcpListener,
    address: SocketAddr,
    settings: DiscoverySettings,
    entries: Entries,
}

impl DiscoveryServer {
    /// Opens file and socket.
    pub async fn bind(settings: DiscoverySettings) -> Result<DiscoveryServer, MeshError> {
        let entries = match &settings.file {
            None => Entries::new(),
            Some(path) => match private_file::read(path)? {
                None => Entries::new(),
                Some(text) => {
                    serde_json::from_str(&text).map_err(|cause| MeshError::BadRegistry { path: path.clone(), cause })?
                }
            },
        };
        let listener = TcpListener::bind(&settings.listen).await;
        let listener = listener.map_err(|cause| listen_refused("TCP", &settings.listen, cause))?;
        let address = listener
            .local_addr()
            .map_err(|cause| MeshError::LocalAddress { address: SocketAddr::from(([0, 0, 0, 0], 0)), cause })?;
        Ok(DiscoveryServer { listener, address, settings, entries })
    }

    /// The address in fact listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` completes.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), MeshError> {
        let shared = Arc::new(Shared {
            started: self.settings.clock.now(),
            settings: self.settings,
            entries: Mutex::new(self.entries),
            buckets: Mutex::default(),
        });
        let app = Router::new()
            .route("/coral.discovery.v1.DiscoveryService/{method}", post(method))
            .route("/health", get(|AppState(shared): AppState<Arc<Shared>>| async move { answer(&shared.health()) }))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(shared);
        let address = self.address;
        axum::serve(self.listener, app.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(shutdown)
            .await
            .map_err(|cause| MeshError::LocalAddress { address, cause })
    }
}

/// A refusal in Connect's form.
struct Refused(StatusCode, &'static str, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(status, code, message) = self;
        (status, axum::Json(Fault { code: code.to_owned(), message })).into_response()
    }
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, "invalid_argument", message.into())
}

fn answer(value: &impl Serialize) -> Response {
    axum::Json(value).into_response()
}

async fn method(
    AppState(shared): AppState<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    UrlPath(method): UrlPath<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_none_or(|kind| kind.trim() != "application/json") {
        let message = "only application/json is spoken here".to_owned();
        return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_argument", message));
    }
    let bad = |error: serde_json::Error| invalid(format!("the request is no JSON of {method}: {error}"));
    match method.as_str() {
        "RegisterColony" => {
            if !lock(&shared.buckets).take(from.ip(), Instant::now()) {
                let message = "too many registrations from this address; one a minute is enough".to_owned();
                return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "resource_exhausted", message));
            }
            let request: RegisterColony = serde_json::from_slice(&body).map_err(bad)?;
            let token = headers.get(WRITE_TOKEN).map(|token| STANDARD.encode(digest(&SHA256, token.as_bytes())));
            // it writes a file
            let registered = tokio::task::spawn_blocking(move || shared.register(request, token)).await;
            let registered = registered.map_err(|error| internal(&error))??;
            Ok(answer(&registered))
        }
        "LookupColony" => {
            let request: LookupColony = serde_json::from_slice(&body).map_err(bad)?;
            Ok(answer(&shared.look_up(&request.mesh_id)?))
        }
        "Health" => Ok(answer(&shared.health())),
        other => {
            let message = format!("{:?} is not offered here", other.chars().take(64).collect::<String>());
            Err(Refused(StatusCode::NOT_IMPLEMENTED, "unimplemented", message))
        }
    }
}

fn internal(error: &dyn std::error::Error) -> Refused {
    tracing::error!(%error, "discovery");
    Refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the registration cannot be stored".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(request: &RegisterColony) -> Result<(), Refused> {
    let is_id = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if request.mesh_id.is_empty() || request.mesh_id.len() > TEXT_MAX || !request.mesh_id.chars().all(is_id) {
        return Err(invalid("mesh_id must have letters, digits, `-`, `_` and `.`"));
    }
    if request.pubkey.parse::<PublicKey>().is_err() {
        return Err(invalid("pubkey must be a WireGuard public key in base64"));
    }
    let is_reachable = |text: &String| text.parse::<SocketAddr>().is_ok_and(|it| it.port() != 0);
    if request.endpoints.is_empty() || request.endpoints.len() > ENDPOINTS_MAX {
        return Err(invalid(format!("endpoints must be 1 to {ENDPOINTS_MAX}")));
    }
    if let Some(bad) = request.endpoints.iter().find(|text| !is_reachable(text)) {
        return Err(invalid(format!("endpoint {:?} is not ip:port", bad.chars().take(64).collect::<String>())));
    }
    if request.connect_port > u32::from(u16::MAX) {
        return Err(invalid("connect_port must be below 65536"));
    }
    let texts = request.metadata.iter().flat_map(|(key, value)| [key, value]);
    if request.metadata.len() > METADATA_MAX || texts.clone().any(|text| text.len() > TEXT_MAX) {
        return Err(invalid(format!("metadata must have at most {METADATA_MAX} entries of {TEXT_MAX} bytes")));
    }
    if [&request.mesh_ipv4, &request.mesh_ipv6].into_iter().any(|text| text.len() > 64) {
        return Err(invalid("mesh addresses are too long"));
    }
    Ok(())
}

impl Shared {
    fn health(&self) -> Health {
        let uptime_ms = self.settings.clock.now().0 - self.started.0;
        Health {
            status: "ok".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: uptime_ms / SECOND_MS,
            registered_colonies: i32::try_from(lock(&self.entries).len()).unwrap_or(i32::MAX),
        }
    }

    fn look_up(&self, mesh_id: &str) -> Result<Colony, Refused> {
        let now = self.settings.clock.now();
        let entries = lock(&self.entries);
        let is_live = |entry: &&Entry| now.0 < entry.registered_at.0 + TTL_SECONDS * SECOND_MS;
        let entry = entries.get(mesh_id).filter(is_live);
        let unknown = || Refused(StatusCode::NOT_FOUND, "not_found", "colony not found".to_owned());
        entry.map(|entry| entry.colony.clone()).ok_or_else(unknown)
    }

    fn register(&self, request: RegisterColony, token: Option<String>) -> Result<Registered, Refused> {
        check(&request)?;
        let now = self.settings.clock.now();
        let mut entries = lock(&self.entries);
        entries.retain(|_, entry| now.0 < entry.registered_at.0 + RESERVED_MS);
        if let Some(entry) = entries.get(&request.mesh_id) {
            may_change(entry, &request, token.as_deref(), now)?;
        } else if entries.len() >= COLONIES_MAX {
            let message = format!("there are {COLONIES_MAX} colonies, as many as this service keeps");
            return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "resource_exhausted", message));
        }
        let RegisterColony { mesh_id, pubkey, endpoints, mesh_ipv4, mesh_ipv6, connect_port, metadata } = request;
        let colony = Colony {
            mesh_id: mesh_id.clone(),
            pubkey,
            endpoints,
            mesh_ipv4,
            mesh_ipv6,
            connect_port,
            metadata,
            observed_endpoints: Vec::new(),
        };
        let known = entries.get(&mesh_id).and_then(|entry| entry.token_sha256.clone());
        let mut entry = Entry { colony, registered_at: now, stored_at: Some(now), token_sha256: token.or(known) };
        // a renewal that says nothing new is worth one write a day
        let old = entries.get(&mesh_id);
        let old = old.filter(|old| old.colony == entry.colony && old.token_sha256 == entry.token_sha256);
        let stored_at = old.and_then(|old| old.stored_at).filter(|at| now.0 < at.0 + DAY_MS);
        let is_renewal = stored_at.is_some();
        entry.stored_at = stored_at.or(entry.stored_at);
        entries.insert(mesh_id, entry);
        if let Some(path) = self.settings.file.as_ref().filter(|_| !is_renewal) {
            let text = serde_json::to_vec(&*entries).map_err(|error| internal(&error))?;
            private_file::replace(path, &text).map_err(|error| internal(&error))?;
        }
        Ok(Registered { success: true, ttl: TTL_SECONDS })
    }
}

/// Upstream's rule is that another key is refused while a registration lives. Ours adds the token: who has none, or
/// another one, changes nothing for 30 days.
fn may_change(entry: &Entry, request: &RegisterColony, token: Option<&str>, now: TimeMs) -> Result<(), Refused> {
    if let Some(owner) = &entry.token_sha256 {
        let is_owner = token.is_some_and(|token| bool::from(token.as_bytes().ct_eq(owner.as_bytes())));
        let message = "mesh_id is registered by another client (coral-write-token does not match)".to_owned();
        return if is_owner { Ok(()) } else { Err(Refused(StatusCode::FORBIDDEN, "permission_denied", message)) };
    }
    let is_live = now.0 < entry.registered_at.0 + TTL_SECONDS * SECOND_MS;
    if is_live && entry.colony.pubkey != request.pubkey {
        let message = "mesh_id already registered with different pubkey".to_owned();
        return Err(Refused(StatusCode::CONFLICT, "already_exists", message));
    }
    Ok(())
}
