//! `add-colony` and `ping` against a real colony in this process.

use super::super::add_colony::{self, AddColonyArgs};
use super::super::ping::{self, PingArgs};
use super::{Line, parse};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use clap::CommandFactory;
use colony::config::{Places, Retention};
use colony::{ColonySettings, Listen, Serving, serve};
use mesh::discovery::{DiscoveryServer, DiscoverySettings, Lease, LeaseSettings};
use mesh::keys::PrivateKey;
use mesh::registry::{Range, Registry};
use mesh::secret::Secret;
use mesh::{Discovery, DoorSettings, Underlay};
use model::clock::SystemClock;
use model::colony::ColonyIdentity;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const COLONY: &str = "my-shop-production";
const OWN_IP: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);

/// A colony with a mesh, a discovery service that knows it, and a reef's file.
struct Scene {
    runtime: Runtime,
    dir: tempfile::TempDir,
    places: Places,
    serving: Serving,
    key: PrivateKey,
    secret: Secret,
    registry: Registry,
    stop: oneshot::Sender<()>,
    _lease: Lease,
}

impl Scene {
    fn new() -> Scene {
        Scene::with_shown_port(9000)
    }

    /// Discovery shows `shown_port`; the colony's is 9000.
    fn with_shown_port(shown_port: u16) -> Scene {
        let (runtime, dir) = (runtime().unwrap(), tempfile::tempdir().unwrap());
        let places = Places { home: dir.path().join("home"), project: dir.path().join("p"), storage_path: None };
        std::fs::create_dir_all(places.home.join("reefs")).unwrap();
        let (key, secret, clock) = (PrivateKey::generate(), Secret::generate(), SystemClock::shared());
        let registry = Registry::open(&dir.path().join("mesh.json"), COLONY, key.public(), clock.clone()).unwrap();
        registry.set_own_secret(&secret, None).unwrap();
        let door = DoorSettings {
            key: key.clone(),
            listen: "127.0.0.1:0".parse().unwrap(),
            range: Range::new("10.42.0.0/16", OWN_IP, Ipv4Addr::new(10, 42, 0, 100)).unwrap(),
            connect_port: 9000,
            mtu: 1420,
            peers_max: 8,
            registry: registry.clone(),
            stun: Vec::new(),
            underlay: Underlay::Udp,
        };
        let settings = ColonySettings {
            identity: ColonyIdentity {
                colony_id: COLONY.to_owned(),
                application_name: "my-shop".to_owned(),
                environment: "production".to_owned(),
            },
            storage_path: dir.path().join("store"),
            retention: Retention::default(),
            clock: clock.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let (serving, url, lease) = runtime.block_on(async {
            let serving = serve(settings, Listen::Mesh(Box::new(door)), shutdown).await.unwrap();
            let settings = DiscoverySettings { listen: "127.0.0.1:0".to_owned(), file: None, clock };
            let server = DiscoveryServer::bind(settings).await.unwrap();
            let url = format!("http://{}", server.address());
            tokio::spawn(server.serve(std::future::pending()));
            let settings = LeaseSettings {
                colony_id: COLONY.to_owned(),
                key: key.clone(),
                endpoints: vec![serving.address()],
                observed: None,
                mesh_ip: OWN_IP,
                connect_port: shown_port,
                interval: Duration::from_secs(60),
            };
            let lease = Lease::start(Discovery::new(&url).unwrap(), settings);
            let mut state = lease.state();
            state.wait_for(|state| *state == mesh::discovery::LeaseState::Registered).await.unwrap();
            (serving, url, lease)
        });
        let scene = Scene { runtime, dir, places, serving, key, secret, registry, stop, _lease: lease };
        let text = format!("reef_id: infra-reef-a1b2c3\nname: infra\n# mine\ndiscovery:\n  endpoint: {url}\n");
        std::fs::write(scene.reef(), text).unwrap();
        scene.write_secret("right.secret", scene.secret.reveal());
        scene.write_secret("wrong.secret", Secret::generate().reveal());
        scene
    }

    fn reef(&self) -> std::path::PathBuf {
        self.places.home.join("reefs/infra-reef-a1b2c3.yaml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.reef()).unwrap()
    }

    fn write_secret(&self, name: &str, text: &str) {
        Secret::parse(text).unwrap().store(&self.dir.path().join(name)).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Result, stdout and stderr of `add-colony`.
    fn add(&self, line: &str, json: bool) -> (Result<(), Failure>, String, String) {
        let (output, captured) = Output::captured(json);
        let result = add_colony::run(&parse::<AddColonyArgs>(&format!("add-colony {line}")), &self.places, &output);
        (result, captured.stdout(), captured.stderr())
    }

    fn ping(&self, line: &str) -> (Result<(), Failure>, Value) {
        let (output, captured) = Output::captured(true);
        let result = ping::run(&parse::<PingArgs>(line), &self.places, &output);
        let shown = serde_json::from_str(&captured.stdout()).unwrap_or(Value::Null);
        (result, shown)
    }

    fn end(self) {
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.serving.stopped()).unwrap();
    }
}

#[test]
fn a_colony_is_added_in_five_steps_and_answers() {
    let scene = Scene::new();
    let (result, page, _) = scene.add(&format!("{COLONY} --colony-secret-file {}", scene.file("right.secret")), false);
    result.unwrap();
    let address = scene.serving.address();
    assert_eq!(
        page,
        format!(
            "Adding colony to reef infra-reef-a1b2c3...\n\n ↳ Querying discovery for colony: {COLONY}\n \
             ↳ Colony endpoint: {address} (mesh IP: 10.42.0.1:9000)\n ↳ Establishing WireGuard tunnel...\n \
             ↳ Registering reef as mesh peer...\n ↳ Assigned mesh IP: 10.42.0.100\n\n\
             ✓ Colony added to reef configuration\n✓ WireGuard tunnel established\n"
        )
    );
    let text = scene.text();
    assert!(text.contains("# mine") && text.contains("reef_mesh_ip: \"10.42.0.100\""), "{text}");
    assert!(!text.contains(scene.secret.reveal()), "{text}");
    let (result, found) = scene.ping("ping");
    result.unwrap();
    let found = &found["colonies"][0];
    assert_eq!((&found["state"], &found["reef_mesh_ip"]), (&"ok".into(), &"10.42.0.100".into()));
    assert!(found["round_trip_ms"].as_f64().unwrap() > 0.0 && found["endpoint"] == address.to_string(), "{found}");
    let (again, _, _) = scene.add(&format!("{COLONY} --colony-secret-file {}", scene.file("right.secret")), true);
    assert_eq!(again.unwrap_err().code, "colony_present");
    scene.end();
}

#[test]
fn a_given_port_wins_over_discovery_and_a_given_key_is_kept() {
    let scene = Scene::with_shown_port(9001);
    let right = format!("{COLONY} --colony-secret-file {}", scene.file("right.secret"));
    let given = format!("{right} --connect-port 9000 --public-key {}", scene.key.public());
    let (result, page, _) = scene.add(&given, false);
    result.unwrap();
    assert!(page.contains("(mesh IP: 10.42.0.1:9000)"), "{page}");
    let text = scene.text();
    assert!(text.contains("connect_port: 9000") && text.contains(&format!("public_key: \"{}\"", scene.key.public())));
    assert!(!text.contains("9001") && scene.ping("ping").0.is_ok(), "{text}");
    scene.end();
}

#[test]
fn port_zero_is_no_port_of_a_colony() {
    let words = "add-colony c --connect-port 0".split(' ');
    let error = Line::<AddColonyArgs>::command().try_get_matches_from(words).unwrap_err().to_string();
    assert!(error.contains("invalid value '0' for '--connect-port <PORT>': 0 is not in 1..=65535"), "{error}");
}

#[test]
fn three_ways_not_to_reach_a_colony_have_three_codes_and_save_nothing() {
    let scene = Scene::new();
    let before = scene.text();
    let right = format!("--colony-secret-file {}", scene.file("right.secret"));
    let wrong = format!("{COLONY} --colony-secret-file {}", scene.file("wrong.secret"));
    let (result, page, _) = scene.add(&wrong, false);
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::NotAuthorised, "wrong_secret"));
    assert!(
        failure.message.contains(COLONY) && failure.details[0].contains("the secret does not match"),
        "{failure:?}"
    );
    assert!(page.contains(" ✗ colony my-shop-production: it answers at"), "{page}");

