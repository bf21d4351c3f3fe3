//! The route `/mcp`: streamable HTTP without sessions, for clients of either era. Who may call is checked before it.

use super::PATH;
use super::asking::Asks;
use super::groups::Groups;
use super::server::Server;
use axum::Router;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::sync::Arc;

/// Most bytes of a request: names and times.
const REQUEST_MAX: usize = 256 * 1024;

/// The route, with the optional tools of these groups.
pub fn router(asks: Arc<dyn Asks>, groups: Groups) -> Router {
    routed(Server::new(asks, groups))
}

/// The route of a handler.
pub(super) fn routed(server: impl ServerHandler + Clone + 'static) -> Router {
    // sessions are what clients get wrong, and no call here depends on another; Host and Origin are checked for all routes
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(REQUEST_MAX)
        .disable_allowed_hosts();
    let service =
        StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config);
    Router::new().route_service(PATH, service)
}
