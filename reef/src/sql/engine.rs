//! Engine: runs a statement within its limits. It ends when its caller no longer waits, and what it reads ends with
//! it.

mod described;
mod stream;

use super::answer::{SqlAnswer, Table, behind};
use super::bounds::{BATCH_ROWS, CountRows};
use super::catalog::{REEF, ReefCatalog, STORE};
use super::error::{SqlError, explained};
use super::files::{FILES, Files};
use super::groups::LeaveGroups;
use super::limits::{Limits, ROWS_USUAL};
use super::live::{COLONY, ColonyCatalog};
use super::reads::Counted;
use super::running::Running;
use super::threads::Threads;
use super::yields::GiveWay;
use super::{functions, guard, projections, sizes};
use crate::answers::fleet::Fleet;
use crate::answers::{Completeness, Scope};
use crate::guarded::Guarded;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use model::instruments::Registry;
use pipelines::open::live::LiveColonies;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::StreamExt;

pub use described::{Described, NamedTable};
pub use stream::{Cut, RowStream, Statement, Stopper};

/// A question in SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlQuestion {
    /// One SELECT, or EXPLAIN of one.
    pub sql: String,
    /// Most rows of the answer.
    pub limit: Option<usize>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u64>,
}

/// Runs statements; clones share their limits.
#[derive(Clone)]
pub struct SqlEngine {
    limits: Limits,
    turns: Arc<Semaphore>,
    runtime: Arc<RuntimeEnv>,
    threads: Threads,
    running: Running,
    colonies: Option<Arc<LiveColonies>>,
    folders: Arc<Vec<PathBuf>>,
}

impl Default for SqlEngine {
    fn default() -> SqlEngine {
        SqlEngine::new(Limits::default())
    }
}

impl SqlEngine {
    /// An engine with these limits.
    pub fn new(limits: Limits) -> SqlEngine {
        // nothing is written to a disk: a statement that needs more memory fails
        let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(no_disk)
            .build()
            .unwrap_or_else(|error| unreachable!("an environment without files: {error}"));
        let turns = Arc::new(Semaphore::new(limits.statements_max));
        SqlEngine {
            limits,
            turns,
            runtime: Arc::new(runtime),
            threads: Threads::default(),
            running: Running::default(),
            colonies: None,
            folders: Arc::default(),
        }
    }

    /// The same; its statements, and what they read in DuckDB, give way to all other threads of the process.
    pub fn giving_way(self) -> SqlEngine {
        SqlEngine { threads: Threads::giving_way(), ..self }
    }

    /// The same; statements may read these colonies as `colony.<id>.…`.
    pub fn with_colonies(self, colonies: LiveColonies) -> SqlEngine {
        SqlEngine { colonies: Some(Arc::new(colonies)), ..self }
    }

    /// The same; statements may read Parquet files in these folders as `files('name.parquet')`.
    pub fn with_files(self, folders: Vec<PathBuf>) -> SqlEngine {
        SqlEngine { folders: Arc::new(folders), ..self }
    }

    /// Counts from now on in this registry, unless it counts in another one.
    pub fn count_in(&self, registry: &Registry) {
        self.running.count_in(registry);
    }

