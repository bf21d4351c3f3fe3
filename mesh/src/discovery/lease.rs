//! A colony's registration with discovery, renewed for as long as it runs.

use super::client::Discovery;
use super::messages::RegisterColony;
use crate::error::DiscoveryError;
use crate::noise::keys::PrivateKey;
use crate::random::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hkdf;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Waits after failures: doubled each time, between these.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A colony's registration at discovery.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Its id.
    pub colony_id: String,
    /// Its key.
    pub key: PrivateKey,
    /// Its possible addresses.
    pub endpoints: Vec<SocketAddr>,
    /// One more, as a STUN server sees it; a new one is registered at once.
    pub observed: Option<watch::Receiver<Option<SocketAddr>>>,
    /// Its address inside the mesh.
    pub mesh_ip: Ipv4Addr,
    /// Its port there.
    pub connect_port: u16,
    /// Renewal interval.
    pub interval: Duration,
}

/// How a registration is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LeaseState {
    /// Not tried yet.
    #[default]
    Pending,
    /// Registered.
    Registered,
    /// The last try failed.
    Failed(String),
}

/// The task that renews it. Dropping it ends the task; the registration then expires.
#[derive(Debug)]
pub struct Lease {
    state: watch::Receiver<LeaseState>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Registers now and from then on.
    pub fn start(discovery: Discovery, settings: LeaseSettings) -> Lease {
        let (sender, state) = watch::channel(LeaseState::default());
        Lease { state, task: tokio::spawn(renew(discovery, settings, sender)) }
    }

    /// How it is now, and as it changes.
    pub fn state(&self) -> watch::Receiver<LeaseState> {
        self.state.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The token that this colony's registration is changed with. It follows from the colony's key, so that there is
/// nothing more to keep, and says nothing about it.
pub(super) fn write_token(key: &PrivateKey, colony_id: &str) -> Zeroizing<String> {
    let mut token = Zeroizing::new([0; 32]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"coral-discovery/v1").extract(key.bytes());
    let info = [b"write-token".as_slice(), &[0], colony_id.as_bytes()];
    let filled = prk.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(token.as_mut_slice()));
    assert!(filled.is_ok(), "32 bytes are within what HKDF-SHA256 gives");
    Zeroizing::new(URL_SAFE_NO_PAD.encode(token.as_slice()))
}

async fn renew(discovery: Discovery, settings: LeaseSettings, state: watch::Sender<LeaseState>) {
    let token = write_token(&settings.key, &settings.colony_id);
    let mut request = RegisterColony {
        mesh_id: settings.colony_id.clone(),
        pubkey: settings.key.public().to_string(),
        mesh_ipv4: settings.mesh_ip.to_string(),
        connect_port: settings.connect_port.into(),
        ..RegisterColony::default()
    };
    let mut observed = settings.observed;
    let mut retry = RETRY_MIN;
    loop {
        let seen = observed.as_mut().and_then(|observed| *observed.borrow_and_update());
        let seen = seen.filter(|seen| !settings.endpoints.contains(seen));
        request.endpoints = settings.endpoints.iter().chain(&seen).map(SocketAddr::to_string).collect();
        let result = discovery.register(&request, &token).await;
        let wait = match &result {
            Ok(ttl) => {
                retry = RETRY_MIN;
                // a service with a shorter expiry is renewed more often
                settings.interval.min((*ttl / 3).max(RETRY_MIN))
            }
            Err(_) => {
                retry = (retry * 2).min(RETRY_MAX);
                retry
            }
        };
        report(&state, &settings.colony_id, result.map(|_| ()));
        let share = f64::from(u16::from_le_bytes(random())) / f64::from(u16::MAX);
        tokio::select! {
            () = tokio::time::sleep(wait.mul_f64(0.9 + 0.2 * share)) => {}
            () = changed(&mut observed) => {}
        }
    }
}

/// Waits for another observed address.
async fn changed(observed: &mut Option<watch::Receiver<Option<SocketAddr>>>) {
    let is_open = match observed {
        Some(observed) => observed.changed().await.is_ok(),
        None => false,
    };
    if !is_open {
        std::future::pending().await
    }
}

fn report(state: &watch::Sender<LeaseState>, colony_id: &str, result: Result<(), DiscoveryError>) {
    let new = match result {
        Ok(()) => LeaseState::Registered,
        Err(error) => LeaseState::Failed(error.to_string()),
    };
    if *state.borrow() != new {
        match &new {
            LeaseState::Failed(error) => tracing::warn!(colony_id, error, "discovery does not know where we are"),
            _ => tracing::info!(colony_id, "registered with discovery"),
        }
    }
    state.send_replace(new);
}

/// This machine's address on the route to `host` (`name:port`): advertised if nothing else is configured. No packet is
/// sent.
pub async fn local_address_towards(host: &str) -> Option<IpAddr> {
    let to = tokio::net::lookup_host(host).await.ok()?.next()?;
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = tokio::net::UdpSocket::bind(any).await.ok()?;
    socket.connect(to).await.ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}
