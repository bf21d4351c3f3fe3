//! A colony's mesh from its files: keys and secrets are created, replaced and refused.

use crate::config::{ConfigError, NewColony, Places, Resolved, init, resolve};
use crate::server::serve_at;
use crate::tests::settings;
use crate::{Listen, Peering, PeeringError};
use mesh::secret::SecretSource;
use mesh::{MeshColony, MeshError, Network, ReefSettings, Route, Underlay};
use model::clock::SystemClock;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use proto::reef::v1::{GetSummaryRequest, StreamEventsRequest};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tonic::Code;

struct Scene {
    dir: tempfile::TempDir,
    places: Places,
}

impl Scene {
    /// A colony `c1` whose file ends with `more`.
    fn new(more: &str) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { home: dir.path().join("home"), project: dir.path().join("project"), storage_path: None };
        let new = NewColony {
            application_name: "my-shop".into(),
            environment: "production".into(),
            colony_id: Some("c1".into()),
            ..NewColony::default()
        };
        init(&places, &new).unwrap();
        let scene = Scene { dir, places };
        let text = scene.text();
        std::fs::write(scene.places.colony_file("c1"), text + more).unwrap();
        scene
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.places.colony_file("c1")).unwrap()
    }

    fn resolved(&self) -> Result<Resolved, ConfigError> {
        resolve(&self.places, None)
    }

    fn peering(&self) -> Result<Peering, PeeringError> {
        let resolved = self.resolved().unwrap();
        let peering = Peering::open(&self.places, &resolved.colony, SystemClock::shared())?;
        peering.admit_own_secret(&resolved.colony)?;
        Ok(peering)
    }

    fn refused(&self) -> String {
        self.resolved().unwrap_err().to_string()
    }
}

const MESH: &str = "mesh:\n  listen: 127.0.0.1:0\n";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_section_has_defaults_and_refuses_what_cannot_be() {
    let mesh = |text: &str| Scene::new(text).resolved().unwrap().colony.mesh;
    assert_eq!(mesh(""), None);
    let defaults = mesh("mesh:\n").unwrap();
    assert_eq!(
        (defaults.listen.to_string(), defaults.range.to_string()),
        ("0.0.0.0:41580".into(), "10.42.0.0/16".into())
    );
    assert_eq!((defaults.connect_port, defaults.mtu, defaults.peers_max), (9000, 1420, 64));
    let other = mesh("mesh:\n  network: 10.9.0.0/24\n  mesh_ip: 10.9.0.5\n  first_ip: 10.9.0.9\n  secret_file: s\n  advertise: ['203.0.113.42:41580']\n  stun: ['stun.example.com:3478']\n").unwrap();
    assert_eq!((other.range.own().to_string(), other.advertise.len()), ("10.9.0.5".into(), 1));
    assert_eq!(other.stun, ["stun.example.com:3478"]);
    assert!(other.secret_file.unwrap().ends_with("colonies/s"));
    for (text, wanted) in [
        ("mesh:\n  listn: 1.2.3.4:5\n", "mesh.listn: is not known; known keys: listen,"),
        ("mesh:\n  listen: 41580\n", "mesh.listen: \"41580\" is no address"),
        ("mesh:\n  mesh_ip: 10.43.0.1\n", "is not an address of mesh.network"),
        ("mesh:\n  mtu: 9000\n", "mesh.mtu: must be a whole number from 576 to 1440"),
        ("mesh:\n  advertise: ['0.0.0.0:1']\n", "leads nowhere"),
        ("mesh:\n  stun: [stun.example.com]\n", "write host:port, for example stun.example.com:3478"),
        ("mesh: yes\n", "must have keys"),
        ("discovery:\n  endpoint: discovery.example.com\n", "is not the address of a discovery service"),
        ("discovery:\n  endpoint: http://a\n  interval: 10m\n", "allowed is 1s to 5m"),
    ] {
        let told = Scene::new(text).refused();
        assert!(told.contains(wanted) && told.contains("c1.yaml"), "{text}: {told}");
    }
}

#[test]
fn keys_and_secrets_are_created_in_private_files_and_rotated_where_they_are() {
    let scene = Scene::new(&format!("{MESH}# kept\n"));
    let peering = scene.peering().unwrap();
    let folder = scene.places.mesh_folder("c1");
    assert_eq!((mode(&folder), mode(&folder.join("mesh.key")), mode(&folder.join("mesh.json"))), (0o700, 0o600, 0o600));
    assert_eq!(scene.peering().unwrap().public_key(), peering.public_key(), "a restart has the same key");
    let before = scene.text();
    let secret = peering.rotate(Some(Duration::from_secs(3_600))).unwrap();
    let after = scene.text();
    assert!(after.contains(secret.reveal()) && after.contains("# kept") && !before.contains(secret.reveal()));
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(mode(&scene.places.colony_file("c1")), 0o600);
    let names = |peering: &Peering| -> Vec<String> {
        peering.registry().state().grants.iter().map(|grant| grant.name.clone()).collect()
    };
    assert_eq!(names(&scene.peering().unwrap()), ["colony", "colony-before"], "a restart keeps the grace");
    peering.rotate(None).unwrap();
    assert_eq!(names(&scene.peering().unwrap()), ["colony"]);

    let scene = Scene::new(&format!("{MESH}  secret_file: own.secret\n"));
    let peering = scene.peering().unwrap();
    let file = scene.places.home.join("colonies/own.secret");
    assert_eq!((mode(&file), peering.secret_place()), (0o600, file.as_path()));
    let secret = peering.rotate(None).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret.reveal());
}

