//! Addresses, secrets and revocations, and their file.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::MeshError;
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::secret::Secret;
use model::clock::{ManualClock, SystemClock};
use model::time::{DAY_MS, TimeMs};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn range(network: &str) -> Range {
    Range::new(network, Ipv4Addr::new(10, 42, 0, 1), Ipv4Addr::new(10, 42, 0, 2)).unwrap()
}

fn key() -> PublicKey {
    PrivateKey::generate().public()
}

/// Registers with the secret of a name, valid or not.
fn register(registry: &Registry, reef_id: &str, name: &str, limits: (&Range, usize)) -> Result<Reef, Refusal> {
    let state = registry.state();
    let psk = state.grant(name).map(|grant| grant.psk.clone());
    let revoked = || state.revoked.iter().find(|secret| secret.name == name).map(|secret| secret.psk.clone());
    registry.register(reef_id, key(), &psk.or_else(revoked).unwrap(), limits).unwrap()
}

fn registry(folder: &tempfile::TempDir, now: TimeMs) -> Registry {
    let colony_key = PublicKey([7; 32]);
    Registry::open(&folder.path().join("mesh.json"), "my-shop", colony_key, ManualClock::at(now)).unwrap()
}

#[test]
fn networks_are_checked_and_say_what_is_wrong() {
    let (own, first) = (Ipv4Addr::new(10, 42, 0, 1), Ipv4Addr::new(10, 42, 0, 100));
    assert_eq!(Range::new("10.42.3.4/16", own, first).unwrap().to_string(), "10.42.0.0/16");
    assert_eq!(Range::new("10.42.0.0/16", own, own).unwrap().addresses(), 65_533);
    for (network, own) in [("10.42.0.0", own), ("10.42.0.0/31", own), ("0.0.0.0/0", own), ("10.43.0.0/16", own)] {
        let error = Range::new(network, own, first).unwrap_err();
        assert!(matches!(&error, MeshError::BadSettings { what } if what.contains("mesh.")), "{error}");
    }
}

#[test]
fn a_network_that_is_full_says_so_and_serves_those_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(&folder, TimeMs(0));
    registry.set_own_secret(&Secret::generate(), None).unwrap();
    let range = range("10.42.0.0/29");
    for number in 0..5 {
        register(&registry, &format!("reef-{number}"), "colony", (&range, 64)).unwrap();
    }
    let refusal = register(&registry, "reef-5", "colony", (&range, 64)).unwrap_err();
    assert_eq!(refusal.to_string(), "mesh network 10.42.0.0/29 is full (5 addresses)");
    register(&registry, "reef-3", "colony", (&range, 64)).unwrap();
    let refusal = register(&registry, "reef-6", "colony", (&range, 5)).unwrap_err();
    assert_eq!(refusal.code(), "too_many_peers");
    for bad in ["", "two words", "line\nbreak", &"x".repeat(200)] {
        assert_eq!(register(&registry, bad, "colony", (&range, 64)).unwrap_err().code(), "bad_reef_id");
    }
}

#[test]
fn the_file_is_private_and_what_others_write_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (daemon, command) = (registry(&folder, TimeMs(5)), registry(&folder, TimeMs(5)));
    let secret = Secret::generate();
    daemon.set_own_secret(&secret, None).unwrap();
    assert!(command.refresh().unwrap() && !command.refresh().unwrap());
    let named = command.create_secret("partner", true, Some(TimeMs(DAY_MS)), None).unwrap();
    register(&command, "reef-1", "partner", (&range("10.42.0.0/16"), 64)).unwrap();
    command.unpeer("reef-1").unwrap();
    assert!(daemon.refresh().unwrap());
    assert_eq!(daemon.state(), command.state());
    assert_eq!(daemon.state().reef("reef-1").unwrap().revoked_at, Some(TimeMs(5)));
    assert!(daemon.state().grant("partner").is_none(), "the secret of one reef goes with it");

    let path = folder.path().join("mesh.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains(secret.reveal()) && !text.contains(named.reveal()));
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let other = Registry::open(&path, "my-shop", PublicKey([7; 32]), SystemClock::shared());
    assert!(matches!(other, Err(MeshError::FileOpenToOthers { .. })));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "{ \"grants\": [ { \"name\": \"x\", \"psk\": \"not-base-64!\" } ] }").unwrap();
    let error = Registry::open(&path, "my-shop", PublicKey([7; 32]), SystemClock::shared()).unwrap_err();
    assert!(!format!("{error:?}").contains("not-base-64"), "{error:?}");
}

