//! What the tunnel costs against plain TCP in one run: throughput, latency, idle time, a lossy path, memory.
//!
//! `cargo bench -p coral-mesh --features sim` prints one line each with its limit, and fails if one is missed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod colony;
mod figures;

use colony::{Colony, colony, events, plain, summary, topology};
use coral_mesh::keys::PublicKey;
use coral_mesh::secret::{Secret, SecretSource};
use coral_mesh::sim::{Path, SimNet, stranger};
use coral_mesh::{MeshColony, Network, ReefSettings, Route, Underlay};
use figures::Figures;
use model::clock::SystemClock;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tonic::transport::Channel;

const MIB: usize = 1024 * 1024;
const TUNNELS: usize = 200;
/// Set for the child that holds the colonies of the memory figure; its value is their secret.
const COLONIES_ONLY: &str = "CORAL_MESH_BENCH_COLONIES";

fn main() -> ExitCode {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(secret) = std::env::var(COLONIES_ONLY) {
        runtime().block_on(hold_colonies(&Secret::parse(&secret).unwrap()));
        return ExitCode::SUCCESS;
    }
    let mut figures = Figures::default();
    runtime().block_on(async {
        // first, because memory freed by the others would hide its use
        memory(&mut figures).await;
        throughput_and_latency(&mut figures).await;
        idle(&mut figures).await;
        flood(&mut figures).await;
    });
    let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    paused.block_on(lossy_path(&mut figures));
    figures.conclude()
}

fn reef(underlay: Underlay) -> Network {
    let reef_id = "bench".to_owned();
    Network::of_reef(ReefSettings { reef_id, discovery: None, underlay, clock: SystemClock::shared() })
}

fn route(address: &str, key: PublicKey, secret: &Secret, colony_id: &str) -> Route {
    let mut colony = MeshColony::new(colony_id, SecretSource::Text(secret.clone()));
    colony.mesh_ip = Some(Ipv4Addr::new(10, 42, 0, 1));
    colony.endpoint = Some(address.to_owned());
    colony.public_key = Some(key);
    Route::Mesh(Box::new(colony))
}

fn route_to(colony: &Colony) -> Route {
    route(&colony.address.to_string(), colony.key, &colony.secret, "colony")
}

async fn throughput_and_latency(figures: &mut Figures) {
    let colony = colony(Underlay::Udp, "colony", None).await;
    let plain = plain().await;
    let (reef, of_plain) = (reef(Underlay::Udp), Network::plain());
    let tunnel = reef.dial(&route_to(&colony)).await.unwrap();
    let tcp = of_plain.dial(&Route::Plain(plain)).await.unwrap();
    let mut best = [0.0_f64; 2];
    for _ in 0..5 {
        for (which, channel) in [&tcp, &tunnel].into_iter().enumerate() {
            let started = Instant::now();
            let bytes = summary(channel.clone(), 64 * MIB).await;
            best[which] = best[which].max(bytes as f64 * 8.0 / 1e6 / started.elapsed().as_secs_f64());
        }
    }
    let [over_tcp, through_tunnel] = best;
    println!("64 MiB of GetSummary, best of 5: plain {over_tcp:.0} Mbit/s, tunnel {through_tunnel:.0} Mbit/s");
    figures.at_least("64 MiB of GetSummary, tunnel to plain TCP", through_tunnel / over_tcp, 0.08, "of it");
    figures.at_least("64 MiB of GetSummary through the tunnel", through_tunnel, 300.0, "Mbit/s");
    let (over_tcp, through_tunnel) = (p50(&tcp).await, p50(&tunnel).await);
    let (over_tcp, through_tunnel) = (over_tcp.as_secs_f64() * 1e3, through_tunnel.as_secs_f64() * 1e3);
    println!("unary p50: plain {over_tcp:.3} ms, tunnel {through_tunnel:.3} ms");
    figures.at_most("unary p50, tunnel above plain TCP", through_tunnel - over_tcp, 0.3, "ms");
}