    let (result, _, _) = scene.add(&format!("other {right}"), false);
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "colony_unknown"));

    let nowhere =
        format!("{COLONY} {right} --endpoint 127.0.0.1:9 --mesh-ip 10.42.0.1 --public-key {}", scene.key.public());
    let (result, page, _) = scene.add(&nowhere, false);
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "colony_unreachable"));
    assert!(page.contains("Using the given endpoint"), "{page}");

    let (result, _, _) = scene.add(COLONY, false);
    assert_eq!(result.unwrap_err().exit, Exit::Usage, "no secret and no terminal");
    let (result, _, warned) = scene.add(&format!("{COLONY} --colony-secret hunter2"), false);
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Usage, "secret_weak"));
    assert!(warned.contains("visible to other users") && !format!("{failure:?}{warned}").contains("hunter2"));

    assert_eq!(scene.text(), before);
    let files = std::fs::read_dir(scene.places.home.join("reefs")).unwrap().count();
    assert_eq!((files, scene.registry.state().reefs.len()), (1, 0));
    scene.end();
}

#[test]
fn a_fault_after_the_tunnel_is_up_saves_nothing_either() {
    let scene = Scene::new();
    let before = scene.text();
    let files = || std::fs::read_dir(scene.places.home.join("reefs")).unwrap().count();
    // the colony has let this reef go since it joined
    let (result, page, _) = scene.add(&format!("{COLONY} --colony-secret {}", scene.secret.reveal()), false);
    result.unwrap();
    assert!(page.contains("↳ Assigned mesh IP: 10.42.0.100"), "{page}");
    std::fs::write(scene.reef(), &before).unwrap();
    let files_before = files();
    scene.registry.unpeer("infra-reef-a1b2c3").unwrap();
    let (result, page, _) = scene.add(&format!("{COLONY} --colony-secret {}", scene.secret.reveal()), false);
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::NotAuthorised, "refused"));
    assert!(page.contains("↳ Registering reef as mesh peer...") && !page.contains("Assigned"), "{page}");
    assert!(!page.contains('✓') && scene.text() == before && files() == files_before, "{page}");
    scene.end();
}

