//! The dashboard: pages for people over the answers that programs get, on the listener of the other services.
//!
//! | file | owns |
//! |---|---|
//! | `assets` | scripts, style and icon, embedded |
//! | `query` | the query of an address |
//! | `asked` | a request for a page: store, range, filter |
//! | `frame` | what each page has around its content |
//! | `shown` | numbers, times, names and states as HTML |
//! | `words` | what a pattern says, in plain words |
//! | `session` | log in and out with a token |
//! | `headers` | what browsers may do with a page |
//! | `live` | whether a page is still the newest |
//! | `problem` | pages that say why there is nothing else |
//! | `overview` | the page `/` |
//! | `patterns` | the list of patterns |
//! | `graph` | patterns between services as a picture |
//! | `pattern` | one pattern and its rows |
//! | `expected` | what patterns expect next, and how good they are at it |
//! | `revisions` | what was held to be true of a pattern, since when |
//! | `histogram` | lags as a picture |
//! | `timeline` | deployments of the fleet |
//! | `lanes` | deployments as a picture |
//! | `judged` | deployments with their verdicts |
//! | `deployment` | one deployment and its impact |
//! | `compare` | environments side by side |
//! | `sides` | which environments are compared |
//! | `series` | series as a chart and as a table, and data of charts |
//! | `chart` | what the script of charts draws from |
//! | `services` | versions and calls |
//! | `events` | the events of a range |
//! | `analyses` | the questions in words that were asked, and the form that asks |
//! | `asking` | a question of that form |
//! | `analysis` | one analysis |
//! | `cited` | evidence of an analysis, with links to its rows |
//! | `lately` | answers with what could be done, kept for a while |
//! | `health` | the reef itself |
//!
//! A page asks [`crate::answers`] and nothing else, so that it has no number that `--json` lacks. HTML is made by maud,
//! which escapes text; it is named in this folder only.

mod analyses;
mod analysis;
mod asked;
mod asking;
mod assets;
mod chart;
mod cited;
mod compare;
mod deployment;
mod events;
mod expected;
mod frame;
mod graph;
mod headers;
mod health;
mod histogram;
mod judged;
mod lanes;
mod lately;
mod live;
mod overview;
mod pattern;
mod patterns;
mod problem;
mod query;
mod revisions;
mod series;
mod services;
mod session;
mod shown;
mod sides;
#[cfg(test)]
mod tests;
mod timeline;
mod words;

use crate::access::{Caller, DeniedKind, Role};
use crate::analysis::Analyst;
use crate::answers::Scope;
use crate::answers::fleet::Fleet;
use crate::reading::{Doors, Reading};
use asked::{Asked, Problem};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use frame::Page;
use query::Query;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

pub(crate) use session::{Login, cookie_of, token_of};

/// The path of one analysis, as routes and counts know it.
const ANALYSIS: &str = "/analyses/{id}";
/// Paths of pages, as requests are counted.
pub(crate) const PATHS: [&str; 16] = [
    "/",
    "/patterns",
    "/pattern",
    "/timeline",
    "/deployment",
    "/compare",
    "/services",
    "/events",
    analyses::PATH,
    ANALYSIS,
    "/health",
    "/series",
    "/data/series",
    "/data/deployments",
    "/live",
    "/login",
];
/// Pages that are made at once; the store itself reads for two of them.
const PAGES_AT_ONCE: usize = 4;
/// How long a page may take, with its wait for a turn.
const PAGE_WAIT: Duration = Duration::from_secs(20);

/// What all pages share.
pub struct Dashboard {
    reading: Reading,
    scope: Scope,
    doors: Doors,
    opened: Instant,
    login: Login,
    turns: Semaphore,
    judged: judged::Known,
    analyst: Arc<Analyst>,
    lately: lately::Lately,
}

/// The path under which a request is counted; `None` for one that no page has.
pub(crate) fn counted(path: &str) -> Option<&'static str> {
    let path = if path.starts_with(analysis::PREFIX) { ANALYSIS } else { path };
    PATHS.into_iter().find(|known| *known == path)
}

