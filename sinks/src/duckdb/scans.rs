//! Scans: each has a connection and a thread of its own, so that several of one query can wait for one another.

use super::fault::{Cause, explain};
use super::interrupts::{INTERRUPT_EVERY, Interrupt, Interruptible};
use crate::SinkError;
use crate::closing::{Closing, closed};
use crate::scan::{BATCHES_MAX, Dialect, Scan, Scanned};
use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use duckdb::types::Value as Bound;
use model::derived::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::interval;

const DIALECT: Dialect = Dialect { column: |name| format!("stored.{name}"), millis: "epoch_ms", ends: ["min", "max"] };

/// The scans that run. Closing the store ends them.
#[derive(Clone, Default)]
pub(super) struct Scans(Arc<Shared>);

#[derive(Default)]
struct Shared {
    running: Mutex<BTreeMap<u64, Interrupt>>,
    /// When one has ended.
    ended: Condvar,
    is_closed: watch::Sender<bool>,
    closing: Closing,
}

/// A scan that has its connection open; ends with this.
struct Running {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.id);
        self.shared.ended.notify_all();
    }
}

/// What the caller of a scan has: interrupts the scan when no caller waits for its batches.
struct Waiting {
    interrupt: Interrupt,
    /// Dropped with it: [`interrupt_after`] begins.
    _left: oneshot::Sender<()>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.interrupt.interrupt();
    }
}

