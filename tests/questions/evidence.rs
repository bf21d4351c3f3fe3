//! Evidence of random questions, run again on each store: its statement gives its values.

use super::{REEF_ID, fleet, unread, words};
use crate::analyses::{is_equal, row};
use crate::clickhouse::InDatabase;
use crate::support::Reef;
use crate::support::clickhouse::Server;
use fixtures::random::Random;
use reef::analysis::{AnalyzeQuestion, Evidence, find};
use reef::answers::Scope;
use serde_json::Value;
use sinks::StoreWriter;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use std::collections::{BTreeMap, BTreeSet};

const SEED: u64 = 16;
/// Questions that are asked.
const QUESTIONS: usize = 80;
/// Pieces of evidence that are run again, at least.
const EVIDENCE_MIN: usize = 100;

/// What is asked; a name replaces each word in capitals.
const SHAPES: [&str; 11] = [
    "why is ENV slower than OTHER",
    "compare METRIC of ENV and OTHER",
    "any issues in ENV",
    "any issues of SERVICE",
    "which deployments went wrong in ENV",
    "what did the last deploy of SERVICE do",
    "which patterns of SERVICE are there",
    "what is expected to happen in ENV",
    "is SERVICE affecting other services",
    "how healthy is ENV",
    "compare health across all environments",
];
const WINDOWS: [&str; 5] = ["", " in the last 2 hours", " in the last 6 hours", " since 09:00", " today"];
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "dev"];
const SERVICES: [&str; 6] = ["web", "api", "payment-api", "checkout", "gateway", "ledger"];
const METRICS: [&str; 3] = ["latency", "throughput", "db.pool.utilization"];

fn one_of<const N: usize>(random: &mut Random, list: [&'static str; N]) -> &'static str {
    list[random.below(N as u64) as usize]
}

fn question(random: &mut Random) -> AnalyzeQuestion {
    let shape = one_of(random, SHAPES).replace("ENV", one_of(random, ENVIRONMENTS));
    let shape = shape.replace("OTHER", one_of(random, ENVIRONMENTS)).replace("SERVICE", one_of(random, SERVICES));
    let words = shape.replace("METRIC", one_of(random, METRICS)) + one_of(random, WINDOWS) + "?";
    AnalyzeQuestion { question: words, patterns: true, ..AnalyzeQuestion::default() }
}

/// The evidence of the questions, after the rows were written; each statement once, and how many pieces there were.
async fn evidence(mut store: Box<dyn StoreWriter>) -> (BTreeMap<String, Evidence>, usize) {
    store.commit(&fleet::commit()).await.unwrap();
    store.commit(&words::predictions()).await.unwrap();
    let (mut random, mut all, mut count) = (Random(SEED), BTreeMap::new(), 0);
    let reader = store.reader();
    for _ in 0..QUESTIONS {
        let question = question(&mut random);
        let found = find(&question, reader.as_ref(), &Scope::default()).await;
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", question.question));
        count += found.evidence().count();
        all.extend(found.evidence().map(|one| (one.query.clone(), one.clone())));
    }
    drop(reader);
    store.close().await.unwrap();
    (all, count)
}

fn check((evidence, count): (BTreeMap<String, Evidence>, usize), stored: impl Fn(&str) -> BTreeMap<String, String>) {
    assert!(count >= EVIDENCE_MIN, "{count} pieces");
    for one in evidence.values() {
        let stored = stored(&one.query);
        assert_eq!(stored.len(), one.data.len(), "{stored:?}: {one:#?}");
        for (name, said) in &one.data {
            assert!(is_equal(said, &stored[*name]), "{name}: {said} against {}: {one:#?}", stored[*name]);
        }
    }
    let kinds: BTreeSet<&str> = evidence.values().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["correlation", "event", "metric"].into());
    let of_neighbours =
        evidence.keys().filter(|query| query.ends_with("'ledger'") && query.contains("AS before_value"));
    assert!(of_neighbours.count() > 0, "values of a neighbour are among them");
}

#[test]
fn evidence_of_random_questions_is_given_again_by_duckdb() {
    let reef = Reef::new(&unread());
    let config = DuckDbConfig { reef_id: Some(REEF_ID.to_owned()), ..DuckDbConfig::at(reef.store()) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let evidence = runtime.block_on(async { evidence(Box::new(DuckDbStore::open(config).await.unwrap())).await });
    let db = duckdb::Connection::open(reef.store()).unwrap();
    check(evidence, |query| row(&db, query));
}

#[test]
fn evidence_of_random_questions_is_given_again_by_clickhouse() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let config = ClickHouseConfig { reef_id: Some(REEF_ID.to_owned()), ..fixture.config() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let evidence = runtime.block_on(async { evidence(Box::new(ClickHouseStore::open(config).await.unwrap())).await });
    check(evidence, |query| {
        let text = server.query(fixture.name(), &format!("{query} FORMAT JSONEachRow"));
        assert_eq!(text.lines().count(), 1, "{query}: {text}");
        let row: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        let shown = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
        row.into_iter().map(|(name, value)| (name, shown(value))).collect()
    });
}
