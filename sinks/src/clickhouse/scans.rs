//! Scans: the rows of a statement as they come from the server; the statement ends with its connection.

use super::fault::Fault;
use super::server::Server;
use crate::SinkError;
use crate::closing::{Closing, closed};
use crate::scan::{BATCHES_MAX, Dialect, Scan, Scanned};
use crate::schema::Kind;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use clickhouse::query::Query;
use model::derived::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Rows of a batch.
const BATCH_ROWS: &str = "8192";
/// What a scan may take of a server that also writes.
const SHARE: [(&str, &str); 2] = [("max_memory_usage", "1073741824"), ("max_threads", "4")];
/// What a server may do when one of its limits is reached: fail. With the other value it would answer with fewer rows, or
/// with groups of some rows only.
const OVERFLOWS: [&str; 4] =
    ["timeout_overflow_mode", "read_overflow_mode", "result_overflow_mode", "group_by_overflow_mode"];
/// How much longer the server has than the caller, who then hears of the caller's limit.
const GRACE: Duration = Duration::from_secs(1);

const DIALECT: Dialect = Dialect {
    column: |name| format!("stored.{name}"),
    millis: "toUnixTimestamp64Milli",
    ends: ["minOrNull", "maxOrNull"],
};

/// Ends the task, and with it the connection.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a scan, which the server ends after this time if its caller has not.
pub(super) fn start(
    (server, limit): (&Server, Option<Duration>),
    (name, closing): (Arc<str>, Closing),
    scan: Scan,
) -> Scanned {
    let (sender, batches) = mpsc::channel(BATCHES_MAX);
    let doing = format!("cannot read {}", scan.table.name);
    let longest = server.config.statement_limit;
    let server = server.with_statement_limit(limit.map_or(longest, |limit| longest.min(limit.saturating_add(GRACE))));
    let query = statement(&server, &scan);
    let task = tokio::spawn(async move {
        // an end without its error would look like the end of the rows
        let error = match server.limited_scan(read(query, &scan, &sender)).await {
            _ if closing.is_closed() => closed(&name, &doing),
            Ok(()) => return,
            Err(fault) => fault.during(doing, &name),
        };
        let _ = sender.send(Err(error)).await;
    });
    Scanned::new(batches, Task(task))
}

async fn read(query: Query, scan: &Scan, sender: &mpsc::Sender<Result<RecordBatch, SinkError>>) -> Result<(), Fault> {
    let mut bytes = query.fetch_bytes("ArrowStream")?;
    let mut decoder = StreamDecoder::new();
    while let Some(chunk) = bytes.next().await? {
        let mut buffer = Buffer::from(&chunk[..]);
        while let Some(rows) = decoder.decode(&mut buffer)? {
            if sender.send(Ok(scan.batch(&rows)?)).await.is_err() {
                return Ok(());
            }
        }
    }
    // a stream that ends within a message
    Ok(decoder.finish()?)
}

fn statement(server: &Server, scan: &Scan) -> Query {
    let mut values: Vec<(String, Value)> = Vec::new();
    let conditions = scan.condition_sql(&DIALECT.column, &mut |kind, value| {
        let name = format!("c{}", values.len());
        let text = mark(&name, kind);
        values.push((name, value.clone()));
        text
    });
    let conditions = if conditions.is_empty() { conditions } else { format!(" WHERE {conditions}") };
    let limit = scan.limit.map_or(String::new(), |_| " LIMIT {limit:UInt64}".to_owned());
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} AS stored FINAL{conditions}{}{limit}",
        scan.selection_sql(&DIALECT),
        scan.table.name,
        scan.groups_sql(&DIALECT)
    );
    let mut query = server
        .query(&sql)
        // what may only read is cancelled with its connection; 2, since settings and parameters are still given
        .with_setting("readonly", "2")
        .with_setting("cancel_http_readonly_queries_on_client_close", "1")
        .with_setting("max_block_size", BATCH_ROWS)
        .with_setting("output_format_arrow_compression_method", "none")
        .with_setting("output_format_arrow_string_as_string", "1")
        .with_setting("output_format_arrow_low_cardinality_as_dictionary", "0");
    for mode in OVERFLOWS {
        query = query.with_setting(mode, "throw");
    }
    for (name, value) in SHARE {
        query = query.with_setting(name, value);
    }
    if let Some(limit) = scan.limit {
        query = query.param("limit", limit);
    }
    for (name, value) in values {
        query = match value {
            Value::Truth(truth) => query.param(&name, truth),
            Value::Count(count) => query.param(&name, count),
            Value::Whole(whole) => query.param(&name, whole),
            Value::Real(real) => query.param(&name, real.0),
            Value::Time(time) => query.param(&name, time.0),
            Value::Text(text) => query.param(&name, text),
            // not compared
            Value::Null | Value::Texts(_) => query.param(&name, ""),
        };
    }
    query
}

/// A bound value for comparison with a column of this kind.
fn mark(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Time => format!("fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"),
        Kind::Real => format!("{{{name}:Float64}}"),
        Kind::I32 | Kind::I64 => format!("{{{name}:Int64}}"),
        Kind::U32 | Kind::U64 => format!("{{{name}:UInt64}}"),
        Kind::Truth => format!("{{{name}:Bool}}"),
        Kind::Text | Kind::Texts => format!("{{{name}:String}}"),
    }
}
