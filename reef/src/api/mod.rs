//! The services of a reef over HTTP, on one listener: health, readiness, what the process counts, RPC, Flight SQL, MCP,
//! dashboard.
//!
//! | file | owns |
//! |---|---|
//! | `guard` | who may call: `Host`, `Origin`, tokens and their roles |
//! | `tokens` | tokens: their file, made, looked up and compared |
//! | `ready` | whether the reef can answer, and the reasons when it cannot |
//! | `count` | requests, counted by route and outcome |
//!
//! The same services are opened beside a run and over a store that no run has open. They only read, and no run waits for
//! them.

mod count;
mod guard;
mod ready;
#[cfg(test)]
mod tests;
pub mod tokens;

use crate::access::{Role, TokenCheck};
use crate::analysis::Analyst;
use crate::answers::Scope;
use crate::dashboard;
use crate::flight;
use crate::mcp;
use crate::mcp::asking::Here;
use crate::rpc::{self, Served};
use crate::sql::SqlEngine;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use count::Requests;
use guard::Guard;
use model::clock::SharedClock;
use model::instruments::Registry;
use pipelines::instruments::StoreInstruments;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokens::{Tokens, TokensError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use crate::mcp::groups::Groups;
pub use crate::reading::{Doors, Reading};

/// The routes beside the RPC, as requests are counted.
const ROUTES: [&str; 4] = ["/healthz", "/readyz", "/metrics", mcp::PATH];
/// What OpenMetrics text is called.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Between two counts of the store's rows.
const MEASURE_EVERY: Duration = Duration::from_secs(60);
/// How long requests in progress may take once the services close.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Where the services listen, and who may call them.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether callers on this machine need a token too.
    pub require_token: bool,
    /// The file of tokens; it may not exist.
    pub tokens: PathBuf,
    /// Whether there are pages for people.
    pub pages: Pages,
    /// Optional tools that MCP clients get.
    pub groups: Groups,
}

/// Pages for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// None.
    Closed,
    /// Beside the other services.
    Beside,
    /// The same, and at this port of the same address: everything is served at both.
    AtPort(u16),
}

/// Why the services cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is taken, or is not one of this machine.
    #[error("cannot listen on {listen} (api.listen)")]
    Listen {
        /// As configured.
        listen: SocketAddr,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// Others could call without a token.
    #[error(
        "the services at {listen} (api.listen) answer only to a token{}, and {} has none",
        if .listen.ip().is_loopback() { " (api.require_token)" } else { ": other machines can reach them" },
        .tokens.display()
    )]
    NeedsTokens {
        /// As configured.
        listen: SocketAddr,
        /// The file of tokens.
        tokens: PathBuf,
    },
    /// The file of tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// What each request can reach.
#[derive(Clone)]
struct Shared {
    reading: Reading,
    registry: Registry,
}

/// Services that are open until they are closed or dropped.
pub struct Services {
    doors: Doors,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    measuring: JoinHandle<()>,
}

impl Services {
    /// Opens them.
    ///
    /// # Errors
    /// When the address cannot be listened on, or may not be without tokens.
    pub async fn open(
        listening: &Listening,
        (reading, scope): (Reading, Scope),
        registry: Registry,
        clock: SharedClock,
    ) -> Result<Services, ApiError> {
        let asked = (Arc::new(Analyst::without_model()), SqlEngine::default());
        Services::open_with(listening, (reading, scope), asked, registry, clock).await
    }

