//! Shared by all calls to a colony: the audit line, the status of a store's error, the end at shutdown.

use crate::error::StoreError;
use mesh::Peer;
use std::time::Instant;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// Writes one line per call over plain TCP: caller, method, result. Calls through the mesh have the line of its guard,
/// which also sees those that it refuses.
pub(crate) fn audit(peer: Option<&Peer>, method: &'static str, started: Instant, rows: usize, code: tonic::Code) {
    if peer.is_some_and(|peer| peer.mesh.is_some()) {
        tracing::debug!(method, rows, "answered");
        return;
    }
    let peer = peer.map_or_else(|| "unknown".to_owned(), Peer::to_string);
    let elapsed_ms = started.elapsed().as_millis() as u64;
    tracing::info!(target: "audit", %peer, method, rows, elapsed_ms, code = ?code, "call");
}

/// Runs a call and writes its audit line; `rows` counts the rows of the response.
pub(crate) async fn audited<Q, A>(
    request: Request<Q>,
    method: &'static str,
    call: impl AsyncFnOnce(Q) -> Result<A, Status>,
    rows: impl FnOnce(&A) -> usize,
) -> Result<Response<A>, Status> {
    let started = Instant::now();
    let peer = request.extensions().get::<Peer>().cloned();
    let answer = call(request.into_inner()).await;
    let (rows, code) = match &answer {
        Ok(answer) => (rows(answer), tonic::Code::Ok),
        Err(status) => (0, status.code()),
    };
    audit(peer.as_ref(), method, started, rows, code);
    answer.map(Response::new)
}

/// The caller gets an error without details; the log has the cause.
pub(crate) fn store_status(error: StoreError) -> Status {
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, %cause, "storage failed");
    match error {
        StoreError::Closed { .. } => Status::unavailable("the colony is stopping"),
        _ => Status::internal("the colony's storage failed; its log says why"),
    }
}

/// Waits until the colony stops.
pub(crate) async fn until_stop(stopping: &mut watch::Receiver<bool>) {
    // an error means that the sender, and with it the server, no longer exists
    let _ = stopping.wait_for(|stop| *stop).await;
}
