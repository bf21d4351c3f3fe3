//! A small real colony for tests: serves ColonyFederation over TCP from memory, and can fail in every way that a colony
//! can.

#![allow(clippy::unwrap_used)]

use model::event::Event;
use model::metric::MetricPoint;
use model::time::TimeMs;
use proto::convert::{event_to_wire, metric_to_wire, time_from_wire};
use proto::reef::v1;
use proto::reef::v1::colony_federation_server::{ColonyFederation, ColonyFederationServer};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

/// What the colony holds and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub colony_id: String,
    pub application_name: String,
    pub environment: String,
    pub metrics: Vec<v1::MetricSummary>,
    /// In the order of storage; the sequence of an event is its index plus one.
    pub events: Vec<v1::Event>,
    /// Responses with more rows are refused.
    pub answer_rows_max: usize,
    /// A stream breaks after this many events; 0 = never.
    pub break_stream_after: usize,
    /// Calls and streams end as they do for a reef that the colony has removed.
    pub is_revoked: bool,
    /// A response has all rows, whatever was asked for.
    pub ignores_ranges: bool,
}

fn revoked() -> Status {
    Status::permission_denied(mesh::REVOKED)
}

pub(crate) struct TestColony {
    pub state: Arc<Mutex<State>>,
    pub address: SocketAddr,
    /// GetSummary calls answered, refused ones included.
    pub summaries: Arc<AtomicUsize>,
    /// Streams opened.
    pub streams: Arc<AtomicUsize>,
    /// Notified of every change.
    changed: watch::Sender<u64>,
    /// The server's own runtime: when it goes, every task and socket of the server goes.
    runtime: Mutex<Option<Runtime>>,
}

