//! The library does what the mesh relies on: replays, other keys, cookies under load, indices.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::secret::Secret;

struct Ends {
    reef: Tunnel,
    colony: Tunnel,
    buffer: Vec<u8>,
}

fn ip() -> IpAddr {
    [192, 0, 2, 1].into()
}

fn ends(same_secret: bool) -> Ends {
    let (reef, colony) = (PrivateKey::generate(), PrivateKey::generate());
    let psk = |secret: &Secret| Psk::derive(secret, "my-shop", &colony.public());
    let secret = Secret::generate();
    let other = if same_secret { psk(&secret) } else { psk(&Secret::generate()) };
    Ends {
        reef: Tunnel::new(&reef, &colony.public(), &psk(&secret), 0x00ab_cdef, None),
        colony: Tunnel::new(&colony, &reef.public(), &other, 7, None),
        buffer: vec![0; DATAGRAM_MAX],
    }
}

impl Ends {
    fn initiation(&mut self) -> Vec<u8> {
        let len = self.reef.initiate(&mut self.buffer).unwrap();
        self.buffer[..len].to_vec()
    }

    fn answer(&mut self, initiation: &[u8]) -> Result<Vec<u8>, Refused> {
        match self.colony.open(ip(), initiation, &mut self.buffer)? {
            Opened::Reply(len) => Ok(self.buffer[..len].to_vec()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn two_ends_with_one_secret_exchange_packets_and_refuse_copies() {
    let mut ends = ends(true);
    let initiation = ends.initiation();
    assert_eq!(crate::wire::kind(&initiation), Some(crate::wire::Kind::Initiation { sender: 0xabcd_ef01 }));
    let answer = ends.answer(&initiation).unwrap();
    assert_eq!(ends.answer(&initiation), Err(Refused::Replayed));
    let Ok(Opened::Reply(len)) = ends.reef.open(ip(), &answer, &mut ends.buffer) else { panic!("no confirmation") };
    let confirmation = ends.buffer[..len].to_vec();
    assert_eq!(ends.colony.open(ip(), &confirmation, &mut ends.buffer), Ok(Opened::Quiet));
    assert_eq!(ends.colony.open(ip(), &confirmation, &mut ends.buffer), Err(Refused::Replayed));
    let mut packet = vec![0; 64];
    let len = crate::echo::request([10, 0, 0, 2].into(), [10, 0, 0, 1].into(), 1, 64, &mut packet);
    let len = ends.colony.seal(&packet[..len], &mut ends.buffer).unwrap();
    let datagram = ends.buffer[..len].to_vec();
    assert_eq!(ends.reef.open(ip(), &datagram, &mut ends.buffer), Ok(Opened::Packet(64)));
    assert!(ends.reef.handshake_age().is_some() && ends.colony.handshake_age().is_some());
    assert_eq!(ends.reef.seal(&[0; PACKET_MAX + 1], &mut ends.buffer), None);
}

#[test]
fn an_answer_with_another_secret_is_refused_and_a_better_one_still_taken() {
    let mut ends = ends(false);
    let initiation = ends.initiation();
    let answer = ends.answer(&initiation).unwrap();
    assert_eq!(ends.reef.open(ip(), &answer, &mut ends.buffer), Err(Refused::WrongKey));
    assert_eq!(ends.reef.handshake_age(), None);
}

#[test]
fn under_load_a_sender_must_show_that_it_receives_at_its_address() {
    let (reef, colony) = (PrivateKey::generate(), PrivateKey::generate());
    let psk = Psk::derive(&Secret::generate(), "my-shop", &colony.public());
    let (gate, mut buffer) = (Gate::new(&colony), vec![0; DATAGRAM_MAX]);
    let mut tunnel = Tunnel::new(&reef, &colony.public(), &psk, 1, None);
    let mut cookie = None;
    for _ in 0..=HANDSHAKES_PER_SECOND {
        let len = tunnel.initiate(&mut buffer).unwrap();
        let initiation = buffer[..len].to_vec();
        assert_eq!(gate.initiator(&initiation), Some(reef.public()));
        if let Err(Some(len)) = gate.admit(ip(), &initiation, &mut buffer) {
            cookie = Some(buffer[..len].to_vec());
        }
    }
    // with the cookie it is accepted, from its own address only
    assert_eq!(tunnel.open(ip(), &cookie.unwrap(), &mut buffer), Ok(Opened::Quiet));
    let len = tunnel.initiate(&mut buffer).unwrap();
    let initiation = buffer[..len].to_vec();
    assert_eq!(gate.admit(ip(), &initiation, &mut buffer), Ok(()));
    assert!(gate.admit([192, 0, 2, 9].into(), &initiation, &mut buffer).is_err());
    let other = Gate::new(&PrivateKey::generate());
    assert_eq!(other.admit(ip(), &initiation, &mut buffer), Err(None), "without our key there is no reply");
}

#[test]
fn keys_that_make_every_shared_secret_zero_are_none() {
    assert!(is_of_small_order(&PublicKey([0; 32])));
    let mut one = [0; 32];
    one[0] = 1;
    assert!(is_of_small_order(&PublicKey(one)) && !is_of_small_order(&PrivateKey::generate().public()));
}
