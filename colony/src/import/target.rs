//! Where imported rows go: into a stopped colony's database, to a running colony, or nowhere.

use super::ImportError;
use crate::ask::{AskError, ask};
use crate::record::Recorder;
use mesh::Network;
use model::check::Fault;
use model::colony::ColonyIdentity;
use model::reject::RejectReason;
use model::rows::Rows;
use proto::colony::v1::ingest_service_client::IngestServiceClient;
use proto::colony::v1::{IngestEventsRequest, IngestMetricsRequest, RejectedRow};
use proto::convert::{event_to_wire, metric_to_wire};
use tonic::transport::Channel;

/// The most rows in one call.
const CALL_ROWS_MAX: usize = 1_000;
/// The most bytes in one call, unless a single row is longer.
const CALL_BYTES_MAX: usize = 1_000_000;

/// Where imported rows go.
pub enum Target {
    /// Nowhere: rows are read, checked and counted.
    Nowhere,
    /// Into the open database of a colony that does not run.
    Stopped(Box<Recorder>),
    /// To a colony that runs.
    Running {
        /// The endpoint.
        endpoint: String,
        /// The connection.
        client: IngestServiceClient<Channel>,
    },
}

/// What became of rows.
#[derive(Default)]
pub(super) struct Written {
    pub accepted: u64,
    pub already_stored: u64,
    pub refused: Vec<Fault>,
}

impl Target {
    /// Dials a running colony and makes sure that it is the one meant.
    pub async fn running(network: &Network, endpoint: &str, colony: &ColonyIdentity) -> Result<Target, ImportError> {
        let (channel, _) = ask(network, endpoint, &colony.colony_id).await.map_err(ImportError::Running)?;
        Ok(Target::Running { endpoint: endpoint.to_owned(), client: IngestServiceClient::new(channel) })
    }

    pub(super) async fn write(&mut self, rows: Rows) -> Result<Written, ImportError> {
        match self {
            Target::Nowhere => {
                let accepted = (rows.metrics.len() + rows.events.len()) as u64;
                Ok(Written { accepted, ..Written::default() })
            }
            Target::Stopped(recorder) => write_stopped(recorder, rows).await,
            Target::Running { endpoint, client } => write_running(endpoint, client, rows).await,
        }
    }
}

fn refusal(endpoint: &str, status: tonic::Status) -> ImportError {
    ImportError::Running(AskError::refused(endpoint, status))
}

async fn write_stopped(recorder: &Recorder, rows: Rows) -> Result<Written, ImportError> {
    let mut written = Written::default();
    if !rows.metrics.is_empty() {
        let refused = recorder.metrics(&rows.metrics.to_vec()).await.map_err(ImportError::Store)?;
        written.accepted += (rows.metrics.len() - refused.len()) as u64;
        written.refused.extend(refused.into_iter().map(|(_, fault)| fault));
    }
    if !rows.events.is_empty() {
        written.accepted += rows.events.len() as u64;
        written.already_stored += recorder.events(rows.events).await.map_err(ImportError::Store)?.already_stored;
    }
    Ok(written)
}

async fn write_running(
    endpoint: &str,
    client: &mut IngestServiceClient<Channel>,
    rows: Rows,
) -> Result<Written, ImportError> {
    let mut written = Written::default();
    for metrics in in_calls(rows.metrics.iter().map(|point| metric_to_wire(&point)).collect()) {
        let answer = client
            .ingest_metrics(IngestMetricsRequest { metrics })
            .await
            .map_err(|status| refusal(endpoint, status))?
            .into_inner();
        written.accepted += answer.accepted as u64;
        written.refused.extend(answer.rejected.into_iter().map(fault_of));
    }
    for events in in_calls(rows.events.iter().map(event_to_wire).collect()) {
        let answer = client
            .ingest_events(IngestEventsRequest { events })
            .await
            .map_err(|status| refusal(endpoint, status))?
            .into_inner();
        written.accepted += answer.accepted as u64;
        written.already_stored += answer.already_stored as u64;
        written.refused.extend(answer.rejected.into_iter().map(fault_of));
    }
    Ok(written)
}

fn fault_of(row: RejectedRow) -> Fault {
    let reason = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == row.reason);
    (reason.unwrap_or(RejectReason::RefusedByStore), row.detail)
}

/// Cuts rows into calls of bounded size, in order.
fn in_calls<M: prost::Message>(rows: Vec<M>) -> Vec<Vec<M>> {
    let mut calls = Vec::new();
    let (mut call, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let row_bytes = row.encoded_len();
        if !call.is_empty() && (call.len() == CALL_ROWS_MAX || bytes + row_bytes > CALL_BYTES_MAX) {
            calls.push(std::mem::take(&mut call));
            bytes = 0;
        }
        bytes += row_bytes;
        call.push(row);
    }
    if !call.is_empty() {
        calls.push(call);
    }
    calls
}
