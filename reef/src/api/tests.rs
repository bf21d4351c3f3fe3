//! The services by real requests: what they answer, to whom, and what they count.
#![allow(clippy::unwrap_used)]

use super::ready::Readiness;
use super::*;
use mesh::Network;
use model::clock::SystemClock;
use model::exposition::Exposition;
use pipelines::progress::{Phase, Progress};
use pipelines::run::handle::Announcer;
use pipelines::run::{RunOptions, RunningReef};
use sinks::StoreWriter;
use sinks::memory::MemoryStore;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Services over something, with the file of their tokens in a folder.
struct Opened {
    services: Services,
    tokens: Tokens,
    _folder: tempfile::TempDir,
}

/// What was answered.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn open(reading: Reading, registry: &Registry, require_token: bool) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.json");
    let tokens = Tokens::of(&file, SystemClock::shared());
    if require_token {
        tokens.create("first", Role::Admin).unwrap();
    }
    let listening = Listening {
        listen: "127.0.0.1:0".parse().unwrap(),
        require_token,
        tokens: file,
        pages: Pages::Beside,
        groups: Groups::default(),
    };
    let reading = (reading, Scope::default());
    let services = Services::open(&listening, reading, registry.clone(), SystemClock::shared()).await.unwrap();
    Opened { services, tokens, _folder: folder }
}

impl Opened {
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let address = self.services.address();
        let mut request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request += &format!("host: {address}\r\n");
        }
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all((request + "\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn readiness(&self) -> (u16, Readiness) {
        let answer = self.get("/readyz", &[]).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }
}

fn run() -> (RunningReef, RunOptions, Announcer) {
    RunningReef::new(SystemClock::shared(), Network::plain())
}

#[tokio::test]
async fn a_store_without_a_run_is_alive_ready_and_counted() {
    let (store, registry) = (MemoryStore::new(), Registry::new());
    let opened = open(Reading::Store(store.reader()), &registry, false).await;
    let alive = opened.get("/healthz", &[]).await;
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok\n"));
    assert_eq!(opened.readiness().await, (200, Readiness { ready: true, reasons: Vec::new() }));
    assert_eq!(opened.get("/nothing", &[]).await.status, 404);
    let near = opened.get("/coral.reef.v1.ReefServce/GetStatus", &[]).await;
    let hint = "there is no service coral.reef.v1.ReefServce; did you mean one of: coral.reef.v1.ReefService, ";
    assert!(near.status == 501 && near.body.contains(hint), "{}", near.body);
    let metrics = opened.get("/metrics", &[]).await;
    assert!(metrics.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let read = Exposition::parse(&metrics.body).unwrap_or_else(|error| panic!("{error}\n{}", metrics.body));
    let served = |route, status| read.sum("reef_requests_total", &[("route", route), ("status", status)]);
    assert_eq!((served("/healthz", "200"), served("/readyz", "200"), served("other", "404")), (1.0, 1.0, 1.0));
    assert_eq!(read.sum("reef_request_duration_seconds_count", &[]), 4.0);
    opened.services.close().await;
}

#[tokio::test]
async fn pages_have_a_port_of_their_own_if_it_is_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::new());
    for (port, is_second) in [(0, true), (taken.local_addr().unwrap().port(), false)] {
        let tokens = folder.path().join("tokens.json");
        let (listen, pages) = ("127.0.0.1:0".parse().unwrap(), Pages::AtPort(port));
        let listening = Listening { listen, require_token: false, tokens, pages, groups: Groups::default() };
        let reading = (Reading::Store(store.reader()), Scope::default());
        let services = Services::open(&listening, reading, Registry::new(), SystemClock::shared()).await.unwrap();
        let url = services.doors().dashboard.clone().unwrap();
        let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).unwrap();
        assert_eq!(address != services.address().to_string(), is_second);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        services.close().await;
    }
}

#[tokio::test]
async fn a_run_is_ready_when_it_is_restored_and_a_colony_responds() {
    let (reef, options, mut announcer) = run();
    let opened = open(Reading::Run(reef.clone()), reef.registry(), false).await;
    let store = MemoryStore::new();
    announcer.open(store.reader()).await.unwrap();
    let at = |phase, colonies| Progress { phase, colonies, ..Progress::default() };
    options.progress.send_replace(at(Phase::Restoring, (0, 0)));
    let (status, body) = opened.readiness().await;
    assert_eq!((status, body.reasons.len()), (503, 1), "{body:?}");
    assert!(body.reasons[0].contains("restored") && body.reasons[0].ends_with("from what is stored"), "{body:?}");
    options.progress.send_replace(at(Phase::Running, (0, 2)));
    assert_eq!(opened.readiness().await.1.reasons, ["none of 2 colonies has responded"]);
    options.progress.send_replace(at(Phase::Running, (1, 2)));
    assert_eq!(opened.readiness().await.0, 200);
    options.progress.send_replace(at(Phase::Draining, (1, 2)));
    assert_eq!(opened.readiness().await.1.reasons, ["the run is ending"]);
    drop((announcer, store));
    let (status, body) = opened.readiness().await;
    assert!(status == 503 && body.reasons[0].contains("closed"), "{body:?}");
    assert_eq!(opened.get("/healthz", &[]).await.status, 200, "the process is alive all the while");
}

