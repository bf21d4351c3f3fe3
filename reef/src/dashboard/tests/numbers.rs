//! The differential test: each number of a page is a value of the JSON of the questions that the page shows.

use super::*;
use crate::analysis::Most;
use crate::answers::Question;
use crate::answers::affected::AffectedQuestion;
use crate::answers::compare::CompareQuestion;
use crate::answers::correlations::{CorrelationQuestion, CorrelationsQuestion};
use crate::answers::deployment::DeploymentQuestion;
use crate::answers::deployments::DeploymentsQuestion;
use crate::answers::events::EventsQuestion;
use crate::answers::health::HealthQuestion;
use crate::answers::metrics::MetricsQuestion;
use crate::answers::part::Part;
use crate::answers::predictions::PredictionsQuestion;
use crate::answers::range::RangeQuestion;
use crate::answers::status::StatusQuestion;
use crate::answers::tests::affected;
use crate::answers::tests::predictions::foreseen;
use crate::answers::topology::TopologyQuestion;
use crate::answers::versions::VersionsQuestion;
use crate::report::Report;
use model::time::DAY_MS;
use serde_json::{Value, json};
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

/// Text of a page that is neither a number of the JSON, a time, a picture (see `pictures`), nor in a tag.
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

/// What the JSON of the questions of a page has.
#[derive(Default)]
struct Known {
    values: BTreeSet<String>,
    texts: String,
}

impl Known {
    fn add(&mut self, document: &Value) {
        numbers(document, &mut self.values);
        self.texts.push_str(&document.to_string());
    }

    async fn of(store: &MemoryStore, questions: Vec<Question>) -> Known {
        let scope = Scope { reef_id: REEF.to_owned(), ..Scope::default() };
        let mut known = Known::default();
        for question in questions {
            let answer = question.answer(store.reader().as_ref(), &scope).await.unwrap();
            known.add(&crate::rpc::document(answer).unwrap());
        }
        known
    }

    /// What a page says that the JSON does not have.
    fn missing(&self, body: &str) -> Vec<String> {
        let mut missing: Vec<String> = stated(body).into_iter().filter(|value| !self.values.contains(value)).collect();
        // no digit outside of them, but in names and texts that the JSON has and in explanations of ours
        let main = body.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
        let unknown = |word: &&str| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            word.bytes().any(|byte| byte.is_ascii_digit()) && !self.texts.contains(word) && !EXPLAINED.contains(&word)
        };
        missing.extend(rest(main).split_whitespace().filter(unknown).map(str::to_owned));
        missing
    }
}

/// Digits of sentences that explain, such as "1 is in step", and the name of a quantile.
const EXPLAINED: [&str; 6] = ["0", "1", "3", "95", "100", "p95"];

/// The page states numbers, and all of them are known.
async fn check(opened: &Opened, path: &str, known: &Known) {
    let answer = opened.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert!(!stated(&answer.body).is_empty(), "{path} states nothing");
    let missing = known.missing(&answer.body);
    assert!(missing.is_empty(), "{path} says {missing:?}, which no document has: {}", answer.body);
}

fn part(limit: usize) -> Part {
    Part { limit: Some(limit), ..Part::default() }
}

fn all() -> Option<String> {
    Some("all".to_owned())
}

fn days(days: i64) -> RangeQuestion {
    RangeQuestion { window_ms: Some(days * DAY_MS), ..RangeQuestion::default() }
}

fn patterns(limit: usize) -> Question {
    Question::Correlations(CorrelationsQuestion { state: all(), part: part(limit), ..CorrelationsQuestion::default() })
}

fn pattern(id: &str) -> Vec<Question> {
    let predicted = PredictionsQuestion {
        outcome: all(),
        pattern: Some(id.to_owned()),
        part: part(20),
        ..PredictionsQuestion::default()
    };
    vec![Question::Correlation(CorrelationQuestion { id: id.to_owned() }), Question::Predictions(predicted)]
}

fn deployments() -> Vec<Question> {
    let list = DeploymentsQuestion { part: part(200), ..DeploymentsQuestion::default() };
    let mut questions = vec![Question::Deployments(list)];
    for id in ["my-shop-staging/e-1", "my-shop-staging/e-2", "my-shop-production/e-3", "my-shop-production/e-4"] {
        questions.push(Question::Deployment(DeploymentQuestion { id: id.to_owned() }));
        questions.push(Question::Affected(AffectedQuestion { id: id.to_owned() }));
    }
    questions
}

fn overview() -> Vec<Question> {
    let mut questions = deployments();
    let correlations = CorrelationsQuestion { part: part(6), ..CorrelationsQuestion::default() };
    let predictions = PredictionsQuestion { part: part(6), ..PredictionsQuestion::default() };
    questions.push(Question::Health(HealthQuestion::default()));
    questions.push(Question::Correlations(correlations));
    questions.push(Question::Predictions(predictions));
    questions
}

fn compared() -> Vec<Question> {
    let compare = CompareQuestion {
        environment_a: "staging".to_owned(),
        environment_b: "production".to_owned(),
        window_ms: Some(DAY_MS),
        ..CompareQuestion::default()
    };
    vec![Question::Compare(compare), patterns(200)]
}

