//! Intake: runs every source as a separate task, into one bounded queue, so that a slow store slows the sources.

use super::acknowledge::{self, Acknowledgements, Stored};
use crate::instruments::{Instruments, Stage};
use model::reject::Reject;
use sources::{Batch, Source, SourceError};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Batches that may wait between the sources and the next tick. A source that finds the queue full waits. As many rows as
/// a source reads while the store moves its log into its file.
const QUEUE_BATCHES: usize = 32;

/// What a source sent.
pub enum Delivery {
    /// Rows, rejects, positions.
    Batch {
        /// The source's name.
        source: String,
        /// Whether the source is finite (its rows are never late).
        is_finite: bool,
        /// Its batch.
        batch: Box<Batch>,
        /// Which of the running sources it is: in a cluster several have one name.
        number: usize,
        /// Bytes done and in all, when the source knows.
        bytes: Option<(u64, u64)>,
        /// Rows done and in all, when the source counts them.
        rows: Option<(u64, u64)>,
        /// Why the source cannot read at the moment.
        outage: Option<String>,
    },
    /// A finite source has delivered everything.
    Finished,
    /// A source cannot continue.
    Failed {
        /// The source's name.
        source: String,
        /// Why.
        error: SourceError,
    },
}

/// A delivery on its way, and the room that it takes.
type Queued = (Delivery, Option<OwnedSemaphorePermit>);

/// The running sources.
pub struct Intake {
    deliveries: mpsc::Receiver<Queued>,
    room: Room,
    acknowledgements: Option<Acknowledgements>,
    tasks: JoinSet<()>,
    panicked: Option<String>,
    bytes: BTreeMap<usize, (u64, u64)>,
    rows: BTreeMap<usize, (u64, u64)>,
    /// Sources that have not delivered everything, or never will.
    open: usize,
}

impl Intake {
    /// Starts one task per source. All stop when `shutdown` becomes true. The queue has at most [`QUEUE_BATCHES`]
    /// batches and `queue_bytes_max`.
    pub(crate) fn start(
        sources: Vec<Box<dyn Source>>,
        shutdown: &watch::Receiver<bool>,
        queue_bytes_max: usize,
        instruments: &Instruments,
    ) -> Intake {
        let (send, deliveries) = mpsc::channel(QUEUE_BATCHES);
        let room = Room::of(queue_bytes_max, instruments.clone());
        let open = sources.len();
        let mut tasks = JoinSet::new();
        let mut acknowledgements = Acknowledgements::default();
        for (number, source) in sources.into_iter().enumerate() {
            let stored = acknowledgements.add(number, source.as_ref());
            tasks.spawn(run_source((number, source), stored, send.clone(), room.clone(), shutdown.clone()));
        }
        let acknowledgements = Some(acknowledgements);
        Intake {
            deliveries,
            room,
            acknowledgements,
            tasks,
            panicked: None,
            bytes: BTreeMap::new(),
            rows: BTreeMap::new(),
            open,
        }
    }

    /// Notifies sources of what is stored; dropped once nothing more will be. Taken once.
    pub(crate) fn acknowledgements(&mut self) -> Acknowledgements {
        self.acknowledgements.take().unwrap_or_default()
    }

    /// The next delivery; `None` once every source has ended and the queue is empty, or one has panicked.
    pub async fn next(&mut self) -> Option<Delivery> {
        let delivery = loop {
            tokio::select! {
                biased;
                queued = self.deliveries.recv() => break queued?.0,
                // a source that panics must be noticed while the others continue
                ended = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Some(Err(error)) = ended && error.is_panic() {
                        self.panicked.get_or_insert(error.to_string());
                        return None;
                    }
                }
            }
        };
        // its place in the queue is free again
        self.room.show();
        match &delivery {
            Delivery::Batch { number, bytes, rows, .. } => {
                self.bytes.extend(bytes.map(|bytes| (*number, bytes)));
                self.rows.extend(rows.map(|rows| (*number, rows)));
            }
            Delivery::Finished => self.open = self.open.saturating_sub(1),
            Delivery::Failed { .. } => {}
        }
        Some(delivery)
    }

    /// Whether every source has reached its end and the queue is empty: then a stop interrupts nothing.
    pub fn is_complete(&self) -> bool {
        self.open == 0
    }

    /// Takes no more: sources that wait for room in the queue end.
    pub fn stop(&mut self) {
        self.deliveries.close();
        self.room.left.close();
    }

    /// Bytes done and in all over every source that knows.
    pub fn bytes(&self) -> Option<(u64, u64)> {
        sum(&self.bytes)
    }

    /// Rows done and in all over every source that counts them.
    pub fn rows(&self) -> Option<(u64, u64)> {
        sum(&self.rows)
    }

    /// Whether a source has panicked by now, as far as can be said without waiting.
    pub(crate) fn has_panicked(&mut self) -> bool {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                self.panicked.get_or_insert(error.to_string());
            }
        }
        self.panicked.is_some()
    }

    /// The message of a source task that panicked, if one did. Asked once no delivery is left and the acknowledgements are
    /// gone.
    pub async fn panic(&mut self) -> Option<String> {
        if let Some(panic) = self.panicked.take() {
            return Some(panic);
        }
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                return Some(error.to_string());
            }
        }
        None
    }
}

fn sum(parts: &BTreeMap<usize, (u64, u64)>) -> Option<(u64, u64)> {
    let add = |(done, all): (u64, u64), (more_done, more): &(u64, u64)| (done + more_done, all + more);
    (!parts.is_empty()).then(|| parts.values().fold((0, 0), add))
}

/// Bytes that may wait in the queue, over all sources.
#[derive(Clone)]
struct Room {
    left: Arc<Semaphore>,
    in_all: u32,
    instruments: Instruments,
}

