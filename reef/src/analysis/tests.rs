//! Questions in words over the rows of the tests of answers: plans, findings, the words of the template.
#![allow(clippy::unwrap_used)]

mod evaluation;
mod wording;

use super::*;
use crate::answers::refusal::RefusalKind;
use crate::answers::tests::store;
use crate::answers::vocabulary::Vocabulary;
use crate::answers::{AnswerError, Refusal, Scope};
use sinks::StoreWriter;
use sinks::memory::MemoryStore;
use std::path::Path;
use std::time::Duration;

/// A question with patterns.
pub(crate) fn question(words: &str) -> AnalyzeQuestion {
    AnalyzeQuestion { question: words.to_owned(), patterns: true, ..AnalyzeQuestion::default() }
}

/// The question of a caller on this machine.
pub(crate) fn asked(question: AnalyzeQuestion) -> Asked {
    Asked {
        question,
        caller: "local".to_owned(),
        role: "admin".to_owned(),
        streamed: false,
        wait: Duration::from_secs(20),
    }
}

async fn analyzed(question: AnalyzeQuestion) -> Analysis {
    let store = store().await;
    let analyst = Analyst::without_model();
    analyst.analyze(&asked(question), (store.reader().as_ref(), &Scope::default()), None).await.unwrap()
}

