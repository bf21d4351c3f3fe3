//! Providers against local servers that speak their protocols, with every fault that they have.
#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a server makes of the body of a request.
type Answering = Arc<dyn Fn(&Value) -> Say + Send + Sync>;

/// One scripted response.
#[derive(Clone)]
pub(crate) enum Say {
    /// A status with headers and a body.
    Status(u16, &'static [(&'static str, &'static str)], String),
    /// A streamed body in these pieces, then its end.
    Stream(Vec<Vec<u8>>),
    /// The same, but the connection breaks instead.
    Cut(Vec<Vec<u8>>),
    /// Nothing, permanently.
    Stall,
    /// What depends on the body of the request.
    Of(Answering),
}

/// A server that says what a script has, the last part of it again and again. Ends when dropped.
pub(crate) struct Fake {
    pub(crate) endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Fake {
    pub(crate) async fn of(script: Vec<Say>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&requests);
        let serving = tokio::spawn(async move {
            let mut calls = tokio::task::JoinSet::new();
            let mut number = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let say = script[number.min(script.len() - 1)].clone();
                number += 1;
                let heard = Arc::clone(&heard);
                calls.spawn(async move {
                    let request = request(&mut stream).await;
                    let say = match say {
                        Say::Of(answering) => answering(&body(&request)),
                        say => say,
                    };
                    heard.lock().unwrap().push(request);
                    respond(&mut stream, say).await;
                });
            }
        });
        Fake { endpoint, requests, serving }
    }

    /// What was received: head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The body of the last request.
    fn body(&self) -> Value {
        body(&self.requests().pop().unwrap())
    }
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

async fn request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return text,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}

