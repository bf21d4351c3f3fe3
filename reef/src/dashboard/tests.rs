//! Pages by real requests over stores: what they show, to whom, and that their numbers are those of the JSON.
#![allow(clippy::unwrap_used)]

mod access;
mod asking;
mod compared;
mod deployed;
mod numbers;
mod parts;
mod pictures;

use super::headers::POLICY;
use crate::analysis::Analyst;
use crate::answers::Scope;
use crate::api::tokens::Tokens;
use crate::api::{Groups, Listening, Pages, Reading, Services};
use crate::sql::SqlEngine;
use model::clock::SystemClock;
use model::event::{Event, Severity};
use model::instruments::Registry;
use model::rows::Rows;
use model::time::HOUR_MS;
use sinks::compliance::commit_of;
use sinks::compliance::rows::{event, finding};
use sinks::memory::MemoryStore;
use sinks::{Commit, StoreWriter};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Text of which nothing may reach a browser as more than text.
const HOSTILE: &str = "\"'><script>alert()</script><img src=x onerror=alert()>\u{202e}";

/// The reef whose pages these are.
const REEF: &str = "shop-reef-a1b2c3";

/// Pages over a store.
struct Opened {
    services: Services,
    tokens: Tokens,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Opened {
    async fn over(store: &MemoryStore, require_token: bool) -> Opened {
        Opened::with(store, require_token, Analyst::without_model()).await
    }

    /// The same; questions in words are answered by this analyst.
    async fn with(store: &MemoryStore, require_token: bool, analyst: Analyst) -> Opened {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.json");
        let tokens = Tokens::of(&file, SystemClock::shared());
        if require_token {
            tokens.create("first", crate::access::Role::Admin).unwrap();
        }
        let listen = "127.0.0.1:0".parse().unwrap();
        let listening =
            Listening { listen, require_token, tokens: file, pages: Pages::Beside, groups: Groups::default() };
        let scope = Scope { reef_id: REEF.to_owned(), ..Scope::default() };
        let reading = (Reading::Store(store.reader()), scope);
        let (analyst, clock) = (Arc::new(analyst), SystemClock::shared());
        let services =
            Services::open_with(&listening, reading, (analyst, SqlEngine::default()), Registry::new(), clock)
                .await
                .unwrap();
        Opened { services, tokens, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let address = self.services.address();
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\nhost: {address}\r\n");
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head.to_lowercase();
        let body = if head.contains("transfer-encoding: chunked") { joined(body) } else { body.to_owned() };
        Answer { status, head, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }
}

/// A body that came in chunks, each after its length.
fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole += &rest[..length];
        body = &rest[(length + 2).min(rest.len())..];
    }
    whole
}

fn happened(colony_id: &str, event_id: &str, at: i64, event_type: &str) -> Event {
    let environment = if colony_id.ends_with("staging") { "staging" } else { "production" };
    Event {
        colony_id: colony_id.to_owned(),
        event_type: event_type.to_owned(),
        service_id: "web".to_owned(),
        application_name: "shop".to_owned(),
        environment: environment.to_owned(),
        severity: Severity::Error,
        description: HOSTILE.to_owned(),
        metadata: [(HOSTILE.to_owned(), HOSTILE.to_owned())].into(),
        ..event(event_id, at)
    }
}

/// Events of two colonies with hostile texts, and patterns of each state.
async fn store() -> MemoryStore {
    let mut events = Vec::new();
    for round in 0..7_i64 {
        let at = round * 20 * HOUR_MS;
        events.push(happened("shop-staging", &format!("d{round}"), at, "deploy"));
        events.push(happened("shop-production", &format!("e{round}"), at + 2 * HOUR_MS, "error_spike"));
        events.push(happened(&format!("{HOSTILE}-production"), &format!("x{round}"), at, HOSTILE));
    }
    let mut found = vec![finding("deploy", 0.9, &[("d0", "e0"), ("d1", "e1")]), finding(HOSTILE, 0.8, &[("x0", "e0")])];
    for one in &mut found {
        one.correlation.chance_level = Some(model::real::Real(0.057));
        one.correlation.source_environment = "staging".to_owned();
        one.correlation.target_environment = "production".to_owned();
    }
    let mut store = MemoryStore::new();
    let commit = commit_of(1, Rows { events, ..Rows::default() });
    store.commit(&Commit { findings: found, ..commit }).await.unwrap();
    store
}

/// Pages without a needed parameter.
const PAGES: [&str; 8] =
    ["/", "/patterns?state=all", "/timeline", "/compare", "/services", "/events?range=30d", "/analyses", "/health"];

/// The ids of patterns that a page links to.
fn patterns_of(body: &str) -> Vec<String> {
    let links = body.split("href=\"/pattern?id=").skip(1);
    links.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// What a page shows with a character that turns text: neither values that a form sends, nor data of scripts.
fn turned(body: &str) -> Vec<&str> {
    let places = body.match_indices('\u{202e}').map(|(at, _)| &body[..at]);
    let before = places.map(|text| &text[text.rfind('<').unwrap_or_default()..]);
    let is_shown = |tag: &&str| {
        let attribute = tag.rsplit_once("=\"").and_then(|(before, _)| before.rsplit(' ').next());
        tag.contains('>') || attribute.is_none_or(|name| name != "value" && !name.starts_with("data-"))
    };
    before.filter(is_shown).collect()
}

#[test]
fn only_text_that_is_shown_counts_as_turned() {
    let page = "<p title=\"a\u{202e}\">b\u{202e}</p><option value=\"c\u{202e}\"><i data-x=\"d\u{202e}\">";
    assert_eq!(turned(page), ["<p title=\"a", "<p title=\"a\u{202e}\">b"]);
}

#[tokio::test]
async fn every_page_is_whole_strict_and_inert() {
    let store = store().await;
    let opened = Opened::over(&store, false).await;
    let id = patterns_of(&opened.get("/patterns?state=all").await.body).first().unwrap().clone();
    let mut pages = PAGES.map(str::to_owned).to_vec();
    pages.push(format!("/pattern?id={id}"));
    for path in pages {
        let answer = opened.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let policy = format!("content-security-policy: {POLICY}");
        for header in [policy.as_str(), "x-content-type-options: nosniff", "referrer-policy: same-origin"] {
            assert!(answer.head.contains(header), "{path}: {header}\n{}", answer.head);
        }
        let body = &answer.body;
        assert!(body.starts_with("<!DOCTYPE html>") && body.ends_with("</html>"), "{path}");
        assert!(!body.contains("<script>") && !body.contains("<img src=x"), "{path}: {body}");
        assert_eq!(turned(body), Vec::<&str>::new(), "{path}");
        assert!(!body.contains(" style=") && !body.contains("<style"), "{path}");
        // the only script elements are our own files
        assert_eq!(
            body.matches("<script").count(),
            body.matches("<script type=\"module\" src=\"/assets/").count(),
            "{path}"
        );
        for foreign in ["http://", "https://", "//cdn"] {
            let places = body.match_indices(foreign).filter(|(at, _)| body[..*at].ends_with("=\""));
            assert_eq!(places.count(), 0, "{path} names another host: {body}");
        }
    }
}

#[tokio::test]
async fn an_empty_reef_says_why_and_what_to_do() {
    let store = MemoryStore::new();
    let opened = Opened::over(&store, false).await;
    for path in PAGES {
        let answer = opened.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.body.contains("class=\"empty\"") || path == "/health", "{path}: {}", answer.body);
    }
    assert!(opened.get("/").await.body.contains("coral reef add-colony"));
}

#[tokio::test]
async fn a_wrong_question_has_an_answer_within_the_frame() {
    let store = store().await;
    let opened = Opened::over(&store, false).await;
    let cases = [
        ("/pattern?id=c-none", 404, "there is no pattern"),
        ("/deployment?id=%3Cscript%3E", 404, "there is no deployment"),
        ("/patterns?env=prodction", 404, "did you mean"),
        ("/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400, "start before the end"),
        ("/patterns?state=none", 400, "one of: confirmed"),
    ];
    for (path, status, words) in cases {
        let answer = opened.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.body.contains(words) && answer.body.contains("aria-label=\"Pages\""), "{path}: {}", answer.body);
        assert!(!answer.body.contains("<script>"), "{path}");
    }
    assert_eq!(opened.get("/nothing").await.status, 404);
}

#[tokio::test]
async fn a_page_knows_when_it_is_old() {
    let mut store = store().await;
    let opened = Opened::over(&store, false).await;
    let tag_of = |body: &str| body.split("data-tag=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = tag_of(&opened.get("/").await.body);
    let live = opened.get("/live").await.body;
    assert!(page.len() == 16 && live.contains(&page), "{page} {live}");
    let rows = Rows { events: vec![happened("shop-staging", "new", 300 * HOUR_MS, "deploy")], ..Rows::default() };
    store.commit(&commit_of(2, rows)).await.unwrap();
    let newer = opened.get("/live").await.body;
    assert!(!newer.contains(&page), "{newer}");
    assert!(newer.contains(&tag_of(&opened.get("/").await.body)));
}

#[tokio::test]
async fn exact_times_and_filters_without_a_picker_can_be_removed() {
    let store = store().await;
    let opened = Opened::over(&store, false).await;
    let exact = "from=1970-01-01T00:00:00Z&to=1970-01-02T00:00:00Z";
    let page = opened.get(&format!("/events?colony=shop-staging&type=deploy&{exact}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for words in ["Remove the exact times", "Remove the colony", "Remove the type of event"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(page.body.contains("href=\"/events?colony=shop-staging&amp;type=deploy\""), "{}", page.body);
    let longer = "href=\"/events?colony=shop-staging&amp;type=deploy&amp;range=30d\"";
    assert!(page.body.contains(longer), "a range by name replaces exact times: {}", page.body);
    assert!(!page.body.contains("name=\"range\""), "a range by name would not be the one that is shown");
    assert!(!page.body.contains("href=\"/timeline?from"), "exact times stay on their page");
    let versions = opened.get("/services?colony=shop-staging").await.body;
    assert!(versions.contains("coral reef versions --colony shop-staging --reef"), "{versions}");
}

#[tokio::test]
async fn a_pattern_is_said_in_words_with_its_rows_and_command() {
    let store = store().await;
    let opened = Opened::over(&store, false).await;
    let list = opened.get("/patterns?state=all").await.body;
    assert!(list.contains("expected by chance:") && list.contains("usually after"), "{list}");
    let id = patterns_of(&list).first().unwrap().clone();
    let page = opened.get(&format!("/pattern?id={id}")).await.body;
    for words in ["The rows behind it", "How long it took", "coral reef correlation c-", "correlation_evidence"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // the statistics are one click away, not in the sentence
    let (before, after) = page.split_once("What the statistics say").unwrap();
    assert!(!before.contains("q-value") && after.contains("q-value") && after.contains("e-value"));
}
