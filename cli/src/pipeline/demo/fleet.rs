//! The demo's colonies: real daemons in this process, each with its own database and port, filled over gRPC.

use super::tunnel;
use crate::exit::{Exit, Failure};
use colony::config::Retention;
use colony::server::{ColonySettings, Serving, serve};
use mesh::{Listen, Network, Route};
use model::clock::SystemClock;
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use proto::colony::v1::ingest_service_client::IngestServiceClient;
use proto::colony::v1::{IngestEventsRequest, IngestMetricsRequest};
use proto::convert::{event_to_wire, metric_to_wire};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use tokio::sync::watch;
use tonic::transport::Channel;

/// Rows in one call.
const CALL_ROWS: usize = 2_000;

/// One running colony.
struct Member {
    serving: Serving,
    client: IngestServiceClient<Channel>,
    /// How a configuration says where it is.
    place: String,
}

/// The running colonies, by id.
pub struct Colonies {
    colonies: BTreeMap<String, Member>,
    stop: watch::Sender<bool>,
}

impl Colonies {
    /// Starts one daemon per identity, on free ports of this machine, with databases in `folder`; each behind a mesh of
    /// its own if wanted. `network` is what the reef reaches them through.
    pub async fn start(
        identities: Vec<ColonyIdentity>,
        folder: &Path,
        (network, has_mesh): (&Network, bool),
    ) -> Result<Colonies, Failure> {
        let (stop, stopping) = watch::channel(false);
        let mut colonies = BTreeMap::new();
        let failed = |error: &(dyn Error + 'static)| Failure::from_error(Exit::Failed, "colony_failed", error);
        for identity in identities {
            let mut stopping = stopping.clone();
            let colony_id = identity.colony_id.clone();
            let settings = ColonySettings {
                identity,
                storage_path: folder.to_path_buf(),
                retention: Retention::default(),
                clock: SystemClock::shared(),
            };
            let shutdown = async move {
                // a dropped sender stops it too
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            let listen = if has_mesh { tunnel::listen(&colony_id, folder) } else { Ok(Listen::plain("127.0.0.1:0")) };
            let listen = listen.map_err(|error| failed(&error))?;
            let serving = serve(settings, listen, shutdown).await.map_err(|error| failed(&error))?;
            let (route, place) = match serving.door() {
                Some(door) => (tunnel::route(&colony_id, folder, door), tunnel::place(&colony_id, door)),
                None => (Route::Plain(serving.endpoint()), format!("endpoint = \"{}\"", serving.endpoint())),
            };
            let channel = network.dial(&route).await.map_err(|error| failed(&error))?;
            colonies.insert(colony_id, Member { serving, client: IngestServiceClient::new(channel), place });
        }
        Ok(Colonies { colonies, stop })
    }

    /// Colony id of each, and where a configuration finds it.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.colonies.iter().map(|(id, member)| (id.as_str(), member.place.as_str()))
    }

    /// Sends events to their colonies, in order.
    pub async fn send_events(&mut self, events: &[Event]) -> Result<(), Failure> {
        let mut by_colony: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for event in events {
            by_colony.entry(&event.colony_id).or_default().push(event_to_wire(event));
        }
        for (colony_id, rows) in by_colony {
            let Some(Member { client, .. }) = self.colonies.get_mut(colony_id) else { continue };
            for rows in rows.chunks(CALL_ROWS) {
                let request = IngestEventsRequest { events: rows.to_vec() };
                client.ingest_events(request).await.map_err(|status| refused(colony_id, &status))?;
            }
        }
        Ok(())
    }

    /// Sends metric rows to their colonies.
    pub async fn send_metrics(&mut self, points: impl Iterator<Item = MetricPoint>) -> Result<(), Failure> {
        let mut waiting: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for point in points {
            let colony_id = point.series.key.colony_id.clone();
            let rows = waiting.entry(colony_id.clone()).or_default();
            rows.push(metric_to_wire(&point));
            if rows.len() >= CALL_ROWS {
                let rows = std::mem::take(rows);
                self.send_metric_rows(&colony_id, rows).await?;
            }
        }
        for (colony_id, rows) in waiting {
            self.send_metric_rows(&colony_id, rows).await?;
        }
        Ok(())
    }

    async fn send_metric_rows(
        &mut self,
        colony_id: &str,
        metrics: Vec<proto::reef::v1::MetricSummary>,
    ) -> Result<(), Failure> {
        if let Some(Member { client, .. }) = self.colonies.get_mut(colony_id) {
            let answer = client.ingest_metrics(IngestMetricsRequest { metrics }).await;
            answer.map_err(|status| refused(colony_id, &status))?;
        }
        Ok(())
    }

    /// Stops all daemons and waits until their databases are closed.
    pub async fn stop(self) -> Result<(), Failure> {
        let _ = self.stop.send(true);
        for (_, Member { serving, client, .. }) in self.colonies {
            drop(client);
            serving.stopped().await.map_err(|error| Failure::from_error(Exit::Failed, "colony_failed", &error))?;
        }
        Ok(())
    }
}

fn refused(colony_id: &str, status: &tonic::Status) -> Failure {
    let message = format!("colony {colony_id} refused rows: {}", status.message());
    Failure::new(Exit::Failed, "colony_refused", message)
}
