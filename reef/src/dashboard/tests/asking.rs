//! Questions in words from a page: who may ask, from where, what is shown of the answer, and of those that were asked.

use super::*;
use crate::access::Role;
use crate::analysis::journal::{Journal, Record};
use crate::analysis::providers::tests::{Fake, Say, provider};
use crate::analysis::providers::{Chain, Prices, Protocol};
use crate::analysis::{Model, Most, Privacy};
use crate::answers::tests::predictions::foreseen;
use crate::dashboard::cookie_of;
use std::path::Path;
use std::time::Duration;

const SLOWER: &str = "question=why+is+production+slower+than+staging%3F";

/// An analyst without a model that records.
fn recording(folder: &Path, per_hour: u32) -> Analyst {
    let most = Most { per_hour, at_once: 10, tokens_per_day: None, cost_micros_per_day: None };
    Analyst::new(None, most, &folder.join("analyses.ndjson"), SystemClock::shared())
}

/// A state of a question that another process has written to the journal.
fn written(folder: &Path, outcome: &str) {
    let record = Record {
        analysis_id: "a-1".to_owned(),
        asked_at: SystemClock::shared().now().to_string(),
        ends_by: "2100-01-01T00:00:00.000Z".to_owned(),
        question: "what happened elsewhere?".to_owned(),
        outcome: outcome.to_owned(),
        ..Record::default()
    };
    assert!(Journal::of(&folder.join("analyses.ndjson")).append(&record));
}

/// Where a response leads.
fn location(answer: &Answer) -> String {
    let line = answer.head.lines().find_map(|line| line.strip_prefix("location: "));
    line.unwrap_or_else(|| panic!("{} {}", answer.head, answer.body)).trim().to_owned()
}

#[tokio::test]
async fn a_question_leads_to_the_page_of_its_answer_and_stays_in_the_list() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    let opened = Opened::with(&store, false, recording(folder.path(), 10)).await;
    let sent = opened.send("POST", "/analyses", &[], SLOWER).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let address = location(&sent);
    assert!(address.starts_with("/analyses/a-"), "{address}");
    let page = opened.get(&address).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for words in [
        "why is production slower than staging?",
        "<a href=\"#E1\">E1</a>",
        "id=\"E1\"",
        "both series",
        "Values and query",
        "SELECT ",
        "What could be done",
        "coral reef compare",
        "Nothing: no model was asked.",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let list = opened.get("/analyses").await.body;
    assert!(list.contains(&format!("href=\"{address}\"")) && list.contains("the template"), "{list}");
}

#[tokio::test]
async fn pages_of_questions_know_when_another_process_asks_and_answers() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    let opened = Opened::with(&store, false, recording(folder.path(), 10)).await;
    let tag = |body: &str| body.split("data-tag=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let now = async || -> (String, String) {
        let body = opened.get("/live").await.body;
        let live: serde_json::Value = serde_json::from_str(&body).unwrap();
        let text = |name: &str| live[name].as_str().unwrap().to_owned();
        (text("tag"), format!("{}.{}", text("tag"), text("questions")))
    };
    let (other, before) = now().await;
    let mut seen = vec![before];
    for outcome in ["started", "answered"] {
        written(folder.path(), outcome);
        let (of_store, of_questions) = now().await;
        assert_eq!(of_store, other, "no other page has to renew itself");
        assert!(!seen.contains(&of_questions), "{of_questions} {seen:?}");
        for path in ["/analyses", "/analyses/a-1"] {
            let page = opened.get(path).await;
            assert_eq!((page.status, tag(&page.body)), (200, of_questions.clone()), "{path}");
            assert!(page.body.contains("what happened elsewhere?") && page.body.contains(outcome), "{}", page.body);
        }
        assert_eq!(tag(&opened.get("/").await.body), other);
        assert_eq!(now().await.1, of_questions, "a page that was made is the newest");
        seen.push(of_questions);
    }
}

