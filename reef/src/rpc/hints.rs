//! Hints: what to send instead of a request that reaches no method.

use super::{OTHERS, SERVICES, method, table};
use crate::answers::names::near_hint;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use connectrpc::ConnectError;
use serde_json::json;
use std::collections::BTreeSet;

/// Answers a request that reaches no method.
pub(super) async fn hint(request: Request, next: Next) -> Response {
    if let Some(answer) = unknown(&request) {
        return answer;
    }
    let uri = request.uri();
    let by_post =
        format!("send a JSON object by POST: curl -H 'content-type: application/json' -d '{{}}' …{}", uri.path());
    if request.method() == Method::GET && uri.query().is_none() {
        let error = ConnectError::invalid_argument(format!("a GET without a query says nothing; {by_post}"));
        return error.into_http_response(request.headers()).into_response();
    }
    let sent = request.headers().get(header::CONTENT_TYPE).map(|it| format!("{it:?}"));
    let verb = request.method().clone();
    let response = next.run(request).await;
    match response.status() {
        _ if response.headers().contains_key(header::CONTENT_TYPE) => response,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let sent = sent.map_or("no content type".to_owned(), |sent| format!("the content type {sent}"));
            explained(response, &format!("{sent} is not served; {by_post}"))
        }
        StatusCode::METHOD_NOT_ALLOWED => explained(response, &format!("{verb} is not served; {by_post}")),
        _ => response,
    }
}

/// The answer to a call of a method or a service that does not exist, if it looks like one.
pub(crate) fn unknown(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    let (service, name) = path.strip_prefix('/')?.split_once('/')?;
    let is_call = ["coral.", "grpc."].iter().any(|beginning| service.starts_with(beginning));
    if method(path).is_some() || !is_call || name.contains('/') {
        return None;
    }
    let of_service = |path: &str| {
        let (of, name) = path.strip_prefix('/')?.split_once('/')?;
        (of == service).then(|| name.to_owned())
    };
    let paths = table::METHODS.iter().map(|method| method.path).chain(OTHERS.map(|(_, path)| path));
    let methods: BTreeSet<String> = paths.filter_map(of_service).collect();
    let message = if methods.is_empty() {
        let services = SERVICES.into_iter().chain(OTHERS.map(|(name, _)| name)).map(str::to_owned).collect();
        format!("there is no service {service}; {}", near_hint("service", &service.to_lowercase(), &services))
    } else {
        format!("{service} has no method {name}; {}", near_hint("method", &name.to_lowercase(), &methods))
    };
    Some(ConnectError::unimplemented(message).into_http_response(request.headers()).into_response())
}

/// A response that has no body, with one.
fn explained(response: Response, message: &str) -> Response {
    let (mut head, _) = response.into_parts();
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.headers.remove(header::CONTENT_LENGTH);
    let body = json!({ "code": "invalid_argument", "message": message });
    Response::from_parts(head, Body::from(body.to_string()))
}
