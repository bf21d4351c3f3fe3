//! The client against recorded responses of the hosted service, the server against anything that clients may send.
#![allow(clippy::unwrap_used)]

use super::lease::write_token;
use super::messages::{Colony, RegisterColony, Registered};
use super::*;
use crate::error::DiscoveryError;
use crate::noise::keys::{PrivateKey, PublicKey};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use model::clock::{ManualClock, SharedClock, SystemClock};
use model::time::TimeMs;
use proptest::prelude::*;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinHandle;

const KEY: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

/// A service that returns the same bytes for every look-up.
async fn service(status: u16, answer: String) -> Discovery {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let status = StatusCode::from_u16(status).unwrap();
    let method = move || async move { (status, answer.clone()) };
    let app = Router::new().route("/coral.discovery.v1.DiscoveryService/{method}", post(method));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Discovery::new(&url).unwrap()
}

/// The hosted service's format: camel case, 64 bits as text, dates of 1970, an observed endpoint without a port.
const RECORDED: &str = r#"{"meshId":"my-shop-production-a3f2e1","pubkey":"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
"endpoints":["203.0.113.42:41580","127.0.0.1:41580","0.0.0.0:41580","198.51.100.7:0","nowhere","203.0.113.42:41580"],
"meshIpv4":"100.64.0.1","meshIpv6":"fd42::1","connectPort":9000,"metadata":{"application":"my-shop"},
"lastSeen":"1970-01-21T10:45:03.000Z","observedEndpoints":[{"ip":"198.51.100.9","port":41580,"protocol":"udp"},
{"ip":"198.51.100.10","port":0,"protocol":"udp"},{"ip":"198.51.100.11","port":1,"protocol":"udp","viaRelay":true}],
"nat":"NAT_HINT_CONE","relays":[],"publicPort":"0"}"#;

#[tokio::test]
async fn what_the_hosted_service_answers_is_read_and_what_cannot_be_is_left_out() {
    let discovery = service(200, RECORDED.to_owned()).await;
    let found = discovery.look_up("my-shop-production-a3f2e1").await.unwrap();
    let endpoints: Vec<SocketAddr> =
        ["203.0.113.42:41580", "127.0.0.1:41580", "198.51.100.9:41580"].map(|it| it.parse().unwrap()).into();
    assert_eq!(found.endpoints, endpoints, "loopback counts where discovery itself is local");
    assert_eq!((found.mesh_ip, found.connect_port), (Some([100, 64, 0, 1].into()), Some(9000)));
    assert_eq!(found.key.to_string(), KEY);
    // as proto JSON with proto names
    let text =
        RECORDED.replace("meshId", "mesh_id").replace("meshIpv4", "mesh_ipv4").replace("connectPort", "connect_port");
    let again = service(200, text).await.look_up("my-shop-production-a3f2e1").await.unwrap();
    assert_eq!((again.mesh_ip, again.connect_port), (found.mesh_ip, found.connect_port));
}