#[tokio::test]
async fn a_stored_analysis_shows_the_evidence_that_it_had_whatever_the_store_has_now() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    let before = Opened::with(&store, false, recording(folder.path(), 10)).await;
    let address = location(&before.send("POST", "/analyses", &[], SLOWER).await);
    let evidence = |page: &Answer| -> String {
        let behind = page.body.split("<h2>Evidence</h2>").nth(1).unwrap();
        behind.split("</section>").next().unwrap().to_owned()
    };
    let first = evidence(&before.get(&address).await);
    assert!(first.contains("id=\"E1\"") && first.contains("both series") && first.contains("SELECT "), "{first}");
    // another process: it has the record only, and a store in which nothing is found
    let empty = MemoryStore::new();
    let opened = Opened::with(&empty, false, recording(folder.path(), 10)).await;
    let page = opened.get(&address).await;
    assert_eq!((page.status, evidence(&page)), (200, first), "{}", page.body);
    assert!(page.body.contains("<a href=\"#E1\">E1</a>") && page.body.contains("Finding: "), "{}", page.body);
    let unknown = opened.get("/analyses/a-0").await;
    assert!(unknown.status == 404 && unknown.body.contains("there is no analysis"), "{}", unknown.body);
}

#[tokio::test]
async fn a_record_with_ids_alone_links_to_no_evidence_of_today() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    // as an earlier version wrote it
    let line = serde_json::json!({
        "analysis_id": "a-1", "asked_at": "2024-11-13T12:00:00.000Z", "outcome": "template",
        "question": "why is production slower than staging?", "evidence_ids": ["E1", "E2"], "answer": "Finding: slower [E1]",
    });
    std::fs::write(folder.path().join("analyses.ndjson"), format!("{line}\n")).unwrap();
    let opened = Opened::with(&store, false, recording(folder.path(), 10)).await;
    let page = opened.get("/analyses/a-1").await;
    assert!(page.status == 200 && page.body.contains("Finding: slower [E1]"), "{}", page.body);
    assert!(page.body.contains("the ids alone were recorded"), "{}", page.body);
    assert!(!page.body.contains("id=\"E1\"") && !page.body.contains("href=\"#E1\""), "{}", page.body);
}

#[tokio::test]
async fn an_answer_that_is_not_recorded_is_shown_at_once() {
    let store = foreseen().await;
    let opened = Opened::over(&store, false).await;
    let answer = opened.send("POST", "/analyses", &[], SLOWER).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains("This answer is not recorded") && answer.body.contains("id=\"E1\""),
        "{}",
        answer.body
    );
    // it would be replaced by the list
    assert!(answer.body.contains("data-tag=\"\""), "{}", answer.body);
}

#[tokio::test]
async fn a_question_that_has_no_answer_comes_back_with_the_reason_and_what_was_typed() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    let opened = Opened::with(&store, false, recording(folder.path(), 3)).await;
    let empty = opened.send("POST", "/analyses", &[], "question=+&range=7d").await;
    assert!(empty.status == 400 && empty.body.contains("no question is asked"), "{}", empty.body);
    assert!(empty.body.contains("<option value=\"7d\" selected"), "{}", empty.body);
    let long = format!("question={}", "%3Cb%3E".repeat(1_000));
    let answer = opened.send("POST", "/analyses", &[], &long).await;
    assert!(answer.status == 400 && answer.body.contains("is too long"), "{}", answer.body);
    assert!(answer.body.contains("&lt;b&gt;&lt;b&gt;") && !answer.body.contains("<b>"), "{}", answer.body);
    assert_eq!(opened.send("POST", "/analyses", &[], SLOWER).await.status, 303);
    let limited = opened.send("POST", "/analyses", &[], SLOWER).await;
    assert!(limited.status == 429 && limited.head.contains("retry-after: "), "{}", limited.head);
    assert!(limited.body.contains("why is production slower than staging?"), "{}", limited.body);
    let list = opened.get("/analyses").await.body;
    assert!(list.contains("(without words)") && list.contains("&lt;b&gt;&lt;b&gt;"), "each is recorded: {list}");
}

