//! Guard: who may call. A page that a browser shows may not (`Host` and `Origin`); a caller from another machine needs a
//! token whose role is enough.

use super::tokens::{Role, Tokens};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The rules of one listener.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) tokens: Tokens,
    /// Only this machine can reach it.
    pub(super) is_loopback: bool,
    /// Callers need a token.
    pub(super) needs_token: bool,
}

/// Who calls; in the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// What the caller may do; `None` without a token where one is needed.
    pub(super) role: Option<Role>,
}

/// Refuses what a page of another site could send: a name that was made to point at this machine, or a foreign origin.
pub(super) async fn check_origin(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.foreign(&request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Lets a request through whose caller has the role; without a role, every one. Says who calls.
pub(super) async fn permit(
    State((guard, needed)): State<(Guard, Option<Role>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let role = match guard.role_of(request.headers()) {
        Ok(role) => role,
        Err(refusal) if needed.is_some() => return refusal,
        Err(_) => None,
    };
    if needed > role {
        let message = "the token's role is not enough";
        return refused(StatusCode::FORBIDDEN, "permission_denied", message.to_owned(), "use a token with more rights");
    }
    request.extensions_mut().insert(Caller { role });
    next.run(request).await
}

impl Guard {
    /// The refusal of a request that was made for another name, or by a page of another site.
    fn foreign(&self, request: &Request) -> Option<Response> {
        let of = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = of(header::HOST).or(request.uri().host());
        if self.is_loopback && !host.is_some_and(is_local) {
            let message = format!("the host {:?} is not this machine", host.unwrap_or_default());
            let hint = "call it as 127.0.0.1 or localhost";
            return Some(refused(StatusCode::FORBIDDEN, "permission_denied", message, hint));
        }
        let origin = request.headers().get(header::ORIGIN)?;
        let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
        if site.is_some_and(is_local) {
            return None;
        }
        let message = format!("pages of {origin:?} may not call this reef");
        Some(refused(StatusCode::FORBIDDEN, "permission_denied", message, "call it from this machine"))
    }

    /// The role of the caller: that of its token, or every right where none is needed.
    fn role_of(&self, headers: &HeaderMap) -> Result<Option<Role>, Response> {
        let unauthenticated = |message: &str| {
            let hint = "send a token: Authorization: Bearer coral_…";
            let mut response = refused(StatusCode::UNAUTHORIZED, "unauthenticated", message.to_owned(), hint);
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            response
        };
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            // a proxy on this machine calls for others
            let is_forwarded = ["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name));
            return match self.needs_token || is_forwarded {
                true => Err(unauthenticated("this reef answers only to a token")),
                false => Ok(Some(Role::Admin)),
            };
        };
        let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        match token.map(|token| self.tokens.role_of(token.trim())) {
            Some(Ok(Some(role))) => Ok(Some(role)),
            Some(Ok(None)) | None => Err(unauthenticated("the token is not valid")),
            Some(Err(error)) => {
                tracing::error!(%error, "no token can be checked");
                let message = "tokens cannot be checked".to_owned();
                Err(refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message, "see the reef's log"))
            }
        }
    }
}

/// Whether `host:port` is this machine by its own names.
fn is_local(host_and_port: &str) -> bool {
    let host = match host_and_port.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host_and_port.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An error as each protocol of the services says it.
fn refused(status: StatusCode, code: &str, message: String, hint: &str) -> Response {
    let body = json!({ "code": code, "message": message, "hint": hint });
    (status, Json(body)).into_response()
}
