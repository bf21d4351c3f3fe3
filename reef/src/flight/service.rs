//! Service: the calls of Flight SQL. What a client lists is answered whole; what would change something is refused.

use super::ticket::StatementTicket;
use super::{Flight, errors, handshake, info, keys, parameters, running, sent, tables, types};
use crate::access::{Asker, Caller};
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{DoPutError, FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
    ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    ActionCreatePreparedSubstraitPlanRequest, ActionEndSavepointRequest, ActionEndTransactionRequest, Any, Command,
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementSubstraitPlan, CommandStatementUpdate, DoPutPreparedStatementResult, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket};
use async_trait::async_trait;
use prost::Message;
use std::pin::Pin;
use std::time::Instant;
use tokio_stream::Stream;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Response, Status, Streaming};

type Info = Result<Response<FlightInfo>, Status>;
type Rows = Result<Response<sent::Messages>, Status>;
type Shaken = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>;

const NO_SUBSTRAIT: &str = "Substrait plans are not run; send the statement as SQL";
const NO_TRANSACTIONS: &str = "there are no transactions: nothing can be changed from here; switch autocommit on";

#[async_trait]
impl FlightSqlService for Flight {
    type FlightService = Flight;

    async fn do_handshake(&self, request: Request<Streaming<HandshakeRequest>>) -> Result<Response<Shaken>, Status> {
        let caller = request.extensions().get::<Caller>();
        let token = handshake::token(request.metadata(), caller, &self.check)?;
        let payload = token.clone().unwrap_or_default().into_bytes().into();
        let shaken: Shaken =
            Box::pin(tokio_stream::once(Ok::<_, Status>(HandshakeResponse { protocol_version: 0, payload })));
        let mut response = Response::new(shaken);
        if let Some(token) = token {
            let header = AsciiMetadataValue::try_from(format!("Bearer {token}"));
            let header = header.map_err(|_| errors::unknown("the token is not valid"))?;
            response.metadata_mut().insert("authorization", header);
        }
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        command: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.info((command.query, Vec::new()), request).await
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, _: Request<Ticket>) -> Rows {
        self.rows(StatementTicket::of_handle(&ticket.statement_handle)?).await
    }

    async fn get_flight_info_prepared_statement(
        &self,
        command: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.info(self.prepared.get(&command.prepared_statement_handle, Instant::now())?, request).await
    }

    async fn do_get_prepared_statement(&self, command: CommandPreparedStatementQuery, _: Request<Ticket>) -> Rows {
        let (sql, values) = self.prepared.get(&command.prepared_statement_handle, Instant::now())?;
        self.rows(StatementTicket::new(sql, values)?).await
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _: CommandStatementSubstraitPlan,
        _: Request<FlightDescriptor>,
    ) -> Info {
        Err(errors::not_served(NO_SUBSTRAIT))
    }

    async fn get_flight_info_catalogs(&self, command: CommandGetCatalogs, request: Request<FlightDescriptor>) -> Info {
        sent::info_of(&command, &tables::catalogs(self.sql.catalogs())?.schema(), request)
    }

