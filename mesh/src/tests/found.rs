//! Where a colony is: by discovery, also after it has moved, and as a STUN server sees it.

use super::support::{TestColony, World, answers_within, refusal, summary};
use crate::datagrams::{SCRATCH_BYTES, Socket, Underlay};
use crate::discovery::{Discovery, DiscoveryServer, DiscoverySettings, Lease, LeaseSettings, LeaseState};
use crate::error::MeshError;
use crate::link::MeshColony;
use crate::network::Route;
use crate::noise::keys::PrivateKey;
use crate::secret::SecretSource;
use crate::sim::Path;
use crate::stun;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A service that the reefs of this world ask.
async fn discovery_of(world: &mut World) -> Discovery {
    let settings = DiscoverySettings { listen: "127.0.0.1:0".to_owned(), file: None, clock: world.clock.clone() };
    let server = DiscoveryServer::bind(settings).await.unwrap();
    let discovery = Discovery::new(&format!("http://{}", server.address())).unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    world.discovery = Some(discovery.clone());
    discovery
}

/// A colony's registration at these addresses and at the one that a STUN server sees.
async fn lease(discovery: &Discovery, colony: &TestColony, endpoints: Vec<SocketAddr>) -> Lease {
    let settings = LeaseSettings {
        colony_id: colony.colony_id.clone(),
        key: colony.key.clone(),
        endpoints,
        observed: Some(colony.door.observed.clone()),
        mesh_ip: [10, 42, 0, 1].into(),
        connect_port: 9000,
        interval: Duration::from_secs(60),
    };
    let lease = Lease::start(discovery.clone(), settings);
    lease.state().wait_for(|state| *state == LeaseState::Registered).await.unwrap();
    lease
}

/// Neither address nor key is configured.
fn looked_up(colony: &TestColony) -> MeshColony {
    MeshColony::new(&colony.colony_id, SecretSource::Text(colony.secret.clone()))
}

#[tokio::test]
async fn discovery_says_where_a_colony_is_and_which_one_it_does_not_know() {
    let mut world = World::udp();
    let colony = world.colony("my-shop-production").await;
    let discovery = discovery_of(&mut world).await;
    let _lease = lease(&discovery, &colony, vec![colony.address]).await;
    let reef = world.reef("reef-1");
    let route = Route::Mesh(Box::new(looked_up(&colony)));
    summary(reef.dial(&route).await.unwrap(), 1).await.unwrap();

    let staging = MeshColony { colony_id: "my-shop-staging".to_owned(), ..looked_up(&colony) };
    let error = refusal(&reef, &Route::Mesh(Box::new(staging))).await;
    assert!(matches!(error, MeshError::UnknownColony { .. }), "{error}");
    assert!(
        error.to_string().starts_with(&format!("colony my-shop-staging: not known at {}", discovery.url())),
        "{error}"
    );
    // a key that is configured counts more than what discovery shows
    let pinned = MeshColony { public_key: Some(PrivateKey::generate().public()), ..looked_up(&colony) };
    let error = refusal(&world.reef("reef-2"), &Route::Mesh(Box::new(pinned))).await;
    assert!(matches!(error, MeshError::OtherKey { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_colony_that_comes_back_at_another_address_is_found_again() {
    let (mut world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let discovery = discovery_of(&mut world).await;
    let registered = lease(&discovery, &colony, vec![colony.address]).await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&Route::Mesh(Box::new(looked_up(&colony)))).await.unwrap();
    summary(channel.clone(), 1).await.unwrap();
    let (id, key, before) = (colony.colony_id.clone(), colony.key.clone(), colony.address);
    let secret = colony.secret.clone();
    drop(registered);
    colony.kill().await;
    let moved = TestColony::start(&world, &id, key, "127.0.0.2:0".parse().unwrap(), secret).await;
    assert_ne!(moved.address, before);
    let _lease = lease(&discovery, &moved, vec![moved.address]).await;
    let took = answers_within(&channel, Duration::from_secs(300)).await;
    assert!(took < Duration::from_secs(120), "{took:?}");
    assert_eq!(reef.status().await[0].tunnel.endpoint, Some(moved.address));
}

/// A STUN server: it says where each request comes from.
fn start_stun(underlay: &Underlay, at: SocketAddr) {
    let socket: Socket = underlay.bind(at).unwrap();
    tokio::spawn(async move {
        let mut scratch = vec![0; SCRATCH_BYTES];
        loop {
            socket.readable().await.unwrap();
            let mut answers = VecDeque::new();
            let _ = socket.try_receive(&mut scratch, |from, datagram| {
                let IpAddr::V4(seen) = from.ip() else { panic!("{from}") };
                answers.push_back((from, stun::response(datagram, seen, from.port())));
            });
            if !answers.is_empty() {
                socket.try_send(&answers, &mut scratch).unwrap();
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_colony_behind_a_router_is_reached_at_the_address_that_a_stun_server_sees() {
    let (mut world, net) = World::sim(Path::default());
    let (silent, server) = ("192.0.2.2:3478", "192.0.2.3:3478");
    world.stun = vec![silent.to_owned(), server.to_owned()];
    let inside: SocketAddr = "192.168.1.5:41580".parse().unwrap();
    let outside: SocketAddr = "203.0.113.9:60001".parse().unwrap();
    net.translate(inside, outside);
    start_stun(&world.underlay, server.parse().unwrap());
    let key = PrivateKey::generate();
    let colony = TestColony::start(&world, "my-shop-production", key, inside, crate::secret::Secret::generate()).await;
    let mut observed = colony.door.observed.clone();
    let started = Instant::now();
    observed.wait_for(|seen| *seen == Some(outside)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "the second server is asked when the first does not answer");

    // reefs cannot know the address that the colony has by itself
    let discovery = discovery_of(&mut world).await;
    let nowhere = vec!["192.168.77.77:41580".parse().unwrap()];
    let _lease = lease(&discovery, &colony, nowhere).await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&Route::Mesh(Box::new(looked_up(&colony)))).await.unwrap();
    summary(channel, 1).await.unwrap();
    assert_eq!(reef.status().await[0].tunnel.endpoint, Some(outside));

    // the router has another address: it is seen, and registered at once
    let later = "203.0.113.10:60002".parse().unwrap();
    net.translate(inside, later);
    observed.wait_for(|seen| *seen == Some(later)).await.unwrap();
    let registered = async {
        while !discovery.look_up(&colony.colony_id).await.is_ok_and(|found| found.endpoints.contains(&later)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(30), registered).await.expect("well before the next renewal");
}

#[tokio::test]
async fn a_stun_server_is_asked_over_udp() {
    let mut world = World::udp();
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    world.stun = vec![server.local_addr().unwrap().to_string()];
    let colony = world.colony("my-shop-production").await;
    let mut datagram = [0; 64];
    let (length, from) = server.recv_from(&mut datagram).await.unwrap();
    // from the port of the door, which is the one that reefs call
    assert_eq!(from, colony.address);
    let seen = std::net::Ipv4Addr::new(203, 0, 113, 9);
    server.send_to(&stun::response(&datagram[..length], seen, 7), from).await.unwrap();
    let mut observed = colony.door.observed.clone();
    let expected = Some(SocketAddr::from((seen, 7)));
    observed.wait_for(|seen| *seen == expected).await.unwrap();
    colony.stop().await;
}
