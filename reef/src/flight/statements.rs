//! Statements: what a statement gives, before it is run, and its rows.

use super::ticket::StatementTicket;
use super::{Flight, columns, errors, parameters, sent};
use crate::access::Asker;
use crate::sql::{Described, NamedTable, Statement};
use arrow_flight::sql::ActionCreatePreparedStatementResult;
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo};
use std::time::Instant;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status};

impl Flight {
    /// The columns of a statement, and the ticket for its rows.
    pub(super) async fn info(
        &self,
        (sql, values): (String, Vec<FlightData>),
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let statement = Statement { sql: sql.clone(), parameters: parameters::values(&values).await? };
        let has_values = statement.parameters.is_some();
        let Described { columns, parameters } = self.described(statement).await?;
        if !has_values && !parameters.fields().is_empty() {
            return Err(errors::invalid(format!(
                "sql: the statement has {} parameters, and no values for them; prepare it, and send one value for each",
                parameters.fields().len()
            )));
        }
        let ticket = StatementTicket::new(sql, values)?.into_ticket();
        sent::info(&columns::plain(&columns), ticket, request)
    }

    /// The rows of a statement.
    pub(super) async fn rows(&self, ticket: StatementTicket) -> Result<Response<sent::Messages>, Status> {
        let parameters = parameters::values(&ticket.values).await?;
        let reader = self.reader().await?;
        let statement = Statement { sql: ticket.sql, parameters };
        let rows = self.sql.stream(statement, &reader).await.map_err(errors::of_sql)?;
        let schema = columns::plain(rows.columns());
        // part of the stream: the statement can be cancelled as long as its rows are being sent
        let entry = self.running.begin(ticket.id, rows.stopper());
        let rows = rows.map(move |batch| {
            let _runs = &entry;
            batch.map_err(errors::of_cut)
        });
        Ok(Response::new(sent::batches(schema, rows)))
    }

    /// Keeps a statement for a client.
    pub(super) async fn prepare(
        &self,
        sql: String,
        asker: Asker,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let described = self.described(Statement { sql: sql.clone(), parameters: None }).await?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.prepared.keep(asker, sql, Instant::now())?,
            // never without columns: a client takes a statement without columns for one that changes something
            dataset_schema: sent::schema(&columns::plain(&described.columns))?,
            parameter_schema: sent::schema(&columns::plain(&described.parameters))?,
        })
    }

    /// What a statement may name.
    pub(super) async fn tables(&self) -> Result<Vec<NamedTable>, Status> {
        let reader = self.reader().await?;
        self.sql.tables(&reader).await.map_err(errors::of_sql)
    }

    async fn described(&self, statement: Statement) -> Result<Described, Status> {
        let reader = self.reader().await?;
        self.sql.describe(statement, &reader).await.map_err(errors::of_sql)
    }
}
