//! docs/llm.md: its commands and calls are made; and scenario 2 of RFD 003 with a model that is a program of this test.

use crate::api_page::{fences, holds, serving, shell};
use crate::services::Serving;
use crate::support::page;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PAGE: &str = "docs/llm.md";

fn has_curl(test: &str) -> bool {
    let has = Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("SKIPPED llm_page::{test}: `curl` does not start");
        }
    }
    has
}

#[test]
fn every_command_and_call_of_the_page_works() {
    if !has_curl("every_command_and_call_of_the_page_works") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (reef, serving) = serving(folder.path());
    let fences = fences(PAGE);
    let mut calls = 0;
    for (place, fence) in fences.iter().enumerate().filter(|(_, fence)| fence.kind == "sh") {
        let printed = shell(&fence.body, &reef, serving.address());
        let answer: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let expected: Value = serde_json::from_str(&fences[place + 1].body).unwrap();
        assert!(holds(&answer, &expected), "{}\n{answer:#}", fence.body);
        calls += 1;
    }
    assert_eq!(calls, 2);
    serving.stop();
    let block = page::fences(&page::read(PAGE), "console");
    let commands = page::commands(&block[0]);
    for line in &commands {
        page::run(reef.config().parent().unwrap(), line);
    }
    assert_eq!(commands.len(), 5);
    // the run copies what was asked into the table: once of the service, and each of these
    page::commands(&block[1]).iter().for_each(|line| drop(page::run(reef.config().parent().unwrap(), line)));
    let sql = page::fences(&page::read(PAGE), "sql").remove(0);
    let rows = reef.query(sql.trim().trim_end_matches(';'));
    assert_eq!(rows.lines().count(), 1 + commands.len(), "{rows}");
}

/// A model that speaks Chat Completions and words the first evidence, truly and falsely.
struct FakeModel {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
    runtime: tokio::runtime::Runtime,
}

impl FakeModel {
    fn start() -> FakeModel {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&requests);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &heard).await;
            }
        });
        FakeModel { endpoint, requests, runtime }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn stop(self) {
        self.runtime.shutdown_background();
    }
}

async fn answer(mut stream: TcpStream, heard: &Mutex<Vec<String>>) {
    let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
    let text = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break text;
            }
        }
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    };
    heard.lock().unwrap().push(text.clone());
    let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    let prompt = body["messages"][1]["content"].as_str().unwrap();
    let line = prompt.lines().find(|line| line.starts_with("E1 | ")).unwrap_or("E1 | | | nothing");
    let seen = line.splitn(4, " | ").nth(3).unwrap();
    let sentences = json!({ "sentences": [
        { "text": format!("Seen was {seen}."), "evidence": ["E1"] },
        { "text": "This is the first evidence.", "evidence": ["E1"] },
        { "text": "It is 99.5% slower because of the database.", "evidence": ["E1"] },
    ] });
    let event = |value: Value| format!("data: {value}\n\n");
    let mut reply =
        event(json!({ "choices": [{ "delta": { "content": sentences.to_string() }, "finish_reason": null }] }));
    reply += &event(json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }));
    reply += &event(json!({ "choices": [], "usage": { "prompt_tokens": 321, "completion_tokens": 45 } }));
    reply += "data: [DONE]\n\n";
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", reply.len());
    let _ = stream.write_all((head + &reply).as_bytes()).await;
}

#[test]
fn an_environment_is_asked_about_and_compared_with_a_model() {
    if !has_curl("an_environment_is_asked_about_and_compared_with_a_model") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (reef, first) = serving(folder.path());
    first.stop();
    let model = FakeModel::start();
    let text = std::fs::read_to_string(reef.config()).unwrap();
    let llm = format!("[ai.llm]\nprovider = \"openai-compatible:small\"\nendpoint = {:?}\n", model.endpoint);
    std::fs::write(reef.config(), text + &llm).unwrap();
    // "any issues in staging?", then "compare staging vs prod latency"; nothing of a stopped reef asks a model
    let home = reef.config().parent().unwrap();
    let issues = page::run(home, "coral ask \"any issues in staging?\" --reef reef.toml --json");
    let issues: Value = serde_json::from_slice(&issues.stdout).unwrap();
    assert!(issues["answer"].as_str().unwrap().contains("staging"), "{issues:#}");
    assert!(model.requests().is_empty());

    let serving = Serving::start("serve", &reef);
    let ask = |method: &str, question: &str| {
        let body = json!({ "question": question, "include_correlations": true });
        let call = format!(
            "curl -s http://127.0.0.1:3101/coral.reef.v1.{method} -H 'content-type: application/json' -d '{body}'"
        );
        serde_json::from_str::<Value>(&shell(&call, &reef, serving.address())).unwrap()
    };
    let compared = ask("ReefLLM/Analyze", "compare staging vs prod latency");
    let answer = compared["answer"].as_str().unwrap();
    assert!(
        answer.starts_with("Finding: Staging latency (p95) is 28.6% lower than production: 175ms against 245ms"),
        "{answer}"
    );
    assert!(answer.contains("\nSeen was latency of my-shop: 175ms in staging, 245ms in production"), "{answer}");
    assert!(!answer.contains("99.5%") && !answer.contains("because of the database"), "{answer}");
    let metadata = &compared["metadata"];
    assert_eq!((&metadata["model_used"], &metadata["tokens_used"]), (&json!("openai-compatible:small"), &json!(366)));
    assert_eq!((&metadata["sentences_dropped"], &metadata["cost_usd"]), (&json!(1), &json!(0.0)));
    let sent = model.requests().pop().unwrap();
    assert!(!sent.contains("my-shop"), "names are masked: {sent}");
    let list = ask("ReefService/ListAnalyses", "")["code"].clone();
    assert_eq!(list, "invalid_argument", "question is no field of it");
    let call = "curl -s http://127.0.0.1:3101/coral.reef.v1.ReefService/ListAnalyses -H 'content-type: application/json' -d '{}'";
    let list: Value = serde_json::from_str(&shell(call, &reef, serving.address())).unwrap();
    assert_eq!((&list["total"], &list["analyses"][0]["outcome"]), (&json!(2), &json!("answered")));
    assert_eq!(list["analyses"][1]["outcome"], "template", "of the stopped reef");
    serving.stop();
    model.stop();
}
