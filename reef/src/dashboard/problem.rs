//! Problems: pages that say why there is nothing else, and what to do.

use super::asked::{Asked, Problem};
use super::frame::{self, Page, head};
use super::{live, shown};
use crate::answers::refusal::RefusalKind;
use crate::answers::{AnswerError, Refusal};
use crate::printable::printable;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use model::error::one_line;
use serde_json::json;
use std::time::Duration;

/// What is wrong, and what to do.
struct Said {
    status: StatusCode,
    what: String,
    hint: String,
}

fn said(problem: &Problem) -> Said {
    let of = |status, what: &str, hint: &str| Said { status, what: what.to_owned(), hint: hint.to_owned() };
    match problem {
        Problem::NoPage => of(StatusCode::NOT_FOUND, "there is no such page", "choose one of the pages above"),
        Problem::Closed { why } => of(StatusCode::SERVICE_UNAVAILABLE, why, "this page comes back by itself"),
        Problem::Answer(AnswerError::Refused(Refusal { kind, message, hint, .. })) => {
            let status = match kind {
                RefusalKind::NotFound => StatusCode::NOT_FOUND,
                RefusalKind::Ambiguous | RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            };
            of(status, message, hint)
        }
        Problem::Answer(AnswerError::Store(error)) => {
            tracing::warn!(error = one_line(error), "a page has no content: the store could not be read");
            of(StatusCode::SERVICE_UNAVAILABLE, "the store could not be read", "see the log of the reef")
        }
    }
}

/// The response in place of a page.
pub fn response(problem: &Problem, within: Option<(&Asked, &str)>) -> Response {
    let Said { status, what, hint } = said(problem);
    let document = match within {
        Some((asked, tag)) => {
            let main = shown::empty(&printable(&what), html! { (printable(&hint)) });
            let page = Page { title: "No answer".to_owned(), under: "", pickers: html! {}, main, script: None };
            frame::document(page, asked, tag)
        }
        None => plain(&what, html! { (printable(&hint)) }, live::UNKNOWN),
    };
    (status, Html(document.into_string())).into_response()
}

/// The response in place of data.
pub fn data(problem: &Problem) -> Response {
    let Said { status, what, hint } = said(problem);
    (status, Json(json!({ "message": what, "hint": hint }))).into_response()
}

/// A page or data that took too long. The page does not load itself again: it would take as long each time.
pub fn late(waited: Duration, path: &str, here: &str) -> Response {
    let what = format!("The store gave no answer within {} s", waited.as_secs());
    let status = StatusCode::GATEWAY_TIMEOUT;
    if is_data(path) {
        return (status, Json(json!({ "message": what, "hint": "choose a shorter range" }))).into_response();
    }
    let hint = html! { "Choose a shorter range or fewer environments. " a href=(here) { "Try again" } };
    (status, Html(plain(&what, hint, "").into_string())).into_response()
}

/// What a reef answers that is ending, or that cannot check tokens.
pub fn closed(path: &str, why: &str, hint: &str) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    if is_data(path) {
        return (status, Json(json!({ "message": why, "hint": hint }))).into_response();
    }
    (status, Html(plain(why, html! { (hint) }, live::UNKNOWN).into_string())).into_response()
}

/// The answer to a form that is not of a page of this reef.
pub fn foreign() -> Response {
    let hint = html! { "Open the page of this reef and send the form there: " a href="/" { "Overview" } };
    let document = plain("This form was not sent by a page of this reef", hint, "");
    (StatusCode::FORBIDDEN, Html(document.into_string())).into_response()
}

/// The answer to a script that has no valid token.
pub fn logged_out() -> Response {
    let body = json!({ "message": "the token is not valid", "hint": "log in again" });
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

/// Whether a script asks, which reads JSON only.
pub fn is_data(path: &str) -> bool {
    path.starts_with("/data/") || path == "/live"
}

/// A document without the frame, for when the store cannot be read.
fn plain(what: &str, hint: Markup, tag: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("No answer", None))
            body data-tag=(tag) {
                header.top { div.bar { a.brand href="/" { img src="/assets/icon.svg" alt="" width="20" height="20"; "coral" } } }
                div #lost role="alert" hidden {}
                main #main tabindex="-1" { h1 { "No answer" } (shown::empty(&printable(what), hint)) }
                footer { p #live {} }
            }
        }
    }
}
