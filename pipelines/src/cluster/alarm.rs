//! Alarm: the first fault of any process, broadcast to all tasks of this one.

use crate::error::ClusterError;
use std::sync::Arc;
use tokio::sync::watch;

/// Raised once; all waiting tasks get the first fault.
#[derive(Clone, Debug, Default)]
pub struct Alarm(Arc<watch::Sender<Option<ClusterError>>>);

impl Alarm {
    /// Raises it, unless it is already raised: later faults are consequences of the first.
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
