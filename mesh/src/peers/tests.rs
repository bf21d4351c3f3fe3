//! Random bytes, and any modified bytes of real messages, cause no panic and have no effect.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::secret::Secret;
use crate::uplink::{Call, Phase, Uplink};
use proptest::prelude::*;

const COLONY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 41_580);
const REEF: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 1);

struct Pair {
    peers: Peers,
    uplink: Uplink,
    now: Instant,
    /// Every datagram so far, with true for those to the colony.
    sent: Vec<(bool, Vec<u8>)>,
}

impl Pair {
    fn new(now: Instant) -> Pair {
        let own = PrivateKey::generate();
        let colony_key = own.public();
        let psk = Psk::derive(&Secret::generate(), "my-shop", &colony_key);
        let address = Ipv4Addr::new(10, 42, 0, 1);
        let mut peers = Peers::new(own, address, 1420);
        peers.set_admissions(vec![Admission { name: "colony".into(), psk: psk.clone(), is_valid: true }], now);
        let call = Call {
            colony_key,
            colony_address: address,
            candidates: vec![COLONY],
            psk,
            mtu: 1420,
            keepalive: Duration::from_secs(25),
        };
        Pair { peers, uplink: Uplink::new(&PrivateKey::generate(), call, now), now, sent: Vec::new() }
    }

    /// Ticks both and carries datagrams until none is left.
    fn settle(&mut self) {
        let (mut of_reef, mut of_colony) = (Outbox::default(), Outbox::default());
        self.uplink.tick(self.now, &mut of_reef);
        self.peers.tick(self.now, &mut of_colony);
        while !(of_reef.datagrams.is_empty() && of_colony.datagrams.is_empty()) {
            for (_, datagram) in std::mem::take(&mut of_reef.datagrams) {
                self.sent.push((true, datagram.clone()));
                self.peers.receive(self.now, REEF, &datagram, &mut of_colony);
            }
            for (_, datagram) in std::mem::take(&mut of_colony.datagrams) {
                self.sent.push((false, datagram.clone()));
                self.uplink.receive(self.now, COLONY, &datagram, &mut of_reef);
            }
        }
    }

    fn offer(&mut self, to_colony: bool, datagram: &[u8]) -> usize {
        let mut out = Outbox::default();
        if to_colony {
            self.peers.receive(self.now, REEF, datagram, &mut out);
        } else {
            self.uplink.receive(self.now, COLONY, datagram, &mut out);
        }
        out.packets.len()
    }
}

#[tokio::test]
async fn a_handshake_and_the_first_echo_make_a_proved_peer() {
    let mut pair = Pair::new(Instant::now());
    pair.settle();
    assert_eq!(pair.uplink.phase, Phase::Up);
    let peers = pair.peers.stats(pair.now);
    assert_eq!((peers.len(), peers[0].address.is_link_local()), (1, true));
    assert_eq!(pair.peers.drops.total() + pair.uplink.drops.total(), 0);
    // one secret, one reply: the hint selects it
    assert_eq!(pair.sent.iter().filter(|(_, datagram)| datagram[0] == 2).count(), 1);
}

#[tokio::test]
async fn each_byte_that_is_changed_makes_a_datagram_worthless() {
    let mut pair = Pair::new(Instant::now());
    pair.settle();
    let sent = pair.sent.clone();
    for (to_colony, datagram) in sent {
        for at in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 1;
            assert_eq!(pair.offer(to_colony, &changed), 0);
        }
        assert_eq!(pair.offer(to_colony, &datagram), 0, "a copy");
    }
    assert_eq!(pair.peers.stats(pair.now).len(), 1);
    assert_eq!(pair.uplink.phase, Phase::Up);
}

/// A TCP packet without content.
fn packet(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0; 40];
    (packet[0], packet[3], packet[9]) = (0x45, 40, 6);
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    packet
}

#[tokio::test]
async fn a_reef_forwards_nothing_from_one_mesh_to_another() {
    let mut pair = Pair::new(Instant::now());
    pair.settle();
    let (colony, reef) = (Ipv4Addr::new(10, 42, 0, 1), pair.peers.stats(pair.now)[0].address);
    let (other, beyond) = (Ipv4Addr::new(10, 42, 0, 7), Ipv4Addr::new(10, 43, 0, 1));
    let cases = [(colony, reef, 0), (colony, beyond, 1), (colony, other, 1), (other, reef, 1), (reef, colony, 1)];
    for (from, to, dropped) in cases {
        let (before, mut out) = (pair.uplink.drops.forged, Outbox::default());
        let peer = pair.peers.peers.values_mut().next().unwrap();
        assert!(peer.send(pair.now, &packet(from, to), &mut out));
        let (_, datagram) = out.datagrams.pop_front().unwrap();
        assert_eq!((pair.offer(false, &datagram), pair.uplink.drops.forged - before), (1 - dropped, dropped as u64));
    }
}

