//! The colonies of a simulation: real ones, each with its database, its agents, and what can happen to it.

use super::trace::Trace;
use super::world::Row;
use colony::config::Retention;
use colony::{ColonySettings, Listen, Serving, serve};
use mesh::Network;
use mesh::memory::MemoryNet;
use model::clock::ManualClock;
use model::colony::{ColonyIdentity, identity_from_id};
use model::time::TimeMs;
use proto::colony::v1::ingest_service_client::IngestServiceClient;
use proto::colony::v1::{IngestEventsRequest, IngestMetricsRequest};
use proto::convert::{event_to_wire, metric_to_wire};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::transport::Channel;

/// An agent that waits longer asks again.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// The most rows that an agent hands over at once.
const ROWS_MAX: usize = 400;

/// One colony.
pub struct Colony {
    pub id: &'static str,
    pub address: SocketAddr,
    net: MemoryNet,
    clock: Arc<ManualClock>,
    trace: Trace,
    folder: PathBuf,
    generation: u32,
    serving: Option<Serving>,
    agent: Option<IngestServiceClient<Channel>>,
    arrivals: Vec<(TimeMs, Row)>,
    /// How many of them are stored.
    handed_over: usize,
    backup: Option<(PathBuf, usize)>,
}

impl Colony {
    /// A colony that does not run yet.
    pub fn new(
        (number, id): (usize, &'static str),
        arrivals: Vec<(TimeMs, Row)>,
        folder: &Path,
        (net, trace): (&MemoryNet, &Trace),
    ) -> Colony {
        Colony {
            id,
            address: format!("10.0.0.{}:9000", number + 1).parse().unwrap(),
            net: net.clone(),
            clock: ManualClock::at(TimeMs(0)),
            trace: trace.clone(),
            folder: folder.join(id),
            generation: 0,
            serving: None,
            agent: None,
            arrivals,
            handed_over: 0,
            backup: None,
        }
    }

    pub fn set_clock(&self, now: TimeMs) {
        self.clock.set(now);
    }

    pub fn is_running(&self) -> bool {
        self.serving.is_some()
    }

    fn place(&self) -> PathBuf {
        self.folder.join(self.generation.to_string())
    }

    /// Starts from what lies in its folder. Its agents hand over what has waited before the reef is let in, as they do
    /// when they are on the same machine.
    pub async fn start(&mut self, now: TimeMs) {
        self.net.refuse(self.address, true);
        let (application_name, environment) = identity_from_id(self.id);
        let settings = ColonySettings {
            identity: ColonyIdentity { colony_id: self.id.to_owned(), application_name, environment },
            storage_path: self.place(),
            retention: Retention::default(),
            clock: self.clock.clone(),
        };
        let listen = Listen::Memory(self.net.clone(), self.address);
        self.serving = Some(serve(settings, listen, std::future::pending()).await.unwrap());
        self.trace.note(format!("{} started", self.id));
        self.feed(now).await;
        self.net.refuse(self.address, false);
    }

    /// Ends as a process does that is killed: what its file and log hold at this moment is what the next one finds.
    pub async fn crash(&mut self) {
        let Some(serving) = self.serving.take() else { return };
        self.trace.note(format!("{} crashes", self.id));
        let left = self.place();
        self.generation += 1;
        copy_folder(&left, &self.place());
        self.net.refuse(self.address, true);
        self.net.cut(self.address);
        self.agent = None;
        serving.kill().await;
        std::fs::remove_dir_all(left).unwrap();
    }

    /// Keeps a copy of the database.
    pub fn back_up(&mut self) {
        if self.serving.is_some() {
            self.trace.note(format!("{} is backed up", self.id));
            let backup = self.folder.join("backup");
            let _ = std::fs::remove_dir_all(&backup);
            copy_folder(&self.place(), &backup);
            self.backup = Some((backup, self.handed_over));
        }
    }

    /// Puts the backup in the place of the database of a colony that has crashed; agents hand over again what came since.
    pub fn restore(&mut self) {
        if let (None, Some((backup, handed_over))) = (&self.serving, &self.backup) {
            self.trace.note(format!("{} is restored from its backup", self.id));
            let place = self.folder.join(self.generation.to_string());
            std::fs::remove_dir_all(&place).unwrap();
            copy_folder(backup, &place);
            self.handed_over = *handed_over;
        }
    }

    /// Hands over everything that has arrived by now, in order; what does not get through waits.
    pub async fn feed(&mut self, now: TimeMs) {
        let mut tries = 0;
        while self.serving.is_some() && tries < 3 {
            let waiting = &self.arrivals[self.handed_over..];
            let count = waiting.iter().take(ROWS_MAX).take_while(|(at, _)| *at <= now).count();
            if count == 0 {
                return;
            }
            let rows: Vec<Row> = waiting[..count].iter().map(|(_, row)| row.clone()).collect();
            match timeout(ANSWER_MAX, self.hand_over(rows)).await {
                Ok(Ok(())) => {
                    self.handed_over += count;
                    self.trace.note(format!("{} takes {count} rows", self.id));
                    tries = 0;
                }
                failed => {
                    tries += 1;
                    self.agent = None;
                    let why = failed.map_or("no answer".to_owned(), |answer| answer.unwrap_err());
                    self.trace.note(format!("{} does not take {count} rows: {why}", self.id));
                }
            }
        }
    }

    pub fn is_fed(&self) -> bool {
        self.handed_over == self.arrivals.len()
    }

    async fn hand_over(&mut self, rows: Vec<Row>) -> Result<(), String> {
        if self.agent.is_none() {
            let network = Network::in_memory(self.net.local());
            let endpoint = format!("http://{}", self.address);
            let channel = network.dial_plain(&endpoint).await.map_err(|_| "cannot dial".to_owned())?;
            self.agent = Some(IngestServiceClient::new(channel));
        }
        let agent = self.agent.as_mut().unwrap();
        let (mut events, mut metrics) = (Vec::new(), Vec::new());
        for row in &rows {
            match row {
                Row::Event(event) => events.push(event_to_wire(event)),
                Row::Metric(point) => metrics.push(metric_to_wire(point)),
            }
        }
        let said = |status: tonic::Status| format!("{:?}", status.code());
        if !events.is_empty() {
            let answer = agent.ingest_events(IngestEventsRequest { events }).await.map_err(said)?.into_inner();
            assert!(answer.rejected.is_empty(), "{}: {:?}", self.id, answer.rejected);
        }
        if !metrics.is_empty() {
            let answer = agent.ingest_metrics(IngestMetricsRequest { metrics }).await.map_err(said)?.into_inner();
            assert!(answer.rejected.is_empty(), "{}: {:?}", self.id, answer.rejected);
        }
        Ok(())
    }

    /// Ends it for good.
    pub async fn end(mut self) {
        self.net.cut(self.address);
        self.agent = None;
        if let Some(serving) = self.serving.take() {
            serving.kill().await;
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
