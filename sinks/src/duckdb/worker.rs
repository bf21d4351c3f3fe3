//! Threads with a queue of jobs. DuckDB blocks; callers await the result without blocking.

use super::fault::{Cause, explain};
use crate::SinkError;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;
type Inbox<S> = Arc<Mutex<mpsc::Receiver<Job<S>>>>;
pub(super) type Thread = JoinHandle<Result<(), Cause>>;

/// Jobs that may wait; a further caller waits for a place.
const JOBS_MAX: usize = 16;

/// The way to threads that own an `S` each and take their jobs from one queue.
pub(super) struct Worker<S> {
    name: Arc<str>,
    jobs: Mutex<Option<mpsc::Sender<Job<S>>>>,
    threads: Mutex<Vec<Thread>>,
}

impl<S: 'static> Worker<S> {
    /// Starts a thread for each of `openers`, which run on them; `close` runs there after the last job.
    pub(super) async fn start<F>(
        name: Arc<str>,
        openers: Vec<F>,
        close: fn(S) -> Result<(), Cause>,
    ) -> Result<Worker<S>, SinkError>
    where
        F: FnOnce() -> Result<S, Cause> + Send + 'static,
    {
        let fault = |cause: Cause| explain(&name, "cannot open the store", cause);
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        // owned only by the threads: when all have ended, waiting jobs are dropped and their callers notified
        let inbox: Inbox<S> = Arc::new(Mutex::new(inbox));
        let (mut threads, mut answers) = (Vec::new(), Vec::new());
        for open in openers {
            let (opened, answer) = oneshot::channel::<Result<(), Cause>>();
            let inbox = Arc::clone(&inbox);
            let body = move || match open() {
                Ok(mut state) => {
                    let _ = opened.send(Ok(()));
                    while let Some(job) = next(&inbox) {
                        job(&mut state);
                    }
                    close(state)
                }
                Err(cause) => {
                    let _ = opened.send(Err(cause));
                    Ok(())
                }
            };
            threads.push(std::thread::Builder::new().name("duckdb".into()).spawn(body).map_err(|e| fault(e.into()))?);
            answers.push(answer);
        }
        drop(inbox);
        for answer in answers {
            answer.await.unwrap_or_else(|_| Err("the thread ended".into())).map_err(fault)?;
        }
        Ok(Worker { name, jobs: Mutex::new(Some(jobs)), threads: Mutex::new(threads) })
    }

    /// The store's name, for people.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Runs `job` on a thread; `doing` names the operation in case of an error. If the caller stops waiting, the job
    /// still completes.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        doing: &str,
        job: impl FnOnce(&mut S) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, SinkError> {
        let (reply, answer) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            let _ = reply.send(job(state));
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_sent = match jobs {
            Some(jobs) => jobs.send(job).await.is_ok(),
            None => false,
        };
        let ended = || Err(Cause::from("the thread of the store has ended"));
        let result = if is_sent { answer.await.unwrap_or_else(|_| ended()) } else { ended() };
        result.map_err(|cause| explain(&self.name, doing, cause))
    }

    /// Lets the threads finish the jobs that wait, waits for their end, and says whether that went well.
    pub(super) async fn close(&self) -> Result<(), SinkError> {
        let threads = self.end();
        let joined = tokio::task::spawn_blocking(move || join(threads)).await;
        let result = joined.unwrap_or_else(|_| Err("the thread of the store has ended".into()));
        result.map_err(|cause| explain(&self.name, "cannot close the store", cause))
    }

    /// Takes no further job; the threads that are left to join.
    pub(super) fn end(&self) -> Vec<Thread> {
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) = None;
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        *self.jobs.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        if let Err(cause) = join(std::mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner))) {
            let store = &*self.name;
            tracing::warn!(store, %cause, "the store was not closed cleanly; its log is replayed at the next start");
        }
    }
}

pub(super) fn join(threads: Vec<Thread>) -> Result<(), Cause> {
    let ended = threads.into_iter().map(|thread| match thread.join() {
        Ok(result) => result,
        Err(_) => Err("the thread of the store has ended".into()),
    });
    // all of them, before the first error is returned
    ended.collect::<Vec<_>>().into_iter().collect()
}

/// The next job; `None` once all senders are dropped.
fn next<S>(inbox: &Inbox<S>) -> Option<Job<S>> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}
