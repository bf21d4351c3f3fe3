//! Stream: all rows of a statement as they come, for callers that keep none.

use super::{SqlEngine, limited};
use crate::guarded::Guarded;
use crate::sql::error::{SqlError, explained};
use crate::sql::guard;
use crate::sql::parameters::{Parameters, bound, numbered};
use crate::sql::reads::{Counted, Note};
use crate::sql::sizes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use sinks::StoreReader;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_stream::{Stream, StreamExt};

/// Batches that wait for a slow caller.
const WAITING_MAX: usize = 2;

/// A statement, with values for its parameters where it has any.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// One SELECT, or EXPLAIN of one; parameters are `?`, or `$1`, `$2` and so on.
    pub sql: String,
    /// A value for each parameter.
    pub parameters: Option<Parameters>,
}

/// Why a stream of rows ends before its end. The rows so far are then not the answer.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The statement fails.
    #[error("the statement failed")]
    Statement(#[source] SqlError),
    /// There are more rows than a stream may have.
    #[error("the answer has more than {rows_max} rows")]
    Rows {
        /// How many it may have.
        rows_max: usize,
    },
    /// Rows are missing.
    #[error("the rows are not all there are")]
    Missing {
        /// Which.
        notes: Vec<Note>,
    },
    /// Another call has ended it.
    #[error("the statement was cancelled")]
    Cancelled,
}

/// Rows as they come. The statement, and what it reads, ends with this.
#[derive(Debug)]
pub struct RowStream {
    columns: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, Cut>>,
    statement: JoinSet<()>,
    stopper: Stopper,
}

impl RowStream {
    /// The columns of all batches.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// What ends it from elsewhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = ready!(self.batches.poll_recv(context)) {
            return Poll::Ready(Some(batch));
        }
        // whether that was the end is known once the statement has ended
        Poll::Ready(match ready!(self.statement.poll_join_next(context)) {
            None | Some(Ok(())) => None,
            Some(Err(error)) if error.is_cancelled() => Some(Err(Cut::Cancelled)),
            Some(Err(error)) => Some(Err(Cut::Statement(SqlError::panicked(&error)))),
        })
    }
}

/// Ends a statement from elsewhere.
#[derive(Clone, Debug)]
pub struct Stopper(AbortHandle);

impl Stopper {
    /// Ends it; false where it had ended before.
    pub fn stop(&self) -> bool {
        let runs = !self.0.is_finished();
        self.0.abort();
        runs
    }
}

/// Where a statement says whether it has begun, and where its rows go.
struct Caller {
    begun: oneshot::Sender<Result<SchemaRef, SqlError>>,
    batches: mpsc::Sender<Result<RecordBatch, Cut>>,
}

impl SqlEngine {
    /// All rows of a statement as they come. It has its turn and its time like any other, until its last row is taken.
    /// Where a limit is reached or rows are missing, the stream ends with the reason.
    ///
    /// # Errors
    /// When the statement does more than read, has no turn, or cannot begin.
    pub async fn stream(&self, statement: Statement, reader: &Arc<dyn StoreReader>) -> Result<RowStream, SqlError> {
        let turn = self.turn().await?;
        let ((begun, has_begun), (sender, batches)) = (oneshot::channel(), mpsc::channel(WAITING_MAX));
        let mut running = JoinSet::new();
        let caller = Caller { begun, batches: sender };
        let run = self.clone().run_for(statement, Arc::clone(reader), caller, turn);
        let stopper = Stopper(running.spawn_on(Guarded::new(run), &self.threads.handle()));
        match has_begun.await {
            Ok(columns) => Ok(RowStream { columns: columns?, batches, statement: running, stopper }),
            Err(_) => Err(match running.join_next().await {
                Some(Err(error)) => SqlError::panicked(&error),
                _ => SqlError::Busy,
            }),
        }
    }

    pub(super) fn late(&self) -> SqlError {
        SqlError::TimedOut { after: self.limits.timeout }
    }

    /// Runs a statement until its rows are taken, its time is over or its caller is gone.
    async fn run_for(
        self,
        statement: Statement,
        reader: Arc<dyn StoreReader>,
        caller: Caller,
        turn: OwnedSemaphorePermit,
    ) {
        let turn = (turn, self.running.begin());
        let end = Instant::now() + self.limits.timeout;
        let counted = Counted::within(self.limits.timeout);
        let begun = timeout_at(end, self.begin(&statement, &reader, &counted)).await;
        let mut rows = match begun.unwrap_or_else(|_| Err(self.late())) {
            Ok(rows) => rows,
            Err(error) => {
                let _ = caller.begun.send(Err(error));
                return;
            }
        };
        if caller.begun.send(Ok(rows.schema())).is_err() {
            return;
        }
        let passed = timeout_at(end, self.pass(&mut rows, &counted, &caller.batches)).await;
        // a caller that is slow to learn of the end holds neither a turn nor what is read
        drop((rows, turn));
        if let Err(cut) = passed.unwrap_or_else(|_| Err(Cut::Statement(self.late()))) {
            let _ = caller.batches.send(Err(cut)).await;
        }
    }

    async fn begin(
        &self,
        statement: &Statement,
        reader: &Arc<dyn StoreReader>,
        counted: &Counted,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        let state = self.state(reader, counted);
        let plan = guard::planned(&state, &numbered(&statement.sql)?).await?;
        let plan = limited(bound(plan, statement.parameters.as_ref())?, self.limits.rows_max)?;
        let while_running = |error| explained(error, true);
        let physical = state.create_physical_plan(&plan).await.map_err(while_running)?;
        execute_stream(physical, state.task_ctx()).map_err(while_running)
    }

    async fn pass(
        &self,
        rows: &mut SendableRecordBatchStream,
        counted: &Counted,
        batches: &mpsc::Sender<Result<RecordBatch, Cut>>,
    ) -> Result<(), Cut> {
        let (rows_max, bytes_max) = (self.limits.rows_max, self.limits.answer_bytes_max);
        let (mut count, mut bytes) = (0_usize, 0_usize);
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error| Cut::Statement(explained(error, true)))?;
            count = count.saturating_add(batch.num_rows());
            bytes = bytes.saturating_add(sizes::of(&batch));
            if count > rows_max {
                return Err(Cut::Rows { rows_max });
            }
            if bytes > bytes_max {
                return Err(Cut::Statement(SqlError::AnswerTooLarge { bytes_max }));
            }
            if batches.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
        match counted.so_far() {
            (_, notes) if notes.is_empty() => Ok(()),
            (_, notes) => Err(Cut::Missing { notes }),
        }
    }
}
