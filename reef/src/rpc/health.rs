//! Health: gRPC's health service answers as `/readyz` does.

use crate::reading::Reading;
use connectrpc::ConnectError;
use connectrpc_health::{Checker, Status, StatusStream};
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks for a caller that watches.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Whether questions can be answered.
pub(super) struct Ready {
    reading: Reading,
    /// Names that may be asked for, beside the empty one.
    services: &'static [&'static str],
}

impl Ready {
    pub(super) fn of(reading: Reading, services: &'static [&'static str]) -> Ready {
        Ready { reading, services }
    }
}

async fn status(reading: &Reading) -> Status {
    if reading.reasons_not_ready().await.is_empty() { Status::Serving } else { Status::NotServing }
}

impl Checker for Ready {
    async fn check(&self, service: &str) -> Result<Status, ConnectError> {
        if service.is_empty() || self.services.contains(&service) {
            return Ok(status(&self.reading).await);
        }
        Err(ConnectError::not_found(format!("there is no service {service:?}; known: {}", self.services.join(", "))))
    }

    async fn watch(&self, service: &str) -> Result<StatusStream, ConnectError> {
        let (sender, receiver) = watch::channel(self.check(service).await?);
        let reading = self.reading.clone();
        // ends with its caller
        tokio::spawn(async move {
            while tokio::time::timeout(LOOK_EVERY, sender.closed()).await.is_err() {
                let now = status(&reading).await;
                sender.send_if_modified(|status| std::mem::replace(status, now) != now);
            }
        });
        Ok(StatusStream::from_watch(receiver))
    }
}
