//! Standard input and output: one client, until it closes them.

use super::asking::Asks;
use super::groups::Groups;
use super::server::Server;
use model::error::one_line;
use rmcp::ServiceExt;
use rmcp::service::QuitReason;
use rmcp::transport::io::stdio_pipes;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// The client could not be served.
#[derive(Debug, thiserror::Error)]
#[error("the client on standard input could not be served: {reason}")]
pub struct StdioError {
    reason: String,
}

/// Serves the client that has started this process, with the optional tools of these groups.
///
/// # Errors
/// When it does not speak the protocol.
pub async fn serve(asks: Arc<dyn Asks>, groups: Groups) -> Result<(), StdioError> {
    let (reader, writer) = stdio_pipes();
    serve_over(Server::new(asks, groups), reader, writer).await
}

/// The same over any pair of streams.
pub(super) async fn serve_over<R, W>(server: Server, reader: R, writer: W) -> Result<(), StdioError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    use rmcp::service::ServerInitializeError::ConnectionClosed;
    let running = match server.serve((reader, writer)).await {
        Ok(running) => running,
        // it has gone before it said anything
        Err(ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(StdioError { reason: one_line(&error) }),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError { reason: error.to_string() }),
        Ok(_) => Ok(()),
    }
}
