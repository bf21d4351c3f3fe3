//! `ColonyFederation`, the service for reefs: summaries, the event stream, metrics, topology.

use crate::call::{audit, audited, store_status, until_stop};
use crate::error::StoreError;
use crate::store::{ConnectionRow, EventRow, Health, MetricRow, ServiceRow, Store, Wanted};
use crate::summarize::{Interval, merge};
use mesh::Peer;
use model::colony::ColonyIdentity;
use model::event::Severity;
use model::statistics::Statistics;
use model::time::TimeMs;
use prost_types::Timestamp;
use proto::convert::{time_from_wire, time_to_wire};
use proto::reef::v1;
use proto::reef::v1::colony_federation_server::ColonyFederation;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// The most rows in one summary.
const SUMMARY_ROWS_MAX: usize = 20_000;
/// Maximum size of a response: gRPC clients accept 4 MiB by default.
const ANSWER_BYTES_MAX: usize = 4_000_000;
/// Events read at once for a stream.
const STREAM_PAGE_ROWS: usize = 64;
/// Events waiting for a client of a stream. When it is slow, its own stream waits and nothing else does.
const STREAM_QUEUE_EVENTS: usize = 64;
/// Resolutions of GetMetrics, in seconds.
const RESOLUTIONS: [(&str, u32); 7] =
    [("1s", 1), ("10s", 10), ("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3_600), ("1d", 86_400)];

/// Parts of a summary that can be asked for alone.
const PARTS: [&str; 3] = ["metrics", "events", "topology"];
/// Most services, and most metrics, that a summary is narrowed to.
const NAMES_MAX: usize = 100;

/// Serves reefs from the store.
pub(crate) struct Federation {
    pub identity: ColonyIdentity,
    pub store: Store,
    /// Becomes `true` when the colony stops; streams then end.
    pub stopping: watch::Receiver<bool>,
}

fn bounded<A: prost::Message>(answer: A) -> Result<A, Status> {
    if answer.encoded_len() > ANSWER_BYTES_MAX { Err(too_much()) } else { Ok(answer) }
}

fn too_much() -> Status {
    Status::resource_exhausted(format!(
        "the range holds more than {SUMMARY_ROWS_MAX} rows or {ANSWER_BYTES_MAX} bytes; ask for a shorter one"
    ))
}

fn range_of(start: Option<&Timestamp>, end: Option<&Timestamp>) -> Result<(Option<TimeMs>, Option<TimeMs>), Status> {
    let time = |field: &str, time: Option<&Timestamp>| {
        time.map(|time| {
            time_from_wire(time)
                .ok_or_else(|| Status::invalid_argument(format!("{field} is not a time that can be held")))
        })
        .transpose()
    };
    let (from, to) = (time("start_time", start)?, time("end_time", end)?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Status::invalid_argument(format!("start_time {from} is after end_time {to}")));
    }
    Ok((from, to))
}

/// What of a range is asked for.
fn wanted(request: v1::GetSummaryRequest) -> Result<Wanted, Status> {
    let range = range_of(request.start_time.as_ref(), request.end_time.as_ref())?;
    if let Some(unknown) = request.parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(Status::invalid_argument(format!("parts has {unknown:?}, which is none of {}", PARTS.join(", "))));
    }
    for (field, names) in [("service_ids", &request.service_ids), ("metric_names", &request.metric_names)] {
        if names.len() > NAMES_MAX {
            return Err(Status::invalid_argument(format!("{field} has more than {NAMES_MAX} names")));
        }
    }
    let has = |part: &str| request.parts.is_empty() || request.parts.iter().any(|it| it == part);
    Ok(Wanted {
        range,
        metrics: has(PARTS[0]),
        events: has(PARTS[1]),
        topology: has(PARTS[2]),
        services: request.service_ids,
        metric_names: request.metric_names,
    })
}

fn metric_to_wire(row: MetricRow) -> v1::MetricSummary {
    let s = row.statistics;
    v1::MetricSummary {
        service_id: row.service_id,
        metric_name: row.metric_name,
        timestamp: Some(time_to_wire(row.timestamp)),
        p50: s.p50().map(|v| v.0),
        p95: s.p95().map(|v| v.0),
        p99: s.p99().map(|v| v.0),
        mean: s.mean().map(|v| v.0),
        max: s.max().map(|v| v.0),
        count: s.count().map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
        interval_seconds: row.interval.seconds(),
        // a colony keeps one version of a bucket, the last one stored
        version: None,
    }
}

