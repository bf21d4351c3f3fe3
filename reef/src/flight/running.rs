//! Running: statements whose rows are being sent, and calls that end them.

use super::errors;
use super::ticket::StatementTicket;
use crate::sql::Stopper;
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo};
use bytes::Bytes;
use prost::Message;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::Status;

/// The action that ends statements; `CancelQuery` is its older form.
pub(super) const CANCEL: &str = "CancelFlightInfo";

/// A statement by the id in its ticket, and what ends it.
type ById = (Bytes, Arc<Stopper>);

/// The statements that run. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<Vec<ById>>>);

/// A statement that runs, until this is dropped.
pub(super) struct Entry {
    running: Running,
    stopper: Arc<Stopper>,
}

impl Running {
    fn all(&self) -> MutexGuard<'_, Vec<ById>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A statement begins.
    pub(super) fn begin(&self, id: Bytes, stopper: Stopper) -> Entry {
        let stopper = Arc::new(stopper);
        self.all().push((id, Arc::clone(&stopper)));
        Entry { running: self.clone(), stopper }
    }

    /// Ends the statements of an answer. What they read, and what colonies do for them, ends with them.
    pub(super) fn cancel(&self, info: &FlightInfo) -> Result<CancelStatus, Status> {
        let ids = StatementTicket::ids(info);
        let found: Vec<Arc<Stopper>> =
            self.all().iter().filter(|(id, _)| ids.contains(id)).map(|(_, stopper)| Arc::clone(stopper)).collect();
        if found.is_empty() {
            return Err(errors::not_found("no such statement runs: it has ended, or its rows are not being fetched"));
        }
        // each of them, also after one that had ended
        let stopped = found.iter().filter(|stopper| stopper.stop()).count();
        Ok(if stopped > 0 { CancelStatus::Cancelled } else { CancelStatus::NotCancellable })
    }

    /// The same as the action [`CANCEL`].
    pub(super) fn answer(&self, body: &[u8]) -> Result<arrow_flight::Result, Status> {
        let request = CancelFlightInfoRequest::decode(body).map_err(errors::invalid)?;
        let status = self.cancel(&request.info.unwrap_or_default())?;
        Ok(arrow_flight::Result { body: CancelFlightInfoResult::new(status).encode_to_vec().into() })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.all().retain(|(_, stopper)| !Arc::ptr_eq(stopper, &self.stopper));
    }
}
