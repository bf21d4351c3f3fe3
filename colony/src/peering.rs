//! The colony's side of its mesh: key, secret and registry of peers from its files, and its place at discovery.

use crate::config::{ColonyFile, ConfigError, DiscoveryFile, MeshFile, Places, replace_secret};
use mesh::discovery::{DiscoveryError, Lease, LeaseSettings, local_address_towards};
use mesh::error::WeakSecret;
use mesh::keys::PrivateKey;
use mesh::registry::Registry;
use mesh::secret::Secret;
use mesh::{Discovery, DoorSettings, DoorView, MeshError, Underlay};
use model::clock::SharedClock;
use std::fs::{File, OpenOptions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files of a colony's mesh, in its folder.
const KEY_FILE: &str = "mesh.key";
const REGISTRY_FILE: &str = "mesh.json";
const SOCKET_FILE: &str = "live.sock";
const SECRET_LOCK_FILE: &str = "secret.lock";

/// Why a colony has no mesh.
#[derive(Debug, thiserror::Error)]
pub enum PeeringError {
    /// Its file does not ask for one.
    #[error("colony {colony_id} has no mesh: write a section `mesh:` into {path}", path = path.display())]
    NotConfigured {
        /// Which colony.
        colony_id: String,
        /// Its file.
        path: PathBuf,
    },
    /// There is no secret.
    #[error("colony {colony_id} has no secret: {path} needs `colony_secret` or `mesh.secret_file`", path = path.display())]
    NoSecret {
        /// Which colony.
        colony_id: String,
        /// Its file.
        path: PathBuf,
    },
    /// The secret in the colony's file can be guessed.
    #[error("`colony_secret` in {path} cannot be used; `coral colony secret rotate` replaces it", path = path.display())]
    WeakSecret {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: WeakSecret,
    },
    /// The folder for its files cannot be made.
    #[error("cannot create the folder {path}", path = path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The colony's file cannot be changed.
    #[error("the new secret cannot be stored; the former one is still valid")]
    Config(#[source] ConfigError),
    /// Discovery cannot be used.
    #[error("the colony cannot register with discovery")]
    Discovery(#[source] DiscoveryError),
    /// A fault of key, secret or registry.
    #[error("the mesh of colony {colony_id} cannot be used")]
    Mesh {
        /// Which colony.
        colony_id: String,
        /// The cause.
        #[source]
        cause: MeshError,
    },
}

/// A colony's mesh, opened from its files.
#[derive(Debug)]
pub struct Peering {
    colony_id: String,
    file: PathBuf,
    folder: PathBuf,
    settings: MeshFile,
    discovery: Option<DiscoveryFile>,
    key: PrivateKey,
    registry: Registry,
}

impl Peering {
    /// Reads key and registry of the colony; the first time they are created.
    pub fn open(places: &Places, colony: &ColonyFile, clock: SharedClock) -> Result<Peering, PeeringError> {
        let colony_id = colony.colony_id.clone();
        let file = places.colony_file(&colony_id);
        let settings = colony.mesh.clone();
        let settings =
            settings.ok_or_else(|| PeeringError::NotConfigured { colony_id: colony_id.clone(), path: file.clone() })?;
        let folder = places.mesh_folder(&colony_id);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|cause| PeeringError::Folder { path: folder.clone(), cause })?;
        let failed = |cause| PeeringError::Mesh { colony_id: colony_id.clone(), cause };
        let key_file = settings.key_file.clone().unwrap_or_else(|| folder.join(KEY_FILE));
        let key = PrivateKey::load_or_create(&key_file).map_err(failed)?;
        let registry = Registry::open(&folder.join(REGISTRY_FILE), &colony_id, key.public(), clock).map_err(failed)?;
        let discovery = colony.discovery.clone();
        Ok(Peering { colony_id, file, folder, settings, discovery, key, registry })
    }

    /// Makes the secret of the colony's files the one that admits reefs, before the door opens. A file of
    /// `mesh.secret_file` that does not exist is created.
    pub fn admit_own_secret(&self, colony: &ColonyFile) -> Result<(), PeeringError> {
        let _lock = self.lock_secret()?;
        let secret = match (&self.settings.secret_file, &colony.colony_secret) {
            (Some(path), _) => Secret::load_or_create(path).map_err(|cause| self.failed(cause))?,
            (None, Some(text)) => {
                self.check_mode()?;
                let weak = |cause| PeeringError::WeakSecret { path: self.file.clone(), cause };
                Secret::parse(text.reveal()).map_err(weak)?
            }
            (None, None) => {
                return Err(PeeringError::NoSecret { colony_id: self.colony_id.clone(), path: self.file.clone() });
            }
        };
        self.registry.set_own_secret(&secret, None).map_err(|cause| self.failed(cause))
    }

    /// A file with a secret in it is readable by its owner alone.
    fn check_mode(&self) -> Result<(), PeeringError> {
        let is_open = std::fs::metadata(&self.file).is_ok_and(|data| data.mode() & 0o077 != 0);
        match is_open {
            true => Err(self.failed(MeshError::FileOpenToOthers { path: self.file.clone() })),
            false => Ok(()),
        }
    }

    /// Replaces the colony's own secret and returns the new one. The former one is valid for `grace`, or ends now.
    pub fn rotate(&self, grace: Option<Duration>) -> Result<Secret, PeeringError> {
        let _lock = self.lock_secret()?;
        let secret = Secret::generate();
        match &self.settings.secret_file {
            Some(path) => secret.store(path).map_err(|cause| self.failed(cause))?,
            None => replace_secret(&self.file, secret.reveal()).map_err(PeeringError::Config)?,
        }
        // after the file: one that cannot be written ends nothing, and what it holds counts at the next start
        self.registry.set_own_secret(&secret, grace).map_err(|cause| self.failed(cause))?;
        Ok(secret)
    }

    /// Waits until no other process changes the colony's own secret: it is in two files, which change together. The lock
    /// ends with the value.
    fn lock_secret(&self) -> Result<File, PeeringError> {
        let path = self.folder.join(SECRET_LOCK_FILE);
        let failed = |cause| self.failed(MeshError::File { what: "lock", path: path.clone(), cause });
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// The settings of its door.
    pub fn door(&self) -> DoorSettings {
        DoorSettings {
            key: self.key.clone(),
            listen: self.settings.listen,
            range: self.settings.range,
            connect_port: self.settings.connect_port,
            mtu: self.settings.mtu,
            peers_max: self.settings.peers_max,
            registry: self.registry.clone(),
            stun: self.settings.stun.clone(),
            underlay: Underlay::Udp,
        }
    }

    /// Registers with discovery for as long as the lease is kept; `None` without `discovery`.
    pub async fn register(&self, door: &DoorView) -> Result<Option<Lease>, PeeringError> {
        let Some(DiscoveryFile { endpoint, interval }) = &self.discovery else { return Ok(None) };
        let discovery = Discovery::new(endpoint).map_err(PeeringError::Discovery)?;
        let (listening, mut endpoints) = (door.address(), self.settings.advertise.clone());
        if endpoints.is_empty() {
            let own = if listening.ip().is_unspecified() { own_address(endpoint).await } else { Some(listening.ip()) };
            endpoints.extend(own.map(|ip| SocketAddr::new(ip, listening.port())));
        }
        if endpoints.is_empty() && self.settings.stun.is_empty() {
            tracing::warn!(endpoint, "this machine has no address towards discovery; set mesh.advertise");
            return Ok(None);
        }
        let settings = LeaseSettings {
            colony_id: self.colony_id.clone(),
            key: self.key.clone(),
            endpoints,
            observed: Some(door.observed()),
            mesh_ip: self.settings.range.own(),
            connect_port: self.settings.connect_port,
            interval: *interval,
        };
        Ok(Some(Lease::start(discovery, settings)))
    }

    /// Who may be a peer.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The colony's key.
    pub fn public_key(&self) -> mesh::keys::PublicKey {
        self.key.public()
    }

    /// The section `mesh`.
    pub fn settings(&self) -> &MeshFile {
        &self.settings
    }

    /// Where the colony's own secret is stored.
    pub fn secret_place(&self) -> &Path {
        self.settings.secret_file.as_deref().unwrap_or(&self.file)
    }

    /// The socket at which the running colony shows its peers.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET_FILE)
    }

    fn failed(&self, cause: MeshError) -> PeeringError {
        PeeringError::Mesh { colony_id: self.colony_id.clone(), cause }
    }
}

/// This machine's address on the route to a service.
async fn own_address(url: &str) -> Option<IpAddr> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "https" { 443 } else { 80 };
    let host = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
    local_address_towards(&host).await
}