/// The routes of the pages. Who calls is read from the request's extensions ([`Caller`]); questions in words are answered by
/// the analyst.
pub fn router((reading, scope): (Reading, Scope), analyst: Arc<Analyst>, doors: Doors, login: Login) -> Router {
    let dashboard = Arc::new(Dashboard {
        reading,
        scope,
        doors,
        opened: Instant::now(),
        login,
        turns: Semaphore::new(PAGES_AT_ONCE),
        judged: judged::Known::default(),
        analyst,
        lately: lately::Lately::default(),
    });
    let readable = PATHS.iter().filter(|path| !["/live", "/login"].contains(*path));
    let readable = readable.fold(Router::new(), |router, path| router.route(path, get(page)));
    let readable = readable.route("/live", get(live::answer)).layer(from_fn(permit));
    let open = Router::new()
        .route("/login", get(session::form).post(session::log_in))
        .route("/logout", post(session::log_out))
        .route(analyses::PATH, post(asking::ask))
        .route("/assets/{name}", get(assets::file));
    readable.merge(open).with_state(dashboard).layer(from_fn(headers::set))
}

/// Lets a caller through who may read; others are sent to the login page.
async fn permit(request: Request, next: Next) -> Response {
    let permitted = request.extensions().get::<Caller>().map(|caller| caller.permit(Role::Readonly));
    match permitted {
        Some(Ok(())) => next.run(request).await,
        Some(Err(denied)) if denied.kind == DeniedKind::Unavailable => {
            problem::closed(request.uri().path(), "Tokens cannot be checked", "See the log of the reef.")
        }
        _ if problem::is_data(request.uri().path()) => problem::logged_out(),
        _ => {
            let to = request.uri().path_and_query().map_or("/", |path| path.as_str());
            Redirect::to(&query::address("/login", &[("next", to)])).into_response()
        }
    }
}

async fn page(State(dashboard): State<Arc<Dashboard>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = Query::read(request.uri().query().unwrap_or_default());
    let role = request.extensions().get::<Caller>().and_then(Caller::role).unwrap_or(Role::Readonly);
    let here = query.address(&path);
    let made = tokio::time::timeout(PAGE_WAIT, dashboard.make(path.clone(), query, role)).await;
    made.unwrap_or_else(|_| problem::late(PAGE_WAIT, &path, &here))
}

impl Dashboard {
    /// The response to a request for a page.
    async fn make(self: &Arc<Self>, path: String, query: Query, role: Role) -> Response {
        // an error means that the services are closing
        let Ok(_turn) = self.turns.acquire().await else {
            return problem::closed(&path, "The reef is ending.", "This page comes back by itself.");
        };
        let is_data = problem::is_data(&path);
        let asked = match self.asked(path, query, role).await {
            Ok(asked) => asked,
            Err(problem) if is_data => return problem::data(&problem),
            Err(problem) => return problem::response(&problem, None),
        };
        if is_data {
            return series::data(&asked).await.unwrap_or_else(|problem| problem::data(&problem));
        }
        // before the answers: what is stored meanwhile is found by the next look
        let tag = live::tag(&asked).await;
        match content(&asked).await {
            Ok(page) => Html(frame::document(page, &asked, &tag).into_string()).into_response(),
            Err(problem) => problem::response(&problem, Some((&asked, &tag))),
        }
    }

    async fn asked(self: &Arc<Self>, path: String, query: Query, role: Role) -> Result<Asked, Problem> {
        if self.reading.is_opening() {
            return Err(Problem::Closed { why: "The store is being opened." });
        }
        let reader = self.reading.reader().await.ok_or(Problem::Closed { why: "The reef is ending." })?;
        let fleet = Fleet::read(reader.as_ref(), &self.scope).await.map_err(crate::answers::AnswerError::from)?;
        Ok(Asked { path, query, reader, role, fleet, dashboard: Arc::clone(self) })
    }
}

/// The page of a path.
async fn content(asked: &Asked) -> Result<Page, Problem> {
    match asked.path.as_str() {
        "/" => overview::page(asked).await,
        "/patterns" => patterns::page(asked).await,
        "/pattern" => pattern::page(asked).await,
        "/timeline" => timeline::page(asked).await,
        "/deployment" => deployment::page(asked).await,
        "/compare" => compare::page(asked).await,
        "/services" => services::page(asked).await,
        "/events" => events::page(asked).await,
        "/health" => health::page(asked).await,
        "/series" => series::page(asked).await,
        analyses::PATH => analyses::page(asked).await,
        path if path.starts_with(analysis::PREFIX) => analysis::page(asked).await,
        _ => Err(Problem::NoPage),
    }
}
