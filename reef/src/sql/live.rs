//! Live: tables of a colony, read from the colony itself when a statement is run.
//!
//! A range of time is left to the colony exactly. Services and metrics are left to it as well and are checked again
//! here: a colony of an earlier version sends all of them. A colony that does not answer has no rows, and a note says
//! so.

mod range;
mod rows;

use super::reads::Counted;
use super::source::{RowSource, Rows, SourceExec};
use super::stored::shown;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, SchemaProvider, Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use model::metric::MetricPoint;
use pipelines::open::live::{AskedRange, LiveColonies, NotAnswered, RowsOf};
use range::Narrowed;
use rows::Live;
use std::fmt;
use std::sync::Arc;

/// The catalog of colonies: `colony.<id>.metrics`.
pub(super) const COLONY: &str = "colony";

/// The colonies that can be asked.
pub(super) struct ColonyCatalog {
    colonies: Arc<LiveColonies>,
    counted: Counted,
}

impl ColonyCatalog {
    pub(super) fn new(colonies: Arc<LiveColonies>, counted: Counted) -> ColonyCatalog {
        ColonyCatalog { colonies, counted }
    }
}

/// The tables of one colony.
struct ColonySchema {
    colony_id: String,
    colonies: Arc<LiveColonies>,
    counted: Counted,
}

impl fmt::Debug for ColonyCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ColonyCatalog")
    }
}

impl fmt::Debug for ColonySchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColonySchema").field("colony_id", &self.colony_id).finish_non_exhaustive()
    }
}

impl CatalogProvider for ColonyCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.colonies.ids().map(str::to_owned).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let colony_id = self.colonies.ids().find(|id| *id == name)?.to_owned();
        let (colonies, counted) = (Arc::clone(&self.colonies), self.counted.clone());
        Some(Arc::new(ColonySchema { colony_id, colonies, counted }))
    }
}

#[async_trait]
impl SchemaProvider for ColonySchema {
    fn table_names(&self) -> Vec<String> {
        Live::ALL.iter().map(|live| live.name().to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let live = Live::ALL.into_iter().find(|live| live.name() == name);
        let table = |live: Live| LiveTable {
            live,
            schema: live.schema(),
            colony_id: self.colony_id.clone(),
            colonies: Arc::clone(&self.colonies),
            counted: self.counted.clone(),
        };
        Ok(live.map(|live| Arc::new(table(live)) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        Live::ALL.iter().any(|live| live.name() == name)
    }
}

/// A table of a colony.
struct LiveTable {
    live: Live,
    schema: SchemaRef,
    colony_id: String,
    colonies: Arc<LiveColonies>,
    counted: Counted,
}

impl fmt::Debug for LiveTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveTable({} of {})", self.live.name(), self.colony_id)
    }
}

#[async_trait]
impl TableProvider for LiveTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|filter| range::support(filter, self.live)).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let source = LiveRows {
            live: self.live,
            whole: Arc::clone(&self.schema),
            columns,
            narrowed: Narrowed::of(filters),
            shown: shown(&filters.iter().filter(|filter| range::is_asked(filter)).cloned().collect::<Vec<_>>()),
            colony_id: self.colony_id.clone(),
            colonies: Arc::clone(&self.colonies),
        };
        Ok(Arc::new(SourceExec::new(Arc::new(source), schema, self.counted.clone())))
    }
}

/// The rows of a table of a colony.
struct LiveRows {
    live: Live,
    whole: SchemaRef,
    columns: Vec<usize>,
    narrowed: Narrowed,
    shown: String,
    colony_id: String,
    colonies: Arc<LiveColonies>,
}

impl fmt::Debug for LiveRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveRows({} of {})", self.live.name(), self.colony_id)
    }
}

#[async_trait]
impl RowSource for LiveRows {
    fn table(&self) -> String {
        format!("colony.{:?}.{}", self.colony_id, self.live.name())
    }

