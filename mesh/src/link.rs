//! A reef's link to one colony: look-up, call, registration, monitoring, and reconnection.

pub(crate) mod connector;
mod enrol;
mod place;
mod target;

use crate::endpoint::{Endpoint, Side};
use crate::error::MeshError;
use crate::netstack::Windows;
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::noise::psk::Psk;
use crate::random::random;
use crate::stats::{Drops, TunnelStats};
use crate::stream::MeshStream;
use crate::uplink::{Call, Failure, Phase, Uplink};
use connector::Connector;
use enrol::Admitted;
pub(crate) use enrol::Purpose;
use place::Place;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
pub(crate) use target::ReefSide;
pub use target::{LinkState, LinkStatus, MeshColony, Step, Visit};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Range of the exponential backoff between calls to a colony that does not respond.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Pause after a response that only a change of the colony or of the secret can fix.
const REFUSED_WAIT: Duration = Duration::from_secs(600);
const WRONG_SECRET_WAIT: Duration = Duration::from_secs(60);
/// How long the search for a packet size may hold up the registration.
const SIZE_WITHIN: Duration = Duration::from_secs(5);

/// The pause after a response that no other try changes; `None` after other failures.
pub(crate) fn pause_after(error: &MeshError) -> Option<Duration> {
    match error {
        MeshError::Refused { .. } => Some(REFUSED_WAIT),
        MeshError::WrongSecret { .. } | MeshError::NoSecret { .. } | MeshError::WeakSecret { .. } => {
            Some(WRONG_SECRET_WAIT)
        }
        _ => None,
    }
}

/// State of a link besides its tunnel.
#[derive(Debug, Default)]
struct Known {
    mesh_address: Option<SocketAddrV4>,
    /// Of the present tunnel.
    public_key: Option<PublicKey>,
    colony_key: Option<PublicKey>,
    admitted: Option<Admitted>,
    /// Where the colony answered last.
    endpoint: Option<SocketAddr>,
    looked_up: Option<(Instant, Place)>,
}

/// A link and its task.
#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    colony: MeshColony,
    reef: ReefSide,
    purpose: Purpose,
    endpoint: Arc<Endpoint>,
    state: watch::Sender<LinkState>,
    known: Mutex<Known>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.colony.colony_id)
    }
}

