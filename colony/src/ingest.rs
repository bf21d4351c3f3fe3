//! `IngestService`: what an agent may write into the running colony.

use crate::call::{audited, store_status};
use crate::record::Recorder;
use crate::store::{ConnectionRow, ServiceRow, ServiceStatus};
use model::check::{Fault, NAME_BYTES_MAX};
use model::clock::SharedClock;
use model::colony::ColonyIdentity;
use model::reject::RejectReason;
use model::time::TimeMs;
use prost_types::Timestamp;
use proto::colony::v1;
use proto::colony::v1::ingest_service_server::IngestService;
use proto::convert::{event_from_wire, metric_from_wire, time_from_wire};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Takes rows from agents.
pub(crate) struct Ingest {
    pub identity: ColonyIdentity,
    pub recorder: Arc<Recorder>,
    pub clock: SharedClock,
}

fn rejected(index: usize, (reason, detail): Fault) -> v1::RejectedRow {
    v1::RejectedRow { index: i32::try_from(index).unwrap_or(i32::MAX), reason: reason.as_str().to_owned(), detail }
}

/// Decodes every row; gives the good ones with their indexes, and the bad ones with their reasons.
fn decode<W, R>(rows: Vec<W>, decode: impl Fn(W) -> Result<R, Fault>) -> (Vec<usize>, Vec<R>, Vec<v1::RejectedRow>) {
    let (mut indexes, mut good, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (index, row) in rows.into_iter().enumerate() {
        match decode(row) {
            Ok(row) => {
                indexes.push(index);
                good.push(row);
            }
            Err(fault) => bad.push(rejected(index, fault)),
        }
    }
    (indexes, good, bad)
}

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn ingest_metrics(
        &self,
        request: Request<v1::IngestMetricsRequest>,
    ) -> Result<Response<v1::IngestMetricsResponse>, Status> {
        let call = async |request: v1::IngestMetricsRequest| {
            let now = self.clock.now();
            let (indexes, points, mut bad) = decode(request.metrics, |row| metric_from_wire(&self.identity, row, now));
            let refused = self.recorder.metrics(&points).await.map_err(store_status)?;
            let accepted = points.len() - refused.len();
            bad.extend(refused.into_iter().map(|(place, fault)| rejected(indexes[place], fault)));
            bad.sort_by_key(|row| row.index);
            Ok(v1::IngestMetricsResponse { accepted: accepted as i64, rejected: bad })
        };
        audited(request, "IngestMetrics", call, |answer| answer.accepted as usize).await
    }

    async fn ingest_events(
        &self,
        request: Request<v1::IngestEventsRequest>,
    ) -> Result<Response<v1::IngestEventsResponse>, Status> {
        let call = async |request: v1::IngestEventsRequest| {
            let now = self.clock.now();
            let (_, events, bad) = decode(request.events, |row| event_from_wire(&self.identity, row, now));
            let accepted = events.len() as i64;
            let written = self.recorder.events(events).await.map_err(store_status)?;
            let already_stored = written.already_stored as i64;
            Ok(v1::IngestEventsResponse { accepted, rejected: bad, already_stored })
        };
        audited(request, "IngestEvents", call, |answer| answer.accepted as usize).await
    }

    async fn ingest_topology(
        &self,
        request: Request<v1::IngestTopologyRequest>,
    ) -> Result<Response<v1::IngestTopologyResponse>, Status> {
        let call = async |request: v1::IngestTopologyRequest| {
            let now = self.clock.now();
            let services_in_all = request.services.len();
            let (_, services, mut bad) =
                decode(request.services, |row| service_row(&self.identity.application_name, row, now));
            let (_, connections, bad_connections) = decode(request.connections, |row| connection_row(row, now));
            let offset = i32::try_from(services_in_all).unwrap_or(i32::MAX);
            bad.extend(
                bad_connections
                    .into_iter()
                    .map(|row| v1::RejectedRow { index: row.index.saturating_add(offset), ..row }),
            );
            let accepted = (services.len() + connections.len()) as i64;
            self.recorder.store().record_topology(services, connections).await.map_err(store_status)?;
            Ok(v1::IngestTopologyResponse { accepted, rejected: bad })
        };
        audited(request, "IngestTopology", call, |answer| answer.accepted as usize).await
    }
}

fn named(field: &str, text: String) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return Err((RejectReason::MissingField, format!("{field} is empty")));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err((
            RejectReason::Oversized,
            format!("{field} has {} bytes, the limit is {NAME_BYTES_MAX}", text.len()),
        ));
    }
    Ok(text)
}

fn time_or(time: Option<Timestamp>, now: TimeMs) -> Result<TimeMs, Fault> {
    time.as_ref().map_or(Ok(now), |time| {
        time_from_wire(time).ok_or_else(|| (RejectReason::BadTimestamp, "the time cannot be held".to_owned()))
    })
}

fn service_row(application: &str, wire: v1::ServiceReport, now: TimeMs) -> Result<ServiceRow, Fault> {
    let status = ServiceStatus::parse(&wire.status).ok_or_else(|| {
        (RejectReason::BadValue, format!("status {:?} is none of running, stopped, error", wire.status))
    })?;
    let id = named("service_id", wire.service_id)?;
    Ok(ServiceRow {
        name: if wire.name.is_empty() { id.clone() } else { named("name", wire.name)? },
        id,
        app_id: application.to_owned(),
        version: wire.version,
        agent_id: named("agent_id", wire.agent_id)?,
        labels: wire.labels,
        last_seen: time_or(wire.seen_at, now)?,
        status,
    })
}

fn connection_row(wire: v1::ConnectionReport, now: TimeMs) -> Result<ConnectionRow, Fault> {
    if wire.request_count < 0 {
        return Err((RejectReason::BadValue, format!("request_count is {}", wire.request_count)));
    }
    let observed = time_or(wire.observed_at, now)?;
    Ok(ConnectionRow {
        from_service: named("from_service", wire.from_service)?,
        to_service: named("to_service", wire.to_service)?,
        protocol: named("protocol", wire.protocol)?,
        first_observed: observed,
        last_observed: observed,
        connection_count: wire.request_count,
    })
}
