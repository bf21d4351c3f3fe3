//! The demo's colonies behind meshes: each has a door of its own, and all use the same addresses inside.

use mesh::keys::PrivateKey;
use mesh::registry::{Range, Registry};
use mesh::secret::{Secret, SecretSource};
use mesh::{DoorSettings, DoorView, Listen, MeshColony, MeshError, Route, Underlay};
use model::clock::SystemClock;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

const OWN_IP: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);
const FIRST_IP: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 100);
const CONNECT_PORT: u16 = 9000;
const MTU: u16 = 1420;

fn secret_name(colony_id: &str) -> String {
    format!("{colony_id}.secret")
}

fn secret_file(colony_id: &str, folder: &Path) -> PathBuf {
    folder.join(secret_name(colony_id))
}

/// A door on a free UDP port of this machine, with a new key and a new secret in `folder`.
pub fn listen(colony_id: &str, folder: &Path) -> Result<Listen, MeshError> {
    let key = PrivateKey::generate();
    let path = folder.join(format!("{colony_id}.mesh.json"));
    let registry = Registry::open(&path, colony_id, key.public(), SystemClock::shared())?;
    registry.set_own_secret(&Secret::load_or_create(&secret_file(colony_id, folder))?, None)?;
    Ok(Listen::Mesh(Box::new(DoorSettings {
        key,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        range: Range::new("10.42.0.0/16", OWN_IP, FIRST_IP)?,
        connect_port: CONNECT_PORT,
        mtu: MTU,
        peers_max: 8,
        registry,
        stun: Vec::new(),
        underlay: Underlay::Udp,
    })))
}

/// How the reef reaches it, as [`place`] in its configuration says.
pub fn route(colony_id: &str, folder: &Path, door: &DoorView) -> Route {
    Route::Mesh(Box::new(MeshColony {
        mesh_ip: Some(OWN_IP),
        connect_port: Some(CONNECT_PORT),
        endpoint: Some(door.address().to_string()),
        public_key: Some(door.public_key()),
        ..MeshColony::new(colony_id, SecretSource::File(secret_file(colony_id, folder)))
    }))
}

/// The line of the configuration, whose folder is that above the colonies.
pub fn place(colony_id: &str, door: &DoorView) -> String {
    format!(
        "mesh = {{ mesh_ip = \"{OWN_IP}\", connect_port = {CONNECT_PORT}, colony_secret_file = \"colonies/{}\", \
         endpoint = \"{}\", public_key = \"{}\" }}",
        secret_name(colony_id),
        door.address(),
        door.public_key()
    )
}
