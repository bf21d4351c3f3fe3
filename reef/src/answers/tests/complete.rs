//! What narrowed answers are complete to: every colony that they depend on, and no other one.

use super::*;
use crate::answers::predictions::PredictionsQuestion;
use model::pattern::PatternState;

/// The rows of the tests of answers, three hours after the newest ones of one environment.
async fn store_where_late(environment: &str) -> MemoryStore {
    late_in(super::store().await, environment).await
}

async fn late_in(mut store: MemoryStore, environment: &str) -> MemoryStore {
    let other = if environment == "staging" { "production" } else { "staging" };
    let current = ColonyStatus { complete_to: Some(at(180)), ..status(other, "healthy", 20, "") };
    store.commit(&commit_of(2, Rows { colonies: vec![current], ..Rows::default() })).await.unwrap();
    store
}

/// Colonies of an answer with their states; a colony of another application is expected, and never seen.
async fn states(store: &MemoryStore, question: Question) -> Vec<(String, &'static str)> {
    let scope = Scope { colonies: vec!["pay-staging".to_owned()], ..Scope::default() };
    let answer = question.answer(store.reader().as_ref(), &scope).await.unwrap();
    answer.completeness().colonies.iter().map(|colony| (colony.colony_id.clone(), colony.state)).collect()
}

fn expected<const N: usize>(states: [(&str, &'static str); N]) -> Vec<(String, &'static str)> {
    states.map(|(environment, state)| (format!("my-shop-{environment}"), state)).to_vec()
}

const STAGING_LATE: [(&str, &str); 2] = [("production", "current"), ("staging", "stale")];

#[tokio::test]
async fn versions_of_one_environment_need_every_colony_of_the_application() {
    let store = store_where_late("staging").await;
    for behind in [false, true] {
        let question = Question::Versions(VersionsQuestion { filter: in_environment("production"), behind });
        assert_eq!(states(&store, question).await, expected(STAGING_LATE), "behind: {behind}");
    }
}

#[tokio::test]
async fn patterns_of_one_environment_need_the_colonies_at_both_ends() {
    let mut store = store_where_late("staging").await;
    let of_production = || {
        let filter = in_environment("production");
        Question::Correlations(CorrelationsQuestion { filter, ..CorrelationsQuestion::default() })
    };
    assert_eq!(states(&store, of_production()).await, expected([("production", "current")]));
    store.commit(&from_staging("release", PatternState::Confirmed, 3)).await.unwrap();
    assert_eq!(states(&store, of_production()).await, expected(STAGING_LATE));
}

/// A pattern from staging to production.
fn from_staging(name: &str, state: PatternState, tick: u64) -> Commit {
    let mut pattern = finding(name, 0.7, &[]);
    for (end, environment) in
        [(&mut pattern.correlation.key.source, "staging"), (&mut pattern.correlation.key.target, "production")]
    {
        end.colony_id = format!("my-shop-{environment}");
    }
    pattern.correlation.source_environment = "staging".to_owned();
    pattern.correlation.state = state;
    Commit { findings: vec![pattern], ..commit_of(tick, Rows::default()) }
}

/// The predictions of targets in an environment.
fn expected_in(environment: &str) -> PredictionsQuestion {
    PredictionsQuestion { filter: in_environment(environment), ..PredictionsQuestion::default() }
}

#[tokio::test]
async fn predictions_of_one_environment_need_the_colonies_of_their_sources() {
    let store = late_in(predictions::foreseen().await, "staging").await;
    // deployments to staging are their sources
    let in_production = || Question::Predictions(expected_in("production"));
    assert_eq!(states(&store, in_production()).await, expected(STAGING_LATE));
    // none of them has its target in staging
    let mut in_staging = expected_in("staging");
    in_staging.filter.application = Some("my-shop".to_owned());
    assert_eq!(states(&store, Question::Predictions(in_staging)).await, expected([("staging", "stale")]));
}

#[tokio::test]
async fn a_prediction_that_its_source_has_not_opened_yet_is_missing() {
    let mut store = store_where_late("staging").await;
    let in_production = || Question::Predictions(expected_in("production"));
    // a candidate predicts nothing
    store.commit(&from_staging("release", PatternState::Candidate, 3)).await.unwrap();
    assert_eq!(states(&store, in_production()).await, expected([("production", "current")]));
    let confirmed = from_staging("rollout", PatternState::Confirmed, 4);
    let id = confirmed.findings[0].correlation.key.correlation_id();
    store.commit(&confirmed).await.unwrap();
    assert_eq!(states(&store, in_production()).await, expected(STAGING_LATE));
    // those of one pattern depend on its ends only
    let mut within = finding("deploy", 0.87, &[]).correlation.key;
    for end in [&mut within.source, &mut within.target] {
        end.colony_id = "my-shop-production".to_owned();
    }
    for (id, known) in [(id, &STAGING_LATE[..]), (within.correlation_id(), &STAGING_LATE[..1])] {
        let question = PredictionsQuestion { pattern: Some(id), ..expected_in("production") };
        let known: Vec<_> = known.iter().map(|(name, state)| (format!("my-shop-{name}"), *state)).collect();
        assert_eq!(states(&store, Question::Predictions(question)).await, known);
    }
}

#[tokio::test]
async fn a_deployment_needs_the_colonies_that_its_verdict_and_its_supports_are_read_from() {
    let mut store = store_where_late("production").await;
    // staging alone has this version, and nothing was deployed to production around that time
    let one = || Question::Deployment(DeploymentQuestion { id: "e-2".to_owned() });
    assert_eq!(states(&store, one()).await, expected([("production", "stale"), ("staging", "current")]));
    // a colony without metrics has the same version
    let row = ("dev", "e-5", "api", "v2.1.0", "v2.2.0", -700, Some(-690), "success", "deployment");
    let timeline =
        DerivedChange { table: "deployment_timeline".to_owned(), upserts: vec![deployed(row)], removed: Vec::new() };
    let colonies = vec![status("dev", "healthy", 20, "connection refused")];
    let rows = Rows { colonies, ..Rows::default() };
    store.commit(&Commit { derived: vec![timeline], ..commit_of(3, rows) }).await.unwrap();
    let all = expected([("dev", "late"), ("production", "stale"), ("staging", "current")]);
    assert_eq!(states(&store, one()).await, all);
}