/// Interrupts a scan again and again from when its caller has left: its statement may not have begun by then.
async fn interrupt_after(left: oneshot::Receiver<()>, interrupt: Interrupt) {
    // nothing is sent: the error says that the caller has left
    let _ = left.await;
    let mut every = interval(INTERRUPT_EVERY);
    loop {
        every.tick().await;
        interrupt.interrupt();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Interrupt>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the batches of a scan go, from its thread.
struct Way {
    sender: mpsc::Sender<Result<RecordBatch, SinkError>>,
    closes: watch::Receiver<bool>,
    runtime: Handle,
}

impl Way {
    /// False: no more is wanted, or the store is being closed.
    fn send(&mut self, batch: RecordBatch) -> bool {
        let Way { sender, closes, runtime } = self;
        runtime.block_on(async {
            tokio::select! {
                sent = sender.send(Ok(batch)) => sent.is_ok(),
                _ = closes.wait_for(|is_closed| *is_closed) => false,
            }
        })
    }

    /// An end without this would look like the end of the rows.
    fn fail(&self, error: SinkError) {
        let _ = self.runtime.block_on(self.sender.send(Err(error)));
    }
}

impl Scans {
    /// Starts a scan on a connection of its own.
    pub(super) fn start(&self, name: Arc<str>, connection: Connection, scan: Scan) -> Result<Scanned, SinkError> {
        let doing = format!("cannot read {}", scan.table.name);
        self.begin((name, doing), connection, move |connection, send| read(connection, &scan, send))
    }

    /// Runs `read` on a thread of its own.
    fn begin(
        &self,
        (name, doing): (Arc<str>, String),
        connection: Connection,
        read: impl FnOnce(&Connection, &mut dyn FnMut(RecordBatch) -> bool) -> Result<(), Cause> + Send + 'static,
    ) -> Result<Scanned, SinkError> {
        let connection = Interruptible::new(connection);
        let interrupt = connection.interrupt();
        let running = self.register(interrupt.clone());
        self.0.closing.check(&name, &doing)?;
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        let mut way = Way { sender, closes: self.0.is_closed.subscribe(), runtime: Handle::current() };
        let (left, has_left) = oneshot::channel();
        let mut interrupts = JoinSet::new();
        interrupts.spawn_on(interrupt_after(has_left, interrupt.clone()), &way.runtime);
        let (shared, store, what) = (Arc::clone(&self.0), Arc::clone(&name), doing.clone());
        let body = move || {
            let ended = match way.sender.is_closed() {
                true => Ok(()),
                false => read(&connection.connection, &mut |batch| way.send(batch)),
            };
            drop(interrupts);
            // before anyone is notified of its end: a file is in use while a connection is open
            drop(connection);
            drop(running);
            match ended {
                _ if shared.closing.is_closed() => way.fail(closed(&store, &what)),
                Ok(()) => {}
                Err(cause) => way.fail(explain(&store, &what, cause)),
            }
        };
        let started = std::thread::Builder::new().name("duckdb-scan".into()).spawn(body);
        started.map_err(|error| explain(&name, &doing, error.into()))?;
        Ok(Scanned::new(batches, Waiting { interrupt, _left: left }))
    }

    fn register(&self, interrupt: Interrupt) -> Running {
        let mut running = self.0.lock();
        let id = running.keys().next_back().map_or(0, |last| last + 1);
        running.insert(id, interrupt);
        Running { shared: Arc::clone(&self.0), id }
    }

    /// Ends the scans that run, and waits for that.
    pub(super) async fn close(&self) {
        let scans = self.clone();
        // a panic of it has been reported
        let _ = tokio::task::spawn_blocking(move || scans.close_blocking()).await;
    }

    /// The same for who cannot await.
    pub(super) fn close_blocking(&self) {
        self.0.closing.close();
        self.0.is_closed.send_replace(true);
        let mut running = self.0.lock();
        while !running.is_empty() {
            running.values().for_each(Interrupt::interrupt);
            let waited = self.0.ended.wait_timeout(running, INTERRUPT_EVERY);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Runs a scan and passes its batches on, until `send` says that no more are wanted.
fn read(connection: &Connection, scan: &Scan, send: &mut dyn FnMut(RecordBatch) -> bool) -> Result<(), Cause> {
    let mut values: Vec<Bound> = Vec::new();
    let conditions = scan.condition_sql(&DIALECT.column, &mut |_, value| {
        values.push(bound(value));
        "?".to_owned()
    });
    let conditions = if conditions.is_empty() { conditions } else { format!(" WHERE {conditions}") };
    let limit = scan.limit.map_or(String::new(), |_| " LIMIT ?".to_owned());
    values.extend(scan.limit.map(|limit| Bound::BigInt(i64::try_from(limit).unwrap_or(i64::MAX))));
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} AS stored{conditions}{}{limit}",
        scan.selection_sql(&DIALECT),
        scan.table.name,
        scan.groups_sql(&DIALECT)
    );
    let mut statement = connection.prepare(&sql)?;
    // the iterator would panic on an interrupt; `step` reports it
    let _ = statement.stream_arrow(duckdb::params_from_iter(values))?;
    while let Some(rows) = statement.step()? {
        let batch = scan.batch(&RecordBatch::from(&rows))?;
        if batch.num_rows() > 0 && !send(batch) {
            return Ok(());
        }
    }
    Ok(())
}

fn bound(value: &Value) -> Bound {
    match value {
        Value::Null => Bound::Null,
        Value::Truth(truth) => Bound::Boolean(*truth),
        Value::Count(count) => Bound::UBigInt(*count),
        Value::Whole(whole) => Bound::BigInt(*whole),
        Value::Real(real) => Bound::Double(real.0),
        Value::Time(time) => super::fleet::time(*time),
        Value::Text(text) => Bound::Text(text.clone()),
        // not compared
        Value::Texts(_) => Bound::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_statement_that_begins_after_its_caller_has_left_ends() {
        let scans = Scans::default();
        let connection = Connection::open_in_memory().unwrap();
        let ((begun, has_begun), (left, has_left)) = (sync_channel(1), sync_channel(1));
        let scanned = scans.begin(("a store".into(), "cannot read".to_owned()), connection, move |connection, _| {
            begun.send(())?;
            has_left.recv()?;
            let endless = "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b";
            connection.query_row(endless, [], |row| row.get::<_, i64>(0))?;
            Ok(())
        });
        has_begun.recv().unwrap();
        drop(scanned.unwrap());
        left.send(()).unwrap();
        let running = scans.0.lock();
        let limit = Duration::from_secs(60);
        let waited = scans.0.ended.wait_timeout_while(running, limit, |running| !running.is_empty());
        let has_ended = waited.unwrap().0.is_empty();
        // also where it has not
        scans.close_blocking();
        assert!(has_ended, "its interrupt came before it had begun");
    }
}
