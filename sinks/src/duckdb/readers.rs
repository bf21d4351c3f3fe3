//! Reader threads with their own connections, which read a store while its writer commits.

use super::fault::Cause;
use super::interrupts::{INTERRUPT_EVERY, Interrupt, Interruptible};
use super::worker::{Worker, join};
use crate::SinkError;
use crate::closing::{Closing, closed};
use duckdb::Connection;
use std::sync::Arc;

/// Connections: a long query does not hold up a short one.
pub(super) const CONNECTIONS: usize = 2;

/// Connections to an open file that only read. Each query sees the commits that had ended when it began, each as a whole.
pub(super) struct Readers {
    worker: Worker<Interruptible>,
    interrupts: Vec<Interrupt>,
    closing: Closing,
}

impl Readers {
    /// On further connections to a file that is open already.
    pub(super) async fn start(name: Arc<str>, connections: Vec<Connection>) -> Result<Readers, SinkError> {
        let connections: Vec<Interruptible> = connections.into_iter().map(Interruptible::new).collect();
        let interrupts = connections.iter().map(Interruptible::interrupt).collect();
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
        let job = move |it: &mut Interruptible| {
            if closing.is_closed() {
                return Err("closed".into());
            }
            // all queries of a job see the same commits
            let transaction = it.connection.transaction()?;
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
        // a statement may begin after any of them
        while threads.iter().any(|thread| !thread.is_finished()) {
            self.interrupt();
            std::thread::park_timeout(INTERRUPT_EVERY);
        }
        if let Err(cause) = join(threads) {
            tracing::warn!(store = self.name(), %cause, "a connection that read the store was not closed cleanly");
        }
    }

    fn interrupt(&self) {
        self.interrupts.iter().for_each(Interrupt::interrupt);
    }
}

fn close(connection: Interruptible) -> Result<(), Cause> {
    // disconnecting cannot fail
    drop(connection);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// A close that interrupts once ends the first statement only, or none that had not begun.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_close_that_blocks_ends_every_statement_of_a_job() {
        let connections = vec![Connection::open_in_memory().unwrap()];
        let readers = Arc::new(Readers::start("a store".into(), connections).await.unwrap());
        let (begun, has_begun) = sync_channel(1);
        let asked = Arc::clone(&readers);
        let job = move |connection: &Connection| -> Result<i64, Cause> {
            let endless = "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b";
            let run = || connection.query_row(endless, [], |row| row.get::<_, i64>(0));
            begun.send(())?;
            assert!(run().is_err());
            connection.execute_batch("ROLLBACK")?;
            Ok(run()?)
        };
        let call = tokio::spawn(async move { asked.call("cannot read", job).await });
        has_begun.recv().unwrap();
        let (closed, has_closed) = oneshot::channel();
        let close = move || {
            readers.close_blocking();
            let _ = closed.send(());
        };
        std::thread::Builder::new().name("close".into()).spawn(close).unwrap();
        tokio::time::timeout(Duration::from_secs(60), has_closed).await.unwrap().unwrap();
        assert!(call.await.unwrap().is_err());
    }
}
