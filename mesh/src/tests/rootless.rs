//! WireGuard of other hands without a right or a namespace: wireguard-go with gVisor's TCP and Go's HTTP/2, both ways
//! round.

use super::hostile::{Rogue, SERVICES};
use super::support::{BUILDS, World, summary};
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::noise::psk::Psk;
use crate::provisional;
use crate::secret::Secret;
use prost::Message;
use proto::mesh::v1::{RegisterRequest, RegisterResponse};
use proto::reef::v1::{GetSummaryResponse, MetricSummary};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// Builds the peer, or says why it cannot be built.
fn build(folder: &Path) -> Result<PathBuf, String> {
    let program = folder.join("netstack-peer");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/netstack_peer");
    let _turn = BUILDS.lock().unwrap_or_else(PoisonError::into_inner);
    let go = Command::new("go").arg("build").arg("-o").arg(&program).current_dir(source).output();
    let go = go.map_err(|error| format!("go: {error}"))?;
    if go.status.success() { Ok(program) } else { Err(first_line(&go.stderr)) }
}

fn first_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().next().unwrap_or_default().to_owned()
}

struct Peer {
    program: PathBuf,
    own: PrivateKey,
    colony: PublicKey,
    endpoint: SocketAddr,
}

impl Peer {
    async fn call(&self, psk: &Psk, address: Ipv4Addr, method: &str, request: &[u8]) -> Output {
        let mut command = Command::new(&self.program);
        command.arg("call");
        command.args([hex(self.own.bytes()), hex(self.colony.as_bytes()), hex(psk.bytes()), self.endpoint.to_string()]);
        command.args([address.to_string(), SERVICES.to_string(), method.to_owned(), hex(request)]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// The status and the answer.
    async fn answer(&self, psk: &Psk, address: Ipv4Addr, method: &str, request: &[u8]) -> (String, Vec<u8>) {
        let output = self.call(psk, address, method, request).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (status, body) = text
            .trim_end_matches('\n')
            .split_once(' ')
            .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (status.to_owned(), unhex(body))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wireguard_of_go_without_a_right_registers_and_calls() {
    let world = World::udp();
    let program = match build(world.folder.path()) {
        Ok(program) => program,
        Err(reason) => {
            eprintln!("SKIPPED wireguard_of_go_without_a_right_registers_and_calls: {reason}");
            return;
        }
    };
    let colony = world.colony("my-shop").await;
    let peer = Peer { program, own: PrivateKey::generate(), colony: colony.public_key(), endpoint: colony.address };
    let psk = |secret: &Secret| Psk::derive(secret, "my-shop", &colony.public_key());
    let (right, provisional) = (psk(&colony.secret), provisional::address(&peer.own.public()));
    let health = "grpc.health.v1.Health/Check";

    let wrong = peer.call(&psk(&Secret::generate()), provisional, health, &[]).await;
    assert!(!wrong.status.success() && wrong.stdout.is_empty());
    assert_eq!(peer.answer(&right, provisional, health, &[]).await.0, "16", "unauthenticated before it is registered");
    let request = RegisterRequest {
        agent_id: "go-reef".to_owned(),
        colony_id: "my-shop".to_owned(),
        wireguard_pubkey: peer.own.public().to_string(),
        ..RegisterRequest::default()
    };
    let (status, answer) =
        peer.answer(&right, provisional, "coral.mesh.v1.MeshService/Register", &request.encode_to_vec()).await;
    assert_eq!(status, "0");
    let answer = RegisterResponse::decode(answer.as_slice()).unwrap();
    assert!(answer.accepted, "{answer:?}");
    let address = answer.assigned_ip.parse().unwrap();
    assert_eq!(peer.answer(&right, address, health, &[]).await, ("0".to_owned(), vec![8, 1]), "SERVING");
    colony.stop().await;
}

/// A colony of other hands that knows one reef. Killed when dropped.
struct Colony {
    child: Child,
    key: PublicKey,
    endpoint: SocketAddr,
}

impl Drop for Colony {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Colony {
    /// Answers health checks, and all else with `answer`.
    fn start(program: &Path, reef: &PublicKey, (secret, answer): (&Secret, &Path)) -> Colony {
        let own = PrivateKey::generate();
        let psk = Psk::derive(secret, "foreign-colony", &own.public());
        let mut command = Command::new(program);
        command.args(["serve".to_owned(), hex(own.bytes()), hex(reef.as_bytes()), hex(psk.bytes())]);
        command.args([provisional::address(reef).to_string(), SERVICES.to_string()]).arg(answer);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let endpoint = SocketAddr::from((Ipv4Addr::LOCALHOST, port.trim().parse().unwrap()));
        Colony { child, key: own.public(), endpoint }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reef_reaches_a_colony_behind_wireguard_of_go_without_a_right() {
    let world = World::udp();
    let program = match build(world.folder.path()) {
        Ok(program) => program,
        Err(reason) => {
            eprintln!("SKIPPED a_reef_reaches_a_colony_behind_wireguard_of_go_without_a_right: {reason}");
            return;
        }
    };
    let metric = MetricSummary { service_id: "s".repeat(200), ..MetricSummary::default() };
    let answer =
        GetSummaryResponse { colony_id: "foreign".into(), metrics: vec![metric; 20_000], ..Default::default() };
    let file = world.path("answer");
    std::fs::write(&file, answer.encode_to_vec()).unwrap();
    let (reef, secret) = (PrivateKey::generate(), Secret::generate());
    let colony = Colony::start(&program, &reef.public(), (&secret, &file));
    let psk = |secret: &Secret| Psk::derive(secret, "foreign-colony", &colony.key);
    // with another secret no tunnel comes to be
    let call = Rogue::call(&world.underlay, colony.key, colony.endpoint, psk(&Secret::generate()), reef.clone());
    assert!(timeout(Duration::from_secs(2), call).await.is_err());
    let rogue = Rogue::call(&world.underlay, colony.key, colony.endpoint, psk(&secret), reef).await;
    let channel = timeout(Duration::from_secs(30), async {
        loop {
            match rogue.try_channel().await {
                Ok(channel) => break channel,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    });
    let channel = channel.await.expect("the server listens");
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    // bulk from gVisor's TCP to ours
    assert_eq!(summary(channel, 1).await.unwrap(), answer);
}
