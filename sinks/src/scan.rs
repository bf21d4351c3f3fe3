//! Scans: rows of one table that fulfil conditions, as a stream of record batches. What SQL over a store reads.
//!
//! A scan is data, not text: a store writes the statement itself and binds every value. Each condition means the same in
//! every store as in Arrow's comparison kernels, so that a caller need not check it again; what could differ (a float that
//! is no number) cannot be said.

use crate::error::SinkError;
use crate::schema::{Kind, Table};
use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use model::derived::Value;
use std::any::Any;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Batches that wait for a slow caller.
pub(crate) const BATCHES_MAX: usize = 2;
/// Most comparisons in the conditions of a scan: each binds a value, and a server takes a limited number of them.
pub const COMPARISONS_MAX: usize = 100;
/// Longest text that is compared with, in bytes; a server refuses longer bound values.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Which rows of which table, and which of their columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The table.
    pub table: &'static Table,
    /// Places of the columns in the table, in the order in which they are wanted; none to count rows only.
    pub columns: Vec<usize>,
    /// All of them hold for each row.
    pub conditions: Vec<Condition>,
    /// Where there are any, a row is a group: of the rows that have the same values in `columns`, and these of each group.
    pub aggregates: Vec<Aggregate>,
    /// Most rows.
    pub limit: Option<u64>,
}

/// What of a group is wanted; as in SQL, absent values do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many rows.
    Rows,
    /// How many rows have a value in the column.
    Present(usize),
    /// The least value of the column, if any.
    Least(usize),
    /// The greatest value of the column, if any.
    Greatest(usize),
}

/// How a store writes a statement.
pub(crate) struct Dialect {
    /// A column's name in the statement.
    pub(crate) column: fn(&str) -> String,
    /// Milliseconds of a time.
    pub(crate) millis: &'static str,
    /// The functions of [`Aggregate::Least`] and [`Aggregate::Greatest`], absent for no rows.
    pub(crate) ends: [&'static str; 2],
}

/// A condition. As in SQL, a comparison with an absent value does not hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The column compared with a value of its kind. A float is finite; lists are not compared.
    Compare(usize, Comparison, Value),
    /// The column equals one of the values.
    IsOneOf(usize, Vec<Value>),
    /// The column has no value.
    IsAbsent(usize),
    /// The column has a value.
    IsPresent(usize),
    /// All of them.
    All(Vec<Condition>),
    /// At least one of them.
    Any(Vec<Condition>),
}

/// How a column is compared. Texts are compared byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Before.
    Less,
    /// Before or equal.
    LessOrEqual,
    /// After.
    Greater,
    /// After or equal.
    GreaterOrEqual,
}