async fn p50(channel: &Channel) -> Duration {
    let mut took = Vec::new();
    for _ in 0..2_000 {
        let started = Instant::now();
        topology(channel.clone()).await;
        took.push(started.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

/// Processor time of this process, in seconds.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

async fn idle(figures: &mut Figures) {
    let colony = colony(Underlay::Udp, "colony", None).await;
    let reef = reef(Underlay::Udp);
    let channel = reef.dial(&route_to(&colony)).await.unwrap();
    topology(channel).await;
    let (before, started) = (processor_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let share = (processor_seconds() - before) / started.elapsed().as_secs_f64();
    figures.at_most("idle tunnel, both ends", share * 100.0, 1.0, "% of a core");
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}

async fn memory(figures: &mut Figures) {
    let secret = Secret::generate();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(COLONIES_ONLY, secret.reveal())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(TUNNELS);
    let places: Vec<String> = lines.map(Result::unwrap).collect();
    let before = resident_mib();
    let reef = reef(Underlay::Udp);
    for (number, place) in places.iter().enumerate() {
        let (address, key) = place.split_once(' ').unwrap();
        let route = route(address, key.parse().unwrap(), &secret, &format!("colony-{number}"));
        let channel = reef.dial(&route).await.unwrap();
        summary(channel, 2 * MIB).await;
    }
    // a quiet tunnel gives its buffers back
    tokio::time::sleep(Duration::from_secs(3)).await;
    let more = resident_mib() - before;
    figures.at_most(&format!("{TUNNELS} tunnels after 2 MiB through each, above none"), more, 100.0, "MiB");
    drop(child.stdin.take());
    child.wait().unwrap();
}

async fn hold_colonies(secret: &Secret) {
    let mut colonies = Vec::new();
    for number in 0..TUNNELS {
        let colony = colony(Underlay::Udp, &format!("colony-{number}"), Some(secret.clone())).await;
        println!("{} {}", colony.address, colony.key);
        colonies.push(colony);
    }
    std::io::stdout().flush().unwrap();
    // until the other process closes its end
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}

/// Measured in the simulated network's time, independent of the machine's load.
async fn lossy_path(figures: &mut Figures) {
    let path = Path { delay: Duration::from_millis(25), loss: 0.01, ..Path::default() };
    let mut all = Vec::new();
    for seed in 0..5 {
        let net = SimNet::new(seed, path.clone());
        let colony = colony(Underlay::Sim(net.clone()), "colony", None).await;
        let reef = reef(Underlay::Sim(net));
        let channel = reef.dial(&route_to(&colony)).await.unwrap();
        all.push(events(channel, 8 * MIB).await);
    }
    let text: Vec<String> = all
        .iter()
        .map(|(mbit, stall)| format!("{mbit:.2} Mbit/s (longest stall {:.1} s)", stall.as_secs_f64()))
        .collect();
    println!("50 ms and 1 % loss: {}", text.join(", "));
    let slowest = all.iter().map(|(mbit, _)| *mbit).fold(f64::INFINITY, f64::min);
    let longest = all.iter().map(|(_, stall)| stall.as_secs_f64()).fold(0.0, f64::max);
    figures.at_least("50 ms and 1 % loss, the slowest of 5", slowest, 1.0, "Mbit/s");
    figures.at_most("50 ms and 1 % loss, the longest stall of 5", longest, 5.0, "s");
}

/// Unary calls while 10,000 strangers a second knock, against the same calls without them: in turns, the best of each,
/// because other work on the machine makes calls slow too.
async fn flood(figures: &mut Figures) {
    let colony = colony(Underlay::Udp, "colony", None).await;
    let reef = reef(Underlay::Udp);
    let channel = reef.dial(&route_to(&colony)).await.unwrap();
    let strangers: Vec<Vec<u8>> = (0..10_000).map(|_| stranger(&colony.key)).collect();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut best, mut sent, before) = ([f64::INFINITY; 2], 0_u64, resident_mib());
    for _ in 0..5 {
        let quiet = p99(&channel, Duration::from_secs(2)).await;
        let knock = async {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            for datagrams in strangers.chunks(100).cycle() {
                tick.tick().await;
                for datagram in datagrams {
                    sent += u64::from(socket.try_send_to(datagram, colony.address).is_ok());
                }
            }
        };
        let loud = tokio::select! {
            () = knock => Duration::ZERO,
            loud = p99(&channel, Duration::from_secs(2)) => loud,
        };
        for (best, measured) in best.iter_mut().zip([quiet, loud]) {
            *best = best.min(measured.as_secs_f64() * 1e3);
        }
    }
    let [quiet, loud] = best;
    println!("unary p99, best of 5: quiet {quiet:.3} ms, with {} strangers a second {loud:.3} ms", sent / 10);
    figures.at_most("unary p99 under a flood of strangers, to a quiet one", loud / quiet, 2.0, "times");
    figures.at_most("memory that the flood takes", resident_mib() - before, 16.0, "MiB");
}

async fn p99(channel: &Channel, time: Duration) -> Duration {
    let (mut took, started) = (Vec::new(), Instant::now());
    while started.elapsed() < time {
        let asked = Instant::now();
        topology(channel.clone()).await;
        took.push(asked.elapsed());
    }
    took.sort();
    took[took.len() * 99 / 100]
}
