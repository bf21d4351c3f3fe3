//! Tests of the colony, in isolated temporary directories; those that RFD 010 names carry its names.
#![allow(clippy::unwrap_used, non_snake_case)]

mod config;
mod federation;
mod import;
mod ingest;
mod peering;
mod schema;
mod start;
mod store;
mod stream;

use crate::config::Retention;
use crate::{ColonySettings, Listen, Serving, serve};
use model::clock::SystemClock;
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use model::series::SeriesRef;
use model::time::TimeMs;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use std::path::Path;
use tokio::sync::oneshot;
use tonic::transport::Channel;

/// 2023-08-31T00:00:00Z: a whole day, so a whole bucket of every interval.
pub const T0: TimeMs = TimeMs(1_693_440_000_000);

pub fn identity(colony_id: &str) -> ColonyIdentity {
    ColonyIdentity { colony_id: colony_id.into(), application_name: "my-shop".into(), environment: "production".into() }
}

pub fn settings(storage_path: &Path, colony_id: &str) -> ColonySettings {
    ColonySettings {
        identity: identity(colony_id),
        storage_path: storage_path.to_owned(),
        retention: Retention::default(),
        clock: SystemClock::shared(),
    }
}

/// A colony in its own directory, with a reef's client.
pub struct Running {
    pub serving: Serving,
    pub client: ColonyFederationClient<Channel>,
    stop: oneshot::Sender<()>,
}

impl Running {
    pub async fn start(storage_path: &Path) -> Running {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let serving = serve(settings(storage_path, "c1"), Listen::plain("127.0.0.1:0"), shutdown).await.unwrap();
        let client = ColonyFederationClient::connect(serving.endpoint()).await.unwrap();
        Running { serving, client, stop }
    }

    pub async fn stop(self) {
        drop(self.client);
        self.stop.send(()).unwrap();
        self.serving.stopped().await.unwrap();
    }
}

pub fn event(number: u32) -> Event {
    Event {
        application_name: "my-shop".into(),
        environment: "production".into(),
        service_id: "checkout".into(),
        description: format!("number {number}"),
        metadata: [("version".to_owned(), number.to_string())].into(),
        ..fixtures::event("c1", &format!("e{number}"), T0 + i64::from(number) * 1_000)
    }
}

pub fn point(metric_name: &str, interval_seconds: u32, step: i64, count: u64, p95: f64) -> MetricPoint {
    let names = SeriesRef {
        application_name: "my-shop",
        environment: "production",
        interval_seconds: Some(interval_seconds),
        ..fixtures::series("c1", "checkout", metric_name)
    };
    MetricPoint {
        count: Some(count),
        p50: Some(Real(p95 / 2.0)),
        p95: Some(Real(p95)),
        p99: Some(Real(p95)),
        max: Some(Real(p95)),
        ..fixtures::point(names, T0 + step * i64::from(interval_seconds) * 1_000, p95 / 2.0)
    }
}

/// Runs `query` on a closed database file, as the DuckDB command line would.
pub fn inspect<T: duckdb::types::FromSql>(path: &Path, query: &str) -> Vec<T> {
    let config = duckdb::Config::default().access_mode(duckdb::AccessMode::ReadOnly).unwrap();
    let connection = duckdb::Connection::open_with_flags(path, config).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
