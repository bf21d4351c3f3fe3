//! Reading: what the services of a reef read: a run in this process, or a store without one.

use crate::answers::status::RunFacts;
use model::error::one_line;
use pipelines::progress::Phase;
use pipelines::run::RunningReef;
use sinks::StoreReader;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the store may take to show that it responds.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Where the services of a reef are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// Their address.
    pub api: SocketAddr,
    /// Where people look at the dashboard, if it is open.
    pub dashboard: Option<String>,
}

impl From<SocketAddr> for Doors {
    fn from(api: SocketAddr) -> Doors {
        Doors { api, dashboard: None }
    }
}

/// What the services read.
#[derive(Clone)]
pub enum Reading {
    /// A run in this process.
    Run(RunningReef),
    /// A store that no run in this process has open.
    Store(Arc<dyn StoreReader>),
}

impl Reading {
    /// A reader of the store; `None` when the run is over. Waits until a run has opened it.
    pub async fn reader(&self) -> Option<Arc<dyn StoreReader>> {
        match self {
            Reading::Run(reef) => reef.reader().await,
            Reading::Store(reader) => Some(Arc::clone(reader)),
        }
    }

    /// Whether a run has not opened its store yet, so that a question would wait for that.
    pub fn is_opening(&self) -> bool {
        match self {
            Reading::Run(reef) => self.phase() == Some(Phase::Restoring) && !reef.is_open(),
            Reading::Store(_) => false,
        }
    }

    /// What the run is doing; `None` without one.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Reading::Run(reef) => Some(reef.progress().borrow().phase),
            Reading::Store(_) => None,
        }
    }

    /// What the run says of itself, whose services have been open at `doors` since `opened`; `None` without a run.
    pub fn run_facts(&self, opened: Instant, doors: &Doors) -> Option<RunFacts> {
        let state = match self.phase()? {
            Phase::Restoring => "restoring",
            Phase::Running => "running",
            Phase::Draining => "draining",
        };
        Some(RunFacts {
            state: state.to_owned(),
            uptime_seconds: opened.elapsed().as_secs(),
            api_url: Some(format!("http://{}", doors.api)),
            dashboard_url: doors.dashboard.clone(),
        })
    }

    /// Why the reef does not do all its work yet, or no longer; none when it does.
    pub async fn reasons_not_ready(&self) -> Vec<String> {
        if self.phase() == Some(Phase::Restoring) {
            let answers = if self.is_opening() { "" } else { "; questions are answered from what is stored" };
            return vec![format!("the engine is being restored: its windows are rebuilt from stored rows{answers}")];
        }
        let mut reasons: Vec<String> = self.store_problem().await.into_iter().collect();
        if let Reading::Run(reef) = self {
            let progress = reef.progress().borrow().clone();
            match progress.phase {
                Phase::Restoring | Phase::Running => {}
                Phase::Draining => reasons.push("the run is ending".to_owned()),
            }
            if let (0, expected @ 1..) = progress.colonies {
                reasons.push(format!("none of {expected} colonies has responded"));
            }
        }
        reasons
    }

    /// Why the store gives no answer.
    async fn store_problem(&self) -> Option<String> {
        let asked = async {
            match self.reader().await {
                Some(reader) => reader.positions().await.err().map(|error| format!("the store: {}", one_line(&error))),
                None => Some("the store is closed".to_owned()),
            }
        };
        let late = || Some(format!("the store gave no answer within {} s", STORE_WAIT.as_secs()));
        tokio::time::timeout(STORE_WAIT, asked).await.unwrap_or_else(|_| late())
    }
}
