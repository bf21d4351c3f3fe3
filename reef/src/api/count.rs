//! Count: requests by route and outcome, and how long they took.

use super::ROUTES;
use crate::{dashboard, flight, rpc};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use model::instruments::{Counter, Durations, Family, Registry};
use std::time::Instant;

/// The instruments of the services.
#[derive(Clone)]
pub(super) struct Requests {
    served: Family<Counter>,
    took: Family<Durations>,
}

impl Requests {
    pub(super) fn of(registry: &Registry) -> Requests {
        Requests {
            served: registry.counters("requests", "Requests answered, by HTTP status", &["route", "status"]),
            took: registry.durations_by("request_duration_seconds", "Requests, until their answer begins", &["route"]),
        }
    }
}

/// Counts a request when its answer begins.
pub(super) async fn count(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // whatever else is asked for is one label
    let named = ROUTES.into_iter().find(|route| *route == path);
    let route =
        named.or_else(|| dashboard::counted(path)).or_else(|| rpc::method(path)).or_else(|| flight::method(path));
    let route = route.unwrap_or("other");
    let began = Instant::now();
    let response = next.run(request).await;
    requests.took.with(&[route]).observe(began.elapsed());
    requests.served.with(&[route, response.status().as_str()]).add(1);
    response
}
