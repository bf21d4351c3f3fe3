//! Rows of a table as a page, whatever the condition.

use super::fault::Fault;
use super::server::Server;
use crate::schema::{Kind, Table};
use crate::transfer::Page;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use clickhouse::query::Query;

/// A query for rows of a table, of all its columns; `which` is what follows its name (`stored`) in the statement.
pub(super) fn selected(server: &Server, table: &'static Table, which: &str) -> Query {
    let column = |(name, kind): &(&str, Kind)| match kind {
        Kind::Time => format!("toUnixTimestamp64Milli(stored.{name}) AS {name}"),
        _ => format!("stored.{name} AS {name}"),
    };
    let selection: Vec<String> = table.columns.iter().map(column).collect();
    // sql: identifiers only
    let sql = format!("SELECT {} FROM {} AS stored FINAL {which}", selection.join(", "), table.name);
    server
        .query(&sql)
        .with_setting("output_format_arrow_compression_method", "none")
        .with_setting("output_format_arrow_string_as_string", "1")
        .with_setting("output_format_arrow_low_cardinality_as_dictionary", "0")
}

/// Runs a query of [`selected`].
pub(super) async fn read(server: &Server, table: &'static Table, query: Query) -> Result<Page, Fault> {
    let bytes = server.bytes(query, "ArrowStream").await?;
    let batches = if bytes.is_empty() {
        Vec::new()
    } else {
        StreamReader::try_new(bytes.as_slice(), None)?.collect::<Result<Vec<RecordBatch>, _>>()?
    };
    match batches.first() {
        Some(first) => Ok(Page::new(table, concat_batches(&first.schema(), &batches)?)?),
        None => Ok(Page::empty(table)),
    }
}