impl TestColony {
    pub(crate) async fn start(colony_id: &str) -> TestColony {
        let state = State {
            colony_id: colony_id.to_owned(),
            application_name: "shop".to_owned(),
            environment: "production".to_owned(),
            answer_rows_max: usize::MAX,
            ..State::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let colony = TestColony {
            state: Arc::new(Mutex::new(state)),
            address: listener.local_addr().unwrap(),
            summaries: Arc::default(),
            streams: Arc::default(),
            changed: watch::channel(0).0,
            runtime: Mutex::new(None),
        };
        colony.serve(listener);
        colony
    }

    fn serve(&self, listener: TcpListener) {
        let service = Service {
            state: self.state.clone(),
            summaries: self.summaries.clone(),
            streams: self.streams.clone(),
            changed: self.changed.subscribe(),
        };
        let server = tonic::transport::Server::builder().add_service(ColonyFederationServer::new(service));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = TcpListenerStream::new(listener).map(|connection| {
                // otherwise every small response waits 40 ms for an acknowledgement
                connection.and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            });
            let _ = server.serve_with_incoming(incoming).await;
        });
        *self.runtime.lock().unwrap() = Some(runtime);
    }

    /// Simulates a crash: the port and every connection are closed silently.
    pub(crate) async fn kill(&self) {
        let runtime = self.runtime.lock().unwrap().take();
        if let Some(runtime) = runtime {
            tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
        }
    }

    /// Restarts at the same address.
    pub(crate) async fn revive(&self) {
        self.serve(TcpListener::bind(self.address).unwrap());
    }

    pub(crate) fn add_events(&self, events: &[Event]) {
        self.state.lock().unwrap().events.extend(events.iter().map(event_to_wire));
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn revoke(&self, is_revoked: bool) {
        self.state.lock().unwrap().is_revoked = is_revoked;
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn add_metrics(&self, metrics: &[MetricPoint]) {
        self.state.lock().unwrap().metrics.extend(metrics.iter().map(metric_to_wire));
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for TestColony {
    fn drop(&mut self) {
        // a runtime may not be dropped, and thus waited for, inside another one
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }
}

struct Service {
    state: Arc<Mutex<State>>,
    summaries: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    changed: watch::Receiver<u64>,
}

#[tonic::async_trait]
impl ColonyFederation for Service {
    async fn get_summary(
        &self,
        request: Request<v1::GetSummaryRequest>,
    ) -> Result<Response<v1::GetSummaryResponse>, Status> {
        self.summaries.fetch_add(1, Ordering::SeqCst);
        let request = request.into_inner();
        let from = request.start_time.as_ref().and_then(time_from_wire).unwrap_or(TimeMs(i64::MIN));
        let to = request.end_time.as_ref().and_then(time_from_wire).unwrap_or(TimeMs(i64::MAX));
        // a row with an invalid time is in every response, as from a broken colony
        let is_in = |time: &Option<prost_types::Timestamp>| {
            time.as_ref().and_then(time_from_wire).is_none_or(|time| (from..to).contains(&time))
        };
        let state = self.state.lock().unwrap();
        if state.is_revoked {
            return Err(revoked());
        }
        let is_sent = |time: &Option<prost_types::Timestamp>| state.ignores_ranges || is_in(time);
        let metrics: Vec<_> = state.metrics.iter().filter(|row| is_sent(&row.timestamp)).cloned().collect();
        let events: Vec<_> = state.events.iter().filter(|row| is_sent(&row.timestamp)).cloned().collect();
        if metrics.len() + events.len() > state.answer_rows_max {
            return Err(Status::resource_exhausted("too many rows; ask for a shorter range"));
        }
        let service = |id: &str| v1::ServiceNode { service_id: id.to_owned(), ..v1::ServiceNode::default() };
        let connection = v1::ServiceConnection {
            from_service: "web".to_owned(),
            to_service: "api".to_owned(),
            protocol: "http".to_owned(),
            request_count: 5,
        };
        Ok(Response::new(v1::GetSummaryResponse {
            colony_id: state.colony_id.clone(),
            application_name: state.application_name.clone(),
            environment: state.environment.clone(),
            metrics,
            events,
            health: Some(v1::HealthSummary {
                overall_status: "degraded".to_owned(),
                total_services: 2,
                healthy_services: 1,
                degraded_services: 1,
                ..v1::HealthSummary::default()
            }),
            topology: Some(v1::TopologySummary {
                services: vec![service("web"), service("api")],
                connections: vec![connection],
            }),
        }))
    }

    type StreamEventsStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

    async fn stream_events(
        &self,
        request: Request<v1::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        self.streams.fetch_add(1, Ordering::SeqCst);
        let token = request.into_inner().resume_token;
        let mut next: usize = token.rsplit(':').next().and_then(|sequence| sequence.parse().ok()).unwrap_or(0);
        let held = self.state.lock().unwrap().events.len();
        // as after a restore from a backup
        let resent_to = if next > held { held } else { 0 };
        next = if next > held { 0 } else { next };
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        let (state, mut changed) = (self.state.clone(), self.changed.clone());
        let backlog_to = state.lock().unwrap().events.len();
        let mut left = match state.lock().unwrap().break_stream_after {
            0 => usize::MAX,
            some => some,
        };
        tokio::spawn(async move {
            loop {
                if state.lock().unwrap().is_revoked {
                    let _ = sender.send(Err(revoked())).await;
                    return;
                }
                let event = state.lock().unwrap().events.get(next).cloned();
                match event {
                    Some(mut event) if left > 0 => {
                        next += 1;
                        left -= 1;
                        event.resume_token = format!("session-1:{next}");
                        event.backlog = (next <= backlog_to).then_some(true);
                        event.resent = (next <= resent_to).then_some(true);
                        if sender.send(Ok(event)).await.is_err() {
                            return;
                        }
                    }
                    Some(_) => {
                        let _ = sender.send(Err(Status::unavailable("the stream was cut"))).await;
                        return;
                    }
                    None if changed.changed().await.is_err() => return,
                    None => {}
                }
            }
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver).map(|event| event);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_metrics(&self, _: Request<v1::GetMetricsRequest>) -> Result<Response<v1::GetMetricsResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }

    async fn get_topology(
        &self,
        _: Request<v1::GetTopologyRequest>,
    ) -> Result<Response<v1::GetTopologyResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
}