#[tokio::test]
async fn names_and_pages_of_others_are_refused_on_every_route() {
    let opened = open(Reading::Store(MemoryStore::new().reader()), &Registry::new(), false).await;
    for path in ["/healthz", "/readyz", "/metrics", "/nothing"] {
        for foreign in [("host", "reef.example.com"), ("origin", "https://example.com"), ("origin", "null")] {
            let answer = opened.get(path, &[foreign]).await;
            assert_eq!(answer.status, 403, "{path} {foreign:?}");
            assert!(answer.body.contains("\"code\":\"permission_denied\""), "{}", answer.body);
        }
    }
    for own in [("host", "localhost:3101"), ("host", "[::1]:3101"), ("origin", "http://localhost:8080")] {
        assert_eq!(opened.get("/metrics", &[own]).await.status, 200, "{own:?}");
    }
    for forwarded in [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "203.0.113.9"), ("via", "1.1 proxy")] {
        assert_eq!(opened.get("/metrics", &[forwarded]).await.status, 401, "{forwarded:?}");
    }
}

#[tokio::test]
async fn where_tokens_are_needed_each_role_reaches_what_it_may_and_probes_say_no_reasons() {
    let (reef, _options, mut announcer) = run();
    let store = MemoryStore::new();
    announcer.open(store.reader()).await.unwrap();
    let opened = open(Reading::Run(reef.clone()), reef.registry(), true).await;
    let refused = opened.get("/metrics", &[]).await;
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("www-authenticate: bearer") && refused.body.contains("\"unauthenticated\""));
    let token = opened.tokens.create("grafana", Role::Readonly).unwrap();
    let bearer = |token: &str| format!("Bearer {token}");
    assert_eq!(opened.get("/metrics", &[("authorization", &bearer(&token))]).await.status, 200, "made a moment ago");
    for wrong in [bearer(&token[..token.len() - 2]), format!("Basic {token}"), bearer("")] {
        assert_eq!(opened.get("/metrics", &[("authorization", &wrong)]).await.status, 401, "{wrong}");
    }
    assert_eq!(opened.get("/healthz", &[]).await.status, 200);
    let blind = opened.get("/readyz", &[]).await;
    assert_eq!((blind.status, blind.body.as_str()), (503, "{\"ready\":false,\"reasons\":[]}"));
    let seen = opened.get("/readyz", &[("authorization", &bearer(&token))]).await;
    assert!(seen.status == 503 && seen.body.contains("being restored"), "{}", seen.body);
}

#[tokio::test]
async fn the_rpc_is_on_the_same_listener_behind_the_same_guard_and_is_counted() {
    let status = "/coral.reef.v1.ReefService/GetStatus?connect=v1&encoding=json&message=%7B%7D";
    let (store, registry) = (MemoryStore::new(), Registry::new());
    let opened = open(Reading::Store(store.reader()), &registry, false).await;
    let answer = opened.get(status, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("\"state\":\"stopped\""), "{}", answer.body);
    for foreign in [("host", "reef.example.com"), ("origin", "https://example.com")] {
        assert_eq!(opened.get(status, &[foreign]).await.status, 403, "{foreign:?}");
    }
    assert_eq!(opened.get(status, &[("via", "1.1 proxy")]).await.status, 401);
    assert_eq!(opened.get("/coral.reef.v1.ReefService/Nothing", &[]).await.status, 501);
    assert_eq!(opened.get("/.well-known/security.txt", &[]).await.status, 404, "a dot does not make it a call");
    let read = Exposition::parse(&opened.get("/metrics", &[]).await.body).unwrap();
    let served = |route, status| read.sum("reef_requests_total", &[("route", route), ("status", status)]);
    let route = "/coral.reef.v1.ReefService/GetStatus";
    assert_eq!((served(route, "200"), served(route, "403"), served(route, "401")), (1.0, 2.0, 1.0));
    assert_eq!((served("other", "501"), served("other", "404")), (1.0, 1.0), "a path that is not served is no label");

    let opened = open(Reading::Store(store.reader()), &Registry::new(), true).await;
    let refused = opened.get(status, &[]).await;
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("www-authenticate: bearer") && refused.body.contains("\"unauthenticated\""));
    let token = opened.tokens.create("ci", Role::Readonly).unwrap();
    let bearer = format!("Bearer {token}");
    assert_eq!(opened.get(status, &[("authorization", &bearer)]).await.status, 200);
    let analyze = status.replace("ReefService/GetStatus", "ReefLLM/CompareEnvironments");
    let asked = opened.get(&analyze, &[("authorization", &bearer)]).await;
    assert_eq!(asked.status, 400, "who may ask is told what is wrong: {}", asked.body);
}

#[tokio::test]
async fn nothing_but_this_machine_without_tokens_and_a_taken_address_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let reader = MemoryStore::new().reader();
    let open = async |listen: SocketAddr, require_token| {
        let listening = Listening {
            listen,
            require_token,
            tokens: folder.path().join("tokens.json"),
            pages: Pages::Closed,
            groups: Groups::default(),
        };
        let reading = (Reading::Store(Arc::clone(&reader)), Scope::default());
        Services::open(&listening, reading, Registry::new(), SystemClock::shared()).await
    };
    let (local, all) = ("127.0.0.1:0".parse().unwrap(), "0.0.0.0:0".parse().unwrap());
    for (listen, require_token) in [(all, false), (local, true)] {
        let error = open(listen, require_token).await.err().unwrap();
        assert!(matches!(error, ApiError::NeedsTokens { .. }), "{error:?}");
    }
    let first = open(local, false).await.unwrap();
    let taken = open(first.address(), false).await.err().unwrap();
    assert!(taken.to_string().contains(&first.address().to_string()), "{taken}");
    Tokens::of(&folder.path().join("tokens.json"), SystemClock::shared()).create("me", Role::Admin).unwrap();
    open(all, false).await.unwrap();
}