    /// The same; questions in words are answered by this analyst, statements by this engine.
    ///
    /// # Errors
    /// When the address cannot be listened on, or may not be without tokens.
    pub async fn open_with(
        listening: &Listening,
        (reading, scope): (Reading, Scope),
        (analyst, sql): (Arc<Analyst>, SqlEngine),
        registry: Registry,
        clock: SharedClock,
    ) -> Result<Services, ApiError> {
        let tokens = Tokens::of(&listening.tokens, clock);
        let is_loopback = listening.listen.ip().is_loopback();
        if tokens.is_empty()? && (!is_loopback || listening.require_token) {
            return Err(ApiError::NeedsTokens { listen: listening.listen, tokens: listening.tokens.clone() });
        }
        let failed = |cause| ApiError::Listen { listen: listening.listen, cause };
        let listener = TcpListener::bind(listening.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let second = second(listening, address).await;
        let doors = doors(listening.pages, address, second.as_ref());
        let cookie = dashboard::cookie_of(&scope.reef_id).into();
        let guard = Guard { tokens, is_loopback, needs_token: !is_loopback || listening.require_token, cookie };
        let measuring = tokio::spawn(measure(reading.clone(), StoreInstruments::of(&registry)));
        let requests = Requests::of(&registry);
        analyst.count_in(&registry);
        sql.count_in(&registry);
        let served = Served::new(reading.clone(), scope.clone(), doors.clone());
        let rpc = rpc::router(served.with_analyst(Arc::clone(&analyst)).with_sql(sql.clone()));
        let flight = flight::router(reading.clone(), sql.clone(), check(&guard));
        let here = Here::new(reading.clone(), scope.clone(), doors.clone());
        let here = here.with_analyst(Arc::clone(&analyst)).with_sql(sql);
        let mcp = mcp::http::router(Arc::new(here), listening.groups);
        let pages = match listening.pages {
            Pages::Closed => Router::new(),
            _ => dashboard::router((reading.clone(), scope), analyst, doors.clone(), login(&guard)),
        };
        let app = router(Shared { reading, registry }, (rpc.merge(flight), mcp, pages), guard, requests);
        let (stop, stopped) = watch::channel(false);
        let serve = |listener| tokio::spawn(serve(listener, app.clone(), stopped.clone()));
        let serving = [Some(listener), second].into_iter().flatten().map(serve).collect();
        Ok(Services { doors, stop, serving, measuring })
    }

    /// Where they listen.
    pub fn address(&self) -> SocketAddr {
        self.doors.api
    }

    /// Where they and the pages are.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Takes no more requests, and waits a while for those in progress.
    pub async fn close(mut self) {
        self.stop.send_replace(true);
        let all = async {
            for serving in &mut self.serving {
                let _ = serving.await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_WAIT, all).await;
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
        self.measuring.abort();
    }
}

/// How browsers log in.
fn login(guard: &Guard) -> dashboard::Login {
    dashboard::Login { is_needed: guard.needs_token, cookie: Arc::clone(&guard.cookie), check: check(guard) }
}

/// How a token is checked that does not come in the usual header.
fn check(guard: &Guard) -> TokenCheck {
    let checking = guard.clone();
    Arc::new(move |token: &str| checking.role_of_token(token))
}

/// The listener at the port of the pages, where they have one that is free.
async fn second(listening: &Listening, address: SocketAddr) -> Option<TcpListener> {
    let Pages::AtPort(port) = listening.pages else { return None };
    let wanted = SocketAddr::new(address.ip(), port);
    if wanted == address {
        return None;
    }
    match TcpListener::bind(wanted).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%error, "the dashboard is at {address}: {wanted} (dashboard.port) cannot be listened on");
            None
        }
    }
}

/// Where everything is.
fn doors(pages: Pages, api: SocketAddr, second: Option<&TcpListener>) -> Doors {
    let at = second.and_then(|listener| listener.local_addr().ok()).unwrap_or(api);
    let dashboard = (pages != Pages::Closed).then(|| format!("http://{at}/"));
    Doors { api, dashboard }
}

/// Serves until it is stopped, or the handle that could stop it is dropped.
async fn serve(listener: TcpListener, app: Router, mut stopped: watch::Receiver<bool>) {
    let until_stopped = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    crate::listener::serve(listener, app, until_stopped).await;
}

fn router(shared: Shared, (rpc, mcp, pages): (Router, Router, Router), guard: Guard, requests: Requests) -> Router {
    let open = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready::answer));
    let readable = Router::new().route("/metrics", get(metrics));
    let permit = from_fn_with_state(Role::Readonly, guard::permit);
    open.merge(readable.layer(permit.clone()))
        .with_state(shared)
        .merge(mcp.layer(permit))
        // they send a browser without a token to the login page
        .merge(pages)
        // who may call which method is checked there: each protocol has its own form of a refusal
        .merge(rpc)
        .layer(from_fn_with_state(guard.clone(), guard::identify))
        .fallback(nothing)
        .layer(from_fn_with_state(guard.clone(), guard::check_origin))
        .layer(from_fn_with_state(requests, count::count))
}

/// The answer to a request for a path that does not exist.
async fn nothing(request: Request) -> Response {
    let hint = "there is no such path; try /readyz or /metrics; methods are called by POST\n";
    rpc::unknown(&request).unwrap_or_else(|| (StatusCode::NOT_FOUND, hint).into_response())
}

async fn metrics(State(shared): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], shared.registry.text()).into_response()
}

/// Counts the rows of the store now and then, so that a scrape never waits for it.
async fn measure(reading: Reading, store: StoreInstruments) {
    while let Some(reader) = reading.reader().await {
        if let Err(error) = store.measure(reader.as_ref()).await {
            tracing::debug!(%error, "the rows of the store are not counted");
        }
        drop(reader);
        tokio::time::sleep(MEASURE_EVERY).await;
    }
}
