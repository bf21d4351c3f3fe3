//! Serve: a process other than 0. It works in the dataflow, reads its share of partitioned sources, and ends with the
//! run.

use super::alarm::Alarm;
use super::lead::peers;
use super::link::{Link, queue};
use super::meet::Met;
use super::remote::WINDOW_BATCHES;
use super::wire::{Frame, SourceFacts};
use super::work::Serving;
use super::{BuildInputs, Place, asked};
use crate::config::ReefConfig;
use crate::error::EngineError;
use crate::error::RunError;
use crate::instruments::Instruments;
use crate::open::params;
use crate::progress::{Ended, Phase, Progress, ServeSummary};
use crate::run::RunOptions;
use crate::run::acknowledge::{self, Acknowledgements, Stored};
use model::error::one_line;
use model::position::Positions;
use sources::{Batch, Source, SourceContext, SourceError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

/// How long sources may take to hear what was stored last.
const HEARING_MAX: Duration = Duration::from_secs(2);

/// What process 0 says, as far as the reading of sources waits for it.
struct FromLead {
    start: oneshot::Receiver<BTreeMap<String, Positions>>,
    end: oneshot::Receiver<bool>,
    window: Arc<Semaphore>,
    acknowledgements: Acknowledged,
}

/// Tells the sources of this process what is stored; gone once the run has ended.
type Acknowledged = Arc<Mutex<Option<Acknowledgements>>>;

/// Serves the process that leads until its run ends.
pub(super) async fn serve(
    config: &ReefConfig,
    place: &Place,
    met: Met,
    options: RunOptions,
    inputs: &BuildInputs,
) -> Result<ServeSummary, RunError> {
    let started = Instant::now();
    let alarm = Alarm::default();
    let is_ending = Arc::new(AtomicBool::new(false));
    let Met { controls, streams } = met;
    let Some(control) = controls.into_iter().next() else { return Err(EngineError::Gone.into()) };
    let (to_lead, to_write) = queue();
    let (on_frame, from_lead) = listen();
    let watch = (alarm.clone(), Arc::clone(&is_ending));
    let link = Link::start(control, (to_lead.clone(), to_write), place.silence, watch, on_frame);

    let peers = peers(place, streams, &alarm, &is_ending);
    let result = match Serving::start(params::from_config(config), config.engine.workers, peers) {
        Err(failure) => Err(failure.into()),
        Ok(mut serving) => {
            let context = options.source_context();
            let instruments = Instruments::of(&options.registry, &options.clock);
            instruments.started(options.clock.now());
            let counting = Counting { instruments, progress: options.progress };
            let read = Reading { config, place, inputs, to_lead, counting, context };
            let result = tokio::select! {
                biased;
                fault = alarm.raised() => Err(RunError::Cluster(fault)),
                failure = serving.failed() => Err(failure.into()),
                result = read.until_the_end(from_lead, options.shutdown) => result,
            };
            if result.is_ok() {
                serving.finish();
            }
            result
        }
    };
    match result {
        Ok((ended, progress)) => {
            is_ending.store(true, Ordering::Relaxed);
            link.close(Frame::Ended).await;
            let elapsed_ms = started.elapsed().as_millis() as u64;
            Ok(ServeSummary { process: place.process, ended, progress, elapsed_ms })
        }
        Err(error) => {
            link.close(Frame::Failed { message: one_line(&error) }).await;
            Err(error)
        }
    }
}

/// Dispatches messages of process 0 to waiting tasks; never blocks.
fn listen() -> (impl FnMut(Frame) + Send + 'static, FromLead) {
    let (start, on_start) = oneshot::channel();
    let (end, on_end) = oneshot::channel();
    let (mut start, mut end) = (Some(start), Some(end));
    let window = Arc::new(Semaphore::new(WINDOW_BATCHES));
    let taken = Arc::clone(&window);
    let acknowledgements = Acknowledged::default();
    let stored = Arc::clone(&acknowledgements);
    let on_frame = move |frame| match frame {
        Frame::Start { positions } => drop(start.take().map(|start| start.send(positions))),
        Frame::Taken => taken.add_permits(1),
        Frame::Committed { source, positions } => {
            if let Some(acknowledgements) = stored.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                acknowledgements.tell(source, positions);
            }
        }
        Frame::End { is_stopped } => drop(end.take().map(|end| end.send(is_stopped))),
        other => tracing::warn!(?other, "a frame that process 0 does not send"),
    };
    (on_frame, FromLead { start: on_start, end: on_end, window, acknowledgements })
}

struct Reading<'a> {
    config: &'a ReefConfig,
    place: &'a Place,
    inputs: &'a BuildInputs,
    context: SourceContext,
    to_lead: mpsc::Sender<Frame>,
    counting: Counting,
}