    /// Answers a question from a store.
    ///
    /// # Errors
    /// When the statement does more than read, when a limit is reached, or when the store cannot be read.
    pub async fn answer(
        &self,
        question: &SqlQuestion,
        reader: &Arc<dyn StoreReader>,
        scope: &Scope,
    ) -> Result<SqlAnswer, SqlError> {
        let rows_max = self.rows_max(question.limit)?;
        let after = self.time_limit(question.timeout_ms)?;
        let turn = self.turn().await?;
        let (engine, reader, scope, sql) = (self.clone(), Arc::clone(reader), scope.clone(), question.sql.clone());
        // a task that ends with the caller: a panic of a statement is that of its task
        let mut statements = JoinSet::new();
        let run = async move {
            let _turn = (turn, engine.running.begin());
            engine.run(&sql, (rows_max, after), &reader, &scope).await
        };
        statements.spawn_on(Guarded::new(run), &self.threads.handle());
        let ended = timeout(after, statements.join_next()).await;
        let Ok(ended) = ended else { return Err(SqlError::TimedOut { after }) };
        match ended {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => Err(SqlError::panicked(&error)),
            None => Err(SqlError::Busy),
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, SqlError> {
        let turn = timeout(self.limits.turn_wait, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(SqlError::Busy)
    }

    fn rows_max(&self, limit: Option<usize>) -> Result<usize, SqlError> {
        match limit.unwrap_or(ROWS_USUAL.min(self.limits.rows_max)) {
            rows if (1..=self.limits.rows_max).contains(&rows) => Ok(rows),
            rows => {
                let message = format!("the limit is {rows} rows, not 1 to {}", self.limits.rows_max);
                Err(SqlError::refused(message, "ask for fewer rows, or for groups of them"))
            }
        }
    }

    fn time_limit(&self, asked_ms: Option<u64>) -> Result<Duration, SqlError> {
        match asked_ms.map(Duration::from_millis) {
            None => Ok(self.limits.timeout),
            Some(asked) if !asked.is_zero() && asked <= self.limits.timeout => Ok(asked),
            Some(_) => {
                let most = self.limits.timeout.as_secs();
                let message = format!("the time limit has to be more than 0 and at most {most} s");
                Err(SqlError::refused(message, "narrow the statement instead"))
            }
        }
    }

    async fn run(
        &self,
        sql: &str,
        (rows_max, timeout): (usize, Duration),
        reader: &Arc<dyn StoreReader>,
        scope: &Scope,
    ) -> Result<SqlAnswer, SqlError> {
        let counted = Counted::within(timeout);
        let state = self.state(reader, &counted);
        let plan = guard::planned(&state, sql).await?;
        let fleet = Fleet::read(reader.as_ref(), scope).await.map_err(SqlError::Store)?;
        let (schema, mut batches) = self.rows(&state, plan, rows_max).await?;
        let truncated = cut(&mut batches, rows_max);
        if truncated {
            let message = format!("only the first {rows_max} rows are here: more exist");
            counted.note("limit_reached", message, "");
        }
        let (reads, mut notes) = counted.so_far();
        let completeness = Completeness::of(&fleet, |_, _| true);
        notes.extend(behind(&completeness, &reads));
        Ok(SqlAnswer { table: Table { schema, batches }, truncated, notes, reads, completeness })
    }

    /// Rows of a plan, one more than the most where there are more.
    async fn rows(
        &self,
        state: &SessionState,
        plan: LogicalPlan,
        rows_max: usize,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let while_running = |error| explained(error, true);
        let plan = limited(plan, rows_max)?;
        let physical = state.create_physical_plan(&plan).await.map_err(while_running)?;
        let mut stream = execute_stream(physical, state.task_ctx()).map_err(while_running)?;
        let (schema, mut batches, mut bytes) = (stream.schema(), Vec::new(), 0_usize);
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(while_running)?;
            bytes = bytes.saturating_add(sizes::of(&batch));
            if bytes > self.limits.answer_bytes_max {
                return Err(SqlError::AnswerTooLarge { bytes_max: self.limits.answer_bytes_max });
            }
            batches.push(batch);
        }
        Ok((schema, batches))
    }

    fn state(&self, reader: &Arc<dyn StoreReader>, counted: &Counted) -> SessionState {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(REEF, STORE)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true)
            // one part: a statement takes one thread of those that the reef runs on
            .with_target_partitions(1)
            .with_batch_size(BATCH_ROWS);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.enable_recursive_ctes = false;
        // it reserves memory for as many groups as LIMIT says, which no limit counts
        options.optimizer.enable_topk_aggregation = false;
        let catalogs = MemoryCatalogProviderList::new();
        let store = ReefCatalog::new(Arc::clone(reader), counted.clone());
        catalogs.register_catalog(REEF.to_owned(), Arc::new(store));
        if let Some(colonies) = &self.colonies {
            let live = ColonyCatalog::new(Arc::clone(colonies), counted.clone());
            catalogs.register_catalog(COLONY.to_owned(), Arc::new(live));
        }
        let builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_catalog_list(Arc::new(catalogs))
            .with_optimizer_rules(projections::rules())
            .with_optimizer_rule(Arc::new(LeaveGroups))
            .with_physical_optimizer_rule(Arc::new(CountRows))
            .with_physical_optimizer_rule(Arc::new(GiveWay));
        let mut state = functions::registered(builder).build();
        // now() is one time for the whole statement, and a constant that can be left to a store
        state.mark_start_execution();
        if !self.folders.is_empty() {
            let files = Files::new(Arc::clone(&self.folders), counted.clone());
            state.register_udtf(FILES, Arc::new(files));
        }
        state
    }
}

/// The plan for one row more than the most: that is enough to know that there are too many.
fn limited(plan: LogicalPlan, rows_max: usize) -> Result<LogicalPlan, SqlError> {
    if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Ok(plan);
    }
    let limited = LogicalPlanBuilder::from(plan).limit(0, Some(rows_max.saturating_add(1)));
    limited.and_then(LogicalPlanBuilder::build).map_err(|error| explained(error, true))
}

/// Keeps the first rows; whether there were more.
fn cut(batches: &mut Vec<RecordBatch>, rows_max: usize) -> bool {
    let (mut left, mut is_cut) = (rows_max, false);
    batches.retain_mut(|batch| {
        if batch.num_rows() > left {
            is_cut = true;
            *batch = batch.slice(0, left);
        }
        left -= batch.num_rows();
        batch.num_rows() > 0
    });
    is_cut
}
