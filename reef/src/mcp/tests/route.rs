//! The route `/mcp` of a reef's services: who may call, both eras, and what browsers and lost clients get.

use crate::access::Role;
use crate::answers::Scope;
use crate::answers::tests::store;
use crate::api::tokens::Tokens;
use crate::api::{Groups, Listening, Reading, Services};
use model::clock::SystemClock;
use model::instruments::Registry;
use serde_json::{Value, json};
use sinks::StoreWriter;
use sinks::memory::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Opened {
    pub(super) services: Services,
    tokens: Tokens,
    registry: Registry,
    _kept: MemoryStore,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

pub(super) async fn open(require_token: bool) -> Opened {
    open_with(require_token, Groups::default()).await
}

/// The same with the optional tools of these groups.
async fn open_with(require_token: bool, groups: Groups) -> Opened {
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
        pages: crate::api::Pages::Beside,
        groups,
    };
    let scope = Scope { reef_id: "my-reef".to_owned(), ..Scope::default() };
    let (store, registry) = (store().await, Registry::new());
    let reading = (Reading::Store(store.reader()), scope);
    let services = Services::open(&listening, reading, registry.clone(), SystemClock::shared()).await.unwrap();
    Opened { services, tokens, registry, _kept: store, _folder: folder }
}

impl Opened {
    async fn send(&self, verb: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut head = format!("{verb} /mcp HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        let is_given = |name: &str| headers.iter().any(|(given, _)| *given == name);
        for (name, value) in [
            ("host", self.services.address().to_string()),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ] {
            if !is_given(name) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        let mut stream = TcpStream::connect(self.services.address()).await.unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

impl Answer {
    /// The message of a body, whether or not it came in chunks.
    fn value(&self) -> Value {
        let (from, to) = (self.body.find('{').unwrap(), self.body.rfind('}').unwrap());
        serde_json::from_str(&self.body[from..=to]).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// A request of the newer era, with its headers.
fn newer(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    request(method, params)
}

fn call() -> Value {
    json!({ "name": "reef_list_colonies", "arguments": { "environments": ["prod"] } })
}

#[tokio::test]
async fn clients_of_both_eras_are_served_without_a_session() {
    let opened = open(false).await;
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    });
    let answer = opened.send("POST", &[], &request("initialize", hello)).await;
    assert_eq!(
        (answer.status, &answer.value()["result"]["protocolVersion"]),
        (200, &json!("2025-11-25")),
        "{}",
        answer.body
    );
    assert!(!answer.head.contains("mcp-session-id"), "{}", answer.head);
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let version = [("mcp-protocol-version", "2025-11-25")];
    assert_eq!(opened.send("POST", &version, &ready).await.status, 202);
    // some clients try a stream next, and must hear that there is none
    let stream = opened.send("GET", &[("accept", "text/event-stream")], &Value::Null).await;
    assert_eq!((stream.status, stream.head.contains("allow: post")), (405, true), "{}", stream.head);
    let answer = opened.send("POST", &version, &request("tools/call", call())).await;
    assert_eq!(
        (answer.status, &answer.value()["result"]["structuredContent"]["total"]),
        (200, &json!(1)),
        "{}",
        answer.body
    );
    assert_eq!(opened.send("DELETE", &version, &Value::Null).await.status, 405);

    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "reef_list_colonies")];
    let answer = opened.send("POST", &headers, &newer("tools/call", call())).await;
    assert_eq!((answer.status, &answer.value()["result"]["resultType"]), (200, &json!("complete")), "{}", answer.body);
    let other = [headers[0], headers[1], ("mcp-name", "reef_get_status")];
    let answer = opened.send("POST", &other, &newer("tools/call", call())).await;
    assert_eq!((answer.status, &answer.value()["error"]["code"]), (400, &json!(-32020)), "{}", answer.body);
    let counted = opened.registry.text();
    assert!(counted.contains("route=\"/mcp\",status=\"200\""), "{counted}");
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let opened = open(false).await;
    let list = request("tools/list", json!({}));
    for (header, status) in [
        (("host", "evil.example.com"), 403),
        (("origin", "http://evil.example.com"), 403),
        (("origin", "null"), 403),
        (("origin", "http://localhost:5173"), 200),
    ] {
        assert_eq!(opened.send("POST", &[header], &list).await.status, status, "{header:?}");
    }
}

#[tokio::test]
async fn a_token_is_needed_where_the_services_need_one() {
    let opened = open(true).await;
    let list = request("tools/list", json!({}));
    let refused = opened.send("POST", &[], &list).await;
    assert_eq!((refused.status, refused.head.contains("www-authenticate: bearer")), (401, true), "{}", refused.head);
    assert_eq!(opened.send("POST", &[("authorization", "Bearer coral_1_2")], &list).await.status, 401);
    let token = format!("Bearer {}", opened.tokens.create("reader", Role::Readonly).unwrap());
    let answer = opened.send("POST", &[("authorization", &token)], &list).await;
    assert_eq!((answer.status, answer.body.contains("reef_get_topology")), (200, true), "{}", answer.body);
    assert!(!answer.body.contains(&token[7..]), "a token is never passed on");
}

#[tokio::test]
async fn the_optional_tools_are_those_of_the_configuration_and_need_their_role() {
    let analyze =
        request("tools/call", json!({ "name": "reef_analyze", "arguments": { "question": "what is slow?" } }));
    let select = request("tools/call", json!({ "name": "reef_query_sql", "arguments": { "sql": "SELECT 1 AS one" } }));
    let usual = open(true).await;
    let token = format!("Bearer {}", usual.tokens.create("reader", Role::Analyst).unwrap());
    for call in [&analyze, &select] {
        let answer = usual.send("POST", &[("authorization", &token)], call).await.value();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let opened = open_with(true, Groups { analyze: true, sql: true }).await;
    let [reader, analyst] = [("reader", Role::Readonly), ("analyst", Role::Analyst)]
        .map(|(name, role)| format!("Bearer {}", opened.tokens.create(name, role).unwrap()));
    let answer = opened.send("POST", &[("authorization", &reader)], &select).await.value();
    assert_eq!(answer["result"]["structuredContent"]["rows"], json!([[1]]), "{answer}");
    let answer = opened.send("POST", &[("authorization", &reader)], &analyze).await.value();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let answer = opened.send("POST", &[("authorization", &analyst)], &analyze).await.value();
    assert!(answer["result"]["structuredContent"]["answer"].is_string(), "{answer}");
}