impl Link {
    /// Builds a link; returns once the reef is a peer, or with the reason why it is not. Nothing is left behind then.
    pub(crate) async fn open(
        colony: MeshColony,
        reef: ReefSide,
        purpose: Purpose,
        steps: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<Link, MeshError> {
        let socket = reef.underlay.bind_any()?;
        let endpoint = Endpoint::new(Side::Idle, Ipv4Addr::UNSPECIFIED, colony.mtu, Windows::REEF);
        let shared = Arc::new(Shared {
            endpoint: Arc::new(endpoint),
            state: watch::Sender::new(LinkState::Connecting),
            known: Mutex::default(),
            colony,
            reef,
            purpose,
        });
        let (stop, stopped) = watch::channel(false);
        let (first, opened) = oneshot::channel();
        let task = {
            let shared = shared.clone();
            tokio::spawn(async move {
                let clock = shared.reef.clock.clone();
                tokio::select! {
                    () = shared.endpoint.run(&socket, move || clock.now().0, stopped) => {}
                    () = shared.supervise(first, steps) => {}
                }
                shared.state.send_replace(LinkState::Closed);
            })
        };
        let link = Link { shared, stop, task: tokio::sync::Mutex::new(Some(task)) };
        match opened.await {
            Ok(Ok(())) => Ok(link),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(MeshError::Closed),
        }
    }

    pub(crate) fn connector(&self) -> Connector {
        Connector::through(self.shared.clone())
    }

    /// The colony's services inside the mesh.
    pub(crate) fn mesh_address(&self) -> Option<SocketAddrV4> {
        self.shared.known().mesh_address
    }

    /// The colony's own key.
    pub(crate) fn colony_key(&self) -> Option<PublicKey> {
        self.shared.known().colony_key
    }

    pub(crate) fn colony(&self) -> &MeshColony {
        &self.shared.colony
    }

    pub(crate) fn state(&self) -> LinkState {
        self.shared.state.borrow().clone()
    }

    pub(crate) fn status(&self) -> LinkStatus {
        self.shared.status()
    }

    pub(crate) async fn close(&self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.lock().await.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

impl Shared {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> LinkStatus {
        let (tunnel, drops) = match &self.endpoint.lock().side {
            Side::Reef(uplink) => (uplink.stats(Instant::now()), uplink.drops),
            Side::Colony(_) | Side::Idle => (TunnelStats::default(), Drops::default()),
        };
        let known = self.known();
        LinkStatus {
            colony_id: self.colony.colony_id.clone(),
            state: self.state.borrow().clone(),
            reef_mesh_ip: known.admitted.as_ref().map(|admitted| admitted.address),
            mesh_address: known.mesh_address,
            public_key: known.public_key,
            read_only: known.admitted.as_ref().is_some_and(|admitted| admitted.read_only),
            secret_expires_at: known.admitted.as_ref().and_then(|admitted| admitted.secret_expires_at),
            tunnel,
            drops,
        }
    }

    /// Builds the link, waits until it is lost, and rebuilds it. The first failure is returned to the caller that opens
    /// it.
    async fn supervise(&self, first: oneshot::Sender<Result<(), MeshError>>, steps: impl Fn(Step) + Send + Sync) {
        let mut first = Some(first);
        let mut retry = RETRY_MIN;
        loop {
            let wait = match self.build(&steps).await {
                Ok(()) => {
                    retry = RETRY_MIN;
                    self.state.send_replace(LinkState::Up);
                    if let Some(first) = first.take() {
                        let _ = first.send(Ok(()));
                    }
                    self.until_lost().await;
                    tracing::info!(colony_id = self.colony.colony_id, "the tunnel is lost and is being rebuilt");
                    self.state.send_replace(LinkState::Connecting);
                    Duration::ZERO
                }
                Err(error) => {
                    self.endpoint.replace(None);
                    if let Some(first) = first.take() {
                        let _ = first.send(Err(error));
                        return;
                    }
                    tracing::warn!(colony_id = self.colony.colony_id, %error, "no tunnel");
                    let wait = pause_after(&error).unwrap_or_else(|| {
                        retry = (retry * 2).min(RETRY_MAX);
                        retry
                    });
                    self.state.send_replace(LinkState::Down { error: Arc::new(error) });
                    wait
                }
            };
            // not all reefs at the same moment
            let share = f64::from(u16::from_le_bytes(random())) / f64::from(u16::MAX);
            tokio::time::sleep(wait.mul_f64(0.8 + 0.4 * share)).await;
        }
    }

    async fn until_lost(&self) {
        let mut phase = self.endpoint.phase();
        let _ = phase.wait_for(|phase| matches!(phase, None | Some(Phase::Failed(_)))).await;
    }

    /// One whole way: secret, place, handshake, packet size, registration.
    async fn build(&self, steps: &(impl Fn(Step) + Send + Sync)) -> Result<(), MeshError> {
        let secret = self.colony.secret.read()?;
        let place = self.place(steps).await?;
        let (endpoints, mesh_address) = (place.candidates.clone(), place.mesh_address);
        steps(Step::Found { endpoints, mesh_address });
        let key = PrivateKey::generate();
        let public = key.public();
        {
            let mut known = self.known();
            known.mesh_address = Some(place.mesh_address);
            known.public_key = Some(public);
            known.colony_key = Some(place.key);
        }
        let call = Call {
            colony_key: place.key,
            colony_address: *place.mesh_address.ip(),
            candidates: place.candidates.clone(),
            psk: Psk::derive(&secret, &self.colony.colony_id, &place.key),
            mtu: self.colony.mtu,
            keepalive: self.colony.keepalive,
        };
        drop(secret);
        steps(Step::Calling);
        let endpoint = self.call(call, key, &place).await?;
        steps(Step::Registering { endpoint });
        let (colony_id, reef_id) = (&self.colony.colony_id, &self.reef.reef_id);
        let admitted =
            enrol::register(&self.endpoint, place.mesh_address, colony_id, reef_id, (public, self.purpose)).await?;
        self.endpoint.set_address(admitted.address);
        steps(Step::Registered { reef_mesh_ip: admitted.address });
        let mut known = self.known();
        known.endpoint = Some(endpoint);
        known.admitted = Some(admitted);
        Ok(())
    }

    /// Calls until the tunnel is up and the size of its packets is known. Returns where the colony answered.
    async fn call(&self, call: Call, key: PrivateKey, place: &Place) -> Result<SocketAddr, MeshError> {
        let started = Instant::now();
        let mut phase = self.endpoint.phase();
        self.endpoint.replace(Some(Uplink::new(&key, call, started)));
        drop(key);
        let is_decided = |phase: &Option<Phase>| matches!(phase, Some(Phase::Up | Phase::Failed(_)));
        let reached = *phase.wait_for(is_decided).await.map_err(|_| MeshError::Closed)?;
        let colony_id = self.colony.colony_id.clone();
        let candidates: Vec<String> = place.candidates.iter().map(SocketAddr::to_string).collect();
        let at = candidates.join(", ");
        match reached {
            Some(Phase::Failed(Failure::WrongSecret)) => return Err(MeshError::WrongSecret { colony_id, at }),
            Some(Phase::Failed(_)) => {
                let tries = match &self.endpoint.lock().side {
                    Side::Reef(uplink) => uplink.tries,
                    Side::Colony(_) | Side::Idle => 0,
                };
                return Err(MeshError::NoAnswer { colony_id, at, tries, seconds: started.elapsed().as_secs() });
            }
            _ => {}
        }
        let size_known = async {
            while self.mtu().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // a colony that answers no echo is assumed to be reachable
        let _ = tokio::time::timeout(SIZE_WITHIN, size_known).await;
        match &self.endpoint.lock().side {
            Side::Reef(uplink) => uplink.endpoint().ok_or(MeshError::Closed),
            Side::Colony(_) | Side::Idle => Err(MeshError::Closed),
        }
    }

    fn mtu(&self) -> Option<u16> {
        match &self.endpoint.lock().side {
            Side::Reef(uplink) => uplink.mtu(),
            Side::Colony(_) | Side::Idle => None,
        }
    }

    /// A connection to the colony's services, once the link is up.
    async fn connect(&self) -> io::Result<MeshStream> {
        let mut state = self.state.subscribe();
        let is_decided = |state: &LinkState| !matches!(state, LinkState::Connecting);
        let decided = state.wait_for(is_decided).await.map_err(io::Error::other)?.clone();
        let to = self.known().mesh_address;
        match (decided, to) {
            (LinkState::Up, Some(to)) => MeshStream::connect(&self.endpoint, to).await,
            (LinkState::Down { error }, _) => Err(io::Error::other(error)),
            _ => Err(io::Error::other(MeshError::Closed)),
        }
    }
}
