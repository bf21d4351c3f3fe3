//! A client: the library's own, over a pair of streams in memory.

use crate::answers::Scope;
use crate::answers::tests::predictions::foreseen;
use crate::mcp::asking::{Asks, Here};
use crate::mcp::groups::Groups;
use crate::mcp::server::Server;
use crate::mcp::stdio::serve_over;
use crate::reading::Reading;
use rmcp::model::{CallToolRequestParams, ListToolsResult, Tool};
use rmcp::service::{RunningService, ServiceError};
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use sinks::memory::MemoryStore;
use sinks::{StoreReader, StoreWriter};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// A connection; the server ends with it.
pub(super) struct Client {
    running: RunningService<RoleClient, ()>,
    /// What is answered from is open as long as the connection is.
    _kept: MemoryStore,
}

/// A result as it is on the wire.
#[derive(Clone, Debug)]
pub(super) struct Called {
    pub(super) value: Value,
}

/// The reef that answers.
pub(super) fn here(reader: Arc<dyn StoreReader>) -> Here {
    let scope = Scope { reef_id: "my-reef".to_owned(), ..Scope::default() };
    Here::new(Reading::Store(reader), scope, SocketAddr::from((Ipv4Addr::LOCALHOST, 3101)))
}

/// Over the rows of the tests of answers.
pub(super) async fn connect() -> Client {
    Client::over(foreseen().await).await
}

/// The same with all optional tools.
pub(super) async fn connect_with_all() -> Client {
    let store = foreseen().await;
    let asks = Arc::new(here(store.reader()));
    Client { _kept: store, ..Client::with(asks, Groups { analyze: true, sql: true }).await }
}

impl Client {
    /// The reef of a store answers.
    pub(super) async fn over(store: MemoryStore) -> Client {
        let asks = Arc::new(here(store.reader()));
        Client { _kept: store, ..Client::of(asks).await }
    }

    pub(super) async fn of(asks: Arc<dyn Asks>) -> Client {
        Client::with(asks, Groups::default()).await
    }

    /// The same with the optional tools of these groups.
    pub(super) async fn with(asks: Arc<dyn Asks>, groups: Groups) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(async move { serve_over(Server::new(asks, groups), reader, writer).await.unwrap() });
        Client { running: ().serve(ours).await.unwrap(), _kept: MemoryStore::new() }
    }

    pub(super) async fn listed(&self) -> ListToolsResult {
        self.running.list_tools(None).await.unwrap()
    }

    pub(super) async fn tools(&self) -> Vec<Tool> {
        self.listed().await.tools
    }

    pub(super) async fn try_call(&self, name: &str, arguments: Value) -> Result<Called, ServiceError> {
        let mut request = CallToolRequestParams::new(name.to_owned());
        request.arguments = arguments.as_object().cloned();
        let result = self.running.call_tool(request).await?;
        Ok(Called { value: serde_json::to_value(result).unwrap() })
    }

    /// A call whose request is one.
    pub(super) async fn call(&self, name: &str, arguments: Value) -> Called {
        self.try_call(name, arguments).await.unwrap()
    }

    /// The structured content of a call that is answered.
    pub(super) async fn structured(&self, name: &str, arguments: Value) -> Value {
        let called = self.call(name, arguments.clone()).await;
        assert!(!called.is_error(), "{name} {arguments}: {}", called.text());
        called.value["structuredContent"].clone()
    }

    /// The text of a call that is refused.
    pub(super) async fn refusal(&self, name: &str, arguments: Value) -> String {
        let called = self.call(name, arguments.clone()).await;
        assert!(called.is_error(), "{name} {arguments}: {}", called.value);
        called.text()
    }
}

impl Called {
    pub(super) fn is_error(&self) -> bool {
        self.value["isError"] == json!(true)
    }

    pub(super) fn text(&self) -> String {
        self.value["content"][0]["text"].as_str().unwrap().to_owned()
    }
}