#[tokio::test]
async fn false_addresses_are_named_and_not_followed() {
    let lies = [
        (RECORDED.replace("a3f2e1", "other"), "the colony \"my-shop-production-other\""),
        (RECORDED.replace(KEY, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), "the key"),
        (RECORDED.replace(KEY, "short"), "the key \"short\""),
        (
            RECORDED.replace("203.0.113.42", "224.0.0.1").replace("127.0.0.1", "0.0.0.0").replace("198.51.100.9", "x"),
            "no endpoint",
        ),
        (RECORDED.replace("100.64.0.1", "127.0.0.1"), "the mesh address"),
        ("{".to_owned(), "an answer that is none"),
        ("[1]".to_owned(), "an answer that is none"),
        (format!("{{\"meshId\":\"{}\"}}", "x".repeat(100_000)), "an answer that cannot be read"),
    ];
    for (answer, expected) in lies {
        let error = service(200, answer).await.look_up("my-shop-production-a3f2e1").await.unwrap_err();
        assert!(matches!(error, DiscoveryError::BadAnswer { .. }) && error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_colony_and_other_faults_are_distinguished() {
    let answers = |status: u16, body: &'static str| async move {
        service(status, body.to_owned()).await.look_up("my-shop").await.unwrap_err()
    };
    let error = answers(404, r#"{"code":"not_found","message":"colony not found"}"#).await;
    assert!(matches!(error, DiscoveryError::Unknown { .. }), "{error}");
    let error = answers(500, r#"{"code":"internal","message":"on\u001b[31mfire"}"#).await.to_string();
    assert!(error.contains("\"on[31mfire\" (internal)"), "{error}");
    let error = answers(502, "<html>").await.to_string();
    assert!(error.contains("502"), "{error}");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Discovery::new(&format!("http://{closed}")).unwrap().look_up("my-shop").await.unwrap_err();
    assert!(matches!(error, DiscoveryError::NoAnswer { .. }), "{error}");
    for url in ["discovery.example.com", "ftp://x", "", "http://"] {
        assert!(Discovery::new(url).is_err(), "{url}");
    }
}

struct Running {
    url: String,
    _stop: tokio::sync::oneshot::Sender<()>,
    _task: JoinHandle<()>,
}

async fn run(file: Option<PathBuf>, clock: SharedClock) -> Running {
    let settings = DiscoverySettings { listen: "127.0.0.1:0".to_owned(), file, clock };
    let server = DiscoveryServer::bind(settings).await.unwrap();
    let url = format!("http://{}", server.address());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        server.serve(async { stopped.await.unwrap_or(()) }).await.unwrap();
    });
    Running { url, _stop: stop, _task: task }
}

fn registration(key: PublicKey, endpoint: &str) -> RegisterColony {
    RegisterColony {
        mesh_id: "my-shop".to_owned(),
        pubkey: key.to_string(),
        endpoints: vec![endpoint.to_owned()],
        mesh_ipv4: "10.42.0.1".to_owned(),
        connect_port: 9000,
        ..RegisterColony::default()
    }
}

#[tokio::test]
async fn a_registration_is_changed_by_who_made_it_alone_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("discovery.json");
    let clock = ManualClock::at(TimeMs(1_764_000_000_000));
    let (owner, thief) = (PrivateKey::generate(), PrivateKey::generate());
    let token = write_token(&owner, "my-shop");
    {
        let server = run(Some(file.clone()), clock.clone()).await;
        let discovery = Discovery::new(&server.url).unwrap();
        let ttl = discovery.register(&registration(owner.public(), "203.0.113.1:1"), &token).await.unwrap();
        assert_eq!(ttl, Duration::from_secs(300));
        assert_eq!(discovery.look_up("my-shop").await.unwrap().endpoints, ["203.0.113.1:1".parse().unwrap()]);
        clock.advance(301_000);
        assert!(matches!(discovery.look_up("my-shop").await.unwrap_err(), DiscoveryError::Unknown { .. }));
    }
    let server = run(Some(file.clone()), clock.clone()).await;
    let discovery = Discovery::new(&server.url).unwrap();
    // the lease has expired, but the id stays reserved: another key is refused, and so is the same public one
    for key in [thief.public(), owner.public()] {
        let error = discovery.register(&registration(key, "198.51.100.66:6"), &write_token(&thief, "my-shop")).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("registered by another client") && error.contains("permission_denied"), "{error}");
    }
    // the owner may even come with a new key
    let renewed = PrivateKey::generate();
    discovery.register(&registration(renewed.public(), "203.0.113.2:2"), &token).await.unwrap();
    assert_eq!(discovery.look_up("my-shop").await.unwrap().key, renewed.public());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(token.as_str()));
}

