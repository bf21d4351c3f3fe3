//! Engine: a reef's run in this process, and another one with each new configuration.
//!
//! A reload drains the run and starts it again in the same process. The store's rows and positions carry everything over, so
//! no row is lost or counted twice; colonies are not read while the windows are rebuilt. Adding sources to a run in progress
//! would save that pause for one kind of change; draining serves every change the same way.

use super::super::running::control::{Refusal, Reload};
use super::door::Wish;
use super::present::Present;
use super::reread::InForce;
use crate::exit::Failure;
use crate::output::Output;
use crate::pipeline::run::observed;
use model::clock::{Clock, SystemClock};
use pipelines::config::ReefConfig;
use pipelines::progress::RunSummary;
use serde_json::json;
use std::path::Path;
use std::pin::pin;
use tokio::sync::{mpsc, oneshot, watch};

/// What a run is controlled by.
pub struct Controls {
    /// Becomes true when the process is asked to end.
    pub shutdown: watch::Receiver<bool>,
    /// What callers and hang-ups ask for.
    pub wishes: mpsc::Receiver<Wish>,
}

/// Runs the reef until it ends or is stopped; the configuration that was in force last, and the last run's summary.
pub async fn run(
    mut in_force: InForce,
    path: &Path,
    mut controls: Controls,
    present: &Present,
    output: &Output,
) -> Result<(ReefConfig, RunSummary), Failure> {
    let mut former: Option<InForce> = None;
    loop {
        let mut round = Round { in_force: &in_force, path, present, output, next: None, is_stopping: false };
        let ended = round.run(&mut controls).await;
        let (next, is_stopping) = (round.next.take(), round.is_stopping);
        let was_up = present.end();
        match (ended, next, former.take()) {
            (Ok(_), Some(new), _) if !is_stopping => {
                former = Some(std::mem::replace(&mut in_force, new));
                present.renew(None);
            }
            (Ok(summary), _, _) => return Ok((in_force.config, summary)),
            // a configuration that is right and cannot be run: its address is taken, for example
            (Err(failure), _, Some(old)) if !was_up && !is_stopping => {
                let problem = [vec![failure.message], failure.details].concat();
                let line = format!(
                    "the new configuration cannot be run, the former one is in force again: {}",
                    problem.join(": ")
                );
                output.message(&line);
                in_force = old;
                present.renew(Some(problem));
            }
            (Err(failure), _, _) => return Err(failure),
        }
    }
}

/// The run with one configuration.
struct Round<'a> {
    in_force: &'a InForce,
    path: &'a Path,
    present: &'a Present,
    output: &'a Output,
    /// The configuration that follows.
    next: Option<InForce>,
    /// It was asked to end for good.
    is_stopping: bool,
}

impl Round<'_> {
    async fn run(&mut self, controls: &mut Controls) -> Result<RunSummary, Failure> {
        let (stop, stopped) = watch::channel(false);
        let config = &self.in_force.config;
        let began = SystemClock.now();
        let present = self.present.clone();
        let beside = self.present.beside(config);
        let running = observed((config, self.path, Some(&beside)), stopped, self.output, move |reef, doors| {
            present.begin(config, reef, doors, began);
        });
        let mut running = pin!(running);
        loop {
            tokio::select! {
                ended = &mut running => return ended,
                // also when the sender has been dropped
                asked = controls.shutdown.wait_for(|stop| *stop), if !self.is_stopping => {
                    self.is_stopping = true;
                    if asked.is_ok() {
                        stop.send_replace(true);
                    }
                }
                Some(wish) = controls.wishes.recv() => match wish {
                    Wish::Stop => {
                        self.output.message("asked to stop: the last tick is being committed");
                        self.is_stopping = true;
                        stop.send_replace(true);
                    }
                    Wish::Reload(caller) => {
                        let outcome = self.reload();
                        if matches!(outcome, Reload::Accepted { .. }) {
                            stop.send_replace(true);
                        }
                        self.tell(&outcome, caller);
                    }
                    // a caller that has gone needs no answer, and the log has nothing of what is only asked
                    Wish::Compare(caller) => drop(caller.send(self.renewed().0)),
                },
            }
        }
    }

    fn reload(&mut self) -> Reload {
        let (outcome, new) = self.renewed();
        if new.is_some() {
            self.next = new;
        }
        outcome
    }

    /// What a reload does now, and the configuration that follows.
    fn renewed(&self) -> (Reload, Option<InForce>) {
        if self.is_stopping || self.next.is_some() {
            let message = "a stop or another reload is in progress".to_owned();
            return (Reload::Refused { kind: Refusal::Busy, message, details: Vec::new() }, None);
        }
        match self.in_force.renewed(self.path) {
            Ok((new, changed)) => {
                let unchanged = self.in_force.options_in_common(&new);
                (Reload::Accepted { changed, unchanged, generation: self.present.generation() + 1 }, Some(new))
            }
            Err(outcome) => (outcome, None),
        }
    }

    /// Tells the caller, and the log.
    fn tell(&self, outcome: &Reload, caller: Option<oneshot::Sender<Reload>>) {
        let line = match outcome {
            Reload::Unchanged => "the configuration says the same: nothing changes".to_owned(),
            Reload::Refused { message, details, .. } => {
                format!(
                    "the configuration stays as it was: {}",
                    [vec![message.clone()], details.clone()].concat().join(": ")
                )
            }
            Reload::Accepted { changed, .. } => {
                let keys: Vec<&str> = changed.iter().map(|it| it.key.as_str()).collect();
                format!("a new configuration: the run is drained and continues with it ({} changed)", keys.join(", "))
            }
        };
        if self.output.json() {
            // a closed standard output is no reason to stop a reef
            let _ = self.output.item(&json!({ "event": "reload", "reload": outcome }), |_| String::new());
        } else {
            self.output.message(&line);
        }
        if let Some(caller) = caller {
            // a caller that has gone needs no answer
            let _ = caller.send(outcome.clone());
        }
    }
}
