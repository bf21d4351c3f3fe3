//! What strangers, peers without manners and datagrams of any kind can do: nothing that others notice.

use super::support::{TestColony, World, summary};
use crate::datagrams::Underlay;
use crate::endpoint::{Endpoint, Side};
use crate::link::connector::Connector;
use crate::netstack::Windows;
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::noise::psk::Psk;
use crate::secret::Secret;
use crate::sim::{self, Path, SimNet};
use crate::stats::Drops;
use crate::stream::MeshStream;
use crate::uplink::{Call, Phase, Uplink};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic::transport::{Channel, Endpoint as HttpEndpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

pub(super) const SERVICES: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 42, 0, 1), 9000);

/// A peer that has the secret and follows no protocol order.
pub(super) struct Rogue {
    endpoint: Arc<Endpoint>,
    _stop: watch::Sender<bool>,
}

impl Rogue {
    async fn start(underlay: &Underlay, colony: &TestColony) -> Rogue {
        let psk = Psk::derive(&colony.secret, &colony.colony_id, &colony.public_key());
        Rogue::call(underlay, colony.public_key(), colony.address, psk, PrivateKey::generate()).await
    }

    /// Calls with a key of the test's.
    pub(super) async fn call(
        underlay: &Underlay,
        colony_key: PublicKey,
        at: SocketAddr,
        psk: Psk,
        own: PrivateKey,
    ) -> Rogue {
        let socket = underlay.bind_any().unwrap();
        let endpoint = Arc::new(Endpoint::new(Side::Idle, Ipv4Addr::UNSPECIFIED, 1420, Windows::REEF));
        let (stop, stopped) = watch::channel(false);
        let driven = endpoint.clone();
        tokio::spawn(async move { driven.run(&socket, || 0, stopped).await });
        let call = Call {
            colony_key,
            colony_address: *SERVICES.ip(),
            candidates: vec![at],
            psk,
            mtu: 1420,
            keepalive: Duration::from_secs(25),
        };
        let mut phase = endpoint.phase();
        endpoint.replace(Some(Uplink::new(&own, call, Instant::now())));
        phase.wait_for(|phase| *phase == Some(Phase::Up)).await.unwrap();
        Rogue { endpoint, _stop: stop }
    }

    pub(super) async fn try_channel(&self) -> Result<Channel, tonic::transport::Error> {
        let http = HttpEndpoint::from_static("http://10.42.0.1:9000");
        http.connect_with_connector(Connector::once(self.endpoint.clone(), SERVICES)).await
    }

    async fn channel(&self) -> Channel {
        self.try_channel().await.unwrap()
    }
}

fn drops(colony: &TestColony) -> Drops {
    colony.door.endpoint.drops()
}

#[tokio::test(start_paused = true)]
async fn who_is_not_registered_reaches_the_registration_alone_and_not_for_long() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let rogue = Rogue::start(&world.underlay, &colony).await;
    let channel = rogue.channel().await;
    let status = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(summary(channel.clone(), 1).await.unwrap_err().code(), Code::Unauthenticated);

    let mut client = proto::mesh::v1::mesh_service_client::MeshServiceClient::new(channel);
    let request = proto::mesh::v1::RegisterRequest {
        agent_id: "reef-1".to_owned(),
        colony_id: "my-shop-production".to_owned(),
        wireguard_pubkey: PrivateKey::generate().public().to_string(),
        ..Default::default()
    };
    let answer = client.register(request.clone()).await.unwrap().into_inner();
    assert_eq!((answer.accepted, answer.reason.as_str()), (false, "wrong_key"));
    let request = proto::mesh::v1::RegisterRequest { colony_id: "another".to_owned(), ..request };
    assert_eq!(client.register(request.clone()).await.unwrap().into_inner().reason, "wrong_colony");
    let request = proto::mesh::v1::RegisterRequest { colony_secret: "sent".to_owned(), ..request };
    assert_eq!(client.register(request).await.unwrap().into_inner().reason, "secret_sent");
    sleep(Duration::from_secs(31)).await;
    assert!(colony.door.peers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn packets_with_an_address_of_another_are_counted_and_dropped() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    summary(reef.dial(&colony.route()).await.unwrap(), 1).await.unwrap();
    let rogue = Rogue::start(&world.underlay, &colony).await;
    let before = drops(&colony).forged;
    // the registered reef's address, the colony's own, and one of another mesh
    for address in [[10, 42, 0, 100], [10, 42, 0, 1], [10, 43, 0, 5]] {
        rogue.endpoint.set_address(address.into());
        let connected = timeout(Duration::from_secs(3), MeshStream::connect(&rogue.endpoint, SERVICES)).await;
        assert!(!matches!(connected, Ok(Ok(_))), "{address:?}");
    }
    let after_source = drops(&colony).forged;
    assert!(after_source >= before + 3, "{before} then {after_source}");
    // nothing passes through a colony to another one
    let other = SocketAddrV4::new(Ipv4Addr::new(10, 43, 0, 1), 9000);
    let connected = timeout(Duration::from_secs(3), MeshStream::connect(&rogue.endpoint, other)).await;
    assert!(!matches!(connected, Ok(Ok(_))));
    assert!(drops(&colony).forged > after_source);
}