    async fn do_get_catalogs(&self, _: CommandGetCatalogs, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(tables::catalogs(self.sql.catalogs())?))
    }

    async fn get_flight_info_schemas(&self, command: CommandGetDbSchemas, request: Request<FlightDescriptor>) -> Info {
        sent::info_of(&command, &command.clone().into_builder().schema(), request)
    }

    async fn do_get_schemas(&self, command: CommandGetDbSchemas, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(tables::schemas(command, &self.tables().await?)?))
    }

    async fn get_flight_info_tables(&self, command: CommandGetTables, request: Request<FlightDescriptor>) -> Info {
        sent::info_of(&command, &command.clone().into_builder().schema(), request)
    }

    async fn do_get_tables(&self, command: CommandGetTables, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(tables::tables(command, &self.tables().await?)?))
    }

    async fn get_flight_info_table_types(
        &self,
        command: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Info {
        sent::info_of(&command, &tables::table_types()?.schema(), request)
    }

    async fn do_get_table_types(&self, _: CommandGetTableTypes, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(tables::table_types()?))
    }

    async fn get_flight_info_sql_info(&self, command: CommandGetSqlInfo, request: Request<FlightDescriptor>) -> Info {
        sent::info_of(&command, &info::all(self.sql.limits())?.schema(), request)
    }

    async fn do_get_sql_info(&self, command: CommandGetSqlInfo, _: Request<Ticket>) -> Rows {
        let infos = info::all(self.sql.limits())?;
        Ok(sent::batch(infos.record_batch(command.info).map_err(errors::not_sent)?))
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        command: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        sent::info_of(&command, &types::all()?.schema(), request)
    }

    async fn do_get_xdbc_type_info(&self, command: CommandGetXdbcTypeInfo, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(types::all()?.record_batch(command.data_type).map_err(errors::not_sent)?))
    }

    async fn get_flight_info_primary_keys(
        &self,
        command: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        sent::info_of(&command, &keys::primary().schema(), request)
    }

    async fn do_get_primary_keys(&self, _: CommandGetPrimaryKeys, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(keys::primary()))
    }

    async fn get_flight_info_exported_keys(
        &self,
        command: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        sent::info_of(&command, &keys::foreign().schema(), request)
    }

    async fn do_get_exported_keys(&self, _: CommandGetExportedKeys, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(keys::foreign()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        command: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        sent::info_of(&command, &keys::foreign().schema(), request)
    }

    async fn do_get_imported_keys(&self, _: CommandGetImportedKeys, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(keys::foreign()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        command: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Info {
        sent::info_of(&command, &keys::foreign().schema(), request)
    }

    async fn do_get_cross_reference(&self, _: CommandGetCrossReference, _: Request<Ticket>) -> Rows {
        Ok(sent::batch(keys::foreign()))
    }

    async fn get_flight_info_fallback(&self, command: Command, _: Request<FlightDescriptor>) -> Info {
        Err(errors::invalid(format!("{:?} is no command whose rows can be fetched", command.type_url())))
    }

    async fn do_get_fallback(&self, _: Request<Ticket>, message: Any) -> Rows {
        Err(errors::invalid(format!("{:?} is no ticket of this reef; GetFlightInfo gives one", message.type_url)))
    }

    async fn do_action_create_prepared_statement(
        &self,
        action: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let asker = request.extensions().get::<Asker>().cloned().unwrap_or_default();
        self.prepare(action.query, asker).await
    }

    async fn do_put_prepared_statement_query(
        &self,
        command: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let handle = command.prepared_statement_handle;
        let values = parameters::received(request.into_inner()).await?;
        // what is wrong with them is said to who sends them
        parameters::values(&values).await?;
        self.prepared.bind(&handle, values, Instant::now())?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) })
    }

    async fn do_action_close_prepared_statement(
        &self,
        action: ActionClosePreparedStatementRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        self.prepared.close(&action.prepared_statement_handle, Instant::now());
        Ok(())
    }

    async fn do_action_cancel_query(
        &self,
        action: ActionCancelQueryRequest,
        _: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let info = FlightInfo::decode(action.info).map_err(errors::invalid)?;
        // the numbers of both results are the same
        Ok(ActionCancelQueryResult { result: self.running.cancel(&info)? as i32 })
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Result<Response<<Flight as FlightService>::DoActionStream>, Status> {
        let Action { r#type, body } = request.into_inner();
        match r#type.as_str() {
            running::CANCEL => {
                let result = self.running.answer(&body)?;
                Ok(Response::new(Box::pin(tokio_stream::once(Ok::<_, Status>(result)))))
            }
            // clients of drivers ask for sessions, and do without where this is the answer
            other => {
                Err(errors::not_served(format!("the action {other:?} is not served; ListActions has those that are")))
            }
        }
    }

    async fn do_put_statement_update(
        &self,
        _: CommandStatementUpdate,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(errors::read_only())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _: CommandPreparedStatementUpdate,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(errors::read_only())
    }

    async fn do_put_statement_ingest(
        &self,
        _: CommandStatementIngest,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(errors::read_only())
    }

    async fn do_put_substrait_plan(
        &self,
        _: CommandStatementSubstraitPlan,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(errors::not_served(NO_SUBSTRAIT))
    }

    async fn do_put_error_callback(
        &self,
        _: Request<PeekableFlightDataStream>,
        error: DoPutError,
    ) -> Result<Response<<Flight as FlightService>::DoPutStream>, Status> {
        Err(errors::invalid(error))
    }

    async fn do_action_create_prepared_substrait_plan(
        &self,
        _: ActionCreatePreparedSubstraitPlanRequest,
        _: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        Err(errors::not_served(NO_SUBSTRAIT))
    }

    async fn do_action_begin_transaction(
        &self,
        _: ActionBeginTransactionRequest,
        _: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        Err(errors::not_served(NO_TRANSACTIONS))
    }

    async fn do_action_end_transaction(
        &self,
        _: ActionEndTransactionRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        Err(errors::not_served(NO_TRANSACTIONS))
    }

    async fn do_action_begin_savepoint(
        &self,
        _: ActionBeginSavepointRequest,
        _: Request<Action>,
    ) -> Result<ActionBeginSavepointResult, Status> {
        Err(errors::not_served(NO_TRANSACTIONS))
    }

    async fn do_action_end_savepoint(&self, _: ActionEndSavepointRequest, _: Request<Action>) -> Result<(), Status> {
        Err(errors::not_served(NO_TRANSACTIONS))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