    fn pushed(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|place| self.whole.field(*place).name().as_str()).collect();
        let shown = if self.shown.is_empty() { String::new() } else { format!(", where=[{}]", self.shown) };
        format!("columns=[{}]{shown}", names.join(", "))
    }

    async fn send(&self, rows: &Rows) -> Result<()> {
        match self.sent(rows).await {
            Err(Ended::Missing(why)) => {
                let message = format!("colony {} sent not all of its {}: {why}", self.colony_id, self.live.name());
                rows.counted().note("colony_missing", message, &self.colony_id);
                Ok(())
            }
            Err(Ended::Failed(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }
}

/// Why rows end early.
enum Ended {
    /// The colony does not answer.
    Missing(NotAnswered),
    /// Its rows are no batch.
    Failed(DataFusionError),
}

impl From<NotAnswered> for Ended {
    fn from(error: NotAnswered) -> Ended {
        Ended::Missing(error)
    }
}

impl From<DataFusionError> for Ended {
    fn from(error: DataFusionError) -> Ended {
        Ended::Failed(error)
    }
}

impl LiveRows {
    async fn sent(&self, rows: &Rows) -> std::result::Result<(), Ended> {
        let mut colony = self.colonies.reach(&self.colony_id).await?;
        let of_range = match self.live {
            Live::Services | Live::Connections => {
                let (nodes, edges) = colony.topology().await?;
                let batch = if self.live == Live::Services { rows::services(nodes) } else { rows::connections(edges) };
                rows.batch(self.projected(batch)?).await;
                return Ok(());
            }
            Live::Metrics => RowsOf::Metrics,
            Live::Events => RowsOf::Events,
        };
        let (from, to) = self.narrowed.range(self.colonies.clock().now());
        let mut slices = colony.rows(AskedRange {
            rows: of_range,
            from,
            to,
            services: self.narrowed.services.clone(),
            metrics: self.narrowed.metrics.clone(),
        });
        let (mut refused, mut unasked) = (0, Unasked::default());
        while let Some(sent) = slices.next().await? {
            refused += sent.refused;
            unasked.add(&sent.metrics, &self.narrowed);
            let batch =
                if self.live == Live::Metrics { rows::metrics(&sent.metrics) } else { rows::events(&sent.events) };
            if batch.num_rows() > 0 && !rows.batch(self.projected(batch)?).await {
                break;
            }
        }
        if refused > 0 {
            let message =
                format!("colony {} sent {refused} rows that are not valid; they are left out", self.colony_id);
            rows.counted().note("rows_refused", message, &self.colony_id);
        }
        if unasked.coarser > 0 {
            let (count, seconds) = (unasked.coarser, unasked.longest);
            let message = format!(
                "colony {} has {count} buckets of this range only in a coarser interval than asked, up to {seconds} s",
                self.colony_id
            );
            rows.counted().note("resolution_coarser", message, &self.colony_id);
        }
        if unasked.finer > 0 {
            let (count, seconds) = (unasked.finer, unasked.shortest);
            let message = format!(
                "colony {} has sent {count} buckets of this range in a finer interval than asked, down to {seconds} s, \
                 and no coarser ones of the same time: group them by date_trunc",
                self.colony_id
            );
            rows.counted().note("resolution_finer", message, &self.colony_id);
        }
        Ok(())
    }

    fn projected(&self, batch: RecordBatch) -> Result<RecordBatch> {
        Ok(batch.project(&self.columns)?)
    }
}

/// Buckets of other intervals than a statement asks for. A colony sends the finest ones of each time, and no others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unasked {
    coarser: u64,
    /// Of the coarser ones.
    longest: u32,
    finer: u64,
    /// Of the finer ones.
    shortest: u32,
}

impl Unasked {
    fn add(&mut self, sent: &[MetricPoint], narrowed: &Narrowed) {
        let Some((from, to)) = narrowed.intervals else { return };
        for names in sent.iter().map(|row| row.series.names()) {
            let Some(seconds) = names.interval_seconds else { continue };
            let is_one = |wanted: &[String], name: &str| wanted.is_empty() || wanted.iter().any(|it| it == name);
            if !is_one(&narrowed.services, names.service_id) || !is_one(&narrowed.metrics, names.metric_name) {
                continue;
            }
            if seconds > to {
                (self.coarser, self.longest) = (self.coarser + 1, self.longest.max(seconds));
            } else if seconds < from && to < u32::MAX {
                // without an upper end a condition only leaves out finer ones
                let known = if self.finer == 0 { seconds } else { self.shortest };
                (self.finer, self.shortest) = (self.finer + 1, known.min(seconds));
            }
        }
    }
}
