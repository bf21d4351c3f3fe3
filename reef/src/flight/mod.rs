//! Arrow Flight SQL on the listener of a reef: statements and what they may name, for ADBC, JDBC and other clients of
//! data teams.
//!
//! | file | owns |
//! |---|---|
//! | `service` | the calls of Flight SQL |
//! | `door` | the calls of Flight below it |
//! | `gate` | what every call passes: its form, the caller's rights, panics |
//! | `handshake` | credentials as a token |
//! | `statements` | what a statement gives, and its rows |
//! | `ticket` | what a ticket carries |
//! | `parameters` | values of parameters as a client sends them |
//! | `prepared` | statements that clients have prepared |
//! | `running` | statements that run, and calls that end them |
//! | `tables` | catalogs, schemas, tables |
//! | `keys` | keys between tables, of which there are none |
//! | `info` | what the server is and can do |
//! | `types` | types of columns, for clients that list them |
//! | `columns` | columns of types that every client reads |
//! | `sent` | batches as messages |
//! | `errors` | why a call fails |
//!
//! The libraries for it, arrow-flight and arrow, are named in this folder only. Statements are run by [`crate::sql`],
//! like those of the RPC. A ticket carries its statement, so that no call depends on one before it, except for
//! statements that a client has prepared.

mod columns;
mod door;
mod errors;
mod gate;
mod handshake;
mod info;
mod keys;
mod parameters;
mod prepared;
mod running;
mod sent;
mod service;
mod statements;
mod tables;
#[cfg(test)]
mod tests;
mod ticket;
mod types;

use crate::access::TokenCheck;
use crate::reading::Reading;
use crate::sql::SqlEngine;
use arrow_flight::flight_service_server::FlightServiceServer;
use axum::Router;
use axum::middleware::from_fn;
use prepared::Prepared;
use running::Running;
use sinks::StoreReader;
use std::sync::Arc;
use tonic::Status;

/// Most bytes of a request: a statement, or values for its parameters.
const REQUEST_MAX: usize = 256 * 1024;
/// The call that needs no role yet.
const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";
/// All calls, as requests are counted.
const METHODS: [&str; 10] = [
    HANDSHAKE,
    "/arrow.flight.protocol.FlightService/ListFlights",
    "/arrow.flight.protocol.FlightService/GetFlightInfo",
    "/arrow.flight.protocol.FlightService/PollFlightInfo",
    "/arrow.flight.protocol.FlightService/GetSchema",
    "/arrow.flight.protocol.FlightService/DoGet",
    "/arrow.flight.protocol.FlightService/DoPut",
    "/arrow.flight.protocol.FlightService/DoExchange",
    "/arrow.flight.protocol.FlightService/DoAction",
    "/arrow.flight.protocol.FlightService/ListActions",
];

/// What calls are answered from.
struct Flight {
    reading: Reading,
    sql: SqlEngine,
    check: TokenCheck,
    prepared: Prepared,
    running: Running,
}

/// The routes of Flight SQL: statements are run by this engine, tokens of a handshake are checked by `check`. Who calls
/// is read from the request's extensions ([`crate::access::Caller`]).
pub(crate) fn router(reading: Reading, sql: SqlEngine, check: TokenCheck) -> Router {
    let flight = Flight { reading, sql, check, prepared: Prepared::default(), running: Running::default() };
    let server = FlightServiceServer::new(door::Door(flight)).max_decoding_message_size(REQUEST_MAX);
    let routes = Router::new().route_service("/arrow.flight.protocol.FlightService/{method}", server);
    routes.layer(from_fn(gate::pass))
}

/// The path of a call that is served; `None` for any other path.
pub(crate) fn method(path: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|method| *method == path)
}

impl Flight {
    async fn reader(&self) -> Result<Arc<dyn StoreReader>, Status> {
        // a call would wait for the store
        if self.reading.is_opening() {
            return Err(errors::opening());
        }
        self.reading.reader().await.ok_or_else(errors::closed)
    }
}
