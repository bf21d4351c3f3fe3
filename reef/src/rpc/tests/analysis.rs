//! Questions in words by the RPC: unary, streamed by each protocol, limited, recorded.

use super::*;
use crate::access::Asker;
use crate::analysis::providers::tests::{Fake, Say, provider};
use crate::analysis::providers::{Chain, Prices, Protocol};
use crate::analysis::{Analyst, AnalyzeQuestion, Asked, Model, Most, Privacy};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

const SLOWER: &str = "why is prod slower than staging?";
/// How often a test looks whether something has come.
const LOOK_EVERY: Duration = Duration::from_millis(5);

async fn open_with(analyst: Analyst) -> Opened {
    let store = store().await;
    let served = Served::new(Reading::Store(store.reader()), scope(), ADDRESS).with_analyst(Arc::new(analyst));
    let layers = (Extension(Caller(Ok(Role::Analyst))), Extension(Asker("a1b2c3d4".to_owned())));
    Opened::of(router(served).layer(layers.0).layer(layers.1)).await.keeping(store)
}

fn recording(folder: &Path, per_hour: u32) -> Analyst {
    let most = Most { per_hour, at_once: 10, tokens_per_day: None, cost_micros_per_day: None };
    Analyst::new(None, most, &folder.join("a.ndjson"), SystemClock::shared())
}

#[tokio::test]
async fn a_question_in_words_is_answered_with_all_its_fields() {
    let opened = open().await;
    let request = json!({ "question": SLOWER, "include_correlations": true, "time_window": "24h" });
    let answer = ask(&opened, &format!("{LLM}/Analyze"), request).await;
    has_all_fields("coral.reef.v1.AnalyzeResponse", &answer);
    assert!(answer["answer"].as_str().unwrap().contains("Complete to 2024-11-13 12:00:00 UTC for all 2 colonies."));
    assert_eq!(answer["metadata"]["template_reason"], "no language model is configured (ai.llm)");
    for one in answer["evidence"].as_array().unwrap() {
        assert!(["metric", "event", "correlation"].contains(&one["type"].as_str().unwrap()), "{one}");
        assert!(one["query"].as_str().unwrap().starts_with("SELECT "), "{one}");
    }
    let without = ask(&opened, &format!("{LLM}/Analyze"), json!({ "question": "what patterns are there?" })).await;
    assert!(without["evidence"].as_array().unwrap().iter().all(|one| one["type"] != "correlation"));
    for (request, field) in [
        (json!({ "question": "x", "time_window": "abc" }), "time_window"),
        (json!({ "question": "x", "colony_ids": ["nowhere"] }), "colony_ids[0]"),
        (json!({ "question": " " }), "question"),
        (json!({ "questoin": "x" }), "questoin"),
    ] {
        let refused = opened.json(&format!("{LLM}/Analyze"), &request).await;
        assert_eq!((refused.status, &refused.value()["code"]), (400, &json!("invalid_argument")), "{request}");
        assert!(refused.value()["message"].as_str().unwrap().starts_with(field), "{}", refused.text());
    }
}

/// The pieces of a stream by Connect.
async fn pieces(opened: &Opened, question: &str) -> Vec<Value> {
    let body = client::envelope(json!({ "question": question, "includeCorrelations": true }).to_string().as_bytes());
    let types = [("content-type", "application/connect+json"), ("connect-protocol-version", "1")];
    let answer = opened.send("POST", &format!("/{LLM}/StreamAnalysis"), &types, &body).await;
    messages(&answer)
}

/// The messages of a stream by Connect, without its end.
fn messages(answer: &client::Answer) -> Vec<Value> {
    let values = answer.frames().0.into_iter().map(|frame| serde_json::from_slice::<Value>(&frame).unwrap());
    values.filter(|value| value.get("complete").is_some()).collect()
}

