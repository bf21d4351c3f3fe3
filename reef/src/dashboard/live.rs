//! Live: whether a page is still the newest. Pages look every few seconds and fetch themselves again when the tag changes.

use super::asked::Asked;
use super::{Dashboard, analyses};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use sinks::StoreReader;
use std::sync::Arc;

/// Digits of a tag.
const DIGITS: usize = 16;
/// The tag of a page whose state of the store is not known: it loads itself again as soon as the store can be read.
pub const UNKNOWN: &str = "none";

/// The tag of what a page was made from: that of the store; on pages of questions in words with that of the questions
/// behind a dot, so that no other page renews itself for a question.
pub async fn tag(asked: &Asked) -> String {
    match of(asked.reader.as_ref()).await {
        Some(tag) if analyses::is_under(&asked.path) => format!("{tag}.{}", of_questions(&asked.dashboard).await),
        Some(tag) => tag,
        None => UNKNOWN.to_owned(),
    }
}

/// Changes with each commit that moved a position or brought newer rows, and with what colonies say of themselves. `None`: it cannot be read now.
async fn of(reader: &dyn StoreReader) -> Option<String> {
    let (positions, colonies) = (reader.positions().await.ok()?, reader.colony_status().await.ok()?);
    let newest = reader.watermarks().await.ok()?;
    Some(digits(&format!("{positions:?} {newest:?} {colonies:?}")))
}

/// Changes whenever a question in words is asked or ends, by whatever process.
async fn of_questions(dashboard: &Dashboard) -> String {
    digits(&dashboard.analyst.mark().await)
}

fn digits(text: &str) -> String {
    let digits: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    digits.chars().take(DIGITS).collect()
}

/// The tags now.
pub async fn answer(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let Ok(_turn) = dashboard.turns.try_acquire() else {
        // a page is being made: the next look comes soon
        return (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "message": "busy" }))).into_response();
    };
    let is_opening = dashboard.reading.is_opening();
    let reader = if is_opening { None } else { dashboard.reading.reader().await };
    let tag = match &reader {
        Some(reader) => of(reader.as_ref()).await,
        None => None,
    };
    match tag {
        Some(tag) => Json(json!({ "tag": tag, "questions": of_questions(&dashboard).await })).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "message": "the store cannot be read now" })))
            .into_response(),
    }
}