#[test]
fn two_processes_that_register_at_once_give_no_address_twice() {
    let folder = tempfile::tempdir().unwrap();
    registry(&folder, TimeMs(0)).set_own_secret(&Secret::generate(), None).unwrap();
    let mut threads = Vec::new();
    for thread in 0..4 {
        let registry = registry(&folder, TimeMs(0));
        let work = move || {
            for number in 0..10 {
                let reef_id = format!("reef-{thread}-{number}");
                register(&registry, &reef_id, "colony", (&range("10.42.0.0/16"), 64)).unwrap();
            }
        };
        threads.push(std::thread::Builder::new().name(format!("register {thread}")).spawn(work).unwrap());
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let state = registry(&folder, TimeMs(0)).state();
    let addresses: BTreeSet<Ipv4Addr> = state.reefs.iter().map(|reef| reef.address).collect();
    assert_eq!((state.reefs.len(), addresses.len()), (40, 40));
}

#[test]
fn who_is_not_seen_for_a_month_is_forgotten_and_who_was_let_go_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let range = range("10.42.0.0/16");
    let early = registry(&folder, TimeMs(0));
    early.set_own_secret(&Secret::generate(), None).unwrap();
    for reef_id in ["gone", "let-go", "seen"] {
        register(&early, reef_id, "colony", (&range, 64)).unwrap();
    }
    early.unpeer("let-go").unwrap();
    let late = registry(&folder, TimeMs(31 * DAY_MS));
    late.keep(&["seen".to_owned()]).unwrap();
    let left: Vec<String> = late.state().reefs.into_iter().map(|reef| reef.reef_id).collect();
    assert_eq!(left, ["let-go", "seen"]);
    let refusal = register(&late, "let-go", "colony", (&range, 64)).unwrap_err();
    assert_eq!(refusal.to_string(), "revoked on 1970-01-01T00:00:00.000Z; ask for a new secret");
}

#[test]
fn a_rotation_without_grace_ends_the_former_secret_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(&folder, TimeMs(0));
    registry.set_own_secret(&Secret::generate(), None).unwrap();
    registry.set_own_secret(&Secret::generate(), Some(Duration::from_secs(60))).unwrap();
    assert_eq!(names(&registry.state()), ["colony", "colony-before"]);
    registry.set_own_secret(&Secret::generate(), None).unwrap();
    assert_eq!(names(&registry.state()), ["colony"]);
    assert!(
        registry.create_secret("colony", false, None, None).is_err()
            && registry.create_secret("a b", false, None, None).is_err()
    );
}

fn names(state: &State) -> Vec<&str> {
    state.grants.iter().map(|grant| grant.name.as_str()).collect()
}