async fn respond(stream: &mut tokio::net::TcpStream, say: Say) {
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let (pieces, ends) = match say {
        Say::Stall | Say::Of(_) => return std::future::pending().await,
        Say::Status(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head =
                format!("HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            return;
        }
        Say::Stream(pieces) => (pieces, true),
        Say::Cut(pieces) => (pieces, false),
    };
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n").await;
    for piece in pieces {
        let _ = stream.write_all(&chunk(&piece)).await;
        let _ = stream.flush().await;
        tokio::task::yield_now().await;
    }
    if ends {
        let _ = stream.write_all(b"0\r\n\r\n").await;
    }
}

/// A text as the protocol streams it, cut into pieces of a few bytes, also inside characters.
pub(crate) fn said(protocol: Protocol, text: &str, stop: &str) -> Vec<Vec<u8>> {
    let halves: Vec<String> = text.chars().collect::<Vec<_>>().chunks(7).map(|part| part.iter().collect()).collect();
    let body = match protocol {
        Protocol::Anthropic => {
            let event = |kind: &str, value: Value| format!("event: {kind}\ndata: {value}\n\n");
            let mut body = event(
                "message_start",
                json!({ "type": "message_start", "message": { "usage": { "input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 1 } } }),
            );
            body += &event("ping", json!({ "type": "ping" }));
            body += &event(
                "content_block_start",
                json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
            );
            for part in &halves {
                body += &event(
                    "content_block_delta",
                    json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": part } }),
                );
            }
            body += &event("content_block_stop", json!({ "type": "content_block_stop", "index": 0 }));
            body += &event(
                "message_delta",
                json!({ "type": "message_delta", "delta": { "stop_reason": stop }, "usage": { "output_tokens": 30 } }),
            );
            body + &event("message_stop", json!({ "type": "message_stop" }))
        }
        Protocol::OpenAi | Protocol::Compatible => {
            let mut body = String::new();
            for part in &halves {
                body += &format!(
                    "data: {}\n\n",
                    json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": { "content": part }, "finish_reason": null }], "usage": null })
                );
            }
            body +=
                &format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": stop }] }));
            body += &format!(
                "data: {}\n\n",
                json!({ "choices": [], "usage": { "prompt_tokens": 120, "completion_tokens": 30 } })
            );
            body + "data: [DONE]\n\n"
        }
        Protocol::Ollama => {
            let mut body = String::new();
            for part in &halves {
                body += &format!("{}\n", json!({ "message": { "role": "assistant", "content": part }, "done": false }));
            }
            body + &format!(
                "{}\n",
                json!({ "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": stop, "prompt_eval_count": 120, "eval_count": 30 })
            )
        }
    };
    body.as_bytes().chunks(5).map(<[u8]>::to_vec).collect()
}

const ALL: [(Protocol, &str); 4] = [
    (Protocol::Anthropic, "end_turn"),
    (Protocol::OpenAi, "stop"),
    (Protocol::Compatible, "stop"),
    (Protocol::Ollama, "stop"),
];

pub(crate) fn provider(protocol: Protocol, fake: &Fake) -> Provider {
    Provider { protocol, model: "m1".to_owned(), endpoint: fake.endpoint.clone(), key: "the-key".to_owned() }
}

fn ask() -> Ask {
    Ask {
        system: "rules".to_owned(),
        user: "evidence".to_owned(),
        tokens_max: 100,
        schema: json!({ "type": "object" }),
    }
}

const WAIT: Duration = Duration::from_secs(20);
/// Any number of tries may begin.
const ALWAYS: fn() -> bool = || true;

async fn fault(protocol: Protocol, say: Say) -> (Fault, Reply) {
    let fake = Fake::of(vec![say]).await;
    provider(protocol, &fake).call(&ask(), WAIT).await.unwrap_err()
}

#[tokio::test]
async fn each_protocol_is_spoken_and_its_stream_is_read_wherever_it_is_cut() {
    for (protocol, stop) in ALL {
        let fake = Fake::of(vec![Say::Stream(said(protocol, "Grüße, 日本: {\"a\":1}", stop))]).await;
        let reply = provider(protocol, &fake).call(&ask(), WAIT).await.unwrap();
        assert_eq!(reply.text, "Grüße, 日本: {\"a\":1}", "{protocol:?}");
        assert_eq!((reply.input_tokens, reply.output_tokens), (Some(120), Some(30)), "{protocol:?}");
        let body = fake.body();
        assert_eq!((body["model"].as_str(), &body["stream"]), (Some("m1"), &json!(true)));
        assert!(body.get("temperature").is_none() && body.get("tools").is_none(), "{body}");
        let head = fake.requests()[0].to_lowercase();
        let expected = match protocol {
            Protocol::Anthropic => ["post /v1/messages ", "x-api-key: the-key", "anthropic-version: "],
            Protocol::OpenAi => {
                ["post /v1/chat/completions ", "authorization: bearer the-key", "content-type: application/json"]
            }
            Protocol::Compatible => {
                ["post /chat/completions ", "authorization: bearer the-key", "content-type: application/json"]
            }
            Protocol::Ollama => ["post /api/chat ", "authorization: bearer the-key", "content-type: application/json"],
        };
        for part in expected {
            assert!(head.contains(part), "{part}: {head}");
        }
    }
}

#[tokio::test]
async fn faults_are_told_apart() {
    for (protocol, stop) in ALL {
        let whole = said(protocol, "some text", stop);
        let cut: Vec<Vec<u8>> = whole[..whole.len() / 3].to_vec();
        assert_eq!(fault(protocol, Say::Cut(cut.clone())).await.0, Fault::Cut, "{protocol:?}: the connection breaks");
        let inside = fault(protocol, Say::Stream(cut)).await.0.kind();
        assert!(["malformed", "cut"].contains(&inside), "{protocol:?}: {inside} where a line is cut");
        assert_eq!(fault(protocol, Say::Stream(Vec::new())).await.0, Fault::Cut, "{protocol:?}");
        assert_eq!(fault(protocol, Say::Stream(said(protocol, " ", stop))).await.0, Fault::Empty, "{protocol:?}");
        let malformed = Say::Stream(vec![b"data: {\"type\":\n\n".to_vec()]);
        assert!(matches!(fault(protocol, malformed).await.0, Fault::Malformed(_)), "{protocol:?}");
        assert!(matches!(
            fault(protocol, Say::Stream(vec![b"data: \xff\xfe\n".to_vec()])).await.0,
            Fault::Malformed(_)
        ));
        let huge = Say::Stream(vec![vec![b'x'; http::BYTES_MAX + 1]]);
        assert_eq!(fault(protocol, huge).await.0, Fault::TooLarge);
        for (status, may_pass) in
            [(429, true), (529, true), (500, true), (503, true), (520, true), (401, false), (404, false), (400, false)]
        {
            let body = json!({ "error": { "message": "no\u{1b}[2J luck" } }).to_string();
            let (fault, _) = fault(protocol, Say::Status(status, &[("retry-after", "7")], body)).await;
            assert_eq!(fault.may_pass(), may_pass, "{fault}");
            assert_eq!(fault.retry_after(), Some(Duration::from_secs(7)));
            assert_eq!(fault.to_string(), format!("HTTP {status}: no·[2J luck"));
        }
        let fake = Fake::of(vec![Say::Stall]).await;
        let (late, _) = provider(protocol, &fake).call(&ask(), Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(late, Fault::Timeout(_)));
    }
    let nobody = Provider {
        protocol: Protocol::Ollama,
        model: "m".to_owned(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        key: String::new(),
    };
    assert_eq!(nobody.call(&ask(), WAIT).await.unwrap_err().0.kind(), "connect");
}

#[tokio::test]
async fn a_model_that_stops_for_another_reason_gives_no_reply() {
    let cases = [
        (Protocol::Anthropic, "refusal", Fault::Declined),
        (Protocol::Anthropic, "tool_use", Fault::ToolCall),
        (Protocol::Anthropic, "max_tokens", Fault::TooLong),
        (Protocol::OpenAi, "content_filter", Fault::Declined),
        (Protocol::OpenAi, "tool_calls", Fault::ToolCall),
        (Protocol::Compatible, "length", Fault::TooLong),
        (Protocol::Ollama, "length", Fault::TooLong),
    ];
    for (protocol, stop, expected) in cases {
        let (fault, reply) = fault(protocol, Say::Stream(said(protocol, "text", stop))).await;
        assert_eq!(fault, expected);
        assert_eq!(reply.output_tokens, Some(30), "the tokens of a reply that failed cost money too");
    }
    // a server that does not stream
    for (stop, expected) in
        [("max_tokens", Fault::TooLong), ("refusal", Fault::Declined), ("tool_use", Fault::ToolCall)]
    {
        let whole = json!({ "type": "message", "content": [{ "type": "text", "text": "text" }], "stop_reason": stop });
        let said = Say::Stream(vec![format!("data: {whole}\n\n").into_bytes()]);
        assert_eq!(fault(Protocol::Anthropic, said).await.0, expected);
    }
    let tool = json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 0 }] } }] });
    assert_eq!(
        fault(Protocol::OpenAi, Say::Stream(vec![format!("data: {tool}\n\ndata: [DONE]\n\n").into_bytes()])).await.0,
        Fault::ToolCall
    );
    let error = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    assert_eq!(
        fault(Protocol::Anthropic, Say::Stream(vec![error.to_vec()])).await.0,
        Fault::Midway("Overloaded".to_owned())
    );
    assert_eq!(
        fault(Protocol::Ollama, Say::Stream(vec![b"{\"error\":\"out of memory\"}\n".to_vec()])).await.0,
        Fault::Midway("out of memory".to_owned())
    );
}

