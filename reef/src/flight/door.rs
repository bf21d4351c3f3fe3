//! Door: the calls of Flight below those of Flight SQL; answers what the library for them leaves out.

use super::{Flight, errors, running};
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, PollInfo,
    SchemaResult, Ticket,
};
use async_trait::async_trait;
use tonic::{Request, Response, Status, Streaming};

/// Actions that are served, and what they do.
const ACTIONS: [(&str, &str); 4] = [
    ("CreatePreparedStatement", "Keeps a statement for a while, whose parameters get values later."),
    ("ClosePreparedStatement", "Forgets a prepared statement."),
    ("CancelQuery", "Ends a statement whose rows are being fetched."),
    (running::CANCEL, "Ends a statement whose rows are being fetched."),
];

/// All calls of Flight.
pub(super) struct Door(pub(super) Flight);

#[async_trait]
impl FlightService for Door {
    type HandshakeStream = <Flight as FlightService>::HandshakeStream;
    type ListFlightsStream = <Flight as FlightService>::ListFlightsStream;
    type DoGetStream = <Flight as FlightService>::DoGetStream;
    type DoPutStream = <Flight as FlightService>::DoPutStream;
    type DoActionStream = <Flight as FlightService>::DoActionStream;
    type ListActionsStream = <Flight as FlightService>::ListActionsStream;
    type DoExchangeStream = <Flight as FlightService>::DoExchangeStream;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.0.handshake(request).await
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(errors::not_served("there are no flights of their own; list tables with GetTables of Flight SQL"))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        self.0.get_flight_info(request).await
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(errors::not_served("a statement begins when its rows are fetched; use GetFlightInfo and DoGet"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let info = self.0.get_flight_info(request).await?.into_inner();
        Ok(Response::new(SchemaResult { schema: info.schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        self.0.do_get(request).await
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        self.0.do_put(request).await
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(errors::not_served("nothing is exchanged; fetch rows with DoGet"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        self.0.do_action(request).await
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let action = |(name, description): (&str, &str)| {
            Ok::<_, Status>(ActionType { r#type: name.to_owned(), description: description.to_owned() })
        };
        Ok(Response::new(Box::pin(tokio_stream::iter(ACTIONS.map(action)))))
    }
}
