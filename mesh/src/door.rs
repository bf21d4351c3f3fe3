//! A colony's door: the UDP socket of its mesh, its peers, and incoming connections through tunnels.

use crate::caller::MeshPeer;
use crate::datagrams::Underlay;
use crate::endpoint::{Endpoint, Side};
pub use registrar::Registrar;

mod registrar;

use crate::error::{MeshError, REVOKED};
use crate::netstack::Windows;
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::noise::psk::Psk;
use crate::observe::observe;
use crate::peers::{Admission, Identity, Peers, Registered};
use crate::registry::{Range, Reef, Registry, State};
use crate::stats::{Drops, PeerStats};
use crate::stream::MeshStream;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// Polling interval of the registry's file: a revoked reef is disconnected within a second.
const REGISTRY_INTERVAL: Duration = Duration::from_millis(250);
/// How often last-seen times are saved and expired entries removed.
const KEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// Where a colony opens its door, and whom it lets in.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// The colony's key.
    pub key: PrivateKey,
    /// UDP address to listen on.
    pub listen: SocketAddr,
    /// Addresses of the mesh.
    pub range: Range,
    /// TCP port inside the mesh.
    pub connect_port: u16,
    /// Largest packet inside the tunnels, in bytes.
    pub mtu: u16,
    /// Peers that may be registered.
    pub peers_max: usize,
    /// Who may be a peer.
    pub registry: Registry,
    /// STUN servers, `host:port`: which address others see is asked of the first that answers.
    pub stun: Vec<String>,
    /// The network below.
    pub underlay: Underlay,
}

/// The open door. Dropping it closes it at once; [`Door::close`] lets connections end.
pub struct Door {
    pub(crate) endpoint: Arc<Endpoint>,
    settings: Arc<DoorSettings>,
    address: SocketAddr,
    observed: watch::Receiver<Option<SocketAddr>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// A view of a door, for those who do not own it. It outlives the door.
#[derive(Clone)]
pub struct DoorView {
    endpoint: Arc<Endpoint>,
    settings: Arc<DoorSettings>,
    address: SocketAddr,
    observed: watch::Receiver<Option<SocketAddr>>,
}

impl std::fmt::Debug for DoorView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DoorView({})", self.address)
    }
}

impl DoorView {
    /// The UDP address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The UDP address as a STUN server sees it, and as it changes.
    pub fn observed(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.observed.clone()
    }

    /// Where its services are inside the mesh.
    pub fn mesh_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.settings.range.own(), self.settings.connect_port)
    }

    /// The key that reefs must know.
    pub fn public_key(&self) -> PublicKey {
        self.settings.key.public()
    }

    /// Peers and strangers now.
    pub fn peers(&self) -> Vec<PeerStats> {
        match &self.endpoint.lock().side {
            Side::Colony(peers) => peers.stats(Instant::now()),
            Side::Reef(_) | Side::Idle => Vec::new(),
        }
    }

    /// Datagrams not taken so far.
    pub fn drops(&self) -> Drops {
        self.endpoint.drops()
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({})", self.address)
    }
}

impl Door {
    /// Opens it. Reefs that were registered before stay registered.
    pub fn open(settings: DoorSettings) -> Result<Door, MeshError> {
        let socket = settings.underlay.bind(settings.listen)?;
        let address = socket.address().map_err(|cause| MeshError::LocalAddress { address: settings.listen, cause })?;
        let own = settings.range.own();
        let peers = Peers::new(settings.key.clone(), own, settings.mtu);
        let endpoint = Endpoint::new(Side::Colony(Box::new(peers)), own, settings.mtu, Windows::COLONY);
        endpoint.lock().stack.listen(settings.connect_port);
        let endpoint = Arc::new(endpoint);
        let settings = Arc::new(settings);
        apply(&endpoint, &settings.registry);
        let (stop, stopped) = watch::channel(false);
        let (seen, observed) = watch::channel(None);
        let task = {
            let (endpoint, settings) = (endpoint.clone(), settings.clone());
            tokio::spawn(async move {
                let registry = settings.registry.clone();
                let clock = move || registry.now().0;
                let mut stopped_too = stopped.clone();
                tokio::join!(endpoint.run(&socket, clock, stopped), async {
                    tokio::select! {
                        _ = stopped_too.wait_for(|stop| *stop) => {}
                        ((), ()) = async {
                            tokio::join!(
                                look_after(&endpoint, &settings.registry),
                                observe(&endpoint, &settings.stun, &seen)
                            )
                        } => {}
                    }
                });
            })
        };
        Ok(Door { endpoint, settings, address, observed, stop, task: Some(task) })
    }

    /// The UDP address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it shows of itself.
    pub fn view(&self) -> DoorView {
        DoorView {
            endpoint: self.endpoint.clone(),
            settings: self.settings.clone(),
            address: self.address,
            observed: self.observed.clone(),
        }
    }

    /// The service that makes peers of those who have proved a secret.
    pub fn registrar(&self) -> Registrar {
        Registrar::new(self.endpoint.clone(), self.settings.clone())
    }