#[tokio::test]
async fn as_many_questions_as_are_permitted_are_answered_at_once_and_one_more_is_told_when_to_come_again() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    let fake = Fake::of(vec![Say::Stall]).await;
    let most = Most { per_hour: 10, at_once: 3, tokens_per_day: None, cost_micros_per_day: None };
    let chain = Chain { providers: vec![provider(Protocol::OpenAi, &fake)], timeout: Duration::from_secs(20) };
    let model = Model { chain, privacy: Privacy::Mask, prices: Prices::default() };
    let analyst = Analyst::new(Some(model), most, &folder.path().join("a.ndjson"), SystemClock::shared());
    let opened = Opened::with(&store, false, analyst).await;
    let ask = || opened.send("POST", "/analyses", &[], SLOWER);
    let waiting = async { tokio::join!(ask(), ask(), ask()) };
    let one_more = async {
        while fake.requests().len() < 3 {
            tokio::task::yield_now().await;
        }
        ask().await
    };
    tokio::select! {
        answers = waiting => panic!("{}", answers.0.status),
        refused = tokio::time::timeout(Duration::from_secs(15), one_more) => {
            let refused = refused.expect("three questions at the model");
            assert!(refused.status == 429 && refused.head.contains("retry-after: 2"), "{}", refused.head);
            assert!(refused.body.contains("max_concurrent_requests"), "{}", refused.body);
        }
    }
}

#[tokio::test]
async fn only_a_form_of_this_reef_asks_and_only_for_who_may_spend_tokens() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    let opened = Opened::with(&store, true, recording(folder.path(), 10)).await;
    let reader = opened.tokens.create("reader", Role::Readonly).unwrap();
    let analyst = opened.tokens.create("analyst", Role::Analyst).unwrap();
    let cookie = |token: &str| format!("{}={token}", cookie_of(REEF));
    let origin = format!("http://{}", opened.services.address());
    let own = ("origin", origin.as_str());
    // another page on this machine shares the cookie, and not the origin
    for other in ["http://localhost:1", "http://127.0.0.1:1", "http://evil.example", "null"] {
        let headers = [("cookie", cookie(&analyst)), ("origin", other.to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(opened.send("POST", "/analyses", &headers, SLOWER).await.status, 403, "{other}");
    }
    let without = opened.send("POST", "/analyses", &[("cookie", cookie(&analyst).as_str())], SLOWER).await;
    assert!(without.status == 403 && without.body.contains("not sent by a page of this reef"), "{}", without.body);
    for nobody in [None, Some(cookie("coral_1_2"))] {
        let mut headers = vec![own];
        headers.extend(nobody.as_deref().map(|cookie| ("cookie", cookie)));
        let sent = opened.send("POST", "/analyses", &headers, SLOWER).await;
        assert_eq!((sent.status, location(&sent).as_str()), (303, "/login?next=%2fanalyses"));
    }
    let kept = cookie(&reader);
    let refused = opened.send("POST", "/analyses", &[own, ("cookie", kept.as_str())], SLOWER).await;
    assert!(
        refused.status == 403 && refused.body.contains("coral reef token create --role analyst"),
        "{}",
        refused.body
    );
    let page = opened.send("GET", "/analyses", &[("cookie", kept.as_str())], "").await;
    assert!(page.status == 200 && page.body.contains("may spend tokens"), "{}", page.body);
    assert!(!page.body.contains("<textarea"), "{}", page.body);
    let kept = cookie(&analyst);
    let with = ("cookie", kept.as_str());
    let sent = opened.send("POST", "/analyses", &[own, with], SLOWER).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let list = opened.send("GET", "/analyses", &[with], "").await.body;
    let id = analyst.split('_').nth(1).unwrap();
    assert!(list.contains(&location(&sent)) && list.contains(id), "who asked is known by the token's id: {list}");
    let hidden = opened.send("GET", &location(&sent), &[("cookie", cookie(&reader).as_str())], "").await;
    assert!(!hidden.body.contains("slower than"), "{}", hidden.body);
}