fn event_to_wire(row: EventRow, resume_token: String) -> v1::Event {
    v1::Event {
        backlog: None,
        resent: None,
        event_id: row.details.event_id,
        timestamp: Some(time_to_wire(row.timestamp)),
        event_type: row.event_type,
        service_id: row.service_id,
        severity: row.details.severity.as_str().to_owned(),
        metadata: row.details.metadata,
        description: row.details.description,
        resume_token,
        version: (row.details.version > 0).then_some(row.details.version),
        withdrawn: row.details.withdrawn.then_some(true),
    }
}

fn topology_to_wire(services: Vec<ServiceRow>, connections: Vec<ConnectionRow>) -> v1::TopologySummary {
    v1::TopologySummary {
        services: services
            .into_iter()
            .map(|row| v1::ServiceNode {
                service_id: row.id,
                name: row.name,
                version: row.version,
                status: row.status.as_str().to_owned(),
            })
            .collect(),
        connections: connections
            .into_iter()
            .map(|row| v1::ServiceConnection {
                from_service: row.from_service,
                to_service: row.to_service,
                protocol: row.protocol,
                request_count: row.connection_count,
            })
            .collect(),
    }
}

fn health_to_wire(health: Health) -> v1::HealthSummary {
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    v1::HealthSummary {
        overall_status: health.overall().to_owned(),
        total_services: count(health.total()),
        healthy_services: count(health.healthy),
        degraded_services: count(health.degraded),
        unhealthy_services: count(health.unhealthy),
        agent_count: health.agents.map(count),
    }
}

#[tonic::async_trait]
impl ColonyFederation for Federation {
    async fn get_summary(
        &self,
        request: Request<v1::GetSummaryRequest>,
    ) -> Result<Response<v1::GetSummaryResponse>, Status> {
        let call = async |request: v1::GetSummaryRequest| {
            let found = self.store.snapshot(wanted(request)?, SUMMARY_ROWS_MAX).await.map_err(store_status)?;
            let found = found.ok_or_else(too_much)?;
            bounded(v1::GetSummaryResponse {
                colony_id: self.identity.colony_id.clone(),
                application_name: self.identity.application_name.clone(),
                environment: self.identity.environment.clone(),
                metrics: found.metrics.into_iter().map(metric_to_wire).collect(),
                events: found.events.into_iter().map(|row| event_to_wire(row, String::new())).collect(),
                health: Some(health_to_wire(found.health)),
                topology: Some(topology_to_wire(found.services, found.connections)),
            })
        };
        audited(request, "GetSummary", call, |answer| answer.metrics.len() + answer.events.len()).await
    }

    type StreamEventsStream = ReceiverStream<Result<v1::Event, Status>>;