#[tokio::test]
async fn exactly_one_piece_is_the_last_and_has_everything() {
    let opened = open().await;
    let whole =
        ask(&opened, &format!("{LLM}/Analyze"), json!({ "question": SLOWER, "include_correlations": true })).await;
    let words = ["prod", "staging", "slow", "deploy", "errors", "why", "api", "yesterday", "patterns", "health"];
    for number in 0..60_usize {
        let random: Vec<&str> = (0..4).map(|place| words[(number * 7 + place * (number + 3)) % words.len()]).collect();
        let question = if number == 0 { SLOWER.to_owned() } else { random.join(" ") };
        let pieces = pieces(&opened, &question).await;
        assert!(pieces.len() >= 3, "{pieces:?}");
        let complete: Vec<bool> = pieces.iter().map(|piece| piece["complete"].as_bool().unwrap()).collect();
        assert_eq!(complete.iter().position(|it| *it), Some(pieces.len() - 1), "{question}");
        let last = &pieces[pieces.len() - 1]["final"];
        let text: String = pieces.iter().map(|piece| piece["content"].as_str().unwrap()).collect();
        assert!(last["answer"].as_str().unwrap().starts_with(&text), "{question}: {text}");
        if number == 0 {
            assert_eq!(last["evidence"], whole["evidence"]);
        }
    }
    // by gRPC-Web: as many messages
    let message = wire::AnalyzeRequest { question: SLOWER.to_owned(), ..Default::default() };
    let framed = client::envelope(&buffa::Message::encode_to_vec(&message));
    let types = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    let web = opened.send("POST", &format!("/{LLM}/StreamAnalysis"), &types, &framed).await;
    let (frames, trailers) = web.frames();
    assert!(frames.len() >= 3 && trailers.contains("grpc-status"), "{} {trailers}", frames.len());
    let last: wire::AnalysisChunk = buffa::Message::decode_from_slice(&frames[frames.len() - 1]).unwrap();
    assert!(last.complete && last.r#final.is_set());
}

#[tokio::test]
async fn what_fails_within_a_stream_is_in_its_last_piece() {
    let opened = open().await;
    let body = client::envelope(json!({ "question": "x", "colony_ids": ["nowhere"] }).to_string().as_bytes());
    let types = [("content-type", "application/connect+json"), ("connect-protocol-version", "1")];
    let answer = opened.send("POST", &format!("/{LLM}/StreamAnalysis"), &types, &body).await;
    let pieces = messages(&answer);
    assert_eq!((pieces.len(), &pieces[0]["complete"]), (1, &json!(true)), "{pieces:?}");
    assert!(pieces[0]["status"].as_str().unwrap().starts_with("failed: colony_ids[0]: there is no colony"));
}

#[tokio::test]
async fn as_many_questions_as_are_permitted_wait_for_a_model_and_hold_up_no_other_call() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::of(vec![Say::Stall]).await);
    let opened = Rc::new(open_with(stalled(folder.path(), &fake)).await);
    let analyze = format!("{LLM}/Analyze");
    let calls = async {
        for _ in 0..10 {
            let (opened, path) = (Rc::clone(&opened), format!("/{analyze}"));
            tokio::task::spawn_local(async move {
                // on a slow machine the first still waits when the last has come
                let types = [("content-type", "application/json"), ("connect-timeout-ms", "110000")];
                let body = json!({ "question": SLOWER }).to_string();
                opened.send("POST", &path, &types, body.as_bytes()).await
            });
        }
        let all = async {
            while fake.requests().len() < 10 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("ten questions at the model");
        let list = ask(&opened, &format!("{REEF}/ListAnalyses"), json!({})).await;
        assert_eq!((&list["total"], &list["analyses"][0]["outcome"]), (&json!(10), &json!("started")));
        let refused = opened.json(&analyze, &json!({ "question": SLOWER })).await;
        assert_eq!((refused.status, &refused.value()["code"]), (429, &json!("resource_exhausted")));
        assert!(refused.text().contains("max_concurrent_requests"), "{}", refused.text());
        assert!(refused.head.contains("retry-after: 2"), "{}", refused.head);
    };
    // dropped with its calls
    tokio::task::LocalSet::new().run_until(calls).await;
}

/// An analyst whose model never answers.
fn stalled(folder: &Path, fake: &Fake) -> Analyst {
    let most = Most { per_hour: 100, at_once: 10, tokens_per_day: None, cost_micros_per_day: None };
    let chain = Chain { providers: vec![provider(Protocol::OpenAi, fake)], timeout: Duration::from_secs(100) };
    let model = Model { chain, privacy: Privacy::Mask, prices: Prices::default() };
    Analyst::new(Some(model), most, &folder.join("a.ndjson"), SystemClock::shared())
}

