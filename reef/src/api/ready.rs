//! Ready: whether the reef can answer questions, and the reasons when it cannot.

use super::Shared;
use crate::access::Caller;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

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
    let reasons = shared.reading.reasons_not_ready().await;
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let reasons = if caller.role().is_some() { reasons } else { Vec::new() };
    (status, Json(Readiness { ready, reasons }))
}
