//! Reader threads with their own connections, which read a store while its writer commits.

use super::fault::Cause;
use super::worker::{Worker, join};
use crate::SinkError;
use crate::closing::{Closing, closed};
use duckdb::{Connection, InterruptHandle};
use std::sync::Arc;
use std::time::Duration;

/// Connections: a long query does not hold up a short one.
pub(super) const CONNECTIONS: usize = 2;
/// Interval of interrupts of running queries when the store is closed.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

/// Connections to an open file that only read. Each query sees the commits that had ended when it began, each as a whole.
pub(super) struct Readers {
    worker: Worker<Connection>,
    interrupts: Vec<Arc<InterruptHandle>>,
    closing: Closing,
}

impl Readers {
    /// On further connections to a file that is open already.
    pub(super) async fn start(name: Arc<str>, connections: Vec<Connection>) -> Result<Readers, SinkError> {
        let interrupts = connections.iter().map(Connection::interrupt_handle).collect();
        let openers: Vec<_> = connections.into_iter().map(|connection| move || Ok(connection)).collect();
        let worker = Worker::start(name, openers, close).await?;
        Ok(Readers { worker, interrupts, closing: Closing::default() })
    }

    /// The store's name, for people.
    pub(super) fn name(&self) -> &str {
        self.worker.name()
    }

    /// Runs `job` on one of the connections, in a transaction.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        doing: &str,
        job: impl FnOnce(&Connection) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, SinkError> {
        self.closing.check(self.name(), doing)?;
        let closing = self.closing.clone();
        let job = move |connection: &mut Connection| {
            if closing.is_closed() {
                return Err("closed".into());
            }
            // all queries of a job see the same commits
            let transaction = connection.transaction()?;
            let answer = job(&transaction)?;
            transaction.rollback()?;
            Ok(answer)
        };
        match self.worker.call(doing, job).await {
            // any result: its query was interrupted or never started
            Err(_) if self.closing.is_closed() => Err(closed(self.name(), doing)),
            answer => answer,
        }
    }

    /// Interrupts running queries, and releases the file.
    pub(super) async fn close(&self) -> Result<(), SinkError> {
        self.closing.close();
        let mut closed = std::pin::pin!(self.worker.close());
        loop {
            self.interrupt();
            if let Ok(answer) = tokio::time::timeout(INTERRUPT_EVERY, &mut closed).await {
                return answer;
            }
        }
    }

    /// As [`close`](Readers::close), for who cannot await.
    pub(super) fn close_blocking(&self) {
        self.closing.close();
        let threads = self.worker.end();
        self.interrupt();
        if let Err(cause) = join(threads) {
            tracing::warn!(store = self.name(), %cause, "a connection that read the store was not closed cleanly");
        }
    }

    fn interrupt(&self) {
        self.interrupts.iter().for_each(|connection| connection.interrupt());
    }
}

fn close(connection: Connection) -> Result<(), Cause> {
    connection.close().map_err(|(_, error)| error.into())
}