/// A semaphore counts no further than 32 bits at once.
const ROOM_UNIT_BYTES: usize = 1 << 10;

impl Room {
    fn of(bytes: usize, instruments: Instruments) -> Room {
        let in_all = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX).max(1);
        Room { left: Arc::new(Semaphore::new(in_all as usize)), in_all, instruments }
    }

    /// Reports how much of it is taken.
    fn show(&self) {
        let taken = (self.in_all as usize).saturating_sub(self.left.available_permits());
        self.instruments.waiting(Stage::Intake, taken * ROOM_UNIT_BYTES);
    }

    /// Waits until the batch has room. One that is larger than all there is waits for all of it.
    async fn take(&self, batch: &Batch) -> Option<OwnedSemaphorePermit> {
        let bytes = batch.rows.bytes() + batch.rejects.iter().map(Reject::bytes).sum::<usize>();
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX).min(self.in_all);
        let place = Arc::clone(&self.left).acquire_many_owned(units).await.ok();
        self.show();
        place
    }
}

/// The life of a source: it delivers, and then hears what of it is still being stored.
async fn run_source(
    (number, mut source): (usize, Box<dyn Source>),
    mut stored: Stored,
    send: mpsc::Sender<Queued>,
    room: Room,
    shutdown: watch::Receiver<bool>,
) {
    pump((number, source.as_mut()), &mut stored, send, room, shutdown).await;
    acknowledge::until_the_end(source.as_mut(), stored).await;
}

/// Moves batches from one source to the queue until it ends, fails, or the run stops.
async fn pump(
    (number, source): (usize, &mut dyn Source),
    stored: &mut Stored,
    send: mpsc::Sender<Queued>,
    room: Room,
    mut shutdown: watch::Receiver<bool>,
) {
    let name = source.name().to_owned();
    loop {
        let next = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            next = acknowledge::next_batch(source, stored) => next,
        };
        let Some(next) = next else { return };
        let (delivery, ended) = match next {
            Ok(Some(batch)) => {
                let (bytes, rows, outage) = (source.progress_bytes(), source.progress_rows(), source.outage());
                let is_finite = source.is_finite();
                let batch = Box::new(batch);
                (Delivery::Batch { source: name.clone(), is_finite, batch, number, bytes, rows, outage }, false)
            }
            Ok(None) => (Delivery::Finished, true),
            Err(error) => (Delivery::Failed { source: name.clone(), error }, true),
        };
        let place = match &delivery {
            Delivery::Batch { batch, .. } => tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                place = room.take(batch) => place,
            },
            Delivery::Finished | Delivery::Failed { .. } => None,
        };
        if send.send((delivery, place)).await.is_err() || ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use async_trait::async_trait;
    use model::clock::SystemClock;
    use model::instruments::Registry;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn started(sources: Vec<Box<dyn Source>>, shutdown: &watch::Receiver<bool>, queue_bytes_max: usize) -> Intake {
        let instruments = Instruments::of(&Registry::new(), &SystemClock::shared());
        Intake::start(sources, shutdown, queue_bytes_max, &instruments)
    }

    /// A source that panics, or one that hangs.
    struct Odd(bool);

    #[async_trait]
    impl Source for Odd {
        fn name(&self) -> &str {
            "odd"
        }
        fn is_finite(&self) -> bool {
            false
        }
        async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
            assert!(self.0, "a bug in a source");
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_panicking_source_is_reported_while_others_wait() {
        let (_stop, shutdown) = watch::channel(false);
        let mut intake = started(vec![Box::new(Odd(true)), Box::new(Odd(false))], &shutdown, 1 << 20);
        assert!(intake.next().await.is_none());
        assert!(intake.has_panicked());
        assert!(intake.panic().await.unwrap().contains("a bug in a source"));
    }

    /// A source of batches of about 100 kB each, and the number of requested ones.
    struct Large(Arc<AtomicUsize>);

    #[async_trait]
    impl Source for Large {
        fn name(&self) -> &str {
            "large"
        }
        fn is_finite(&self) -> bool {
            true
        }
        async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 20 {
                return Ok(None);
            }
            let reject = Reject {
                source: "large".to_owned(),
                place: "a:1".to_owned(),
                colony_id: None,
                reason: model::reject::RejectReason::Oversized,
                detail: String::new(),
                raw: "x".repeat(100_000),
                rejected_at: model::time::TimeMs(0),
            };
            Ok(Some(Batch { rejects: vec![reject], ..Batch::default() }))
        }
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_a_stop_does_not_wait_for_room() {
        let asked = Arc::new(AtomicUsize::new(0));
        for queue_bytes_max in [250_000, 10_000] {
            asked.store(0, Ordering::Relaxed);
            let (_stop, shutdown) = watch::channel(false);
            let mut intake = started(vec![Box::new(Large(Arc::clone(&asked)))], &shutdown, queue_bytes_max);
            assert!(intake.next().await.is_some());
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            // taken, waiting, and one in the hand of the task
            let most = 1 + queue_bytes_max.div_ceil(100_000).max(1) + 1;
            let asked = asked.load(Ordering::Relaxed);
            assert!((2..=most).contains(&asked), "{asked} of at most {most}");
            intake.stop();
            assert_eq!(intake.panic().await, None);
        }
        let (_stop, shutdown) = watch::channel(false);
        asked.store(0, Ordering::Relaxed);
        let mut intake = started(vec![Box::new(Large(asked))], &shutdown, 10_000);
        let mut batches = 0;
        while let Some(delivery) = intake.next().await {
            batches += usize::from(matches!(delivery, Delivery::Batch { .. }));
        }
        assert_eq!(batches, 20, "a batch that is larger than all room comes through");
    }
}
