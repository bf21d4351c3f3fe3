//! Client of a discovery service: look-up and registration of colonies. Its responses are checked, never trusted.

use super::messages::{Colony, Fault, LookupColony, RegisterColony, Registered};
use crate::error::{DiscoveryError, printable};
use crate::noise::keys::PublicKey;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::error::one_line;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const SERVICE: &str = "coral.discovery.v1.DiscoveryService";
/// The token that a registration is changed with; see `docs/mesh.md`.
pub(super) const WRITE_TOKEN: &str = "coral-write-token";
const TIMEOUT: Duration = Duration::from_secs(10);
const BYTES_MAX: usize = 64 * 1024;
/// Endpoints of one colony that are tried.
const ENDPOINTS_MAX: usize = 16;

/// A discovery service.
#[derive(Clone)]
pub struct Discovery {
    url: String,
    /// Loopback addresses are believed of a service on this machine only.
    is_local: bool,
    client: Client<HttpsConnector<HttpConnector>, Full<bytes::Bytes>>,
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Discovery({})", self.url)
    }
}

/// What discovery says of a colony, as far as it can be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The colony's key.
    pub key: PublicKey,
    /// Possible addresses, the most likely first.
    pub endpoints: Vec<SocketAddr>,
    /// Its address inside the mesh.
    pub mesh_ip: Option<Ipv4Addr>,
    /// Its port there.
    pub connect_port: Option<u16>,
}

impl Discovery {
    /// A service at `url` (`https://…`, or `http://…` in a trusted network: a lie can only deny service).
    pub fn new(url: &str) -> Result<Discovery, DiscoveryError> {
        let bad = || DiscoveryError::BadUrl { url: printable(url) };
        let url = url.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let host = uri.host().filter(|_| matches!(uri.scheme_str(), Some("http" | "https"))).ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Ok(Discovery { url: url.to_owned(), is_local, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks where a colony is.
    pub async fn look_up(&self, colony_id: &str) -> Result<Found, DiscoveryError> {
        let request = LookupColony { mesh_id: colony_id.to_owned() };
        let colony: Colony = self.call("LookupColony", &request, None).await?;
        self.checked(colony_id, &colony)
    }

    pub(super) fn checked(&self, colony_id: &str, colony: &Colony) -> Result<Found, DiscoveryError> {
        let bad = |what: String| DiscoveryError::BadAnswer { url: self.url.clone(), what };
        if colony.mesh_id != colony_id {
            return Err(bad(format!("the colony {:?}", printable(&colony.mesh_id))));
        }
        let key = colony.pubkey.parse().map_err(|_| bad(format!("the key {:?}", printable(&colony.pubkey))))?;
        let observed = colony
            .observed_endpoints
            .iter()
            .filter(|it| !it.via_relay)
            .filter_map(|it| Some(SocketAddr::new(it.ip.parse().ok()?, u16::try_from(it.port).ok()?)));
        let mut endpoints: Vec<SocketAddr> = Vec::new();
        for endpoint in colony.endpoints.iter().filter_map(|text| text.parse().ok()).chain(observed) {
            if self.may_be_reached(endpoint) && !endpoints.contains(&endpoint) && endpoints.len() < ENDPOINTS_MAX {
                endpoints.push(endpoint);
            }
        }
        if endpoints.is_empty() {
            return Err(bad(format!("no endpoint that can be reached ({} given)", colony.endpoints.len())));
        }
        let mesh_ip = colony.mesh_ipv4.parse::<Ipv4Addr>().ok().filter(|ip| may_be_in_a_mesh(*ip));
        if mesh_ip.is_none() && !colony.mesh_ipv4.is_empty() {
            return Err(bad(format!("the mesh address {:?}", printable(&colony.mesh_ipv4))));
        }
        let connect_port = u16::try_from(colony.connect_port).ok().filter(|port| *port != 0);
        Ok(Found { key, endpoints, mesh_ip, connect_port })
    }

    fn may_be_reached(&self, endpoint: SocketAddr) -> bool {
        let ip = endpoint.ip().to_canonical();
        let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        let is_nowhere = endpoint.port() == 0 || ip.is_unspecified() || ip.is_multicast() || is_broadcast;
        !is_nowhere && (self.is_local || !ip.is_loopback())
    }

    /// Registers a colony's addresses; returns how long the registration is valid.
    pub(super) async fn register(&self, request: &RegisterColony, token: &str) -> Result<Duration, DiscoveryError> {
        let answer: Registered = self.call("RegisterColony", request, Some(token)).await?;
        if !answer.success {
            let what = "a registration without success".to_owned();
            return Err(DiscoveryError::BadAnswer { url: self.url.clone(), what });
        }
        Ok(Duration::from_secs(u64::try_from(answer.ttl).unwrap_or_default()))
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: &str,
        request: &Q,
        token: Option<&str>,
    ) -> Result<A, DiscoveryError> {
        let no_answer = |cause: String| DiscoveryError::NoAnswer { url: self.url.clone(), cause };
        let bad = |what: String| DiscoveryError::BadAnswer { url: self.url.clone(), what };
        let body = serde_json::to_vec(request).map_err(|error| bad(error.to_string()))?;
        let mut http = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/{SERVICE}/{method}", self.url))
            .header("content-type", "application/json")
            .header("connect-protocol-version", "1");
        if let Some(token) = token {
            let mut value = http::HeaderValue::from_str(token).map_err(|error| bad(error.to_string()))?;
            value.set_sensitive(true);
            http = http.header(WRITE_TOKEN, value);
        }
        let http = http.body(Full::from(body)).map_err(|_| DiscoveryError::BadUrl { url: self.url.clone() })?;
        let exchange = async {
            let response = self.client.request(http).await.map_err(|error| no_answer(one_line(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, BYTES_MAX).collect().await;
            let body = body.map_err(|error| bad(format!("an answer that cannot be read: {error}")))?.to_bytes();
            Ok::<_, DiscoveryError>((head.status, body))
        };
        let (status, body) = tokio::time::timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| no_answer(format!("nothing within {} s", TIMEOUT.as_secs())))??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| bad(format!("an answer that is none: {error}")));
        }
        let fault: Fault = serde_json::from_slice(&body).unwrap_or_default();
        if status == StatusCode::NOT_FOUND && (fault.code == "not_found" || fault.code.is_empty()) {
            return Err(DiscoveryError::Unknown { url: self.url.clone() });
        }
        let code = if fault.code.is_empty() { status.to_string() } else { printable(&fault.code) };
        Err(DiscoveryError::Fault { url: self.url.clone(), code, message: printable(&fault.message) })
    }
}

/// What a colony may call its own inside a mesh.
fn may_be_in_a_mesh(ip: Ipv4Addr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast() || ip.is_link_local())
}
