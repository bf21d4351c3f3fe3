//! The handle that a process reaches its colonies with: plain TCP or the mesh, one channel per colony.

use crate::datagrams::Underlay;
use crate::dial::{CONNECT_TIMEOUT, KEEP_ALIVE_INTERVAL, dial};
use crate::discovery::Discovery;
use crate::error::MeshError;
use crate::link::{Link, LinkState, LinkStatus, MeshColony, Purpose, ReefSide, Step, Visit, pause_after};
#[cfg(any(test, feature = "sim"))]
use crate::memory::MemoryNet;
use model::clock::SharedClock;
use model::error::one_line;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint as HttpEndpoint};

/// HTTP/2 windows inside a tunnel, in bytes: larger than what TCP has in flight.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

/// How one colony is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Plain TCP, for trusted networks: `http://host:port`.
    Plain(String),
    /// Its mesh.
    Mesh(Box<MeshColony>),
}

impl fmt::Display for Route {
    /// `host:port` of plain TCP, or the colony's address inside its mesh.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Route::Plain(endpoint) => {
                f.write_str(endpoint.strip_prefix("http://").unwrap_or(endpoint).trim_end_matches('/'))
            }
            Route::Mesh(colony) => match colony.mesh_ip {
                Some(ip) => write!(f, "mesh {ip}:{}", colony.port()),
                None => f.write_str("mesh"),
            },
        }
    }
}

/// What a reef needs to be a peer of meshes.
#[derive(Clone, Debug)]
pub struct ReefSettings {
    /// Its id, which colonies know it by.
    pub reef_id: String,
    /// Where colonies are looked up; without it each needs a fixed endpoint and key.
    pub discovery: Option<Discovery>,
    /// The network below.
    pub underlay: Underlay,
    /// The clock.
    pub clock: SharedClock,
}

/// Keepalive timeout inside a tunnel. Keepalives wait behind sent data, and the tunnel has its own monitoring.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(40);

/// The link to a colony, or why there is none.
#[derive(Debug)]
enum Held {
    Open(Arc<Link>, Channel),
    /// A response that no other try changes before `until`. It counts for the same settings only.
    Refused {
        error: MeshError,
        colony: Box<MeshColony>,
        until: Instant,
    },
}

/// Links by colony. Each has its own lock, so that a colony that does not respond delays no other.
type Slot = Arc<Mutex<Option<Held>>>;

/// The connections of one process to its colonies. Clones share them; channels through meshes work as long as one clone
/// exists.
#[derive(Clone, Debug)]
pub struct Network {
    reef: Option<ReefSide>,
    #[cfg(any(test, feature = "sim"))]
    memory: Option<MemoryNet>,
    links: Arc<Mutex<BTreeMap<String, Slot>>>,
}

impl Network {
    /// Plain TCP only.
    pub fn plain() -> Network {
        Network::new(None)
    }

    /// Endpoints are addresses inside this process: nothing is dialled outside it.
    #[cfg(any(test, feature = "sim"))]
    pub fn in_memory(net: MemoryNet) -> Network {
        Network { memory: Some(net), ..Network::new(None) }
    }

    /// Plain TCP, and meshes as the reef of these settings.
    pub fn of_reef(settings: ReefSettings) -> Network {
        let ReefSettings { reef_id, discovery, underlay, clock } = settings;
        Network::new(Some(ReefSide { reef_id, discovery, underlay, clock }))
    }

    fn new(reef: Option<ReefSide>) -> Network {
        Network {
            reef,
            #[cfg(any(test, feature = "sim"))]
            memory: None,
            links: Arc::default(),
        }
    }

    /// [`Network::dial`] at `http://host:port` of a trusted network.
    pub async fn dial_plain(&self, endpoint: &str) -> Result<Channel, MeshError> {
        #[cfg(any(test, feature = "sim"))]
        if let Some(net) = &self.memory {
            return crate::dial::dial_memory(net, endpoint).await;
        }
        dial(endpoint).await
    }

    /// A channel to a colony. Through a mesh all callers share it, and its tunnel is kept and rebuilt if it is lost.
    /// Until then a call waits or fails as over a broken connection.
    ///
    /// Fails if the colony does not respond or refuses this reef; the error distinguishes the two.
    pub async fn dial(&self, route: &Route) -> Result<Channel, MeshError> {
        self.dial_showing(route, |_| {}).await
    }

