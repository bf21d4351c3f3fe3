//! Hosting: routes of connectrpc on the listener of a reef, with its limits and deadlines; a panic ends one call only.
//!
//! Public for the conformance suite, which is run against a service of its own that is hosted like ours.

use super::errors;
use super::gate::Gate;
use crate::guarded::Call;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use connectrpc::{ConnectRpcService, DeadlinePolicy, Limits};
use std::time::Duration;

/// How long a call may take that names no deadline. A statement may wait for its turn and then use all of its time: its
/// own limit ends it, and says so.
const DEADLINE_USUAL: Duration = Duration::from_secs(40);
/// The latest deadline that a call may name.
const DEADLINE_MAX: Duration = Duration::from_secs(120);

/// The methods of services with these names. Who calls is read from the request's extensions
/// ([`crate::access::Caller`]).
pub fn hosted(routes: connectrpc::Router, names: &[&str], limits: Limits) -> Router {
    let deadlines = DeadlinePolicy::new().with_max(DEADLINE_MAX).with_default_timeout(DEADLINE_USUAL);
    let service = ConnectRpcService::new(routes)
        .with_limits(limits)
        .with_deadline_policy(deadlines)
        .with_interceptor(Gate::new());
    let route = |router: Router, name: &&str| router.route_service(&format!("/{name}/{{method}}"), service.clone());
    names.iter().fold(Router::new(), route).layer(from_fn(catch_panic))
}

async fn catch_panic(request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    match Call::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => errors::of_panic(&error).into_http_response(&headers).into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rpc::tests::client::Opened;
    use axum::routing::get;

    #[test]
    fn a_statement_ends_at_its_own_limit_before_its_call() {
        let limits = crate::sql::Limits::default();
        assert!(limits.turn_wait + limits.timeout < DEADLINE_USUAL);
    }

    #[tokio::test]
    async fn a_panic_ends_its_call_only() {
        async fn fault() -> &'static str {
            panic!("planted")
        }
        let guarded = || async { crate::guarded::is_guarded().to_string() };
        let routes = Router::new().route("/fault", get(fault)).route("/other", get(|| async { "fine" }));
        let routes = routes.route("/guarded", get(guarded));
        let opened = Opened::of(routes.layer(from_fn(catch_panic))).await;
        let fault = opened.send("GET", "/fault", &[], b"").await;
        assert_eq!((fault.status, fault.value()["code"].as_str()), (500, Some("internal")));
        assert!(fault.value()["message"].as_str().unwrap().contains("(fault-"), "{}", fault.text());
        let of_grpc = [("content-type", "application/grpc-web+proto")];
        let framed = opened.send("GET", "/fault", &of_grpc, b"").await;
        assert_eq!(framed.status, 200, "gRPC says it in trailers");
        assert_eq!(opened.send("GET", "/other", &[], b"").await.text(), "fine");
        assert_eq!(opened.send("GET", "/guarded", &[], b"").await.text(), "true", "a panic hook leaves it alone");
    }
}