#[test]
fn a_secret_of_the_command_line_becomes_a_private_file() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let (result, shown, _) = scene.add(&format!("{COLONY} --colony-secret {}", scene.secret.reveal()), true);
    result.unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["reef_mesh_ip"], &shown["read_only"]), (&"10.42.0.100".into(), &false.into()));
    let file = scene.reef().with_file_name("infra-reef-a1b2c3.my-shop-production.secret");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(file).unwrap(), scene.secret.reveal());
    assert!(!scene.text().contains(scene.secret.reveal()) && scene.ping("ping my-shop").0.is_ok());
    scene.end();
}

#[test]
fn a_reef_that_was_removed_hears_so_and_a_ping_joins_nothing() {
    let scene = Scene::new();
    scene.add(&format!("{COLONY} --colony-secret-file {}", scene.file("right.secret")), true).0.unwrap();
    let key = || scene.registry.state().reefs[0].clone();
    let before = key();
    scene.ping("ping").0.unwrap();
    assert_eq!(key(), before, "asking registers no key");
    scene.registry.unpeer("infra-reef-a1b2c3").unwrap();
    let (result, _) = scene.ping("ping");
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::NotAuthorised, "refused"));
    assert!(failure.message.contains("revoked on"), "{failure:?}");
    assert_eq!(scene.ping("ping other").0.unwrap_err().exit, Exit::NotFound);
    scene.end();
}
