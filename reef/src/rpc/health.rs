//! Health: gRPC's health service answers as `/readyz` does.

use super::errors;
use crate::reading::Reading;
use connectrpc::{ConnectError, RequestContext, Response, Router, ServiceStream, streaming_handler_fn};
use connectrpc_health::wire::{HEALTH_WATCH_SPEC, HealthCheckRequest, HealthCheckResponse, ServingStatus};
use connectrpc_health::{Checker, HEALTH_SERVICE_NAME, Status, StatusStream};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt, once, pending};

/// What a caller that watches receives, one after the other.
type Statuses = Pin<Box<dyn Stream<Item = ServingStatus> + Send>>;

/// Between two looks for those that watch.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Callers that may watch at once: they need no token.
const WATCHING_MAX: usize = 64;

/// Whether questions can be answered.
pub(super) struct Ready {
    reading: Reading,
    /// Names that may be asked for, beside the empty one.
    services: &'static [&'static str],
    /// The newest status, for all that watch.
    seen: Arc<watch::Sender<Status>>,
}

impl Ready {
    /// Looks for those that watch as long as the value exists.
    pub(super) fn of(reading: Reading, services: &'static [&'static str]) -> Ready {
        let seen = Arc::new(watch::Sender::new(Status::NotServing));
        tokio::spawn(look(reading.clone(), Arc::downgrade(&seen)));
        Ready { reading, services, seen }
    }
}

/// Watching as gRPC has it: a service that is unknown may come some day, so the stream says so and stays open. The library
/// has no word for that.
pub(super) fn watching(routes: Router, ready: Arc<Ready>) -> Router {
    let handler = streaming_handler_fn(move |_: RequestContext, request: HealthCheckRequest| {
        let ready = Arc::clone(&ready);
        async move {
            let response = |status: ServingStatus| {
                Ok::<_, ConnectError>(HealthCheckResponse { status: status.into(), ..Default::default() })
            };
            let statuses: ServiceStream<HealthCheckResponse> =
                Box::pin(ready.statuses(&request.service).await?.map(response));
            Response::stream_ok(statuses)
        }
    });
    let routes = routes.allow_overrides().route_server_stream(HEALTH_SERVICE_NAME, "Watch", handler);
    routes.with_spec(HEALTH_WATCH_SPEC)
}

async fn look(reading: Reading, seen: Weak<watch::Sender<Status>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(seen) = seen.upgrade() else { return };
        if seen.receiver_count() > 0 {
            let now = status(&reading).await;
            seen.send_if_modified(|status| std::mem::replace(status, now) != now);
        }
    }
}

async fn status(reading: &Reading) -> Status {
    if reading.reasons_not_ready().await.is_empty() { Status::Serving } else { Status::NotServing }
}

impl Ready {
    /// What a caller that watches a service receives.
    async fn statuses(&self, service: &str) -> Result<Statuses, ConnectError> {
        if service.is_empty() || self.services.contains(&service) {
            return Ok(Box::pin(self.watch(service).await?.map(ServingStatus::from)));
        }
        if self.seen.receiver_count() >= WATCHING_MAX {
            return Err(errors::busy("callers that watch"));
        }
        // it counts among those that watch
        let counted = self.seen.subscribe();
        let statuses = once(ServingStatus::SERVICE_UNKNOWN).chain(pending());
        Ok(Box::pin(statuses.map(move |status| {
            let _ = &counted;
            status
        })))
    }
}

impl Checker for Ready {
    async fn check(&self, service: &str) -> Result<Status, ConnectError> {
        if service.is_empty() || self.services.contains(&service) {
            return Ok(status(&self.reading).await);
        }
        Err(ConnectError::not_found(format!("there is no service {service:?}; known: {}", self.services.join(", "))))
    }

    async fn watch(&self, service: &str) -> Result<StatusStream, ConnectError> {
        let now = self.check(service).await?;
        if self.seen.receiver_count() >= WATCHING_MAX {
            return Err(errors::busy("callers that watch"));
        }
        self.seen.send_if_modified(|status| std::mem::replace(status, now) != now);
        Ok(StatusStream::from_watch(self.seen.subscribe()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sinks::StoreWriter;
    use sinks::memory::MemoryStore;
    use tokio_stream::StreamExt;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_unknown_is_watched_until_it_may_come() {
        let store = Box::new(MemoryStore::new());
        let ready = Ready::of(Reading::Store(store.reader()), &["a.Service"]);
        let mut unknown = ready.statuses("another.Service").await.expect("a stream");
        assert_eq!(unknown.next().await, Some(ServingStatus::SERVICE_UNKNOWN));
        let longer = tokio::time::timeout(Duration::from_secs(3_600), unknown.next()).await;
        assert!(longer.is_err(), "it stays open: {longer:?}");
        assert_eq!(ready.seen.receiver_count(), 1, "it counts");
        let mut known = ready.statuses("a.Service").await.expect("a stream");
        assert_eq!(known.next().await, Some(ServingStatus::SERVING));
        let refused = ready.check("another.Service").await.expect_err("no status");
        assert_eq!(refused.code, connectrpc::ErrorCode::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_watch_are_bounded_and_see_what_changes() {
        let store = Box::new(MemoryStore::new());
        let ready = Ready::of(Reading::Store(store.reader()), &["a.Service"]);
        let mut watching = Vec::new();
        for _ in 0..WATCHING_MAX {
            watching.push(ready.watch("a.Service").await.expect("a stream"));
        }
        assert_eq!(watching[0].next().await, Some(Status::Serving));
        let refused = ready.watch("").await.expect_err("no stream");
        assert_eq!(refused.code, connectrpc::ErrorCode::ResourceExhausted);
        watching.pop();
        ready.watch("").await.expect("a stream");
        store.close().await.expect("it closes");
        assert_eq!(watching[0].next().await, Some(Status::NotServing));
    }
}
