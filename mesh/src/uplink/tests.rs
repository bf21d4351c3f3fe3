//! Unanswered calls over time.

use super::*;
use crate::secret::Secret;

fn uplink(now: Instant) -> Uplink {
    let colony_key = PrivateKey::generate().public();
    let candidates = vec![SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 2))];
    let call = Call {
        colony_key,
        colony_address: Ipv4Addr::new(10, 42, 0, 1),
        candidates,
        psk: Psk::derive(&Secret::generate(), "my-shop", &colony_key),
        mtu: 1420,
        keepalive: Duration::from_secs(25),
    };
    Uplink::new(&PrivateKey::generate(), call, now)
}

#[tokio::test]
async fn a_call_goes_to_all_candidates_five_times_and_then_has_failed() {
    let start = Instant::now();
    let (mut uplink, mut out) = (uplink(start), Outbox::default());
    let mut sent = Vec::new();
    for quarter in 0..70 {
        let now = start + Duration::from_millis(250) * quarter;
        uplink.tick(now, &mut out);
        sent.extend(out.datagrams.drain(..).map(|(to, datagram)| (quarter / 4, to, datagram.len())));
        assert_eq!(uplink.phase == Phase::Failed(Failure::NoAnswer), quarter >= 60, "{quarter}");
    }
    let seconds: Vec<u32> = sent.iter().map(|(second, ..)| *second).collect();
    assert_eq!(seconds, [0, 0, 1, 1, 3, 3, 6, 6, 10, 10]);
    assert!(sent.iter().all(|(_, to, len)| uplink.call.candidates.contains(to) && *len == 148));
}

#[tokio::test]
async fn nothing_is_sent_before_there_is_a_tunnel() {
    let start = Instant::now();
    let (mut uplink, mut out) = (uplink(start), Outbox::default());
    uplink.send(start, &[0x45; 40], &mut out);
    assert!(out.datagrams.is_empty());
    assert_eq!(uplink.drops.no_peer, 1);
}