#[test]
fn each_former_secret_keeps_the_end_that_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let range = range("10.42.0.0/16");
    let at = |seconds: i64| registry(&folder, TimeMs(seconds * 1_000));
    let hour = Some(Duration::from_secs(3_600));
    let secrets: Vec<Secret> = (0..3).map(|_| Secret::generate()).collect();
    at(0).set_own_secret(&secrets[0], None).unwrap();
    register(&at(0), "reef-0", "colony", (&range, 64)).unwrap();
    at(10).set_own_secret(&secrets[1], hour).unwrap();
    register(&at(10), "reef-1", "colony", (&range, 64)).unwrap();
    // while the first former one is valid
    at(20).set_own_secret(&secrets[2], Some(Duration::from_secs(60))).unwrap();
    let state = at(20).state();
    assert_eq!(names(&state), ["colony", "colony-before-2", "colony-before"]);
    let ends: Vec<Option<TimeMs>> = state.grants.iter().map(|grant| grant.expires_at).collect();
    assert_eq!(ends, [None, Some(TimeMs(80_000)), Some(TimeMs(3_610_000))]);
    let of_reefs: Vec<&str> = state.reefs.iter().map(|reef| reef.secret.as_str()).collect();
    assert_eq!(of_reefs, ["colony-before", "colony-before-2"], "each reef has the secret that it has proved");
    register(&at(79), "reef-1", "colony-before-2", (&range, 64)).unwrap();
    assert_eq!(register(&at(81), "reef-1", "colony-before-2", (&range, 64)).unwrap_err().code(), "secret_expired");
    register(&at(3_609), "reef-0", "colony-before", (&range, 64)).unwrap();
    assert_eq!(register(&at(3_611), "reef-0", "colony-before", (&range, 64)).unwrap_err().code(), "secret_expired");

    // one that comes back is no former one, and its reefs have the colony's own again
    at(100).set_own_secret(&secrets[0], hour).unwrap();
    let state = at(100).state();
    assert_eq!(names(&state), ["colony", "colony-before", "colony-before-2"]);
    assert_eq!((state.grants[0].expires_at, state.reefs[0].secret.as_str()), (None, "colony"));
    // their names are theirs
    assert!(at(100).create_secret("colony-before-7", false, None, None).is_err());
    at(100).set_own_secret(&Secret::generate(), None).unwrap();
    assert_eq!(names(&at(100).state()), ["colony"], "without a grace all of them end");
}

#[test]
fn a_revoked_secret_is_refused_by_name_for_a_month_and_its_name_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let range = range("10.42.0.0/16");
    let early = registry(&folder, TimeMs(DAY_MS));
    early.set_own_secret(&Secret::generate(), None).unwrap();
    early.create_secret("partner", false, None, None).unwrap();
    register(&early, "reef-1", "partner", (&range, 64)).unwrap();
    early.revoke_secret("partner").unwrap();
    // as a colony that starts again reads it
    let again = registry(&folder, TimeMs(2 * DAY_MS));
    let refusal = register(&again, "reef-1", "partner", (&range, 64)).unwrap_err();
    assert_eq!(refusal, Refusal::Revoked { at: TimeMs(DAY_MS) });
    assert!(again.revoke_secret("partner").is_err(), "there is none to revoke");
    again.create_secret("partner", false, None, None).unwrap();
    register(&again, "reef-1", "partner", (&range, 64)).unwrap();
    again.keep(&[]).unwrap();
    assert_eq!(again.state().revoked.len(), 1);
    let late = registry(&folder, TimeMs(31 * DAY_MS));
    late.keep(&[]).unwrap();
    assert!(late.state().revoked.is_empty() && late.state().grant("partner").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Against a map from reefs to addresses.
    #[test]
    fn an_address_belongs_to_one_reef_permanently(steps in proptest::collection::vec((0_u8..12, any::<bool>()), 1..80)) {
        let range = range("10.42.0.0/28");
        let mut state = State::default();
        state.grants.push(serde_json::from_str(
            "{\"name\":\"colony\",\"psk\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"shared\":true,\"created_at\":0}"
        ).unwrap());
        let psk = state.grants[0].psk.clone();
        let mut expected: BTreeMap<String, Ipv4Addr> = BTreeMap::new();
        for (number, let_go) in steps {
            let reef_id = format!("reef-{number}");
            if let_go {
                prop_assert_eq!(state.unpeer(&reef_id, TimeMs(1)), expected.contains_key(&reef_id));
                continue;
            }
            match state.register(&reef_id, PublicKey([number; 32]), &psk, (&range, 64), TimeMs(2)) {
                Ok(reef) => {
                    let known = *expected.entry(reef_id).or_insert(reef.address);
                    prop_assert_eq!(known, reef.address);
                    prop_assert!(range.contains(reef.address) && reef.address != range.own());
                }
                Err(refusal) => prop_assert_eq!(refusal.code(), "revoked"),
            }
        }
        let addresses: BTreeSet<Ipv4Addr> = expected.values().copied().collect();
        prop_assert_eq!(addresses.len(), expected.len());
    }
}
