//! The differential test: each number of a page is a value of the JSON that the command line prints.

use super::*;
use crate::answers::Question;
use crate::answers::correlations::{CorrelationQuestion, CorrelationsQuestion};
use crate::answers::deployments::DeploymentsQuestion;
use crate::answers::events::EventsQuestion;
use crate::answers::health::HealthQuestion;
use crate::answers::part::Part;
use crate::answers::status::StatusQuestion;
use crate::report::Report;
use serde_json::Value;
use std::collections::BTreeSet;

/// The numbers of a document, and how many items each of its lists has.
fn numbers(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Number(number) => {
            into.insert(plain(number.as_f64().unwrap()));
        }
        Value::String(text) => {
            // 64-bit numbers are text in the JSON of protocol buffers
            if let Ok(number) = text.parse::<f64>() {
                into.insert(plain(number));
            }
        }
        Value::Array(items) => {
            into.insert(plain(items.len() as f64));
            items.iter().for_each(|item| numbers(item, into));
        }
        Value::Object(fields) => fields.values().for_each(|field| numbers(field, into)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn plain(number: f64) -> String {
    format!("{number}")
}

/// The values that a page states.
fn stated(body: &str) -> Vec<String> {
    let values = body.split("<data value=\"").skip(1).filter_map(|rest| rest.split('"').next());
    values.map(|value| plain(value.parse().unwrap())).collect()
}

/// Text of a page that is neither a number of the JSON, a time, a picture, nor in a tag.
fn rest(body: &str) -> String {
    let mut text = body.to_owned();
    for (from, to) in [
        ("<data ", "</data>"),
        ("<time ", "</time>"),
        ("<svg", "</svg>"),
        ("<code", "</code>"),
        ("<select", "</select>"),
    ] {
        while let Some(at) = text.find(from) {
            let end = text[at..].find(to).unwrap() + at + to.len();
            text.replace_range(at..end, "");
        }
    }
    let mut shown = String::new();
    for part in text.split('<').skip(1) {
        shown.push_str(part.split_once('>').map_or("", |(_, text)| text));
        shown.push(' ');
    }
    shown
}

async fn documents(store: &MemoryStore, questions: Vec<Question>) -> Vec<Value> {
    let scope = Scope { reef_id: "shop-reef-a1b2c3".to_owned(), ..Scope::default() };
    let mut all = Vec::new();
    for question in questions {
        let answer = question.answer(store.reader().as_ref(), &scope).await.unwrap();
        all.push(crate::rpc::document(answer).unwrap());
    }
    let report = Report::read(store.reader().as_ref(), "", usize::MAX).await.unwrap();
    all.push(serde_json::to_value(report).unwrap());
    all
}

#[tokio::test]
async fn each_number_of_a_page_is_in_the_json() {
    let store = store().await;
    let opened = Opened::over(&store, false).await;
    let part = || Part { limit: Some(200), ..Part::default() };
    let all = || Some("all".to_owned());
    let patterns = || CorrelationsQuestion { state: all(), part: part(), ..CorrelationsQuestion::default() };
    let id = patterns_of(&opened.get("/patterns?state=all").await.body).first().unwrap().clone();
    let range = crate::answers::range::RangeQuestion { window_ms: Some(30 * 24 * HOUR_MS), ..Default::default() };
    let questions = vec![
        Question::Correlations(patterns()),
        Question::Correlations(CorrelationsQuestion::default()),
        Question::Correlation(CorrelationQuestion { id: id.clone() }),
        Question::Health(HealthQuestion::default()),
        Question::Status(StatusQuestion::default()),
        Question::Deployments(DeploymentsQuestion { part: part(), ..DeploymentsQuestion::default() }),
        Question::Events(EventsQuestion {
            range,
            part: Part { limit: Some(100), ..Part::default() },
            ..EventsQuestion::default()
        }),
    ];
    let mut known = BTreeSet::new();
    let mut texts = String::new();
    for document in documents(&store, questions).await {
        numbers(&document, &mut known);
        texts.push_str(&document.to_string());
    }
    let pattern = format!("/pattern?id={id}");
    for path in ["/", "/patterns?state=all", "/health", "/events?range=30d", pattern.as_str()] {
        let body = opened.get(path).await.body;
        let stated = stated(&body);
        assert!(!stated.is_empty(), "{path} states nothing");
        for value in stated {
            assert!(known.contains(&value), "{path} states {value}, which is in no document");
        }
        // no digit outside of them, but in names and texts that the JSON has and in explanations of ours
        let main = body.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
        let unknown = |word: &&str| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            word.bytes().any(|byte| byte.is_ascii_digit()) && !texts.contains(word) && !EXPLAINED.contains(&word)
        };
        let shown = rest(main);
        let found: Vec<&str> = shown.split_whitespace().filter(unknown).collect();
        assert!(found.is_empty(), "{path} has numbers without a value: {found:?}");
    }
}

/// Digits of sentences that explain, such as "1 is in step".
const EXPLAINED: [&str; 3] = ["0", "1", "3"];