    /// [`Network::dial`], telling each step to a new mesh link.
    pub async fn dial_showing(
        &self,
        route: &Route,
        steps: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<Channel, MeshError> {
        let colony = match route {
            Route::Plain(endpoint) => return self.dial_plain(endpoint).await,
            Route::Mesh(colony) => colony,
        };
        let slot = self.links.lock().await.entry(colony.colony_id.clone()).or_default().clone();
        let mut slot = slot.lock().await;
        match &*slot {
            Some(Held::Open(link, channel)) => match link.state() {
                LinkState::Connecting | LinkState::Up => return Ok(channel.clone()),
                // the link has its own pauses, independent of its callers
                LinkState::Down { error } => return Err(again(&error, link.colony())),
                LinkState::Closed => *slot = None,
            },
            Some(Held::Refused { error, colony: refused, until }) => {
                if refused == colony && Instant::now() < *until {
                    return Err(again(error, colony));
                }
                *slot = None;
            }
            None => {}
        }
        match Link::open(colony.as_ref().clone(), self.reef(colony)?, Purpose::Join, steps).await {
            Ok(link) => {
                let channel = channel(&link)?;
                *slot = Some(Held::Open(Arc::new(link), channel.clone()));
                Ok(channel)
            }
            Err(error) => {
                if let Some(pause) = pause_after(&error) {
                    let (error, colony) = (again(&error, colony), colony.clone());
                    *slot = Some(Held::Refused { error, colony, until: Instant::now() + pause });
                }
                Err(error)
            }
        }
    }

    /// Calls a colony through its mesh and asks whether this reef would be admitted. Nothing is registered, so a tunnel
    /// that another process of this reef has stays.
    pub async fn visit(
        &self,
        colony: &MeshColony,
        steps: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<Visit, MeshError> {
        let link = Link::open(colony.clone(), self.reef(colony)?, Purpose::Ask, steps).await?;
        let status = link.status();
        link.close().await;
        let LinkStatus { reef_mesh_ip, mesh_address, read_only, secret_expires_at, tunnel, .. } = status;
        let public_key = link.colony_key().ok_or(MeshError::Closed)?;
        let reef_mesh_ip = reef_mesh_ip.ok_or(MeshError::Closed)?;
        let mesh_address = mesh_address.ok_or(MeshError::Closed)?;
        Ok(Visit { reef_mesh_ip, mesh_address, public_key, read_only, secret_expires_at, tunnel })
    }

    fn reef(&self, colony: &MeshColony) -> Result<ReefSide, MeshError> {
        self.reef.clone().ok_or_else(|| MeshError::BadSettings {
            what: format!("colony {} is reached through its mesh, and this program has no reef id", colony.colony_id),
        })
    }

    /// All mesh links now, by colony.
    pub async fn status(&self) -> Vec<LinkStatus> {
        let slots: Vec<Slot> = self.links.lock().await.values().cloned().collect();
        let mut status = Vec::new();
        for slot in slots {
            // one that is being opened has nothing to show
            if let Ok(slot) = slot.try_lock()
                && let Some(Held::Open(link, _)) = &*slot
            {
                status.push(link.status());
            }
        }
        status
    }

    /// Ends all mesh links; their channels fail from then on.
    pub async fn close(&self) {
        let slots: Vec<Slot> = std::mem::take(&mut *self.links.lock().await).into_values().collect();
        for slot in slots {
            if let Some(Held::Open(link, _)) = slot.lock().await.take() {
                link.close().await;
            }
        }
    }
}

fn channel(link: &Link) -> Result<Channel, MeshError> {
    let to = link.mesh_address().ok_or(MeshError::Closed)?;
    let endpoint = format!("http://{to}");
    let http = HttpEndpoint::from_shared(endpoint.clone())
        .map_err(|cause| MeshError::BadEndpoint { endpoint, cause: Some(cause) })?;
    Ok(http
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector_lazy(link.connector()))
}

/// The error of a link for one more caller.
fn again(error: &MeshError, colony: &MeshColony) -> MeshError {
    let colony_id = colony.colony_id.clone();
    match error {
        MeshError::WrongSecret { at, .. } => MeshError::WrongSecret { colony_id, at: at.clone() },
        MeshError::NoAnswer { at, tries, seconds, .. } => {
            MeshError::NoAnswer { colony_id, at: at.clone(), tries: *tries, seconds: *seconds }
        }
        MeshError::Refused { reason, detail, .. } => {
            MeshError::Refused { colony_id, reason: reason.clone(), detail: detail.clone() }
        }
        other => MeshError::Down { colony_id, cause: one_line(other) },
    }
}
