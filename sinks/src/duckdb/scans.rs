//! Scans: each has a connection and a thread of its own, so that several of one query can wait for one another.

use super::fault::{Cause, explain};
use crate::SinkError;
use crate::closing::{Closing, closed};
use crate::scan::{BATCHES_MAX, Dialect, Scan, Scanned};
use arrow::record_batch::RecordBatch;
use duckdb::types::Value as Bound;
use duckdb::{Connection, InterruptHandle};
use model::derived::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// Interval of interrupts of running scans when the store is closed.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

const DIALECT: Dialect = Dialect { column: |name| format!("stored.{name}"), millis: "epoch_ms", ends: ["min", "max"] };

/// The scans that run. Closing the store ends them.
#[derive(Clone, Default)]
pub(super) struct Scans(Arc<Shared>);

#[derive(Default)]
struct Shared {
    running: Mutex<BTreeMap<u64, Arc<InterruptHandle>>>,
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

/// Interrupts a scan when no caller waits for its batches.
struct Interrupt(Arc<InterruptHandle>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<InterruptHandle>>> {
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
        let interrupt = connection.interrupt_handle();
        let running = self.register(Arc::clone(&interrupt));
        self.0.closing.check(&name, &doing)?;
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        let mut way = Way { sender, closes: self.0.is_closed.subscribe(), runtime: Handle::current() };
        let (shared, store, what) = (Arc::clone(&self.0), Arc::clone(&name), doing.clone());
        let body = move || {
            let ended = if way.sender.is_closed() { Ok(()) } else { read(&connection, &scan, &mut |it| way.send(it)) };
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
        Ok(Scanned::new(batches, Interrupt(interrupt)))
    }

    fn register(&self, interrupt: Arc<InterruptHandle>) -> Running {
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
            running.values().for_each(|connection| connection.interrupt());
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