fn series() -> Question {
    Question::Metrics(MetricsQuestion {
        metric_names: vec!["latency".to_owned()],
        range: days(1),
        points_max: Some(100),
        part: part(6),
        ..MetricsQuestion::default()
    })
}

fn events() -> Question {
    Question::Events(EventsQuestion { range: days(30), part: part(100), ..EventsQuestion::default() })
}

fn services() -> Vec<Question> {
    let mut questions = deployments();
    questions.push(Question::Versions(VersionsQuestion::default()));
    questions.push(Question::Topology(TopologyQuestion::default()));
    questions
}

/// What `coral-pipeline report --json` adds to the status.
async fn reported(store: &MemoryStore) -> Known {
    let mut known = Known::of(store, vec![Question::Status(StatusQuestion::default())]).await;
    let report = Report::read(store.reader().as_ref(), "", usize::MAX).await.unwrap();
    known.add(&serde_json::to_value(report).unwrap());
    known
}

#[tokio::test]
async fn each_number_of_a_page_is_in_the_json() {
    let store = foreseen().await;
    let opened = Opened::over(&store, false).await;
    let id = patterns_of(&opened.get("/patterns?state=all").await.body).first().unwrap().clone();
    let found = format!("/pattern?id={id}");
    let pages: Vec<(&str, Vec<Question>)> = vec![
        ("/", overview()),
        ("/patterns?state=all", vec![patterns(100)]),
        (found.as_str(), pattern(&id)),
        ("/timeline?range=30d", deployments()),
        ("/timeline?range=30d&order=effect", deployments()),
        ("/deployment?id=my-shop-production/e-3", deployments()),
        ("/compare?range=24h", compared()),
        ("/series?metric=latency&range=24h", vec![series()]),
        ("/services", services()),
        ("/events?range=30d", vec![events()]),
    ];
    for (path, questions) in pages {
        check(&opened, path, &Known::of(&store, questions).await).await;
    }
    check(&opened, "/health", &reported(&store).await).await;
}

#[tokio::test]
async fn each_number_of_a_page_of_hostile_rows_is_in_the_json() {
    let store = store().await;
    let opened = Opened::over(&store, false).await;
    let id = patterns_of(&opened.get("/patterns?state=all").await.body).first().unwrap().clone();
    let found = format!("/pattern?id={id}");
    for (path, questions) in [
        ("/patterns?state=all", vec![patterns(100)]),
        (found.as_str(), pattern(&id)),
        ("/events?range=30d", vec![events()]),
    ] {
        check(&opened, path, &Known::of(&store, questions).await).await;
    }
    check(&opened, "/health", &reported(&store).await).await;
}

#[tokio::test]
async fn each_number_of_neighbours_is_in_the_json() {
    let store = affected::store().await;
    let opened = Opened::over(&store, false).await;
    let id = || "my-shop-production/e-3".to_owned();
    let questions =
        vec![Question::Deployment(DeploymentQuestion { id: id() }), Question::Affected(AffectedQuestion { id: id() })];
    check(&opened, "/deployment?id=my-shop-production/e-3", &Known::of(&store, questions).await).await;
}

#[tokio::test]
async fn each_number_of_an_analysis_is_in_the_json() {
    let (store, folder) = (foreseen().await, tempfile::tempdir().unwrap());
    let most = Most { per_hour: 10, at_once: 10, tokens_per_day: None, cost_micros_per_day: None };
    let analyst = Analyst::new(None, most, &folder.path().join("a.ndjson"), SystemClock::shared());
    let opened = Opened::with(&store, false, analyst).await;
    let call = async |method: &str, request: Value| -> Value {
        let headers = [("content-type", "application/json")];
        let answer = opened.send("POST", &format!("/coral.reef.v1.{method}"), &headers, &request.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };
    let question = "why is production slower than staging?";
    let request = json!({ "question": question, "include_correlations": true });
    let answered = call("ReefLLM/Analyze", request).await;
    let list = call("ReefService/ListAnalyses", json!({})).await;
    let id = answered["analysis_id"].as_str().unwrap();
    let one = call("ReefService/ListAnalyses", json!({ "analysis_id": id })).await;
    let mut known = Known::default();
    known.add(&list);
    check(&opened, "/analyses", &known).await;
    let mut known = Known::default();
    known.add(&one);
    known.add(&answered);
    check(&opened, &format!("/analyses/{id}"), &known).await;
}

#[tokio::test]
async fn a_number_that_no_answer_has_is_found() {
    let known = Known::of(&foreseen().await, vec![events()]).await;
    let page = |main: &str| format!("<main id=\"main\">{main}</main>");
    assert_eq!(known.missing(&page("<p><data value=\"987654\">many</data></p>")), ["987654"]);
    assert_eq!(known.missing(&page("<p>some 987654 rows</p>")), ["987654"]);
    assert_eq!(known.missing(&page("<p>some rows</p>")), Vec::<String>::new());
}