#[tokio::test(start_paused = true)]
async fn every_recorded_datagram_sent_again_changes_nothing() {
    let (world, net) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    net.start_record();
    let channel = reef.dial(&colony.route()).await.unwrap();
    summary(channel.clone(), 500).await.unwrap();
    // the last acknowledgement is on its way
    sleep(Duration::from_secs(1)).await;
    let recorded = net.recorded();
    let (state, before) = (colony.registry.state(), reef.status().await.remove(0));
    let endpoint = colony.door.peers()[0].tunnel.endpoint;
    let received = colony.door.peers()[0].tunnel.received_bytes;
    for sent in &recorded {
        net.inject(sent.from, sent.to, &sent.bytes);
        // and from another address: no peer's address changes
        net.inject("198.51.100.66:6666".parse().unwrap(), sent.to, &sent.bytes);
    }
    sleep(Duration::from_millis(200)).await;
    assert!(recorded.len() > 50);
    assert!(drops(&colony).replayed > 0 && reef.status().await[0].drops.total() > 0);
    assert_eq!((colony.registry.state(), colony.door.peers().len()), (state, 1));
    assert_eq!(colony.door.peers()[0].tunnel.endpoint, endpoint);
    assert_eq!(colony.door.peers()[0].tunnel.received_bytes, received);
    assert_eq!(reef.status().await[0].tunnel.endpoint, before.tunnel.endpoint);
    assert_eq!(reef.status().await[0].tunnel.received_bytes, before.tunnel.received_bytes);
    summary(channel, 500).await.unwrap();
}

fn strangers(colony: &TestColony, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| sim::stranger(&colony.public_key())).collect()
}

/// Calls of a registered reef, each behind some strangers from everywhere: the slowest but one of a hundred, in the
/// network's time, and the datagrams that were sent to and from the reef.
async fn calls(channel: &Channel, net: &SimNet, colony: &TestColony, strangers: &[Vec<u8>]) -> (Duration, usize) {
    net.start_record();
    let mut took = Vec::new();
    let mut strangers = strangers.chunks(FLOOD_PER_CALL).enumerate();
    for _ in 0..100 {
        let started = Instant::now();
        if let Some((call, datagrams)) = strangers.next() {
            for (number, datagram) in datagrams.iter().enumerate() {
                let (call, number) = (u8::try_from(call).unwrap(), u8::try_from(number).unwrap());
                net.inject(SocketAddr::from(([198, 51, call, number], 1_000)), colony.address, datagram);
            }
        }
        summary(channel.clone(), 1).await.unwrap();
        took.push(started.elapsed());
    }
    took.sort();
    let is_strangers = |at: &SocketAddr| at.to_string().starts_with("198.51.");
    let of_reef = net.recorded().iter().filter(|sent| !is_strangers(&sent.from) && !is_strangers(&sent.to)).count();
    (took[98], of_reef)
}

/// Initiations before each call: all of them wait in the socket at once.
const FLOOD_PER_CALL: usize = 30;

