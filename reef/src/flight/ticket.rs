//! Ticket: what a ticket carries: the statement itself, so that its rows can be fetched also after a restart, and an id
//! by which it is cancelled while it runs.

use super::errors;
use arrow_flight::sql::{Any, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightData, FlightInfo, Ticket};
use bytes::Bytes;
use prost::Message;
use ring::rand::{SecureRandom, SystemRandom};
use tonic::Status;

/// A statement that can be run.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatementTicket {
    /// Random: a caller without the ticket cannot cancel the statement.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) id: Bytes,
    #[prost(string, tag = "2")]
    pub(super) sql: String,
    /// The values of its parameters, as the client has sent them.
    #[prost(message, repeated, tag = "3")]
    pub(super) values: Vec<FlightData>,
}

impl StatementTicket {
    /// One with an id of its own.
    pub(super) fn new(sql: String, values: Vec<FlightData>) -> Result<StatementTicket, Status> {
        Ok(StatementTicket { id: random()?, sql, values })
    }

    /// As it is handed out.
    pub(super) fn into_ticket(self) -> Ticket {
        let query = TicketStatementQuery { statement_handle: self.encode_to_vec().into() };
        Ticket::new(query.as_any().encode_to_vec())
    }

    /// As it comes back.
    pub(super) fn of_handle(handle: &[u8]) -> Result<StatementTicket, Status> {
        let wrong = |_| errors::invalid("the ticket is none of this reef; GetFlightInfo gives one");
        StatementTicket::decode(handle).map_err(wrong)
    }

    /// The ids of an answer that was given.
    pub(super) fn ids(info: &FlightInfo) -> Vec<Bytes> {
        let of = |ticket: &Ticket| {
            let query: TicketStatementQuery = Any::decode(&*ticket.ticket).ok()?.unpack().ok()??;
            StatementTicket::of_handle(&query.statement_handle).ok().map(|ticket| ticket.id)
        };
        info.endpoint.iter().filter_map(|endpoint| of(endpoint.ticket.as_ref()?)).collect()
    }
}

/// Bytes that cannot be guessed.
pub(super) fn random() -> Result<Bytes, Status> {
    let mut bytes = [0_u8; 16];
    let failed = |_| Status::unavailable("there are no random numbers");
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(Bytes::copy_from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow_flight::FlightEndpoint;

    #[test]
    fn a_ticket_comes_back_as_it_was_and_names_its_statement() {
        let ticket = StatementTicket::new("SELECT 1".to_owned(), Vec::new()).unwrap();
        let other = StatementTicket::new("SELECT 1".to_owned(), Vec::new()).unwrap();
        assert_ne!(ticket.id, other.id);
        let given = ticket.clone().into_ticket();
        let info = FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(given.clone()));
        assert_eq!(StatementTicket::ids(&info), std::slice::from_ref(&ticket.id));
        let query: TicketStatementQuery = Any::decode(&*given.ticket).unwrap().unpack().unwrap().unwrap();
        assert_eq!(StatementTicket::of_handle(&query.statement_handle).unwrap(), ticket);
        assert!(StatementTicket::of_handle(b"\xff\xff").is_err());
        let strange = FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new("x")));
        assert!(StatementTicket::ids(&strange).is_empty());
    }
}
