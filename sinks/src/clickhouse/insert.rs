//! Writes rows as one INSERT: Arrow columns as a stream, compressed, split by size; rejected rows are found by
//! bisection.

use super::fault::{Cause, Fault};
use super::session::Session;
use crate::columns::Columns;
use crate::error::FaultClass;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use std::ops::Range;
use std::time::Duration;

/// Rows per record batch: small enough that the longest admissible texts fit Arrow's 32-bit offsets.
const ROWS_PER_BATCH: usize = 8_192;
/// Bytes after which a statement is ended and the next one started, to bound memory on both sides.
const BYTES_PER_STATEMENT_MAX: usize = 128 << 20;
/// Bytes that are compressed and sent as one block.
const BYTES_PER_BLOCK: usize = 1 << 20;
/// When this many rows are refused and none is taken, the table is at fault and not the rows.
const REFUSED_IN_A_ROW_MAX: usize = 32;

/// A row that the server refused, by its position in the insert, and the server's reason.
pub(super) struct Refused {
    pub(super) place: usize,
    pub(super) reason: String,
}

/// Writes `rows` to `table`, atomically if they fit into [`BYTES_PER_STATEMENT_MAX`].
pub(super) async fn insert<T>(
    session: &Session,
    table: &str,
    rows: &[T],
    columns: impl Fn(&[T]) -> Columns,
) -> Result<(), Fault> {
    let mut begin = 0;
    while begin < rows.len() {
        begin += statement(session, table, &rows[begin..], &columns).await?;
    }
    Ok(())
}

/// One INSERT of as many of `rows` as fit; how many that were.
async fn statement<T>(
    session: &Session,
    table: &str,
    rows: &[T],
    columns: &impl Fn(&[T]) -> Columns,
) -> Result<usize, Fault> {
    session.check_lease().await?;
    let batch = |chunk: &[T]| RecordBatch::try_from_iter_with_nullable(nullable(columns(chunk)));
    let empty = batch(&rows[..0])?;
    let names: Vec<String> = empty.schema().fields().iter().map(|field| field.name().clone()).collect();
    // sql: identifiers only
    let sql = format!("INSERT INTO {table} ({}) FORMAT ArrowStream", names.join(", "));
    let limit = session.server.config.statement_limit;
    let seconds = limit.as_secs().max(1).to_string();
    let mut request = session
        .server
        .client
        .insert_formatted_with(sql)
        // one commit may have many months of history
        .with_setting("max_partitions_per_insert_block", "0")
        .with_setting("max_execution_time", seconds)
        .with_setting("async_insert", "0")
        // a key is in an insert once, or several times with the same version: there is nothing to merge in advance
        .with_setting("optimize_on_insert", "0")
        .with_timeouts(Some(limit), Some(limit + Duration::from_secs(5)))
        .buffered_with_capacity(BYTES_PER_BLOCK);
    let mut writer = StreamWriter::try_new(Vec::new(), &empty.schema())?;
    let (mut sent_rows, mut sent_bytes) = (0, 0);
    for chunk in rows.chunks(ROWS_PER_BATCH) {
        writer.write(&batch(chunk)?)?;
        let bytes = std::mem::take(writer.get_mut());
        send(&mut request, &bytes).await?;
        (sent_rows, sent_bytes) = (sent_rows + chunk.len(), sent_bytes + bytes.len());
        if sent_bytes >= BYTES_PER_STATEMENT_MAX {
            break;
        }
    }
    writer.finish()?;
    send(&mut request, &std::mem::take(writer.get_mut())).await?;
    request.end().await?;
    Ok(sent_rows)
}

/// All columns as nullable: an empty batch must have the schema of the full ones.
fn nullable(columns: Columns) -> impl Iterator<Item = (&'static str, arrow::array::ArrayRef, bool)> {
    columns.into_iter().map(|(name, values)| (name, values, true))
}

async fn send(request: &mut clickhouse::insert_formatted::BufInsertFormatted, mut bytes: &[u8]) -> Result<(), Fault> {
    while !bytes.is_empty() {
        let written = request.write(bytes).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// [`insert`], but a value that the server refuses costs its row and no other. The rest is written.
pub(super) async fn insert_taking_out<T>(
    session: &Session,
    table: &str,
    rows: &[T],
    columns: impl Fn(&[T]) -> Columns,
) -> Result<Vec<Refused>, Fault> {
    let mut refused: Vec<Refused> = Vec::new();
    let mut any_taken = false;
    // the part on top comes first, so that rows are written and refused in their order
    let mut parts: Vec<Range<usize>> = std::iter::once(0..rows.len()).collect();
    while let Some(part) = parts.pop() {
        match insert(session, table, &rows[part.clone()], &columns).await {
            Ok(()) => any_taken |= !part.is_empty(),
            Err(fault) if fault.class != FaultClass::Reject => return Err(fault),
            Err(fault) if part.len() == 1 => {
                refused.push(Refused { place: part.start, reason: reason(&fault.cause) });
                if !any_taken && refused.len() >= REFUSED_IN_A_ROW_MAX {
                    let hint =
                        format!("every row is refused, so {table} is at fault and not the rows: check its columns");
                    return Err(Fault::stop(hint, fault.cause));
                }
            }
            Err(_) => {
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
        }
    }
    Ok(refused)
}

/// The server's message without what surrounds it.
fn reason(cause: &Cause) -> String {
    let text = cause.to_string();
    let text = text.strip_prefix("bad response: ").unwrap_or(&text);
    text.split_once("DB::Exception: ").map_or(text, |(_, message)| message).trim().to_owned()
}