#[tokio::test(start_paused = true)]
async fn a_flood_of_strangers_leaves_registered_reefs_and_memory_alone() {
    let (world, net) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    calls(&channel, &net, &colony, &[]).await;
    let (quiet, datagrams) = calls(&channel, &net, &colony, &[]).await;
    let flood = strangers(&colony, 100 * FLOOD_PER_CALL);
    let (loud, datagrams_then) = calls(&channel, &net, &colony, &flood).await;
    assert!(loud < quiet * 2, "{quiet:?}, {loud:?} with strangers");
    assert!(datagrams > 200 && datagrams_then < datagrams * 2, "{datagrams}, {datagrams_then} with strangers");
    assert!(colony.door.peers().len() <= 65, "{}", colony.door.peers().len());
    assert!(drops(&colony).limited > 2_900, "{:?}", drops(&colony));
    // what it sends to them: few responses, nothing that is longer than what they have sent, and no second reply
    let sent = net.recorded();
    let replies: Vec<_> = sent.iter().filter(|sent| sent.from == colony.address && sent.to.port() == 1_000).collect();
    assert!(replies.iter().filter(|sent| sent.bytes[0] == 2).count() <= 64);
    assert!(replies.len() <= flood.len() && replies.iter().all(|sent| sent.bytes.len() < 148));
    // one source cannot take the places of all
    sleep(Duration::from_secs(20)).await;
    assert_eq!(colony.door.peers().len(), 1);
    for datagram in strangers(&colony, 50) {
        net.inject("203.0.113.9:9".parse().unwrap(), colony.address, &datagram);
    }
    sleep(Duration::from_secs(1)).await;
    assert!(colony.door.peers().len() <= 5);
    world.reef("reef-2").dial(&colony.route()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_has_a_revoked_secret_takes_no_more_places_than_a_stranger() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let secret = colony.registry.create_secret("partner", false, None, None).unwrap();
    colony.registry.revoke_secret("partner").unwrap();
    sleep(Duration::from_secs(1)).await;
    let psk = Psk::derive(&secret, &colony.colony_id, &colony.public_key());
    let mut rogues = Vec::new();
    for _ in 0..12 {
        let key = PrivateKey::generate();
        let call = Rogue::call(&world.underlay, colony.public_key(), colony.address, psk.clone(), key);
        rogues.extend(timeout(Duration::from_millis(500), call).await.ok());
    }
    assert_eq!((rogues.len(), colony.door.peers().len()), (4, 4));
    let status = HealthClient::new(rogues[0].channel().await).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_eight_connections_and_others_still_get_theirs() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let rogue = Rogue::start(&world.underlay, &colony).await;
    let mut open = Vec::new();
    for _ in 0..40 {
        if let Ok(Ok(stream)) = timeout(Duration::from_secs(2), MeshStream::connect(&rogue.endpoint, SERVICES)).await {
            open.push(stream);
        }
    }
    let refused = colony.door.endpoint.lock().stack.refused;
    assert!(refused >= 30, "{refused}");
    summary(world.reef("reef-1").dial(&colony.route()).await.unwrap(), 1).await.unwrap();
}

#[tokio::test]
async fn datagrams_of_any_size_and_content_do_no_harm_over_udp() {
    let world = World::udp();
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for size in [0, 1, 31, 32, 64, 92, 148, 1_500, 2_047, 2_048, 2_049, 9_000, 65_507] {
        for kind in 0..6 {
            let mut datagram = vec![0xff; size];
            datagram.iter_mut().zip([kind, 0, 0, 0]).for_each(|(byte, value)| *byte = value);
            socket.send_to(&datagram, colony.address).await.unwrap();
        }
    }
    summary(channel, 100).await.unwrap();
    assert!(drops(&colony).total() > 0);
    colony.stop().await;
}

/// A fault that carries what it was given.
fn refuse<T>(given: T) -> Result<(), T> {
    Err(given)
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let secret = Secret::generate();
    let key = PrivateKey::generate();
    let psk = Psk::derive(&secret, "my-shop-production", &key.public());
    let folder = tempfile::tempdir().unwrap();
    let registry = crate::registry::Registry::open(
        &folder.path().join("mesh.json"),
        "my-shop-production",
        key.public(),
        model::clock::SystemClock::shared(),
    )
    .unwrap();
    registry.set_own_secret(&secret, None).unwrap();
    let source = crate::secret::SecretSource::Text(secret.clone());
    let colony = crate::MeshColony::new("my-shop-production", source.clone());
    let door = crate::DoorSettings {
        key: key.clone(),
        listen: "127.0.0.1:0".parse().unwrap(),
        range: super::support::range(),
        connect_port: 9000,
        mtu: 1420,
        peers_max: 64,
        registry: registry.clone(),
        stun: Vec::new(),
        underlay: Underlay::Udp,
    };
    let lease = crate::discovery::LeaseSettings {
        colony_id: "my-shop-production".to_owned(),
        key: key.clone(),
        endpoints: Vec::new(),
        observed: None,
        mesh_ip: [10, 42, 0, 1].into(),
        connect_port: 9000,
        interval: Duration::from_secs(60),
    };
    let printed =
        format!("{secret:?} {key:?} {psk:?} {registry:?} {:?} {source:?} {source} {colony:?}", registry.state());
    // a panic prints what it was given
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        refuse((&door, &lease, crate::Route::Mesh(Box::new(colony.clone())), &psk, &registry)).unwrap();
    }));
    let panic = panic.unwrap_err().downcast::<String>().unwrap();
    assert!(panic.contains("my-shop-production"), "{panic}");
    let printed = format!("{printed} {panic}");
    for hidden in [secret.reveal(), psk.to_base64().as_str()] {
        assert!(!printed.contains(hidden), "{printed}");
    }
    assert!(!printed.contains(&format!("{:?}", key.bytes())) && !printed.contains(&format!("{:?}", psk.bytes())));
}
