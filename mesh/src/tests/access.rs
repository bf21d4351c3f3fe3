//! Admission: the matrix of keys and secrets, permissions and expiry.

use super::support::{TestColony, World, refusal, summary};
use crate::error::{Class, MeshError};
use crate::link::{LinkState, MeshColony};
use crate::network::Route;
use crate::noise::keys::PrivateKey;
use crate::registry::Registry;
use crate::secret::{Secret, SecretSource};
use crate::sim::Path;
use model::time::TimeMs;
use proto::reef::v1::StreamEventsRequest;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

fn with_secret(colony: &TestColony, secret: &Secret) -> Route {
    let secret = SecretSource::Text(secret.clone());
    Route::Mesh(Box::new(MeshColony { secret, ..colony.mesh_colony() }))
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_a_silent_colony_and_an_unknown_one_are_three_errors() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");

    let started = Instant::now();
    let error = refusal(&reef, &with_secret(&colony, &Secret::generate())).await;
    assert!(matches!(error, MeshError::WrongSecret { .. }), "{error}");
    assert_eq!(error.class(), Class::NotAuthorised);
    let text = error.to_string();
    assert!(text.contains("my-shop-production") && text.contains(&colony.address.to_string()), "{text}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());

    let nowhere = MeshColony { endpoint: Some("127.0.0.1:9".to_owned()), ..colony.mesh_colony() };
    let error = refusal(&reef, &Route::Mesh(Box::new(nowhere))).await;
    assert!(matches!(error, MeshError::NoAnswer { tries: 5, seconds: 15, .. }), "{error}");
    assert_eq!(error.class(), Class::Failed);

    let unknown = MeshColony { endpoint: None, ..colony.mesh_colony() };
    let error = refusal(&reef, &Route::Mesh(Box::new(unknown))).await;
    assert!(matches!(error, MeshError::NoWay { .. }), "{error}");
    // nothing came of any of it
    assert!(colony.registry.state().reefs.is_empty() && reef.status().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn key_and_secret_are_both_needed() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    // the right secret and another key: the receiver cannot even read the call
    let other = PrivateKey::generate().public();
    let route = MeshColony { public_key: Some(other), ..colony.mesh_colony() };
    assert!(matches!(refusal(&reef, &Route::Mesh(Box::new(route))).await, MeshError::NoAnswer { .. }));
    // the secret and the key of one colony under the id of another
    let route = MeshColony { colony_id: "my-shop-staging".to_owned(), ..colony.mesh_colony() };
    assert!(matches!(refusal(&reef, &Route::Mesh(Box::new(route))).await, MeshError::WrongSecret { .. }));
    reef.dial(&colony.route()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_impostor_with_a_key_of_its_own_learns_nothing_that_opens_the_colony() {
    let (world, net) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    // a lying discovery would show the impostor's key and place
    let impostor = TestColony::start(
        &world,
        "impostor",
        PrivateKey::generate(),
        "127.0.0.1:0".parse().unwrap(),
        Secret::generate(),
    )
    .await;
    net.start_record();
    let route = MeshColony {
        endpoint: Some(impostor.address.to_string()),
        public_key: Some(impostor.public_key()),
        ..colony.mesh_colony()
    };
    assert!(matches!(
        refusal(&world.reef("reef-1"), &Route::Mesh(Box::new(route))).await,
        MeshError::WrongSecret { .. }
    ));
    let secret = colony.secret.reveal().as_bytes().to_vec();
    for sent in net.recorded() {
        assert!(matches!(sent.bytes[0], 1 | 2), "data went to an impostor");
        assert!(!sent.bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[tokio::test(start_paused = true)]
async fn letting_a_reef_go_ends_its_streams_within_a_second_and_is_remembered() {
    let (world, net) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let (gone, stays) = (world.reef("reef-1"), world.reef("reef-2"));
    let route = colony.route();
    let (channel, other) = (gone.dial(&route).await.unwrap(), stays.dial(&route).await.unwrap());
    let mut stream = ColonyFederationClient::new(channel.clone())
        .stream_events(StreamEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().unwrap();
    let mut waiting = ColonyFederationClient::new(other.clone())
        .stream_events(StreamEventsRequest::default())
        .await
        .unwrap()
        .into_inner();

    let started = Instant::now();
    colony.registry.unpeer("reef-1").unwrap();
    let status = loop {
        match timeout(Duration::from_secs(5), stream.message()).await.expect("the stream ends") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without a reason"),
            Err(status) => break status,
        }
    };
    assert!(started.elapsed() <= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "revoked"));
    sleep(Duration::from_secs(1)).await;
    assert!(!colony.door.peers().iter().any(|peer| peer.reef_id.as_deref() == Some("reef-1")));

    // it returns with its old secret, is refused with the reason, and does not retry in a tight loop
    let mut state = gone.status().await[0].state.clone();
    let waiting_for = Instant::now();
    while !matches!(&state, LinkState::Down { error } if matches!(**error, MeshError::Refused { .. })) {
        assert!(waiting_for.elapsed() < Duration::from_secs(60), "{state:?}");
        let _ = summary(channel.clone(), 1).await;
        sleep(Duration::from_millis(500)).await;
        state = gone.status().await[0].state.clone();
    }
    let error = refusal(&gone, &route).await;
    assert!(matches!(&error, MeshError::Refused { reason, .. } if reason == "revoked"), "{error}");
    assert_eq!(error.class(), Class::NotAuthorised);
    assert!(error.to_string().contains("revoked on 2025-"), "{error}");
    net.start_record();
    sleep(Duration::from_secs(300)).await;
    let calls = net.recorded().iter().filter(|sent| sent.bytes[0] == 1 && sent.to == colony.address).count();
    assert!(calls <= 10, "{calls} handshakes in five minutes");

    // the other reef has not noticed
    assert!(waiting.message().await.unwrap().is_some());
    summary(other, 1).await.unwrap();
    // and doing it again changes nothing
    let before = colony.registry.state();
    colony.registry.unpeer("reef-1").unwrap();
    assert_eq!(colony.registry.state(), before);
}

#[tokio::test(start_paused = true)]
async fn named_secrets_admit_one_reef_each_and_die_with_it() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let mut secrets = Vec::new();
    for number in 0..20 {
        secrets.push(colony.registry.create_secret(&format!("reef-{number}"), false, None, None).unwrap());
    }
    sleep(Duration::from_secs(1)).await;
    let reef = world.reef("reef-a");
    let route = with_secret(&colony, &secrets[13]);
    summary(reef.dial(&route).await.unwrap(), 1).await.unwrap();
    assert_eq!(colony.registry.state().grant("reef-13").unwrap().reef_id.as_deref(), Some("reef-a"));
    assert_eq!(colony.door.peers()[0].secret, "reef-13");

    let error = refusal(&world.reef("reef-b"), &route).await;
    assert!(matches!(&error, MeshError::Refused { reason, .. } if reason == "secret_of_another_reef"), "{error}");

    colony.registry.unpeer("reef-a").unwrap();
    sleep(Duration::from_secs(1)).await;
    let error = refusal(&world.reef("reef-c"), &route).await;
    assert!(error.is_revoked(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_read_only_secret_reads_and_nothing_else() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let secret = colony.registry.create_secret("auditor", true, None, None).unwrap();
    sleep(Duration::from_secs(1)).await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&with_secret(&colony, &secret)).await.unwrap();
    summary(channel.clone(), 1).await.unwrap();
    assert!(reef.status().await[0].read_only);
    let mut ingest = proto::colony::v1::ingest_service_client::IngestServiceClient::new(channel);
    let status = ingest.ingest_events(proto::colony::v1::IngestEventsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_ends_cuts_its_reefs_and_says_when_it_ended() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let ends = TimeMs(world.clock.now().0 + 60_000);
    let secret = colony.registry.create_secret("trial", false, Some(ends), None).unwrap();
    sleep(Duration::from_secs(1)).await;
    let reef = world.reef("reef-1");
    let route = with_secret(&colony, &secret);
    let channel = reef.dial(&route).await.unwrap();
    assert_eq!(reef.status().await[0].secret_expires_at, Some(ends));
    sleep(Duration::from_secs(62)).await;
    assert!(summary(channel, 1).await.is_err());
    let error = refusal(&world.reef("reef-2"), &route).await.to_string();
    assert!(error.contains("\"trial\" expired on 2025-"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_counts_for_its_grace_and_then_no_more() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let old = world.reef("reef-old");
    let channel = old.dial(&colony.route()).await.unwrap();
    let new = Secret::generate();
    colony.registry.set_own_secret(&new, Some(Duration::from_secs(600))).unwrap();
    sleep(Duration::from_secs(2)).await;
    summary(channel.clone(), 1).await.unwrap();
    world.reef("reef-late").dial(&colony.route()).await.unwrap();
    let fresh = world.reef("reef-new");
    let fresh_channel = fresh.dial(&with_secret(&colony, &new)).await.unwrap();
    sleep(Duration::from_secs(600)).await;
    assert!(summary(channel, 1).await.is_err());
    summary(fresh_channel, 1).await.unwrap();
    assert!(matches!(refusal(&world.reef("reef-3"), &colony.route()).await, MeshError::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_reef_that_starts_again_within_the_grace_registers_and_ends_with_it() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let before = world.reef("reef-1");
    summary(before.dial(&colony.route()).await.unwrap(), 1).await.unwrap();
    let address = before.status().await[0].reef_mesh_ip;
    before.close().await;
    let ends = TimeMs(world.clock.now().0 + 600_000);
    colony.registry.set_own_secret(&Secret::generate(), Some(Duration::from_secs(600))).unwrap();
    sleep(Duration::from_secs(300)).await;
    // with the secret that it has, which is the former one by now
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    let link = reef.status().await.remove(0);
    assert_eq!((link.reef_mesh_ip, link.secret_expires_at), (address, Some(ends)));
    assert_eq!(colony.registry.state().reefs[0].secret, "colony-before");
    while world.clock.now() < TimeMs(ends.0 - 1_000) {
        summary(channel.clone(), 1).await.unwrap();
        sleep(Duration::from_millis(500)).await;
    }
    sleep(Duration::from_secs(3)).await;
    assert!(summary(channel, 1).await.is_err());
    let error = refusal(&world.reef("reef-1"), &colony.route()).await;
    assert!(matches!(&error, MeshError::Refused { reason, .. } if reason == "secret_expired"), "{error}");
    // a visitor that was refused is forgotten after a while, so that none is left
    sleep(Duration::from_secs(60)).await;
    assert!(colony.door.peers().is_empty(), "{:?}", colony.door.peers());
}

#[tokio::test(start_paused = true)]
async fn a_revoked_secret_ends_its_reefs_at_once_and_says_that_it_was_revoked() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let secret = colony.registry.create_secret("partner", false, None, None).unwrap();
    sleep(Duration::from_secs(1)).await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&with_secret(&colony, &secret)).await.unwrap();
    let events = ColonyFederationClient::new(channel.clone()).stream_events(StreamEventsRequest::default()).await;
    let mut events = events.unwrap().into_inner();
    let revoked_at = Instant::now();
    colony.registry.revoke_secret("partner").unwrap();
    let ended = loop {
        if let Err(status) = events.message().await {
            break status;
        }
    };
    assert_eq!((ended.code(), ended.message()), (Code::PermissionDenied, "revoked"));
    assert!(revoked_at.elapsed() <= Duration::from_secs(1), "{:?}", revoked_at.elapsed());
    assert!(timeout(Duration::from_secs(60), summary(channel, 1)).await.expect("no hang").is_err());
    // another reef has no more of it
    let error = refusal(&world.reef("reef-2"), &with_secret(&colony, &secret)).await;
    assert!(error.is_revoked() && error.to_string().contains("revoked on 2025-"), "{error}");
    assert!(colony.registry.revoke_secret("partner").unwrap_err().to_string().contains("known: colony"));
    // its own secret would come back from its file
    let own = colony.registry.revoke_secret("colony").unwrap_err();
    assert!(own.to_string().contains("coral colony secret rotate"), "{own}");
}

#[tokio::test(start_paused = true)]
async fn a_colony_that_starts_again_still_says_to_a_reef_of_a_named_secret_that_it_is_revoked() {
    // the secret is revoked, or the reef is and its secret with it
    for is_unpeered in [false, true] {
        let (world, _) = World::sim(Path::default());
        let colony = world.colony("my-shop-production").await;
        let secret = colony.registry.create_secret("partner", false, None, None).unwrap();
        sleep(Duration::from_secs(1)).await;
        let reef = world.reef("reef-1");
        let route = with_secret(&colony, &secret);
        let channel = reef.dial(&route).await.unwrap();
        summary(channel.clone(), 1).await.unwrap();
        // while the colony is stopped, so that the running reef does not hear of it then
        let (id, key, address, own) =
            (colony.colony_id.clone(), colony.key.clone(), colony.address, colony.secret.clone());
        let registry = colony.registry.clone();
        colony.kill().await;
        match is_unpeered {
            true => registry.unpeer("reef-1").unwrap(),
            false => registry.revoke_secret("partner").unwrap(),
        }
        let colony = TestColony::start(&world, &id, key, address, own).await;
        let waiting_for = Instant::now();
        loop {
            match &reef.status().await[0].state {
                LinkState::Down { error } if error.is_revoked() => break,
                state => assert!(waiting_for.elapsed() < Duration::from_secs(120), "{state:?}"),
            }
            let _ = summary(channel.clone(), 1).await;
            sleep(Duration::from_millis(500)).await;
        }
        // and to one that starts again
        let error = refusal(&world.reef("reef-1"), &route).await;
        assert!(error.is_revoked() && error.class() == Class::NotAuthorised, "{error}");
        sleep(Duration::from_secs(60)).await;
        assert!(colony.door.peers().is_empty(), "{:?}", colony.door.peers());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_within_a_grace_leaves_the_first_former_secret_its_own_end() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let first = world.reef("reef-first");
    let of_first = first.dial(&colony.route()).await.unwrap();
    let secrets = [Secret::generate(), Secret::generate()];
    colony.registry.set_own_secret(&secrets[0], Some(Duration::from_secs(600))).unwrap();
    sleep(Duration::from_secs(2)).await;
    let second = world.reef("reef-second");
    let of_second = second.dial(&with_secret(&colony, &secrets[0])).await.unwrap();
    // the later one ends earlier
    colony.registry.set_own_secret(&secrets[1], Some(Duration::from_secs(60))).unwrap();
    sleep(Duration::from_secs(2)).await;
    summary(of_first.clone(), 1).await.unwrap();
    summary(of_second.clone(), 1).await.unwrap();
    world.reef("reef-late").dial(&colony.route()).await.unwrap();
    sleep(Duration::from_secs(62)).await;
    assert!(summary(of_second, 1).await.is_err());
    summary(of_first.clone(), 1).await.unwrap();
    let error = refusal(&world.reef("reef-4"), &with_secret(&colony, &secrets[0])).await;
    assert!(error.to_string().contains("\"colony-before-2\" expired on"), "{error}");
    sleep(Duration::from_secs(540)).await;
    assert!(summary(of_first, 1).await.is_err());
    world.reef("reef-5").dial(&with_secret(&colony, &secrets[1])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reef_that_only_asks_joins_nothing_and_disturbs_no_tunnel() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let running = world.reef("reef-1");
    let channel = running.dial(&colony.route()).await.unwrap();
    let before = colony.registry.state();
    let visit = world.reef("reef-1").visit(&colony.mesh_colony(), |_| {}).await.unwrap();
    assert_eq!((visit.reef_mesh_ip, visit.public_key), (before.reefs[0].address, colony.public_key()));
    assert!(visit.tunnel.round_trip.is_some() && visit.tunnel.endpoint == Some(colony.address), "{visit:?}");
    let other = world.reef("reef-2").visit(&colony.mesh_colony(), |_| {}).await.unwrap();
    assert_ne!(other.reef_mesh_ip, visit.reef_mesh_ip);
    assert_eq!(colony.registry.state(), before);
    summary(channel, 1).await.unwrap();

    colony.registry.unpeer("reef-1").unwrap();
    let error = world.reef("reef-1").visit(&colony.mesh_colony(), |_| {}).await.unwrap_err();
    assert!(matches!(error, MeshError::Refused { ref reason, .. } if reason == "revoked"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_reef_calls_again_only_after_ten_minutes() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    world.reef("reef-1").dial(&colony.route()).await.unwrap();
    colony.registry.unpeer("reef-1").unwrap();
    let reef = world.reef("reef-1");
    assert!(matches!(refusal(&reef, &colony.route()).await, MeshError::Refused { .. }));
    let started = Instant::now();
    for _ in 0..20 {
        assert!(matches!(refusal(&reef, &colony.route()).await, MeshError::Refused { .. }));
    }
    assert_eq!(started.elapsed(), Duration::ZERO, "nothing was sent");
    // another secret is another question
    let other = with_secret(&colony, &Secret::generate());
    assert!(matches!(refusal(&reef, &other).await, MeshError::WrongSecret { .. }));
    colony.registry.create_secret("again", false, None, Some("reef-1")).unwrap();
    sleep(Duration::from_secs(601)).await;
    reef.dial(&colony.route()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_just_created_admits_the_reef_that_calls_before_the_colony_has_seen_it() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    // as `coral colony secret create` does, in a process of its own
    let path = world.path("my-shop-production.json");
    let command = Registry::open(&path, "my-shop-production", colony.public_key(), world.clock.clone()).unwrap();
    let secret = command.create_secret("partner", false, None, None).unwrap();
    world.reef("reef-1").dial(&with_secret(&colony, &secret)).await.unwrap();
    assert_eq!(colony.registry.state().reefs[0].secret, "partner");
}

#[tokio::test(start_paused = true)]
async fn a_reef_that_comes_again_keeps_the_connection_that_it_opens_at_once() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let before = world.reef("reef-1");
    summary(before.dial(&colony.route()).await.unwrap(), 1).await.unwrap();
    // with another key and the same address
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    let events = ColonyFederationClient::new(channel).stream_events(StreamEventsRequest::default()).await;
    let mut events = events.unwrap().into_inner();
    for _ in 0..20 {
        assert!(events.message().await.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reef_that_is_removed_with_its_own_secret_hears_that_it_is_revoked() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let secret = colony.registry.create_secret("partner", false, None, None).unwrap();
    sleep(Duration::from_secs(1)).await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&with_secret(&colony, &secret)).await.unwrap();
    let events = ColonyFederationClient::new(channel).stream_events(StreamEventsRequest::default()).await;
    let mut events = events.unwrap().into_inner();
    colony.registry.unpeer("reef-1").unwrap();
    let ended = loop {
        if let Err(status) = events.message().await {
            break status;
        }
    };
    assert_eq!((ended.code(), ended.message()), (Code::PermissionDenied, "revoked"));
}
