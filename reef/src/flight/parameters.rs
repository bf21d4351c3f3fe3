//! Parameters: values for a statement as a client sends them: a schema and a batch of one row.
//!
//! They also come back in tickets, which a client may have made itself: sizes are bounded before a message is read, and
//! nothing in it may say how much memory to take.

use super::errors;
use crate::sql::Parameters;
use arrow::ipc::{MessageHeader, root_as_message};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::PeekableFlightDataStream;
use bytes::Bytes;
use tokio_stream::StreamExt;
use tonic::Status;

/// Most bytes of values.
const BYTES_MAX: usize = 64 * 1024;
/// Most messages that carry them.
const MESSAGES_MAX: usize = 16;

/// The messages of a request.
pub(super) async fn received(mut request: PeekableFlightDataStream) -> Result<Vec<FlightData>, Status> {
    let mut messages = Vec::new();
    while let Some(message) = request.next().await {
        let FlightData { data_header, data_body, .. } = message?;
        if !data_header.is_empty() {
            messages.push(FlightData { data_header, data_body, ..FlightData::default() });
        }
        check_size(&messages)?;
    }
    Ok(messages.into_iter().map(on_its_own).collect())
}

/// A copy of what is kept: the parts of a message share the memory of all of it, which may be much larger.
fn on_its_own(message: FlightData) -> FlightData {
    let [data_header, data_body] = [message.data_header, message.data_body].map(|part| Bytes::copy_from_slice(&part));
    FlightData { data_header, data_body, ..FlightData::default() }
}

/// The values in them; none where there are no messages.
pub(super) async fn values(messages: &[FlightData]) -> Result<Option<Parameters>, Status> {
    check_size(messages)?;
    messages.iter().try_for_each(check)?;
    if messages.is_empty() {
        return Ok(None);
    }
    let messages = tokio_stream::iter(messages.to_vec()).map(Ok::<_, FlightError>);
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let mut row = None;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| errors::invalid(format!("parameters: {error}")))?;
        if batch.num_rows() > 0 && row.replace(batch).is_some() {
            return Err(errors::invalid("parameters: there are several batches; send one row for each execution"));
        }
    }
    let row = row.ok_or_else(|| errors::invalid("parameters: there is no row; send one value for each parameter"))?;
    Parameters::of(&row).map(Some).map_err(errors::of_sql)
}

fn check_size(messages: &[FlightData]) -> Result<(), Status> {
    let bytes: usize = messages.iter().map(|it| it.data_header.len() + it.data_body.len()).sum();
    if bytes > BYTES_MAX || messages.len() > MESSAGES_MAX {
        let message = format!("parameters: they have more than {BYTES_MAX} bytes; join a table or a file instead");
        return Err(errors::invalid(message));
    }
    Ok(())
}

/// Lets nothing through that is larger than it looks: what is compressed says itself how large it becomes.
fn check(message: &FlightData) -> Result<(), Status> {
    let header =
        root_as_message(&message.data_header).map_err(|error| errors::invalid(format!("parameters: {error}")))?;
    match header.header_type() {
        MessageHeader::Schema => Ok(()),
        MessageHeader::RecordBatch if header.header_as_record_batch().is_some_and(|it| it.compression().is_none()) => {
            Ok(())
        }
        MessageHeader::RecordBatch => Err(errors::invalid("parameters: they are compressed; send them plain")),
        _ => Err(errors::invalid("parameters: they come with a dictionary; send plain values")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_does_not_share_the_memory_of_its_message() {
        let whole = Bytes::from(vec![7; 1 << 20]);
        let (data_header, data_body) = (whole.slice(..16), whole.slice(16..64));
        let kept = on_its_own(FlightData { data_header, data_body, ..FlightData::default() });
        assert_eq!((kept.data_header.len(), kept.data_body.len()), (16, 48));
        assert!(whole.is_unique(), "nothing else holds the message");
    }
}