/// What this process counts, and who is shown it.
#[derive(Clone)]
struct Counting {
    instruments: Instruments,
    progress: watch::Sender<Progress>,
}

impl Counting {
    fn phase(&self, phase: Phase) {
        self.instruments.phase(phase);
        self.progress.send_replace(self.instruments.progress());
    }

    fn count(&self, source: &str, batch: &Batch) {
        self.instruments.read(source, &batch.rows, &batch.rejects);
        self.progress.send_replace(self.instruments.progress());
    }
}

impl Reading<'_> {
    /// Reads this process's share and sends it to process 0, until that ends the run.
    async fn until_the_end(
        self,
        from_lead: FromLead,
        shutdown: watch::Receiver<bool>,
    ) -> Result<(Ended, Progress), RunError> {
        let FromLead { start, mut end, window, acknowledgements } = from_lead;
        // closed only with the link, and that raises the alarm
        let positions = start.await.map_err(|_| EngineError::Gone)?;
        let sources = (self.inputs)(self.config, &positions, self.place.share(), &self.context)?;
        let facts = sources
            .iter()
            .map(|source| SourceFacts {
                name: source.name().to_owned(),
                is_finite: source.is_finite(),
                is_acknowledged: source.is_acknowledged(),
            })
            .collect();
        let mut added = Acknowledgements::default();
        let stored: Vec<Stored> =
            sources.iter().enumerate().map(|(number, source)| added.add(number, source.as_ref())).collect();
        *acknowledgements.lock().unwrap_or_else(PoisonError::into_inner) = Some(added);
        self.send(Frame::Sources(facts)).await;
        self.counting.phase(Phase::Running);
        // those that acknowledge end once they have heard all of it
        let (mut reading, mut hearing) = (JoinSet::new(), JoinSet::new());
        for (number, (source, stored)) in sources.into_iter().zip(stored).enumerate() {
            let tasks = if stored.is_some() { &mut hearing } else { &mut reading };
            let shipping = Shipping { number, source, stored };
            tasks.spawn(shipping.run(self.to_lead.clone(), Arc::clone(&window), self.counting.clone()));
        }
        let mut is_stopping = false;
        let stop = asked(shutdown);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                ended = &mut end => {
                    let ended = if ended.map_err(|_| EngineError::Gone)? { Ended::Stopped } else { Ended::InputFinished };
                    drop(acknowledgements.lock().unwrap_or_else(PoisonError::into_inner).take());
                    let all_heard = async { while hearing.join_next().await.is_some() {} };
                    let _ = timeout(HEARING_MAX, all_heard).await;
                    return Ok((ended, self.counting.instruments.progress()));
                }
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    self.counting.phase(Phase::Draining);
                    self.send(Frame::Stop).await;
                }
                Some(read) = reading.join_next() => of_source(read)?,
                Some(read) = hearing.join_next() => of_source(read)?,
            }
        }
    }

    async fn send(&self, frame: Frame) {
        // the alarm handles a lost process 0
        let _ = self.to_lead.send(frame).await;
    }
}

fn of_source(read: Result<Result<(), (String, SourceError)>, JoinError>) -> Result<(), RunError> {
    match read {
        Ok(Ok(())) => Ok(()),
        Ok(Err((source_name, cause))) => Err(RunError::Source { source_name, cause }),
        Err(error) => Err(RunError::SourcePanicked { panic: error.to_string() }),
    }
}

/// A source on its way to process 0.
struct Shipping {
    number: usize,
    source: Box<dyn Source>,
    stored: Stored,
}

impl Shipping {
    /// Moves its batches to process 0, as many at a time as that accepts.
    async fn run(
        self,
        to_lead: mpsc::Sender<Frame>,
        window: Arc<Semaphore>,
        counting: Counting,
    ) -> Result<(), (String, SourceError)> {
        let Shipping { number, mut source, mut stored } = self;
        loop {
            let Some(next) = acknowledge::next_batch(source.as_mut(), &mut stored).await else { return Ok(()) };
            let Some(batch) = next.map_err(|error| (source.name().to_owned(), error))? else {
                let _ = to_lead.send(Frame::SourceEnded { source: number }).await;
                acknowledge::until_the_end(source.as_mut(), stored).await;
                return Ok(());
            };
            counting.count(source.name(), &batch);
            // process 0 releases permits; the semaphore is never closed
            let Ok(place) = window.acquire().await else { return Ok(()) };
            place.forget();
            let (bytes, outage) = (source.progress_bytes(), source.outage());
            let frame = Frame::Batch { source: number, batch: Box::new(batch), bytes, outage };
            if to_lead.send(frame).await.is_err() {
                return Ok(());
            }
        }
    }
}
