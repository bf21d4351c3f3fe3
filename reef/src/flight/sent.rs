//! Sent: batches as messages, and what is said of them before they are fetched. Both name one schema.

use super::errors;
use crate::guarded::GuardedStream;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::ProstMessageExt;
use arrow_flight::{FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket};
use bytes::Bytes;
use prost::Message;
use std::pin::Pin;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

/// Messages of a response.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send + 'static>>;

/// What can be fetched with a ticket.
pub(super) fn info(
    schema: &Schema,
    ticket: Ticket,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    let info = FlightInfo::new().try_with_schema(schema).map_err(errors::not_sent)?;
    let endpoint = FlightEndpoint::new().with_ticket(ticket);
    Ok(Response::new(info.with_endpoint(endpoint).with_descriptor(request.into_inner())))
}

/// The same for a command that is its own ticket.
pub(super) fn info_of<M: ProstMessageExt>(
    command: &M,
    schema: &Schema,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    info(schema, Ticket::new(command.as_any().encode_to_vec()), request)
}

/// A schema as a message of its own.
pub(super) fn schema(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message: Result<IpcMessage, ArrowError> = SchemaAsIpc::new(schema, &options).try_into();
    message.map(|message| message.0).map_err(errors::not_sent)
}

/// Batches as they come, cast to the schema where they differ from it.
pub(super) fn batches(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Messages {
    let batches = batches.map(|batch| batch.map_err(FlightError::from));
    let messages = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Box::pin(GuardedStream::new(messages.map(|message| message.map_err(Status::from))))
}

/// One batch.
pub(super) fn batch(batch: RecordBatch) -> Response<Messages> {
    Response::new(batches(batch.schema(), tokio_stream::once(Ok(batch))))
}