#[tokio::test]
async fn a_chain_asks_again_then_falls_back() {
    let overloaded = |status: u16| Say::Status(status, &[("retry-after", "0")], String::new());
    let good = Say::Stream(said(Protocol::Anthropic, "fine", "end_turn"));
    let first = Fake::of(vec![overloaded(529), overloaded(429), good]).await;
    let chain = Chain { providers: vec![provider(Protocol::Anthropic, &first)], timeout: WAIT };
    let replied = chain.ask(&ask(), WAIT, &ALWAYS).await;
    assert_eq!(
        replied.reply.as_ref().map(|(name, reply)| (name.as_str(), reply.text.as_str())),
        Some(("anthropic:m1", "fine"))
    );
    assert_eq!((replied.attempts.len(), replied.tokens()), (3, (120, 30)));

    // what may be used today is enough for a try and no other one
    let first = Fake::of(vec![overloaded(529)]).await;
    let left = std::sync::atomic::AtomicU32::new(1);
    let is_left = || left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1;
    let chain = Chain { providers: vec![provider(Protocol::Anthropic, &first)], timeout: WAIT };
    let replied = chain.ask(&ask(), WAIT, &is_left).await;
    assert_eq!((replied.attempts.len(), first.requests().len()), (1, 1));

    // a wrong key is not tried again
    let wrong = Fake::of(vec![Say::Status(401, &[], json!({ "error": { "message": "bad key" } }).to_string())]).await;
    let second = Fake::of(vec![Say::Stream(said(Protocol::OpenAi, "second", "stop"))]).await;
    let providers = vec![provider(Protocol::Anthropic, &wrong), provider(Protocol::OpenAi, &second)];
    let replied = Chain { providers: providers.clone(), timeout: WAIT }.ask(&ask(), WAIT, &ALWAYS).await;
    assert_eq!(replied.reply.map(|(name, _)| name).as_deref(), Some("openai:m1"));
    assert_eq!((wrong.requests().len(), second.requests().len()), (1, 1));

    // one that says so by a date is asked again after it
    let dated: &[(&str, &str)] =
        &[("date", "Fri, 31 Dec 1999 23:59:59 GMT"), ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")];
    let good = Say::Stream(said(Protocol::OpenAi, "fine", "stop"));
    let later = Fake::of(vec![Say::Status(503, dated, String::new()), good]).await;
    let chain = Chain { providers: vec![provider(Protocol::OpenAi, &later)], timeout: WAIT };
    assert!(chain.ask(&ask(), WAIT, &ALWAYS).await.reply.is_some() && later.requests().len() == 2);

    // one that wants to be asked in an hour is not waited for
    let later = Fake::of(vec![Say::Status(429, &[("retry-after", "3600")], String::new())]).await;
    let providers = vec![provider(Protocol::Anthropic, &later), provider(Protocol::OpenAi, &wrong)];
    let replied = Chain { providers, timeout: WAIT }.ask(&ask(), WAIT, &ALWAYS).await;
    assert_eq!(replied.reply, None);
    assert_eq!(replied.reason(), "anthropic:m1: HTTP 429; openai:m1: HTTP 401: bad key");
    assert_eq!(later.requests().len(), 1);

    // a model that read only a part
    let small = Fake::of(vec![Say::Stream(said(Protocol::Ollama, "fine", "stop"))]).await;
    let long = Ask { user: "x".repeat(20_000), ..ask() };
    let replied =
        Chain { providers: vec![provider(Protocol::Ollama, &small)], timeout: WAIT }.ask(&long, WAIT, &ALWAYS).await;
    assert_eq!(replied.attempts[0].fault, Some(Fault::ContextCut));
}

#[tokio::test]
async fn what_no_provider_states_is_estimated_and_what_was_refused_is_nothing() {
    let used = async |say: Say, timeout: Duration| {
        let fake = Fake::of(vec![say]).await;
        let chain = Chain { providers: vec![provider(Protocol::OpenAi, &fake)], timeout };
        let attempt = chain.ask(&ask(), WAIT, &ALWAYS).await.attempts.remove(0);
        (attempt.input_tokens, attempt.output_tokens, attempt.is_estimated)
    };
    // 13 bytes are given; one that stalls may write as much as it may
    assert_eq!(used(Say::Stall, Duration::from_millis(50)).await, (Some(5), Some(100), true));
    let event = json!({ "choices": [{ "delta": { "content": "seven bytes more" }, "finish_reason": "stop" }] });
    let whole = format!("data: {event}\n\ndata: [DONE]\n\n").into_bytes();
    assert_eq!(used(Say::Stream(vec![whole]), WAIT).await, (Some(5), Some(6), true));
    assert_eq!(used(Say::Status(401, &[], String::new()), WAIT).await, (None, None, false));
    assert_eq!(used(Say::Stream(said(Protocol::OpenAi, "text", "stop")), WAIT).await, (Some(120), Some(30), false));
}

#[test]
fn addresses_of_this_machine_are_told_from_others() {
    let is_local = |endpoint: &str| {
        Provider { protocol: Protocol::Ollama, model: String::new(), endpoint: endpoint.to_owned(), key: String::new() }
            .is_local()
    };
    for local in
        ["http://127.0.0.1:11434", "http://localhost", "http://LOCALHOST:1/", "http://[::1]:80/v1", "http://127.1.2.3"]
    {
        assert!(is_local(local), "{local}");
    }
    for other in [
        "https://api.example.com",
        "http://10.0.0.1:11434",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost:x@other.example.com/",
        "http://127.0.0.1@other.example.com:11434",
        "http://[::1]@other.example.com",
        "http://user@localhost",
        "",
    ] {
        assert!(!is_local(other), "{other}");
    }
}