#[tokio::test]
async fn a_stranger_without_the_secret_is_forgotten_after_a_while() {
    let start = Instant::now();
    let mut pair = Pair::new(start);
    pair.peers.set_admissions(
        (0..6)
            .map(|number| Admission {
                name: format!("secret-{number}").into(),
                psk: Psk::derive(&Secret::generate(), "my-shop", &pair.peers.own.public()),
                is_valid: true,
            })
            .collect(),
        start,
    );
    pair.settle();
    // its hint fits none of six secrets: four are tried, and no more
    assert_eq!(pair.sent.iter().filter(|(_, datagram)| datagram[0] == 2).count(), GUESSES_MAX);
    assert_eq!(pair.peers.stats(start).len(), GUESSES_MAX);
    pair.now = start + PROVE_WITHIN;
    pair.peers.tick(pair.now, &mut Outbox::default());
    assert!(pair.peers.stats(pair.now).is_empty() && pair.peers.by_key.is_empty() && pair.peers.by_address.is_empty());
}

#[tokio::test]
async fn under_load_a_source_that_shows_its_cookie_has_its_share_and_no_more() {
    let now = Instant::now();
    let mut pair = Pair::new(now);
    pair.settle();
    let (psk, colony_key) = (pair.peers.admissions[0].psk.clone(), pair.peers.own.public());
    let (key, loud) = (PrivateKey::generate(), SocketAddr::from(([203, 0, 113, 9], 9)));
    let mut tunnel = Tunnel::new(&key, &colony_key, &psk, psk.hint(&key.public()), None);
    let mut initiate = |pair: &mut Pair, now: Instant, cookie: Option<&[u8]>| -> Vec<Vec<u8>> {
        let (mut buffer, mut out) = (vec![0; wire::DATAGRAM_MAX], Outbox::default());
        if let Some(cookie) = cookie {
            assert_eq!(tunnel.open(COLONY.ip(), cookie, &mut buffer), Ok(Opened::Quiet));
        }
        let len = tunnel.initiate(&mut buffer).unwrap();
        pair.peers.receive(now, loud, &buffer[..len], &mut out);
        out.datagrams.into_iter().map(|(_, datagram)| datagram).collect()
    };
    // who does not know the colony's key is no load
    let (mut out, mut damaged) = (Outbox::default(), crate::sim::stranger(&colony_key));
    damaged[116] ^= 1;
    (0..300).for_each(|_| pair.peers.receive(now, loud, &damaged, &mut out));
    for _ in 0..20 {
        assert_eq!(initiate(&mut pair, now, None)[0][0], 2, "a response");
    }
    for number in 0..=u8::MAX {
        let from = SocketAddr::from(([198, 51, 100, number], 1));
        pair.peers.receive(now, from, &crate::sim::stranger(&colony_key), &mut out);
    }
    let cookie = initiate(&mut pair, now, None).remove(0);
    assert_eq!(cookie[0], 3);
    let mut answered = |pair: &mut Pair, now: Instant, count: usize| {
        (0..count).filter(|number| !initiate(pair, now, (*number == 0).then_some(&cookie[..])).is_empty()).count()
    };
    assert_eq!(answered(&mut pair, now, 100), 10);

    // a reef of another source shows its cookie, and is answered
    pair.uplink.wake(now);
    pair.settle();
    assert_eq!(pair.uplink.phase, Phase::Silent);
    pair.now += Duration::from_secs(1);
    pair.settle();
    assert_eq!(pair.uplink.phase, Phase::Up);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_and_mutated_datagrams_never_panic(
        random in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2_048), 1..20),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..60),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20),
        kinds in proptest::collection::vec(1_u8..5, 20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new(Instant::now());
            pair.settle();
            let sent = pair.sent.clone();
            let mut offered: Vec<(bool, Vec<u8>)> = Vec::new();
            for (number, mut datagram) in random.into_iter().enumerate() {
                // half of them with a begin that is taken for a message
                if number % 2 == 0 && datagram.len() > 8 {
                    datagram[..4].copy_from_slice(&[kinds[number % kinds.len()], 0, 0, 0]);
                }
                offered.push((number % 3 == 0, datagram));
            }
            for (which, at, value) in changes {
                let (to_colony, mut datagram) = which.get(&sent).clone();
                let at = at.index(datagram.len());
                datagram[at] = datagram[at].wrapping_add(value.max(1));
                offered.push((to_colony, datagram));
            }
            for (which, at) in cuts {
                let (to_colony, mut datagram) = which.get(&sent).clone();
                datagram.truncate(at.index(datagram.len()));
                offered.push((to_colony, datagram));
            }
            for (to_colony, datagram) in offered {
                assert_eq!(pair.offer(to_colony, &datagram), 0);
                assert_eq!(pair.offer(!to_colony, &datagram), 0);
            }
        });
    }
}
