//! Packets of any content from a peer that has the secret cause no panic, and leave the connections of others alone.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use std::task::Waker;

const COLONY: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);
const ROGUE: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 100);
const REEF: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 101);
const PORT: u16 = 9000;

fn stack(address: Ipv4Addr, windows: Windows, now: Instant) -> Netstack {
    Netstack::new(address, 1420, windows, now)
}

/// Gives what one stack sends to another one, for some time; returns the packets of the first.
fn exchange(one: &mut Netstack, other: &mut Netstack, now: &mut Instant) -> Vec<Vec<u8>> {
    let (mut of_one, mut of_other, mut sent) = (Outbox::default(), Outbox::default(), Vec::new());
    for _ in 0..10 {
        *now += Duration::from_millis(20);
        one.poll(*now, &mut of_other);
        while let Some(packet) = one.packet(*now) {
            sent.push(packet.clone());
            of_one.packets.push_back(packet);
        }
        other.poll(*now, &mut of_one);
        while let Some(packet) = other.packet(*now) {
            of_other.packets.push_back(packet);
        }
    }
    sent
}

/// Sends some bytes from a new connection and reads them at the colony.
fn talk(from: &mut Netstack, colony: &mut Netstack, now: &mut Instant) -> Vec<Vec<u8>> {
    let mut cx = Context::from_waker(Waker::noop());
    let handle = from.connect(SocketAddrV4::new(COLONY, PORT)).unwrap();
    let mut sent = exchange(from, colony, now);
    assert!(matches!(from.poll_open(handle, &mut cx), Poll::Ready(Ok(()))));
    let mut accepted = None;
    while let Some((handle, remote)) = colony.accept() {
        if *remote.ip() == from.address() {
            accepted = Some(handle);
        } else {
            colony.let_go(handle);
        }
    }
    assert!(matches!(from.poll_write(handle, &mut cx, b"some bytes"), Poll::Ready(Ok(10))));
    sent.extend(exchange(from, colony, now));
    let (mut bytes, accepted) = ([0; 64], accepted.unwrap());
    let mut buffer = ReadBuf::new(&mut bytes);
    assert!(colony.poll_read(accepted, &mut cx, &mut buffer).is_ready());
    assert_eq!(buffer.filled(), b"some bytes");
    from.let_go(handle);
    sent.extend(exchange(from, colony, now));
    colony.let_go(accepted);
    sent.extend(exchange(from, colony, now));
    sent
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_packets_of_a_peer_do_no_harm(
        random in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 20..120), 0..20),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..60),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut now = Instant::now();
            let mut colony = stack(COLONY, Windows::COLONY, now);
            colony.listen(PORT);
            let sent = talk(&mut stack(ROGUE, Windows::REEF, now), &mut colony, &mut now);
            let mut packets: Vec<Vec<u8>> = random;
            for (number, packet) in packets.iter_mut().enumerate() {
                // most of them look like TCP
                (packet[0], packet[3]) = (0x45, u8::try_from(packet.len()).unwrap());
                if number % 4 != 0 {
                    packet[9] = 6;
                }
            }
            for (which, at, value) in changes {
                let mut packet = which.get(&sent).clone();
                let at = at.index(packet.len());
                packet[at] = packet[at].wrapping_add(value.max(1));
                packets.push(packet);
            }
            for (which, at) in cuts {
                let mut packet = which.get(&sent).clone();
                packet.truncate(20 + at.index(packet.len() - 19));
                packets.push(packet);
            }
            let mut reef = stack(REEF, Windows::REEF, now);
            for mut packet in packets {
                // as the tunnel lets them through: from this peer, to this colony
                packet[0] = 0x40 | (packet[0] & 0x0f);
                packet[12..16].copy_from_slice(&ROGUE.octets());
                packet[16..20].copy_from_slice(&COLONY.octets());
                let mut out = Outbox::default();
                out.packets.push_back(packet);
                now += Duration::from_millis(1);
                colony.poll(now, &mut out);
                while colony.packet(now).is_some() {}
            }
            assert!(colony.connections() <= CONNECTIONS_MAX);
            talk(&mut reef, &mut colony, &mut now);
        });
    }
}