    pub(crate) fn acceptor(&self) -> Acceptor {
        Acceptor { endpoint: self.endpoint.clone() }
    }

    /// Resets open connections and waits until the socket is free.
    pub async fn close(mut self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// Takes connections from the endpoint.
#[derive(Clone)]
pub(crate) struct Acceptor {
    endpoint: Arc<Endpoint>,
}

impl Acceptor {
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<(MeshStream, MeshPeer)> {
        let mut core = self.endpoint.lock();
        while let Some((handle, remote)) = core.stack.accept() {
            let stream = MeshStream::new(self.endpoint.clone(), core.generation, handle, remote);
            let peer = match &core.side {
                Side::Colony(peers) => peers.at(*remote.ip()).map(|peer| MeshPeer {
                    key: peer.key,
                    secret: peer.secret.clone(),
                    identity: peer.identity().cloned(),
                    proved: peer.psk.clone(),
                    ended: peer.ended.subscribe(),
                }),
                Side::Reef(_) | Side::Idle => None,
            };
            match peer {
                Some(peer) => return Poll::Ready((stream, peer)),
                None => {
                    // its tunnel has been removed since; the stream locks the core itself when it is dropped
                    drop(core);
                    drop(stream);
                    core = self.endpoint.lock();
                }
            }
        }
        core.accept_waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

pub(crate) fn registered(reef: &Reef, state: &State) -> Registered {
    let read_only = state.grant(&reef.secret).is_some_and(|grant| grant.read_only);
    let identity = Identity { reef_id: reef.reef_id.clone(), secret: reef.secret.clone(), read_only };
    Registered { identity: Arc::new(identity), key: reef.key, address: reef.address }
}

/// Makes the peers what the registry says.
fn apply(endpoint: &Endpoint, registry: &Registry) {
    let at = Instant::now();
    let mut core = endpoint.lock();
    // read under the lock: all registrations so far are in it
    let (state, now) = (&registry.state(), registry.now());
    let Side::Colony(peers) = &mut core.side else { return };
    let ids: Vec<String> = peers.reef_ids().map(str::to_owned).collect();
    for reef_id in ids {
        let expired = |reef: &Reef| state.grant(&reef.secret).is_some_and(|grant| grant.is_expired(now));
        match state.reef(&reef_id) {
            None => peers.unpeer(&reef_id, "it is no longer registered", at),
            Some(reef) if reef.revoked_at.is_some() => peers.unpeer(&reef_id, REVOKED, at),
            Some(reef) if expired(reef) => peers.unpeer(&reef_id, "its secret has expired", at),
            Some(_) => {}
        }
    }
    // by what a tunnel has proved: the names change when the colony's own secret is rotated
    for grant in state.grants.iter().filter(|grant| grant.is_expired(now)) {
        peers.end_secret(&grant.psk, "its secret has expired", at);
    }
    for secret in &state.revoked {
        peers.end_secret(&secret.psk, REVOKED, at);
    }
    // also the secrets that have ended: who has one of them reaches the refusal that says so
    let granted = state.grants.iter().map(|grant| (&grant.name, &grant.psk, !grant.is_expired(now)));
    let known = granted.chain(state.revoked.iter().map(|secret| (&secret.name, &secret.psk, false)));
    let admission = |(name, psk, is_valid): (&String, &Psk, bool)| Admission {
        name: name.as_str().into(),
        psk: psk.clone(),
        is_valid,
    };
    let admissions = known.map(admission);
    // after the reefs: one that is removed with its secret hears that it is revoked
    peers.set_admissions(admissions.collect(), at);
    for reef in state.peers() {
        if let Some(grant) = state.grant(&reef.secret).filter(|grant| !grant.is_expired(now)) {
            peers.restore(registered(reef, state), &grant.psk, at);
        }
    }
}

/// Follows the registry: changes of other processes, secrets that expire, who was seen.
async fn look_after(endpoint: &Endpoint, registry: &Registry) {
    let mut tick = tokio::time::interval(REGISTRY_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut kept_at, mut ticks) = (Instant::now(), 0_u32);
    loop {
        tick.tick().await;
        ticks = ticks.wrapping_add(1);
        let changed = registry.refresh().unwrap_or_else(|error| {
            tracing::warn!(%error, "the registry of peers cannot be read; its last state is used");
            false
        });
        if changed || ticks.is_multiple_of(4) {
            apply(endpoint, registry);
        }
        if kept_at.elapsed() >= KEEP_INTERVAL {
            kept_at = Instant::now();
            if let Err(error) = registry.keep(&recently_seen(endpoint)) {
                tracing::warn!(%error, "the registry of peers cannot be written");
            }
        }
    }
}

fn recently_seen(endpoint: &Endpoint) -> Vec<String> {
    let core = endpoint.lock();
    let Side::Colony(peers) = &core.side else { return Vec::new() };
    let stats = peers.stats(Instant::now()).into_iter();
    let seen = stats.filter(|peer| peer.tunnel.answer_age.is_some_and(|age| age < KEEP_INTERVAL));
    seen.filter_map(|peer| peer.reef_id).collect()
}