#[tokio::test]
async fn a_stream_whose_caller_has_gone_is_recorded_as_cancelled() {
    let (folder, fake, store) = (tempfile::tempdir().unwrap(), Fake::of(vec![Say::Stall]).await, store().await);
    let analyst = Arc::new(stalled(folder.path(), &fake));
    let asked = Asked {
        question: AnalyzeQuestion { question: SLOWER.to_owned(), patterns: true, ..AnalyzeQuestion::default() },
        caller: "a1b2c3d4".to_owned(),
        role: "analyst".to_owned(),
        streamed: true,
        wait: Duration::from_secs(20),
    };
    let asked = (analyst.admit(&asked).unwrap(), asked);
    let mut stream = crate::rpc::pieces::stream(Arc::clone(&analyst), asked, (store.reader(), scope()));
    let first = tokio_stream::StreamExt::next(&mut stream).await.unwrap().unwrap();
    assert!(!first.complete);
    while fake.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    let record = loop {
        let record = analyst.recorded().remove(0);
        if record.outcome != "started" {
            break record;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((record.outcome.as_str(), record.streamed, record.role.as_str()), ("cancelled", true, "analyst"));
}

#[tokio::test]
async fn a_stream_ends_whole_before_its_deadline_whatever_a_model_does() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::of(vec![Say::Stall]).await);
    let opened = open_with(stalled(folder.path(), &fake)).await;
    let body = client::envelope(json!({ "question": SLOWER }).to_string().as_bytes());
    // of less than three seconds nothing is left for a model
    for deadline_ms in ["2900", "6000"] {
        let types = [
            ("content-type", "application/connect+json"),
            ("connect-protocol-version", "1"),
            ("connect-timeout-ms", deadline_ms),
        ];
        let pieces = messages(&opened.send("POST", &format!("/{LLM}/StreamAnalysis"), &types, &body).await);
        let (last, before) = pieces.split_last().unwrap();
        assert!(before.iter().all(|piece| piece["complete"] == false), "{pieces:?}");
        assert_eq!((&last["complete"], &last["status"]), (&json!(true), &json!("done")), "{pieces:?}");
        let reason = last["final"]["metadata"]["template_reason"].as_str().unwrap();
        assert!(reason.contains("no time was left") || reason.contains("no whole reply"), "{reason}");
    }
}

#[tokio::test]
async fn over_the_limit_a_caller_is_told_when_to_ask_again_and_each_question_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_with(recording(folder.path(), 2)).await;
    let analyze = format!("{LLM}/Analyze");
    ask(&opened, &analyze, json!({ "question": SLOWER })).await;
    pieces(&opened, "what happened?").await;
    let refused = opened.json(&analyze, &json!({ "question": SLOWER })).await;
    assert_eq!((refused.status, &refused.value()["code"]), (429, &json!("resource_exhausted")));
    let wait = refused.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((3_500..=3_600).contains(&wait.trim().parse::<u64>().unwrap()), "{wait}");
    // a stream is refused before it begins, by each protocol
    let body = client::envelope(json!({ "question": SLOWER }).to_string().as_bytes());
    let types = [("content-type", "application/connect+json"), ("connect-protocol-version", "1")];
    let stream = opened.send("POST", &format!("/{LLM}/StreamAnalysis"), &types, &body).await;
    assert!(messages(&stream).is_empty() && stream.text().contains("resource_exhausted"), "{}", stream.text());
    assert!(stream.head.contains("retry-after: 3"), "{}", stream.head);
    let message = wire::AnalyzeRequest { question: SLOWER.to_owned(), ..Default::default() };
    let framed = client::envelope(&buffa::Message::encode_to_vec(&message));
    let types = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    let web = opened.send("POST", &format!("/{LLM}/StreamAnalysis"), &types, &framed).await;
    let (frames, trailers) = web.frames();
    assert!(frames.is_empty() && trailers.contains("grpc-status: 8"), "{trailers}");
    assert!(web.head.contains("retry-after: 3"), "{}", web.head);
    let list = ask(&opened, &format!("{REEF}/ListAnalyses"), json!({})).await;
    assert_eq!((&list["total"], &list["truncated"]), (&json!(2), &json!(false)));
    let (newest, oldest) = (&list["analyses"][0], &list["analyses"][1]);
    assert_eq!((&newest["streamed"], &oldest["streamed"]), (&json!(true), &json!(false)));
    assert_eq!((&oldest["caller"], &oldest["question"]), (&json!("a1b2c3d4"), &json!(SLOWER)));
    assert_eq!((&oldest["answer"], &oldest["outcome"]), (&json!(""), &json!("template")));
    let one = ask(&opened, &format!("{REEF}/ListAnalyses"), json!({ "analysis_id": oldest["analysis_id"] })).await;
    assert!(one["analyses"][0]["answer"].as_str().unwrap().starts_with("Finding: "));
    assert_eq!(opened.json(&format!("{REEF}/ListAnalyses"), &json!({ "analysis_id": "a-x" })).await.status, 404);
}
