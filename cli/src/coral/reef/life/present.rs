//! Present: the run of a reef as its control socket shows it.

use super::super::running::control::{Link, RunState};
use super::super::running::run_file::{Claim, RunFile};
use super::opening::{Look, Seen};
use crate::exit::Failure;
use crate::pipeline::ask::store_file;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use pipelines::config::ReefConfig;
use pipelines::progress::Phase;
use pipelines::run::RunningReef;
use reef::api::Doors;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the store may take to say how colonies are.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// The run now. Cheap to clone.
#[derive(Clone)]
pub struct Present(Arc<Mutex<Now>>);

struct Now {
    state: RunState,
    /// The run file, kept to the end of the process.
    claim: Claim,
    run_file: RunFile,
    /// Beside what questions are answered where the store has no file.
    answers: PathBuf,
    reef: Option<RunningReef>,
    /// When the run with the configuration in force began.
    began: TimeMs,
    colonies: Vec<String>,
}

impl Present {
    /// Before the first run; `state` has what stays the same.
    pub fn new(state: RunState, (claim, run_file): (Claim, RunFile), answers: PathBuf) -> Present {
        let now = Now { state, claim, run_file, answers, reef: None, began: TimeMs(0), colonies: Vec::new() };
        Present(Arc::new(Mutex::new(now)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Now) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Beside what a run with this configuration answers questions.
    pub fn beside(&self, config: &ReefConfig) -> PathBuf {
        store_file(config).map_or_else(|| self.with(|now| now.answers.clone()), Path::to_path_buf)
    }

    /// A run begins with this configuration.
    pub fn begin(&self, config: &ReefConfig, reef: &RunningReef, doors: Option<Doors>, began: TimeMs) {
        let beside = std::path::absolute(self.beside(config)).ok();
        self.with(|now| {
            now.reef = Some(reef.clone());
            now.began = began;
            now.colonies = config.colonies.iter().map(|colony| colony.colony_id.clone()).collect();
            now.state.api = doors.as_ref().map(|doors| format!("http://{}", doors.api));
            now.state.dashboard = doors.and_then(|doors| doors.dashboard);
            now.run_file.api = now.state.api.clone();
            now.run_file.store = beside;
            if let Err(error) = now.claim.write(&now.run_file) {
                tracing::warn!(%error, "other programs do not find the address of the services");
            }
        });
    }

    /// The run has ended; whether it had come as far as reading its sources.
    pub fn end(&self) -> bool {
        let reef = self.with(|now| now.reef.take());
        reef.is_some_and(|reef| reef.progress().borrow().phase != Phase::Restoring)
    }

    /// Another configuration is in force, or the former one again because of a problem.
    pub fn renew(&self, problem: Option<Vec<String>>) {
        self.with(|now| {
            now.state.generation += 1;
            now.state.reload_problem = problem;
        });
    }

    /// The number of the configuration in force.
    pub fn generation(&self) -> u64 {
        self.with(|now| now.state.generation)
    }

    /// The process that runs the reef.
    pub fn pid(&self) -> u32 {
        self.with(|now| now.state.pid)
    }

    /// How it is.
    pub async fn state(&self) -> RunState {
        let (mut state, reef, began, colonies) =
            self.with(|now| (now.state.clone(), now.reef.clone(), now.began, now.colonies.clone()));
        let Some(reef) = reef else { return state };
        let phase = reef.progress().borrow().phase;
        state.phase = match phase {
            Phase::Restoring => "restoring",
            Phase::Running => "running",
            Phase::Draining => "draining",
        }
        .to_owned();
        if phase == Phase::Running {
            state.colonies = links(&reef, &colonies, began).await;
        }
        state
    }
}

impl Look for Present {
    async fn look(&mut self) -> Result<Seen, Failure> {
        Ok(Seen::State(Box::new(self.state().await)))
    }
}

async fn links(reef: &RunningReef, colonies: &[String], began: TimeMs) -> Vec<Link> {
    let asked = async {
        match reef.reader().await {
            Some(reader) => reader.colony_status().await.unwrap_or_default(),
            None => Vec::new(),
        }
    };
    let statuses = tokio::time::timeout(STORE_WAIT, asked).await.unwrap_or_default();
    let link = |colony_id: &String| link(colony_id, statuses.iter().find(|it| it.colony_id == *colony_id), began);
    colonies.iter().map(link).collect()
}

/// The stored state of a colony may be from an earlier run: only a success of this one counts.
fn link(colony_id: &str, status: Option<&ColonyStatus>, began: TimeMs) -> Link {
    let reached = status.filter(|status| !status.is_lost());
    Link {
        colony_id: colony_id.to_owned(),
        connected: reached.and_then(|status| status.last_success_at).is_some_and(|at| at >= began),
        error: status.map(|status| status.last_error.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_of_this_run_counts_as_connected() {
        let status = |health: &str, at: i64, last_error: &str| ColonyStatus {
            colony_id: "c".to_owned(),
            application_name: String::new(),
            environment: String::new(),
            health: health.to_owned(),
            total_services: 0,
            healthy_services: 0,
            degraded_services: 0,
            unhealthy_services: 0,
            agent_count: None,
            last_success_at: Some(TimeMs(at)),
            complete_to: None,
            last_error: last_error.to_owned(),
        };
        let began = TimeMs(10);
        assert!(link("c", Some(&status("degraded", 10, "")), began).connected);
        assert!(!link("c", Some(&status("healthy", 9, "")), began).connected);
        assert!(!link("c", Some(&status("revoked", 11, "removed")), began).connected);
        let failed = link("c", Some(&status("unreachable", 11, "refused")), began);
        assert_eq!((failed.connected, failed.error.as_str()), (false, "refused"));
        assert!(!link("c", None, began).connected);
    }
}