    async fn stream_events(
        &self,
        request: Request<v1::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let request = request.into_inner();
        let filter = Filter::of(&request)?;
        let backlog_to = *self.store.newest_event().borrow();
        let Start { position, is_resent } =
            start_of(&request.resume_token, &self.store, backlog_to).await.map_err(store_status)?;
        if is_resent {
            tracing::warn!(
                token = %request.resume_token,
                "a reader comes back with a position that is not of this history (was the database restored from a \
                 backup?); it is sent all events again"
            );
        }
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE_EVENTS);
        let store = self.store.clone();
        let stream = EventStream { store, filter, position, backlog_to, is_resent, sent: 0, sender };
        let stopping = self.stopping.clone();
        let reader = stream.sender.clone();
        let task = tokio::spawn(stream.run(stopping));
        tokio::spawn(async move {
            let started = Instant::now();
            let (sent, code) = end_of(task, reader).await;
            audit(peer.as_ref(), "StreamEvents", started, sent, code);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_metrics(
        &self,
        request: Request<v1::GetMetricsRequest>,
    ) -> Result<Response<v1::GetMetricsResponse>, Status> {
        let call = async |request: v1::GetMetricsRequest| {
            let asked_seconds = resolution_of(&request.resolution)?;
            for (field, value) in [("service_id", &request.service_id), ("metric_name", &request.metric_name)] {
                if value.is_empty() {
                    return Err(Status::invalid_argument(format!("{field} is empty")));
                }
            }
            let range = range_of(request.start_time.as_ref(), request.end_time.as_ref())?;
            let rows =
                self.store.series(&request.service_id, &request.metric_name, range).await.map_err(store_status)?;
            let (interval, buckets) = at_resolution(rows, asked_seconds);
            let points = buckets.into_iter().filter_map(|(time, statistics)| point_to_wire(time, statistics)).collect();
            bounded(v1::GetMetricsResponse { points, resolution: interval.as_str().to_owned() })
        };
        audited(request, "GetMetrics", call, |answer| answer.points.len()).await
    }

    async fn get_topology(
        &self,
        request: Request<v1::GetTopologyRequest>,
    ) -> Result<Response<v1::GetTopologyResponse>, Status> {
        let call = async |_| {
            let (services, connections) = self.store.topology().await.map_err(store_status)?;
            bounded(v1::GetTopologyResponse { topology: Some(topology_to_wire(services, connections)) })
        };
        let rows = |answer: &v1::GetTopologyResponse| {
            answer.topology.as_ref().map_or(0, |found| found.services.len() + found.connections.len())
        };
        audited(request, "GetTopology", call, rows).await
    }
}

fn resolution_of(text: &str) -> Result<u32, Status> {
    if text.is_empty() {
        return Ok(1);
    }
    let known = RESOLUTIONS.iter().find(|(name, _)| *name == text);
    known.map(|(_, seconds)| *seconds).ok_or_else(|| {
        let names = RESOLUTIONS.map(|(name, _)| name).join(", ");
        Status::invalid_argument(format!("resolution {text:?} is none of {names}"))
    })
}

/// Buckets at the requested resolution, or at the nearest coarser one that is stored. If only finer ones are stored,
/// they are aggregated.
fn at_resolution(rows: Vec<MetricRow>, asked_seconds: u32) -> (Interval, Vec<(TimeMs, Statistics)>) {
    // an hour is the most that RESOLUTIONS has below a day, so there is always one
    let asked = Interval::at_least(asked_seconds).unwrap_or(Interval::Day1);
    let mut kept: BTreeMap<Interval, Vec<(TimeMs, Statistics)>> = BTreeMap::new();
    for row in rows {
        kept.entry(row.interval).or_default().push((row.timestamp, row.statistics));
    }
    if let Some((interval, buckets)) = kept.range(asked..).next() {
        return (*interval, buckets.clone());
    }
    let Some((_, finer)) = kept.range(..asked).next_back() else { return (asked, Vec::new()) };
    let mut parts: BTreeMap<TimeMs, Vec<Statistics>> = BTreeMap::new();
    for (time, statistics) in finer {
        parts.entry(asked.start_of(*time)).or_default().push(*statistics);
    }
    (asked, parts.into_iter().map(|(time, parts)| (time, merge(&parts))).collect())
}

/// The number that reefs correlate: p95, else the mean.
fn point_to_wire(time: TimeMs, statistics: Statistics) -> Option<v1::MetricPoint> {
    let (name, value) = match (statistics.p95(), statistics.mean()) {
        (Some(value), _) => ("p95", value),
        (None, Some(value)) => ("mean", value),
        (None, None) => return None,
    };
    let mut labels = BTreeMap::from([("statistic".to_owned(), name.to_owned())]);
    if let Some(count) = statistics.count() {
        labels.insert("count".to_owned(), count.to_string());
    }
    Some(v1::MetricPoint { timestamp: Some(time_to_wire(time)), value: value.0, labels })
}

/// Which events a stream carries.
struct Filter {
    /// Empty = all.
    event_types: BTreeSet<String>,
    min_severity: Severity,
}

impl Filter {
    fn of(request: &v1::StreamEventsRequest) -> Result<Filter, Status> {
        let min_severity = match request.min_severity.as_str() {
            "" => Severity::Info,
            text => text.parse().map_err(|()| {
                Status::invalid_argument(format!("min_severity {text:?} is none of info, warning, error, critical"))
            })?,
        };
        Ok(Filter { event_types: request.event_types.iter().cloned().collect(), min_severity })
    }

    fn lets_through(&self, row: &EventRow) -> bool {
        (self.event_types.is_empty() || self.event_types.contains(&row.event_type))
            && row.details.severity >= self.min_severity
    }
}

/// Where a stream begins.
struct Start {
    /// After this event.
    position: i64,
    /// The reader had a position, and it is not of this history.
    is_resent: bool,
}

/// The position of a token `session:sequence:hash`. A token is invalid if it is from another database, from the future
/// of this one (which was replaced by an older copy), or names an event that has changed (an older copy that has
/// advanced). Everything is then sent again, and the reader deduplicates events by their ids. Tokens of earlier
/// versions have no hash.
async fn start_of(resume_token: &str, store: &Store, newest: i64) -> Result<Start, StoreError> {
    let mut parts = resume_token.split(':');
    let (session, sequence, hash) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let position = sequence.and_then(|sequence| sequence.parse::<i64>().ok());
    let position = position.filter(|position| session == store.session() && (0..=newest).contains(position));
    let is_of_this_history = match (position, hash) {
        (Some(position), Some(hash)) => {
            let rows = store.events_after(position - 1, 1).await?;
            // a missing event has expired: only a different event in its place means another history
            rows.first().is_none_or(|row| row.id > position || hash_of(row) == hash)
        }
        (position, None) => position.is_some(),
        (None, Some(_)) => false,
    };
    let position = position.filter(|_| is_of_this_history);
    Ok(Start { position: position.unwrap_or(0), is_resent: position.is_none() && !resume_token.is_empty() })
}

/// Hash that distinguishes the event at a position from that of another history. It excludes content that can be
/// amended.
fn hash_of(row: &EventRow) -> String {
    // FNV-1a: the same in every version of this program
    let hash = row
        .details
        .event_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

/// How many events a stream has sent, and how it ended.
type Ending = (usize, tonic::Code);

/// One open stream.
struct EventStream {
    store: Store,
    filter: Filter,
    position: i64,
    /// The newest event when the stream was opened.
    backlog_to: i64,
    is_resent: bool,
    sent: usize,
    sender: mpsc::Sender<Result<v1::Event, Status>>,
}

/// Waits for the end of a stream. If a bug ended it, its reader gets an error, behind the events that wait for it: an end
/// without a status would look like one that was meant.
async fn end_of(task: JoinHandle<Ending>, reader: mpsc::Sender<Result<v1::Event, Status>>) -> Ending {
    match task.await {
        Ok(end) => end,
        Err(error) => {
            tracing::error!(%error, "an event stream failed by a bug");
            let status = Status::internal("the stream failed by a bug; the colony's log has it");
            // the reader may have gone
            let _ = reader.send(Err(status)).await;
            (0, tonic::Code::Internal)
        }
    }
}

impl EventStream {
    /// Sends stored events, then new ones, until the client disconnects or the colony stops.
    async fn run(mut self, mut stopping: watch::Receiver<bool>) -> Ending {
        let mut newest = self.store.newest_event();
        let end = tokio::select! {
            end = self.send_all(&mut newest) => end,
            () = until_stop(&mut stopping) => {
                Some(Status::unavailable("the colony is stopping; come back with the last resume_token"))
            }
        };
        let code = end.as_ref().map_or(tonic::Code::Ok, Status::code);
        if let Some(status) = end {
            // the queue may be full, or its reader slow or disconnected: closing it is then sufficient
            let _ = self.sender.try_send(Err(status));
        }
        (self.sent, code)
    }

    /// Gives the reason to end; `None` when the client went.
    async fn send_all(&mut self, newest: &mut watch::Receiver<i64>) -> Option<Status> {
        loop {
            // everything up to here can be read by now, or has expired
            let announced = *newest.borrow_and_update();
            let rows = match self.store.events_after(self.position, STREAM_PAGE_ROWS).await {
                Ok(rows) => rows,
                Err(error) => return Some(store_status(error)),
            };
            let is_last_page = rows.len() < STREAM_PAGE_ROWS;
            // rows can be read before their writer has announced them. A token must never be ahead of the announced
            // position, or it would later look like that of another database
            if let Some(last) = rows.last() {
                self.store.announce(last.id);
            }
            for row in rows {
                let position = row.id;
                if self.filter.lets_through(&row) {
                    #[cfg(test)]
                    planted(&row);
                    let token = format!("{}:{position}:{}", self.store.session(), hash_of(&row));
                    let is_backlog = position <= self.backlog_to;
                    let event = v1::Event {
                        backlog: is_backlog.then_some(true),
                        resent: (is_backlog && self.is_resent).then_some(true),
                        ..event_to_wire(row, token)
                    };
                    if self.sender.send(Ok(event)).await.is_err() {
                        return None;
                    }
                    self.sent += 1;
                }
                self.position = position;
            }
            if is_last_page {
                self.position = self.position.max(announced);
                let position = self.position;
                let is_open = async { newest.wait_for(|newest| *newest > position).await.is_ok() };
                tokio::select! {
                    is_open = is_open => {
                        if !is_open {
                            return Some(Status::unavailable("the colony is stopping"));
                        }
                    }
                    () = self.sender.closed() => return None,
                }
            }
        }
    }
}

/// Panics at an event that a test has planted.
#[cfg(test)]
fn planted(row: &EventRow) {
    assert!(row.event_type != "planted-panic", "a planted panic");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    async fn fails() -> Ending {
        panic!("a bug in a stream")
    }

    #[tokio::test]
    async fn a_slow_reader_of_a_stream_that_failed_is_told_behind_what_waits_for_it() {
        let (sender, mut receiver) = mpsc::channel(1);
        let last = v1::Event { event_id: "e1".to_owned(), ..v1::Event::default() };
        sender.try_send(Ok(last)).unwrap();
        let ending = tokio::spawn(end_of(tokio::spawn(fails()), sender));
        assert_eq!(receiver.recv().await.unwrap().unwrap().event_id, "e1");
        assert_eq!(receiver.recv().await.unwrap().unwrap_err().code(), tonic::Code::Internal);
        assert!(receiver.recv().await.is_none());
        assert_eq!(ending.await.unwrap(), (0, tonic::Code::Internal));
    }
}
