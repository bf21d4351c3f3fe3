//! Asking: a question in words from the form of the page of analyses, answered by the analyst of the reef.

use super::analyses::{self, Unanswered, not_permitted};
use super::asked::{Asked, Problem};
use super::frame::{self, Page};
use super::query::{FORM_BYTES_MAX, Query, address};
use super::session::{Unsent, sender};
use super::{Dashboard, analysis, problem};
use crate::access::Role;
use crate::analysis::{AnalysisError, AnalyzeQuestion, Asked as Question};
use crate::answers::AnswerError;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use std::sync::Arc;
use std::time::Duration;

/// How long a question may take, with a model: as long as by the RPC.
const WAIT: Duration = Duration::from_secs(27);

/// Answers the question of the form: with the page of the answer, or with the form and what is wrong.
pub async fn ask(State(dashboard): State<Arc<Dashboard>>, request: Request) -> Response {
    let sender = match sender(&dashboard, &request) {
        Ok(sender) => sender,
        Err(Unsent::LoggedOut) => return Redirect::to(&address("/login", &[("next", analyses::PATH)])).into_response(),
        Err(Unsent::Foreign) => return problem::foreign(),
        Err(Unsent::Unavailable) => {
            return problem::closed(analyses::PATH, "Tokens cannot be checked", "See the log of the reef.");
        }
    };
    let Ok(body) = to_bytes(request.into_body(), FORM_BYTES_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the form is too long\n").into_response();
    };
    let form = Query::form(&String::from_utf8_lossy(&body));
    let asked = match dashboard.asked(analyses::PATH.to_owned(), form, sender.role).await {
        Ok(asked) => asked,
        Err(problem) => return problem::response(&problem, None),
    };
    if asked.role < Role::Analyst {
        return document(StatusCode::FORBIDDEN, not_permitted(), &asked);
    }
    answered(&asked, sender.asker.0).await
}

/// Answers the question of this caller.
async fn answered(asked: &Asked, caller: String) -> Response {
    let words = asked.query.text("question").unwrap_or_default();
    let question = AnalyzeQuestion {
        question: words.clone(),
        window_ms: asked.range("").window_ms,
        patterns: true,
        ..AnalyzeQuestion::default()
    };
    let role = asked.role.as_str().to_owned();
    let question = Question { question, caller, role, streamed: false, wait: WAIT };
    let read = (asked.reader.as_ref(), asked.scope());
    match asked.dashboard.analyst.analyze(&question, read, None).await {
        Ok(answer) if answer.metadata.analysis_id.is_empty() => {
            document(StatusCode::OK, analysis::of_answer(&words, &answer), asked)
        }
        Ok(answer) => {
            let id = answer.metadata.analysis_id.clone();
            asked.dashboard.lately.put(&id, answer);
            Redirect::to(&analyses::of(&id)).into_response()
        }
        Err(AnalysisError::Answer(AnswerError::Refused(refusal))) => {
            let unanswered = Unanswered { what: refusal.message, hint: refusal.hint };
            document(StatusCode::BAD_REQUEST, analyses::again(asked, &unanswered), asked)
        }
        Err(AnalysisError::Answer(error)) => problem::response(&Problem::Answer(error), None),
        Err(AnalysisError::Limited { message, retry_after }) => {
            let seconds = retry_after.as_secs().max(1);
            let unanswered = Unanswered { what: message, hint: format!("ask again in {seconds} s") };
            let mut response = document(StatusCode::TOO_MANY_REQUESTS, analyses::again(asked, &unanswered), asked);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    }
}

/// A page that answers a form. It does not load itself again: its address is that of the list.
fn document(status: StatusCode, page: Page, asked: &Asked) -> Response {
    (status, Html(frame::document(page, asked, "").into_string())).into_response()
}