async fn post_json(url: &str, method: &str, kind: &str, body: Vec<u8>) -> (u16, String) {
    use http_body_util::BodyExt;
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Full<bytes::Bytes>>();
    let request = http::Request::post(format!("{url}/coral.discovery.v1.DiscoveryService/{method}"))
        .header("content-type", kind)
        .body(body.into())
        .unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn upstream_clients_without_a_token_get_upstreams_rules_and_nonsense_is_refused() {
    let server = run(None, SystemClock::shared()).await;
    let json = "application/json";
    let register = |key: &PublicKey| serde_json::to_vec(&registration(*key, "203.0.113.1:1")).unwrap();
    let (first, second) = (PrivateKey::generate().public(), PrivateKey::generate().public());
    let (status, text) = post_json(&server.url, "RegisterColony", json, register(&first)).await;
    let answer: Registered = serde_json::from_str(&text).unwrap();
    assert_eq!((status, answer.success), (200, true));
    let (status, text) = post_json(&server.url, "RegisterColony", json, register(&second)).await;
    assert_eq!(status, 409);
    assert!(text.contains("already_exists") && text.contains("different pubkey"), "{text}");

    let (status, text) = post_json(&server.url, "LookupColony", json, b"{\"meshId\":\"my-shop\"}".to_vec()).await;
    let colony: Colony = serde_json::from_str(&text).unwrap();
    assert_eq!((status, colony.pubkey), (200, first.to_string()));
    assert!(text.contains("\"connectPort\":9000"), "{text}");
    let (status, text) = post_json(&server.url, "Health", json, b"{}".to_vec()).await;
    assert!(status == 200 && text.contains("\"registeredColonies\":1"), "{text}");

    for (method, kind, body, expected) in [
        ("LookupColony", json, b"{\"meshId\":\"other\"}".to_vec(), 404),
        ("LookupColony", json, b"{".to_vec(), 400),
        ("LookupColony", "application/proto", b"{}".to_vec(), 415),
        ("RequestRelay", json, b"{}".to_vec(), 501),
        ("RegisterColony", json, b"{\"meshId\":\"a b\"}".to_vec(), 400),
        ("RegisterColony", json, vec![b' '; 100_000], 413),
    ] {
        let (status, text) = post_json(&server.url, method, kind, body).await;
        assert_eq!(status, expected, "{method}: {text}");
    }
    // one address has used up its turn
    let mut refused = 0;
    for _ in 0..30 {
        let (status, _) = post_json(&server.url, "RegisterColony", json, register(&first)).await;
        refused += usize::from(status == 429);
    }
    assert!(refused > 5, "{refused}");
}

#[tokio::test]
async fn a_lease_registers_and_says_when_it_cannot() {
    let server = run(None, SystemClock::shared()).await;
    let discovery = Discovery::new(&server.url).unwrap();
    let settings = |key: PrivateKey| LeaseSettings {
        colony_id: "my-shop".to_owned(),
        key,
        endpoints: vec!["203.0.113.1:1".parse().unwrap()],
        observed: None,
        mesh_ip: [10, 42, 0, 1].into(),
        connect_port: 9000,
        interval: Duration::from_secs(60),
    };
    let lease = Lease::start(discovery.clone(), settings(PrivateKey::generate()));
    lease.state().wait_for(|state| *state == LeaseState::Registered).await.unwrap();
    assert!(discovery.look_up("my-shop").await.is_ok());
    let other = Lease::start(discovery, settings(PrivateKey::generate()));
    let mut state = other.state();
    let failed = state.wait_for(|state| matches!(state, LeaseState::Failed(_))).await.unwrap().clone();
    assert!(matches!(failed, LeaseState::Failed(text) if text.contains("another client")));
    assert!(local_address_towards("127.0.0.1:9").await.unwrap().is_loopback());
}

proptest! {
    /// Every response of a service is either an error or valid.
    #[test]
    fn any_answer_is_an_error_or_makes_sense(
        endpoints in proptest::collection::vec(".{0,30}|[0-9]{1,3}\\.0\\.0\\.1:[0-9]{1,5}", 0..40),
        pubkey in ".{0,60}",
        mesh_ipv4 in ".{0,20}|[0-9]{1,3}\\.[0-9]{1,3}\\.0\\.1",
        connect_port in any::<u32>(),
    ) {
        let colony = Colony {
            mesh_id: "my-shop".to_owned(),
            pubkey: if pubkey.len() % 2 == 0 { KEY.to_owned() } else { pubkey },
            endpoints,
            mesh_ipv4,
            connect_port,
            ..Colony::default()
        };
        let discovery = Discovery::new("https://discovery.example.com").unwrap();
        if let Ok(found) = discovery.checked("my-shop", &colony) {
            prop_assert!((1..=16).contains(&found.endpoints.len()));
            for endpoint in found.endpoints {
                prop_assert!(endpoint.port() != 0 && !endpoint.ip().is_loopback() && !endpoint.ip().is_unspecified());
            }
        }
    }
}
