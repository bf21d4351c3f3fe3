//! Paths that lose, delay, repeat, reorder, and drop large packets: all bytes arrive, and nothing hangs.

use super::support::{World, summary};
use crate::network::Network;
use crate::sim::{Path, SimNet};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;

async fn connected(path: Path) -> (World, SimNet, super::support::TestColony, Network, Channel) {
    let (world, net) = World::sim(path);
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    (world, net, colony, reef, channel)
}

/// About 230 bytes each.
const BUCKETS_PER_MIB: i64 = 4_500;

#[tokio::test(start_paused = true)]
async fn bytes_arrive_whole_over_a_path_with_delay_disorder_and_duplicates() {
    let path = Path {
        delay: Duration::from_millis(25),
        jitter: Duration::from_millis(3),
        duplicates: 0.02,
        ..Path::default()
    };
    let (_world, _, _colony, reef, channel) = connected(path).await;
    let answer = summary(channel, 16 * BUCKETS_PER_MIB).await.unwrap();
    assert_eq!(answer.metrics.len(), usize::try_from(16 * BUCKETS_PER_MIB).unwrap());
    let round_trip = reef.status().await[0].tunnel.round_trip.unwrap();
    assert!((50..80).contains(&round_trip.as_millis()), "{round_trip:?}");
}

#[tokio::test(start_paused = true)]
async fn lossy_paths_carry_what_tcp_can_carry_there() {
    for (loss, kib) in [(0.01, 4_096), (0.05, 256)] {
        let path = Path { delay: Duration::from_millis(25), loss, ..Path::default() };
        let (_world, _, _colony, _reef, channel) = connected(path).await;
        // in the network's own time, which no machine slows down
        let answer = timeout(Duration::from_secs(60), summary(channel, kib * BUCKETS_PER_MIB / 1_024)).await;
        answer.expect("in time").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_of_which_a_fifth_is_lost_ends_in_answers_or_errors_and_never_hangs() {
    let (_world, net, _colony, _reef, channel) = connected(Path::default()).await;
    net.change(|path| {
        path.loss = 0.2;
        path.delay = Duration::from_millis(25);
    });
    let mut answered = 0;
    for _ in 0..20 {
        let answer = timeout(Duration::from_secs(120), summary(channel.clone(), 10)).await;
        answered += u32::from(answer.expect("an answer or an error").is_ok());
    }
    assert!(answered > 10, "{answered} of 20");
}

#[tokio::test(start_paused = true)]
async fn a_small_mtu_on_the_way_is_found_before_the_first_call() {
    for (mtu, expected) in [(1_500, 1_420), (1_480, 1_420), (1_450, 1_340), (1_300, 1_200), (700, 576)] {
        let (_world, _, _colony, reef, channel) = connected(Path { mtu, ..Path::default() }).await;
        assert_eq!(reef.status().await[0].tunnel.mtu, expected, "path of {mtu}");
        let started = Instant::now();
        summary(channel, BUCKETS_PER_MIB).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(5), "path of {mtu}: {:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_mtu_that_shrinks_under_a_running_tunnel_is_noticed_and_calls_go_through_again() {
    let (_world, net, _colony, reef, channel) = connected(Path::default()).await;
    summary(channel.clone(), 100).await.unwrap();
    net.change(|path| path.mtu = 1_350);
    let started = Instant::now();
    let again = async {
        while !timeout(Duration::from_secs(20), summary(channel.clone(), 1_000))
            .await
            .is_ok_and(|answer| answer.is_ok())
        {}
    };
    timeout(Duration::from_secs(120), again).await.expect("calls go through again");
    assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
    assert_eq!(reef.status().await[0].tunnel.mtu, 1_280);
}

#[tokio::test(start_paused = true)]
async fn no_packet_is_larger_than_the_tunnel_takes() {
    let (_world, net, _colony, _reef, channel) = connected(Path::default()).await;
    net.start_record();
    summary(channel, BUCKETS_PER_MIB).await.unwrap();
    let sent = net.recorded();
    let largest = sent.iter().map(|sent| sent.bytes.len()).max().unwrap();
    assert_eq!(largest, 1_420 + 32);
    // and an eavesdropper sees only WireGuard's four messages
    assert!(sent.iter().all(|sent| crate::wire::kind(&sent.bytes).is_some()));
    let text = "m".repeat(20);
    assert!(!sent.iter().any(|sent| sent.bytes.windows(20).any(|window| window == text.as_bytes())));
}
