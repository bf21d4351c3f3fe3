//! Ready: whether the reef can answer questions, and the reasons when it cannot.

use super::guard::Caller;
use super::{Reading, Shared};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::error::one_line;
use pipelines::progress::Phase;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the store may take.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Readiness {
    /// Whether there is no reason against it.
    pub(super) ready: bool,
    /// What is missing, for people. Callers without a token see none.
    pub(super) reasons: Vec<String>,
}

/// 200 when the reef is ready, 503 with the reasons when it is not.
pub(super) async fn answer(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> (StatusCode, Json<Readiness>) {
    let reasons = reasons(&shared.reading).await;
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let reasons = if caller.role.is_some() { reasons } else { Vec::new() };
    (status, Json(Readiness { ready, reasons }))
}

/// What is missing.
async fn reasons(reading: &Reading) -> Vec<String> {
    // until it ends nobody has the store's reader
    if let Reading::Run(reef) = reading
        && reef.progress().borrow().phase == Phase::Restoring
    {
        return vec!["the engine is being restored: its windows are rebuilt from stored rows".to_owned()];
    }
    let mut reasons: Vec<String> = store_problem(reading).await.into_iter().collect();
    if let Reading::Run(reef) = reading {
        let progress = reef.progress().borrow().clone();
        match progress.phase {
            Phase::Restoring | Phase::Running => {}
            Phase::Draining => reasons.push("the run is ending".to_owned()),
        }
        if let (0, expected @ 1..) = progress.colonies {
            reasons.push(format!("none of {expected} colonies has responded"));
        }
    }
    reasons
}

/// Why the store gives no answer.
async fn store_problem(reading: &Reading) -> Option<String> {
    let asked = async {
        match reading.reader().await {
            Some(reader) => reader.positions().await.err().map(|error| format!("the store: {}", one_line(&error))),
            None => Some("the store is closed".to_owned()),
        }
    };
    let late = || Some(format!("the store gave no answer within {} s", STORE_WAIT.as_secs()));
    tokio::time::timeout(STORE_WAIT, asked).await.unwrap_or_else(|_| late())
}
