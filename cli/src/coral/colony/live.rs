//! The running colony's peers, shown at a socket that only the same user can open.

use colony::Peering;
use mesh::discovery::LeaseState;
use mesh::stats::{Drops, PeerStats};
use mesh::{DoorView, MeshError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// How long a caller may take to read, and a colony to answer.
const WAIT: Duration = Duration::from_secs(10);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a running colony shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Its process.
    pub pid: u32,
    /// UDP address of its door.
    pub listen: String,
    /// The same as a STUN server sees it, if one is asked.
    #[serde(default)]
    pub observed: Option<String>,
    /// `registered`, `pending`, the error of the last try, or `off`.
    pub discovery: String,
    /// Peers now.
    pub peers: Vec<LivePeer>,
    /// Datagrams that were not taken, by reason.
    pub dropped: Dropped,
}

/// One tunnel now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LivePeer {
    /// Its id; absent before it has registered.
    pub reef_id: Option<String>,
    /// Its address in the mesh.
    pub mesh_ip: String,
    /// Where its datagrams come from.
    pub endpoint: Option<String>,
    /// Since the keys in use were agreed.
    pub handshake_age_seconds: Option<u64>,
    /// Since its last authentic datagram.
    pub answer_age_seconds: Option<u64>,
    /// Bytes of packets.
    pub received_bytes: u64,
    /// Bytes of packets.
    pub sent_bytes: u64,
    /// Name of its secret.
    pub secret: String,
}

/// [`Drops`], by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    no_message: u64,
    stray: u64,
    damaged: u64,
    replayed: u64,
    limited: u64,
    forged: u64,
    no_peer: u64,
}

impl Live {
    fn of(door: &DoorView, lease: Option<&watch::Receiver<LeaseState>>) -> Live {
        let discovery = match lease.map(|lease| lease.borrow().clone()) {
            None => "off".to_owned(),
            Some(LeaseState::Pending) => "pending".to_owned(),
            Some(LeaseState::Registered) => "registered".to_owned(),
            Some(LeaseState::Failed(error)) => error,
        };
        let Drops { no_message, stray, damaged, replayed, limited, forged, no_peer } = door.drops();
        Live {
            pid: std::process::id(),
            listen: door.address().to_string(),
            observed: door.observed().borrow().map(|address| address.to_string()),
            discovery,
            peers: door.peers().iter().map(LivePeer::of).collect(),
            dropped: Dropped { no_message, stray, damaged, replayed, limited, forged, no_peer },
        }
    }

    /// The tunnel of a reef.
    pub fn peer(&self, reef_id: &str) -> Option<&LivePeer> {
        self.peers.iter().find(|peer| peer.reef_id.as_deref() == Some(reef_id))
    }
}

impl LivePeer {
    fn of(peer: &PeerStats) -> LivePeer {
        let seconds = |age: Option<Duration>| age.map(|age| age.as_secs());
        LivePeer {
            reef_id: peer.reef_id.clone(),
            mesh_ip: peer.address.to_string(),
            endpoint: peer.tunnel.endpoint.map(|endpoint| endpoint.to_string()),
            handshake_age_seconds: seconds(peer.tunnel.handshake_age),
            answer_age_seconds: seconds(peer.tunnel.answer_age),
            received_bytes: peer.tunnel.received_bytes,
            sent_bytes: peer.tunnel.sent_bytes,
            secret: peer.secret.clone(),
        }
    }
}

/// Answers each caller with one document, until it is dropped. The socket is in the private folder of the mesh.
pub async fn show(peering: &Peering, door: DoorView, lease: Option<watch::Receiver<LeaseState>>) {
    let path = peering.socket();
    let listener = match bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "`coral colony peers` cannot show live tunnels");
            return;
        }
    };
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let live = Live::of(&door, lease.as_ref());
        let Ok(text) = serde_json::to_vec(&live) else { continue };
        // a caller that disconnects, or does not read, needs no response
        let _ = tokio::time::timeout(WAIT, async {
            stream.write_all(&text).await?;
            stream.shutdown().await
        })
        .await;
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // left over by a killed process; the colony's database is locked by this one
    let _ = std::fs::remove_file(path);
    let (short, _folder) = crate::sockets::short(path)?;
    UnixListener::bind(short)
}

/// Asks the running colony; `None` when it does not run.
pub async fn ask(peering: &Peering) -> Result<Option<Live>, MeshError> {
    let path = peering.socket();
    let failed = |cause| MeshError::File { what: "ask the running colony at", path: path.clone(), cause };
    let (short, _folder) = crate::sockets::short(&path).map_err(failed)?;
    let mut stream = match UnixStream::connect(short).await {
        Ok(stream) => stream,
        Err(error) if crate::sockets::is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    let read = tokio::time::timeout(WAIT, stream.read_to_end(&mut text)).await;
    read.map_err(io::Error::from).and_then(|read| read).map_err(failed)?;
    serde_json::from_slice(&text).map(Some).map_err(|error| failed(error.into()))
}