impl Comparison {
    fn sql(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

impl Kind {
    /// How a scan has it: as in a page, except that a time is one.
    pub fn scanned_type(self) -> DataType {
        match self {
            Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            other => other.data_type(),
        }
    }
}

impl Table {
    /// The columns of a scan of all of them.
    pub fn scanned_schema(&self) -> SchemaRef {
        let field = |(name, kind): &(&str, Kind)| Field::new(*name, kind.scanned_type(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

impl Condition {
    /// How many values it binds, or would.
    pub fn comparisons(&self) -> usize {
        match self {
            Condition::Compare(..) | Condition::IsAbsent(_) | Condition::IsPresent(_) => 1,
            Condition::IsOneOf(_, values) => values.len(),
            Condition::All(parts) | Condition::Any(parts) => parts.iter().map(Condition::comparisons).sum(),
        }
    }

    /// The condition as SQL. `column` gives the column's name in the statement; `bind` takes a value of a kind and gives
    /// what stands for it.
    pub(crate) fn sql(
        &self,
        table: &Table,
        column: &dyn Fn(&str) -> String,
        bind: &mut dyn FnMut(Kind, &Value) -> String,
    ) -> String {
        let mut joined = |parts: &[Condition], word: &str, none: &str| {
            let parts: Vec<String> = parts.iter().map(|part| part.sql(table, column, bind)).collect();
            if parts.is_empty() { none.to_owned() } else { format!("({})", parts.join(word)) }
        };
        match self {
            Condition::All(parts) => return joined(parts, " AND ", "1 = 1"),
            Condition::Any(parts) => return joined(parts, " OR ", "1 = 0"),
            _ => {}
        }
        let named = |place: usize| (column(table.columns[place].0), table.columns[place].1);
        match self {
            Condition::Compare(place, comparison, value) => {
                let (name, kind) = named(*place);
                format!("{name} {} {}", comparison.sql(), bind(kind, value))
            }
            Condition::IsOneOf(place, values) => {
                let (name, kind) = named(*place);
                let values: Vec<String> = values.iter().map(|value| bind(kind, value)).collect();
                if values.is_empty() { "1 = 0".to_owned() } else { format!("{name} IN ({})", values.join(", ")) }
            }
            Condition::IsAbsent(place) => format!("{} IS NULL", named(*place).0),
            Condition::IsPresent(place) => format!("{} IS NOT NULL", named(*place).0),
            Condition::All(_) | Condition::Any(_) => unreachable!("returned above"),
        }
    }
}

impl Aggregate {
    /// For people: `max(p95)`.
    pub fn shown(self, table: &Table) -> String {
        let of = |function: &str, place: usize| format!("{function}({})", table.columns[place].0);
        match self {
            Aggregate::Rows => "count(*)".to_owned(),
            Aggregate::Present(place) => of("count", place),
            Aggregate::Least(place) => of("min", place),
            Aggregate::Greatest(place) => of("max", place),
        }
    }

    /// What its values are.
    fn kind(self, table: &Table) -> Kind {
        match self {
            Aggregate::Rows | Aggregate::Present(_) => Kind::I64,
            Aggregate::Least(place) | Aggregate::Greatest(place) => table.columns[place].1,
        }
    }

    fn sql(self, table: &Table, dialect: &Dialect) -> String {
        let of = |function: &str, place: usize| {
            let (name, kind) = table.columns[place];
            let value = format!("{function}({})", (dialect.column)(name));
            if kind == Kind::Time { format!("{}({value})", dialect.millis) } else { value }
        };
        match self {
            Aggregate::Rows => "count(*)".to_owned(),
            Aggregate::Present(place) => format!("count({})", (dialect.column)(table.columns[place].0)),
            Aggregate::Least(place) => of(dialect.ends[0], place),
            Aggregate::Greatest(place) => of(dialect.ends[1], place),
        }
    }
}

impl Scan {
    /// The columns of its batches; those of aggregates are called `a0`, `a1`, ….
    pub fn schema(&self) -> SchemaRef {
        let column = |place: &usize| {
            let (name, kind) = self.table.columns[*place];
            Field::new(name, kind.scanned_type(), true)
        };
        let aggregate = |(place, aggregate): (usize, &Aggregate)| {
            let is_count = matches!(aggregate, Aggregate::Rows | Aggregate::Present(_));
            Field::new(format!("a{place}"), aggregate.kind(self.table).scanned_type(), !is_count)
        };
        let columns = self.columns.iter().map(column);
        Arc::new(Schema::new(columns.chain(self.aggregates.iter().enumerate().map(aggregate)).collect::<Vec<_>>()))
    }

    /// What is selected: columns, then aggregates; something in any case.
    pub(crate) fn selection_sql(&self, dialect: &Dialect) -> String {
        let column = |place: &usize| {
            let (name, kind) = self.table.columns[*place];
            let value = (dialect.column)(name);
            if kind == Kind::Time {
                format!("{}({value}) AS {name}", dialect.millis)
            } else {
                format!("{value} AS {name}")
            }
        };
        let aggregate =
            |(place, aggregate): (usize, &Aggregate)| format!("{} AS a{place}", aggregate.sql(self.table, dialect));
        let columns = self.columns.iter().map(column);
        let selected: Vec<String> = columns.chain(self.aggregates.iter().enumerate().map(aggregate)).collect();
        if selected.is_empty() { "1 AS one".to_owned() } else { selected.join(", ") }
    }

    /// ` GROUP BY …` where there are groups.
    pub(crate) fn groups_sql(&self, dialect: &Dialect) -> String {
        if self.aggregates.is_empty() || self.columns.is_empty() {
            return String::new();
        }
        let names = self.columns.iter().map(|place| (dialect.column)(self.table.columns[*place].0));
        format!(" GROUP BY {}", names.collect::<Vec<_>>().join(", "))
    }

    /// What follows `WHERE`; empty without conditions.
    pub(crate) fn condition_sql(
        &self,
        column: &dyn Fn(&str) -> String,
        bind: &mut dyn FnMut(Kind, &Value) -> String,
    ) -> String {
        let parts: Vec<String> = self.conditions.iter().map(|part| part.sql(self.table, column, bind)).collect();
        parts.join(" AND ")
    }

    /// A batch of the statement as a batch of this scan.
    pub(crate) fn batch(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let kinds = self.columns.iter().map(|place| self.table.columns[*place].1);
        let kinds = kinds.chain(self.aggregates.iter().map(|aggregate| aggregate.kind(self.table)));
        let columns = kinds.zip(rows.columns()).map(|(kind, column)| scanned(column, kind));
        RecordBatch::try_new_with_options(self.schema(), columns.collect::<Result<Vec<_>, _>>()?, &options)
    }
}

/// A column of a page as a scan has it.
fn scanned(column: &ArrayRef, kind: Kind) -> Result<ArrayRef, ArrowError> {
    let column = cast(column, &kind.data_type())?;
    Ok(match kind {
        Kind::Time => {
            let times = column.as_primitive::<Int64Type>().reinterpret_cast::<TimestampMillisecondType>();
            Arc::new(times.with_timezone("UTC"))
        }
        _ => column,
    })
}

/// The batches of a scan, which ends when they are dropped.
pub struct Scanned {
    batches: mpsc::Receiver<Result<RecordBatch, SinkError>>,
    /// Ends the scan.
    _guard: Box<dyn Any + Send>,
}

impl Scanned {
    pub(crate) fn new(batches: mpsc::Receiver<Result<RecordBatch, SinkError>>, guard: impl Any + Send) -> Scanned {
        Scanned { batches, _guard: Box::new(guard) }
    }

    /// The next batch; `None` at the end, and after an error.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, SinkError>> {
        self.batches.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table;
    use model::time::TimeMs;

    #[test]
    fn conditions_are_text_without_values() {
        let events = table("federated_events");
        let place = |name: &str| events.columns.iter().position(|(column, _)| *column == name).unwrap_or(usize::MAX);
        let hostile = || Value::Text("x' OR 1=1 --".to_owned());
        let scan = Scan {
            table: events,
            columns: Vec::new(),
            conditions: vec![
                Condition::Compare(place("timestamp"), Comparison::GreaterOrEqual, Value::Time(TimeMs(5))),
                Condition::Any(vec![
                    Condition::IsOneOf(place("service_id"), vec![hostile(), hostile()]),
                    Condition::IsAbsent(place("correlation_group")),
                    Condition::All(Vec::new()),
                    Condition::Any(Vec::new()),
                ]),
            ],
            aggregates: vec![Aggregate::Rows, Aggregate::Least(place("timestamp"))],
            limit: None,
        };
        let dialect = Dialect { column: |name| format!("t.{name}"), millis: "ms", ends: ["least_of", "greatest_of"] };
        assert_eq!(scan.selection_sql(&dialect), "count(*) AS a0, ms(least_of(t.timestamp)) AS a1");
        let grouped = Scan { columns: vec![place("service_id"), place("timestamp")], ..scan.clone() };
        assert_eq!(grouped.groups_sql(&dialect), " GROUP BY t.service_id, t.timestamp");
        let mut bound = Vec::new();
        let text = scan.condition_sql(&|name| format!("stored.{name}"), &mut |kind, value| {
            bound.push((kind, value.clone()));
            "?".to_owned()
        });
        assert_eq!(
            text,
            "stored.timestamp >= ? AND (stored.service_id IN (?, ?) OR stored.correlation_group IS NULL OR 1 = 1 OR 1 = 0)"
        );
        assert_eq!(bound.len(), 3);
        assert_eq!(bound[0], (Kind::Time, Value::Time(TimeMs(5))));
        assert_eq!(scan.conditions.iter().map(Condition::comparisons).sum::<usize>(), 4);
    }
}
