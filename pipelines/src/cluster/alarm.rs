//! Alarm: the first fault of any process, told to everything that runs in this one.

use crate::error::ClusterError;
use std::sync::Arc;
use tokio::sync::watch;

/// Raised once; whoever waits for it is told the first fault.
#[derive(Clone, Debug, Default)]
pub struct Alarm(Arc<watch::Sender<Option<ClusterError>>>);

impl Alarm {
    /// Raises it, unless it is raised already: what follows a first fault is its echo.
    pub fn raise(&self, error: ClusterError) {
        self.0.send_if_modified(|raised| {
            let is_first = raised.is_none();
            if is_first {
                *raised = Some(error);
            }
            is_first
        });
    }

    /// Waits until it is raised.
    pub async fn raised(&self) -> ClusterError {
        let mut watching = self.0.subscribe();
        match watching.wait_for(Option::is_some).await.map(|raised| raised.clone()) {
            Ok(Some(error)) => error,
            // this very alarm holds the sender
            _ => std::future::pending().await,
        }
    }
}