async fn refused(question: AnalyzeQuestion) -> Refusal {
    let store = store().await;
    match find(&question, store.reader().as_ref(), &Scope::default()).await {
        Err(AnswerError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Compares with a file of `testdata`; `UPDATE_GOLDEN=1` rewrites it.
pub(crate) fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/analysis/testdata").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "UPDATE_GOLDEN=1 rewrites {}", path.display());
}

#[tokio::test]
async fn the_sample_of_rfd_003_is_answered_without_a_model() {
    golden("slower.txt", &analyzed(question("why is prod slower than staging?")).await.page());
    golden("deploy.txt", &analyzed(question("what was the impact of the last production deploy of api?")).await.page());
    golden("issues.txt", &analyzed(question("any issues in staging?")).await.page());
    golden("health.txt", &analyzed(question("compare health across all environments")).await.page());
    golden("affected.txt", &analyzed(question("is api affecting other services?")).await.page());
}

#[tokio::test]
async fn the_same_question_has_the_same_evidence() {
    let first = analyzed(question("why is prod slower than staging?")).await;
    assert!(first.found.evidence().count() > 3);
    for _ in 0..10 {
        let again = analyzed(question("why is prod slower than staging?")).await;
        assert_eq!(again.found, first.found);
        assert_eq!(again.answer(), first.answer());
    }
    let ids: Vec<&str> = first.found.evidence().map(|one| one.id.as_str()).collect();
    let expected: Vec<String> = (1..=ids.len()).map(|number| format!("E{number}")).collect();
    assert_eq!(ids, expected);
    for one in first.found.evidence() {
        assert!(one.query.starts_with("SELECT ") && !one.data.is_empty(), "{one:?}");
        assert_eq!(one.complete_to.as_deref(), Some("2024-11-13T12:00:00.000Z"), "{one:?}");
        assert!((0.0..=1.0).contains(&one.confidence), "{one:?}");
    }
}

#[tokio::test]
async fn every_line_of_the_answer_names_evidence_that_is_there() {
    for words in ["why is prod slower than staging?", "what happened?", "which deploys went wrong today?"] {
        let analysis = analyzed(question(words)).await;
        let known: Vec<String> = analysis.found.evidence().map(|one| format!("[{}]", one.id)).collect();
        let told = analysis.text.lines().take_while(|line| !line.starts_with("Recommendation"));
        for line in told.filter(|line| line.contains("- ") || line.starts_with("Finding")) {
            assert!(known.iter().any(|id| line.ends_with(id.as_str())), "{words}: {line}");
        }
    }
}

#[tokio::test]
async fn colonies_and_patterns_bound_what_is_used() {
    let one = AnalyzeQuestion { colonies: vec!["my-shop-staging".to_owned()], ..question("what happened in prod?") };
    let analysis = analyzed(one).await;
    for evidence in analysis.found.evidence() {
        assert_eq!(
            (evidence.colony_id.as_str(), &evidence.other_colony_id),
            ("my-shop-staging", &None),
            "{evidence:?}"
        );
    }
    assert_eq!(analysis.colonies(), ["my-shop-staging"]);
    let with = analyzed(question("what patterns are there?")).await;
    assert!(with.found.evidence().any(|one| one.kind == Kind::Correlation));
    let without = AnalyzeQuestion { patterns: false, ..question("what patterns are there?") };
    assert!(analyzed(without).await.found.evidence().all(|one| one.kind != Kind::Correlation));
    let unknown = refused(AnalyzeQuestion { colonies: vec!["my-shop-prodution".to_owned()], ..question("x") }).await;
    assert_eq!((unknown.kind, unknown.field.as_deref()), (RefusalKind::Invalid, Some("colony_ids[0]")));
    for (window_ms, words) in [(0, "x"), (-1, "x"), (i64::MAX, "x")] {
        let wrong = refused(AnalyzeQuestion { window_ms: Some(window_ms), ..question(words) }).await;
        assert_eq!(wrong.field.as_deref(), Some("time_window"));
    }
    for words in ["", " ", &"x".repeat(2_001)] {
        assert_eq!(refused(question(words)).await.field.as_deref(), Some("question"));
    }
}

#[tokio::test]
async fn plans_are_read_from_words() {
    let store = store().await;
    let known = Vocabulary::read(store.reader().as_ref(), &Scope::default()).await.unwrap();
    let plan = |words: &str| Plan::of(&question(words), &known).unwrap();
    let slower = plan("why is Prod slower than staging?");
    assert_eq!(
        (slower.environments.as_slice(), slower.metric.as_deref()),
        (&["production".to_owned(), "staging".to_owned()][..], Some("latency"))
    );
    assert!(slower.topics.contains(&Topic::Compare) && !slower.range_is_said);
    let named = plan("compare db.pool.utilization of stage vs production in the last 2 hours");
    assert_eq!(
        (named.environments.as_slice(), named.metric.as_deref()),
        (&["staging".to_owned(), "production".to_owned()][..], Some("db.pool.utilization"))
    );
    assert_eq!(named.range.map(|range| range.to - range.from), Some(2 * 3_600_000));
    for words in ["errors after the deploy of api v2.1.0 in production?", "errors after the release deploy-abc123"] {
        let plan = plan(words);
        assert_eq!(plan.deployment, Some(("my-shop-production".to_owned(), "e-3".to_owned())), "{words}");
        assert_eq!(plan.range.unwrap().from.to_string(), "2024-11-13T10:30:00.000Z", "{words}");
    }
    let service = plan("is payment processor affecting my-shop-staging?");
    assert_eq!((service.services.as_slice(), service.colonies.len()), (&["payment-processor".to_owned()][..], 1));
    let mut odd = known.clone();
    odd.services.extend(["what", "any", "status"].map(str::to_owned));
    let of_odd = |words: &str| Plan::of(&question(words), &odd).unwrap().services;
    assert_eq!(of_odd("what is the status of any service?"), [""; 0]);
    assert_eq!(of_odd("is service status slow, and \"any\"?"), ["status", "any"]);
    let last = plan("what did the last staging deploy do?");
    assert_eq!(last.deployment, Some(("my-shop-staging".to_owned(), "e-2".to_owned())));
    for words in ["which deployment went wrong?", "any deploy of api?", "was it v9 or api-2 in the last 1.5 hours?"] {
        assert_eq!(plan(words).deployment, None, "{words}");
    }
    let general = plan("hello");
    assert!(general.topics.is_empty() && general.colonies.len() == 2 && general.deployment.is_none());
}

#[tokio::test]
async fn that_nothing_happened_is_said_of_the_services_that_are_named() {
    let analysis = analyzed(question("any issues of payment-processor in staging?")).await;
    let nothing = analysis.found.findings.iter().find(|finding| finding.key == "events none").unwrap();
    assert!(
        nothing.title.starts_with("No warning, error or critical event of payment-processor in staging from"),
        "{}",
        nothing.title
    );
    let evidence = &nothing.evidence[0];
    assert!(evidence.query.contains("service_id") && evidence.description.contains("of payment-processor"));
}

#[tokio::test]
async fn open_predictions_are_findings_with_how_the_pattern_did_before() {
    let store = crate::answers::tests::predictions::foreseen().await;
    let of =
        async |question: AnalyzeQuestion| find(&question, store.reader().as_ref(), &Scope::default()).await.unwrap();
    let found = of(question("what is predicted for production?")).await;
    assert!(found.plan.topics.contains(&Topic::Predictions));
    let is_first = |finding: &&super::evidence::Finding| finding.key.starts_with("prediction p-c-0123456789abcdef0123");
    let first = found.findings.iter().find(is_first).unwrap();
    let expected = "error_spike of checkout in my-shop-production is expected from 2024-11-13 14:05:00 UTC to 2024-11-13 \
                    14:35:00 UTC with a probability of 86%";
    assert_eq!(first.title, expected);
    assert_eq!(first.lines[1], ("before: 2 of 3 predictions of the pattern in 30 days came true".to_owned(), 1));
    let claims: Vec<(Claim, &str)> = first.evidence.iter().map(|one| (one.claim, one.colony_id.as_str())).collect();
    assert_eq!(claims, [(Claim::Expected, "my-shop-production"), (Claim::Observed, "my-shop-production")]);
    let [open, before] = [0, 1].map(|place| first.evidence[place].id.as_str());
    assert!(first.evidence.iter().all(|one| one.complete_to.is_some()));
    // what a model says of them is checked like the rest
    let evidence: Vec<&Evidence> = found.evidence().collect();
    let says = |text: &str, id: &str| {
        let sentence = check::Sentence { text: text.to_owned(), evidence: vec![id.to_owned()] };
        check::checked(&[sentence], &evidence, &[]).kept.len()
    };
    assert_eq!(says("The error_spike of checkout is expected from 14:05 UTC on with a probability of 86%.", open), 1);
    assert_eq!(says("The error_spike of checkout is expected from 14:05 UTC on with a probability of 96%.", open), 0);
    assert_eq!(says("It is expected from 15:05 UTC on.", open), 0);
    assert_eq!(says("Before, 2 of 3 predictions of the pattern came true.", before), 1);
    assert_eq!(says("Before, 4 of 5 predictions of the pattern came true.", before), 0);

    let is_told = |found: &Found| found.findings.iter().any(|finding| finding.key.starts_with("prediction"));
    let without = AnalyzeQuestion { patterns: false, ..question("what is predicted for production?") };
    assert!(!is_told(&of(without).await));
    let of_staging = AnalyzeQuestion { colonies: vec!["my-shop-staging".to_owned()], ..question("what is predicted?") };
    let of_staging = of(of_staging).await;
    assert!(of_staging.findings.iter().any(|finding| finding.key == "predictions none"), "its targets are elsewhere");
    assert!(is_told(&of(question("what happened?")).await), "a general question has them too");
    let of_other = of(question("what is predicted for api in production?")).await;
    let none = of_other.findings.iter().find(|finding| finding.key == "predictions none").unwrap();
    assert!(none.title.starts_with("No prediction is open for api in production: "), "{}", none.title);
    let ends = " AND (source_service = 'api' OR target_service = 'api')";
    assert!(none.evidence[0].query.ends_with(ends), "{}", none.evidence[0].query);
}

#[tokio::test]
async fn findings_are_chosen_among_all_predictions_and_patterns_and_the_others_are_counted() {
    let store = crate::answers::tests::predictions::foreseen_often(150).await;
    let of = async |words: &str| find(&question(words), store.reader().as_ref(), &Scope::default()).await.unwrap();
    let found = of("what is predicted for production?").await;
    let is_prediction = |finding: &&super::evidence::Finding| finding.key.starts_with("prediction ");
    let told: Vec<_> = found.findings.iter().filter(is_prediction).collect();
    assert_eq!((told.len(), told[0].key.as_str()), (4, "prediction p-c-z-0"));
    let before = "before: 0 of 1 prediction of the pattern in 30 days came true";
    assert_eq!(told[0].lines[1].0, before, "its score is not among the best");
    assert!(found.omitted >= 147, "{}", found.omitted);
    assert!(worded(&found).contains("more findings were left out"), "{}", worded(&found));
    let found = of("which patterns of mailer are there?").await;
    let patterns = found.findings.iter().filter(|finding| finding.key.starts_with("pattern "));
    let titles: Vec<&str> = patterns.map(|finding| finding.title.as_str()).collect();
    assert!(titles.len() == 1 && titles[0].contains("restart of mailer"), "{titles:?}");
}

#[tokio::test]
async fn the_gate_answers_whether_a_version_may_be_promoted() {
    for words in ["is api v2.2.0 safe to promote to production?", "may api v2.2.0 roll out to prod from staging?"] {
        let analysis = analyzed(question(words)).await;
        let first = &analysis.found.findings[0];
        assert_eq!(first.key, "promotion my-shop-staging/e-2", "{words}");
        assert!(first.title.ends_with("from staging to production"), "{}", first.title);
        let gate = &first.actions[0].command;
        assert!(gate.starts_with("coral reef gate api@v2.2.0 --from staging --to production"), "{gate}");
    }
}

#[tokio::test]
async fn neighbours_have_their_values_and_those_of_other_colonies_are_not_counted() {
    let store = crate::answers::tests::affected::store().await;
    let of = async |colonies: &[&str]| {
        let colonies = colonies.iter().map(|id| (*id).to_owned()).collect();
        let asked = AnalyzeQuestion { colonies, ..question("is api affecting other services?") };
        let found = find(&asked, store.reader().as_ref(), &Scope::default()).await.unwrap();
        found.findings.into_iter().find(|finding| finding.key.starts_with("affected ")).unwrap()
    };
    let all = of(&[]).await;
    assert_eq!(all.title, "e-3: 2 neighbours of api are affected, 1 are not, 1 not known");
    let shop = of(&["my-shop-production"]).await;
    assert_eq!(shop.title, "e-3: 1 neighbours of api are affected, 1 are not, 1 not known");
    let db = shop.evidence.iter().find(|one| one.description.starts_with("db is affected")).unwrap();
    let value = |name: &str| -> f64 {
        db.data.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}: {db:?}")).1.parse().unwrap()
    };
    assert!((value("before_value") - 100.0).abs() < 2.0 && (value("after_value") - 140.0).abs() < 2.0, "{db:?}");
    for column in
        ["from_service, to_service, (SELECT median(", ") AS before_value, (", ") AS after_value FROM service_edges"]
    {
        assert!(db.query.contains(column), "{column}: {}", db.query);
    }
}

#[tokio::test]
async fn an_empty_store_says_so() {
    let store = MemoryStore::new();
    let analyst = Analyst::without_model();
    let from = (store.reader(), Scope::default());
    let answer =
        analyst.analyze(&asked(question("why is prod slow?")), (from.0.as_ref(), &from.1), None).await.unwrap();
    assert_eq!(
        answer.answer(),
        "Finding: nothing has been received yet, so there is nothing to answer from.\n\nNo colony is known yet."
    );
    assert_eq!(answer.metadata.confidence, 0.0);
}

#[tokio::test]
async fn evidence_fits_its_budget_and_the_most_telling_comes_first() {
    let analysis = analyzed(question("what happened?")).await;
    let tokens: usize = analysis.found.findings.iter().map(super::evidence::Finding::tokens).sum();
    assert!(tokens <= findings::TOKENS_MAX);
    let ranks: Vec<f64> = analysis.found.findings.iter().map(|finding| finding.rank).collect();
    assert!(ranks.is_sorted_by(|a, b| a >= b), "{ranks:?}");
}
