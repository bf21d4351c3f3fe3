//! Guard: who may call. A page that a browser shows may not (`Host` and `Origin`); a caller from another machine needs a
//! token whose role is enough.

use super::tokens::Tokens;
use crate::access::{Asker, Caller, Denied, DeniedKind, Role};
use crate::dashboard;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// The rules of one listener.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) tokens: Tokens,
    /// Only this machine can reach it.
    pub(super) is_loopback: bool,
    /// Callers need a token.
    pub(super) needs_token: bool,
    /// The name of the cookie by which a browser sends one.
    pub(super) cookie: Arc<str>,
}

/// Refuses what a page of another site could send: a name that was made to point at this machine, or a foreign origin.
pub(super) async fn check_origin(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.foreign(&request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Says in the request's extensions who calls.
pub(super) async fn identify(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let caller = Caller(guard.role_of(&request));
    let asker = caller.role().and_then(|_| token_id(request.headers())).map_or_else(Asker::default, Asker);
    request.extensions_mut().insert(asker);
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Lets a request through whose caller has the role.
pub(super) async fn permit(State(needed): State<Role>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>();
    match caller.map(|caller| caller.permit(needed)) {
        Some(Ok(())) => next.run(request).await,
        Some(Err(denied)) => denied_response(&denied),
        None => denied_response(&unauthenticated("this reef answers only to a token")),
    }
}

impl Guard {
    /// The refusal of a request that was made for another name, or by a page of another site.
    fn foreign(&self, request: &Request) -> Option<Response> {
        let of = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = of(header::HOST).or(request.uri().host());
        if self.is_loopback && !host.is_some_and(is_local) {
            let message = format!("the host {:?} is not this machine", host.unwrap_or_default());
            let hint = "call it as 127.0.0.1 or localhost";
            return Some(forbidden(message, hint));
        }
        let origin = request.headers().get(header::ORIGIN)?;
        let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
        // a page of this reef itself, where other machines reach it by a name of their own
        let is_own = !self.is_loopback && site.is_some() && site == host;
        if is_own || site.is_some_and(is_local) {
            return None;
        }
        let message = format!("pages of {origin:?} may not call this reef");
        Some(forbidden(message, "call it from this machine"))
    }

    /// The role of the caller: that of its token, or every right where none is needed.
    fn role_of(&self, request: &Request) -> Result<Role, Denied> {
        let headers = request.headers();
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            // a proxy on this machine calls for others
            let is_forwarded = ["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name));
            if !self.needs_token && !is_forwarded {
                return Ok(Role::Admin);
            }
            return match dashboard::token_of(request.method(), headers, &self.cookie) {
                Some(token) => self.role_of_token(token),
                None => Err(unauthenticated("this reef answers only to a token")),
            };
        };
        let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        self.role_of_token(token.unwrap_or_default().trim())
    }

    /// The role of the holder of a token.
    pub(super) fn role_of_token(&self, token: &str) -> Result<Role, Denied> {
        match self.tokens.role_of(token) {
            Ok(Some(role)) => Ok(role),
            Ok(None) => Err(unauthenticated("the token is not valid")),
            Err(error) => {
                tracing::error!(%error, "no token can be checked");
                let message = "tokens cannot be checked".to_owned();
                Err(Denied { kind: DeniedKind::Unavailable, message, hint: "see the reef's log" })
            }
        }
    }
}

/// The public part of the token that a request has.
fn token_id(headers: &HeaderMap) -> Option<String> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    token.trim().split('_').nth(1).map(str::to_owned)
}

/// Whether `host:port` is this machine by its own names.
fn is_local(host_and_port: &str) -> bool {
    let host = match host_and_port.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host_and_port.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn unauthenticated(message: &str) -> Denied {
    let hint = "send a token: Authorization: Bearer coral_…";
    Denied { kind: DeniedKind::Unauthenticated, message: message.to_owned(), hint }
}

fn forbidden(message: String, hint: &'static str) -> Response {
    denied_response(&Denied { kind: DeniedKind::Forbidden, message, hint })
}

/// The refusal of a plain HTTP request.
fn denied_response(denied: &Denied) -> Response {
    let (status, code) = match denied.kind {
        DeniedKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        DeniedKind::Forbidden => (StatusCode::FORBIDDEN, "permission_denied"),
        DeniedKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = json!({ "code": code, "message": denied.message, "hint": denied.hint });
    let mut response = (status, Json(body)).into_response();
    if denied.kind == DeniedKind::Unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    }
    response
}