#[test]
fn rotations_at_the_same_moment_leave_one_secret_in_file_and_registry() {
    let scene = Scene::new(MESH);
    let registry = scene.places.mesh_folder("c1").join("mesh.json");
    for round in 0..20 {
        let peerings = [("one", scene.peering().unwrap()), ("other", scene.peering().unwrap())];
        let rotations = peerings.map(|(name, peering)| {
            let rotate = move || drop(peering.rotate(None).unwrap());
            std::thread::Builder::new().name(name.to_owned()).spawn(rotate).unwrap()
        });
        rotations.into_iter().for_each(|rotation| rotation.join().unwrap());
        let rotated = std::fs::read_to_string(&registry).unwrap();
        // the secret of the file is admitted, which changes nothing where the registry has it
        scene.peering().unwrap();
        assert_eq!(std::fs::read_to_string(&registry).unwrap(), rotated, "round {round}");
    }
}

#[test]
fn a_rotation_touches_no_other_file_and_makes_the_colonys_own_private() {
    let scene = Scene::new(MESH);
    let peering = scene.peering().unwrap();
    let (file, folder) = (scene.places.colony_file("c1"), scene.places.home.join("colonies"));
    // the file itself is elsewhere, and others can read it
    let real = scene.dir.path().join("of-the-team.yaml");
    std::fs::rename(&file, &real).unwrap();
    std::os::unix::fs::symlink(&real, &file).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o644)).unwrap();
    for beside in [folder.join("c1.yaml.new"), scene.dir.path().join("of-the-team.yaml.new")] {
        std::fs::write(&beside, "of another program").unwrap();
        let secret = peering.rotate(None).unwrap();
        assert_eq!(std::fs::read_to_string(&beside).unwrap(), "of another program");
        assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
        assert!(std::fs::read_to_string(&real).unwrap().contains(secret.reveal()));
        assert_eq!(mode(&real), 0o600);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "nothing is left over");
}

#[test]
fn secrets_that_are_weak_open_or_missing_are_refused() {
    let scene = Scene::new(MESH);
    let file = scene.places.colony_file("c1");
    let text = scene.text();
    let line = text.lines().find(|line| line.starts_with("colony_secret:")).unwrap();
    std::fs::write(&file, text.replace(line, "colony_secret: hunter2")).unwrap();
    let error = scene.peering().unwrap_err();
    assert!(matches!(error, PeeringError::WeakSecret { .. }) && !format!("{error:?}").contains("hunter2"), "{error:?}");
    std::fs::write(&file, text.replace(line, "")).unwrap();
    assert!(matches!(scene.peering(), Err(PeeringError::NoSecret { .. })));
    std::fs::write(&file, &text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let open = scene.peering().unwrap_err();
    assert!(matches!(open, PeeringError::Mesh { cause: MeshError::FileOpenToOthers { .. }, .. }), "{open:?}");
    assert!(matches!(Scene::new("").peering(), Err(PeeringError::NotConfigured { .. })));
}

#[tokio::test]
async fn a_reef_reads_through_the_mesh_and_agents_write_over_plain_tcp() {
    let scene = Scene::new(MESH);
    let peering = scene.peering().unwrap();
    let secret = peering.rotate(None).unwrap();
    let listen = [Listen::plain("127.0.0.1:0"), Listen::Mesh(Box::new(peering.door()))];
    let serving = serve_at(settings(scene.dir.path(), "c1"), &listen, std::future::pending()).await.unwrap();
    let door = serving.door().unwrap().clone();
    assert_ne!(serving.address(), door.address());
    let reef = Network::of_reef(ReefSettings {
        reef_id: "r1".into(),
        discovery: None,
        underlay: Underlay::Udp,
        clock: SystemClock::shared(),
    });
    let colony = MeshColony {
        mesh_ip: Some(*door.mesh_address().ip()),
        endpoint: Some(door.address().to_string()),
        public_key: Some(door.public_key()),
        ..MeshColony::new("c1", SecretSource::Text(secret))
    };
    let channel = reef.dial(&Route::Mesh(Box::new(colony))).await.unwrap();
    let mut client = ColonyFederationClient::new(channel);
    let mut stream = client.stream_events(StreamEventsRequest::default()).await.unwrap().into_inner();
    serving.recorder().events(vec![super::event(7)]).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap().event_id, "e7");
    let mut plain = ColonyFederationClient::connect(serving.endpoint()).await.unwrap();
    let long_ago = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
    let request = GetSummaryRequest { start_time: long_ago, end_time: long_ago, ..GetSummaryRequest::default() };
    assert_eq!(plain.get_summary(request).await.unwrap().into_inner().colony_id, "c1");

    peering.registry().unpeer("r1").unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.message()).await.unwrap().unwrap_err();
    assert_eq!((ended.code(), ended.message()), (Code::PermissionDenied, "revoked"));
    reef.close().await;
    serving.kill().await;
}
