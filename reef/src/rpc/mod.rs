//! The RPC of a reef: Connect, gRPC and gRPC-Web from one handler for each method, with gRPC's health and reflection.
//!
//! | file | owns |
//! |---|---|
//! | `wire` | generated messages and services |
//! | `table` | names of messages, fields and methods |
//! | `service` | the methods of `ReefService` |
//! | `llm` | the methods of `ReefLLM` |
//! | `pieces` | pieces of a streamed analysis |
//! | `requests` | requests as questions |
//! | `convert/` | answers as messages |
//! | `document` | an answer as the JSON of its message |
//! | `hosting` | routes on the listener of a reef: limits, deadlines, panics |
//! | `gate` | what every call passes: rights, JSON |
//! | `json` | keys of requests, fields of responses |
//! | `errors` | why a method gives no answer |
//! | `hints` | what to send instead of a request that reaches no method |
//! | `health` | gRPC's health service |
//!
//! The libraries for it, connectrpc and buffa, are named in this folder only. Handlers ask [`crate::answers`], the same
//! library that the command line asks.

mod convert;
mod document;
mod errors;
mod gate;
mod health;
mod hints;
pub mod hosting;
mod json;
mod llm;
mod pieces;
mod requests;
mod service;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use crate::analysis::Analyst;
use crate::answers::Scope;
use crate::answers::status::RunFacts;
use crate::reading::{Doors, Reading};
use crate::sql::SqlEngine;
use axum::Router;
use axum::middleware::from_fn;
use connectrpc::{ConnectError, Limits};
use connectrpc_health::{HealthExt, HealthService};
use connectrpc_reflection::Reflector;
use sinks::StoreReader;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use wire::{ReefLlmExt, ReefServiceExt};

pub use document::{analysis_document, document, sql_document, sql_table};
pub(crate) use hints::unknown;

/// Most bytes of a request, after decompression: filters and names.
const REQUEST_MAX: usize = 256 * 1024;
/// Our services by name.
const SERVICES: [&str; 2] = [wire::REEF_SERVICE_SERVICE_NAME, wire::REEF_LLM_SERVICE_NAME];
/// Services of others that are served beside them.
const OTHERS: [(&str, &str); 4] = [
    ("grpc.health.v1.Health", "/grpc.health.v1.Health/Check"),
    ("grpc.health.v1.Health", "/grpc.health.v1.Health/Watch"),
    ("grpc.reflection.v1.ServerReflection", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    ("grpc.reflection.v1alpha.ServerReflection", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
];

/// What handlers answer from.
pub struct Served {
    reading: Reading,
    scope: Scope,
    doors: Doors,
    opened: Instant,
    analyst: Arc<Analyst>,
    sql: SqlEngine,
}

impl Served {
    /// What a reef serves from now on at `doors`.
    pub fn new(reading: Reading, scope: Scope, doors: impl Into<Doors>) -> Served {
        let (opened, analyst) = (Instant::now(), Arc::new(Analyst::without_model()));
        Served { reading, scope, doors: doors.into(), opened, analyst, sql: SqlEngine::default() }
    }

    /// The same; statements are run by this engine.
    pub fn with_sql(self, sql: SqlEngine) -> Served {
        Served { sql, ..self }
    }

    /// The same; questions in words are answered by this analyst.
    pub fn with_analyst(self, analyst: Arc<Analyst>) -> Served {
        Served { analyst, ..self }
    }

    fn analyst(&self) -> &Arc<Analyst> {
        &self.analyst
    }

    fn sql(&self) -> &SqlEngine {
        &self.sql
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }

    async fn reader(&self) -> Result<Arc<dyn StoreReader>, ConnectError> {
        // a call would wait for the store
        if self.reading.is_opening() {
            return Err(errors::opening());
        }
        self.reading.reader().await.ok_or_else(errors::closed)
    }

    /// What the run says of itself; `None` without one.
    fn run_facts(&self) -> Option<RunFacts> {
        self.reading.run_facts(self.opened, &self.doors)
    }
}

/// The routes of all services. Who calls is read from the request's extensions ([`crate::access::Caller`]).
pub fn router(served: Served) -> Router {
    let ready = Arc::new(health::Ready::of(served.reading.clone(), &SERVICES));
    let health = HealthService::from_arc(Arc::clone(&ready));
    let served = Arc::new(served);
    let routes = ReefServiceExt::register(Arc::clone(&served), connectrpc::Router::new());
    let routes = HealthExt::register(Arc::new(health), ReefLlmExt::register(served, routes));
    let routes = health::watching(routes, ready);
    let routes = connectrpc_health::apply_request_limits(routes, connectrpc_health::request_limits());
    let routes = connectrpc_reflection::install(routes, reflector());
    let names: BTreeSet<&str> = SERVICES.into_iter().chain(OTHERS.map(|(name, _)| name)).collect();
    let limits = Limits::default().with_max_request_body_size(REQUEST_MAX).with_max_message_size(REQUEST_MAX);
    let hosted = hosting::hosted(routes, &names.into_iter().collect::<Vec<_>>(), limits);
    hosted.route_layer(from_fn(hints::hint))
}

/// The path of a method that is served; `None` for any other path.
pub(crate) fn method(path: &str) -> Option<&'static str> {
    let other = || OTHERS.into_iter().map(|(_, other)| other).find(|other| *other == path);
    table::method(path).map(|method| method.path).or_else(other)
}

fn reflector() -> Reflector {
    let reflector = Reflector::from_descriptor_set_bytes(wire::DESCRIPTORS);
    let reflector = reflector.unwrap_or_else(|error| unreachable!("the build wrote these descriptors: {error}"));
    let others: BTreeSet<&str> = OTHERS.into_iter().map(|(name, _)| name).collect();
    reflector.with_services(SERVICES.into_iter().chain(others))
}
