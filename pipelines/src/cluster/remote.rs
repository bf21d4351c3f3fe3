//! Remote: the sources of another process as sources of process 0, with a bound on batches in transit.

use super::alarm::Alarm;
use super::wire::{Frame, SourceFacts};
use crate::error::ClusterError;
use crate::error::Peer;
use async_trait::async_trait;
use model::position::Positions;
use sources::{Batch, Source, SourceError};
use tokio::sync::{mpsc, oneshot, watch};

/// Batches of one process that may be on their way to process 0 at the same time.
pub(super) const WINDOW_BATCHES: usize = 8;

/// A batch with its source's status.
struct Delivered {
    batch: Batch,
    bytes: Option<(u64, u64)>,
    outage: Option<String>,
}

/// A source that another process reads.
pub(super) struct RemoteSource {
    number: usize,
    facts: SourceFacts,
    delivered: mpsc::Receiver<Delivered>,
    to_reader: mpsc::Sender<Frame>,
    bytes: Option<(u64, u64)>,
    outage: Option<String>,
    /// Received, and not yet said to be taken.
    received: Option<Delivered>,
    /// Stored, and not yet said to be.
    stored: Positions,
}

impl RemoteSource {
    /// What the reader is notified of as stored.
    fn news(&self) -> Frame {
        Frame::Committed { source: self.number, positions: self.stored.clone() }
    }
}

#[async_trait]
impl Source for RemoteSource {
    fn name(&self) -> &str {
        &self.facts.name
    }

    fn is_finite(&self) -> bool {
        self.facts.is_finite
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        // the alarm handles a lost process; what has not been sent is kept if this is dropped
        if self.stored != Positions::default() {
            let _ = self.to_reader.send(self.news()).await;
            self.stored = Positions::default();
        }
        if self.received.is_none() {
            self.received = self.delivered.recv().await;
        }
        if self.received.is_some() {
            let _ = self.to_reader.send(Frame::Taken).await;
        }
        let Some(Delivered { batch, bytes, outage }) = self.received.take() else { return Ok(None) };
        (self.bytes, self.outage) = (bytes, outage);
        Ok(Some(batch))
    }

    fn is_acknowledged(&self) -> bool {
        self.facts.is_acknowledged
    }

    fn committed(&mut self, positions: &Positions) {
        self.stored.advance(positions.clone());
        if self.to_reader.try_send(self.news()).is_ok() {
            self.stored = Positions::default();
        }
    }

    fn progress_bytes(&self) -> Option<(u64, u64)> {
        self.bytes
    }

    fn outage(&self) -> Option<String> {
        self.outage.clone()
    }
}

/// What process 0 does with the frames of one other process.
pub(super) struct FromReader {
    peer: Peer,
    to_reader: mpsc::Sender<Frame>,
    opened: Option<oneshot::Sender<Vec<RemoteSource>>>,
    open: Vec<Option<mpsc::Sender<Delivered>>>,
    ended: Option<oneshot::Sender<()>>,
    stop: watch::Sender<bool>,
    alarm: Alarm,
}

/// What process 0 waits for from one other process.
pub(super) struct Awaited {
    /// Its sources, once it has opened them.
    pub opened: oneshot::Receiver<Vec<RemoteSource>>,
    /// That it has understood the end.
    pub ended: oneshot::Receiver<()>,
}

impl FromReader {
    pub(super) fn new(
        peer: Peer,
        to_reader: mpsc::Sender<Frame>,
        stop: watch::Sender<bool>,
        alarm: Alarm,
    ) -> (FromReader, Awaited) {
        let (opened, on_opened) = oneshot::channel();
        let (ended, on_ended) = oneshot::channel();
        let from =
            FromReader { peer, to_reader, opened: Some(opened), open: Vec::new(), ended: Some(ended), stop, alarm };
        (from, Awaited { opened: on_opened, ended: on_ended })
    }

    /// Takes one frame; never waits.
    pub(super) fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Sources(sources) => self.open(sources),
            Frame::Batch { source, batch, bytes, outage } => {
                self.deliver(source, Delivered { batch: *batch, bytes, outage });
            }
            Frame::SourceEnded { source } => {
                // the source sees the end of its queue once it has emptied it
                if let Some(open) = self.open.get_mut(source) {
                    *open = None;
                }
            }
            Frame::Stop => drop(self.stop.send_replace(true)),
            Frame::Ended => drop(self.ended.take().map(|ended| ended.send(()))),
            other => self.broke_protocol(format!("unexpected {other:?}")),
        }
    }

    fn open(&mut self, sources: Vec<SourceFacts>) {
        let Some(opened) = self.opened.take() else { return self.broke_protocol("sources named twice".to_owned()) };
        let mut remote = Vec::with_capacity(sources.len());
        for (number, facts) in sources.into_iter().enumerate() {
            let (deliver, delivered) = mpsc::channel(WINDOW_BATCHES);
            self.open.push(Some(deliver));
            remote.push(RemoteSource {
                number,
                facts,
                delivered,
                to_reader: self.to_reader.clone(),
                bytes: None,
                outage: None,
                received: None,
                stored: Positions::default(),
            });
        }
        // a failed run no longer needs them
        let _ = opened.send(remote);
    }

    fn deliver(&mut self, source: usize, delivered: Delivered) {
        let Some(Some(open)) = self.open.get(source) else {
            return self.broke_protocol(format!("a batch of source {source}, which is not open"));
        };
        // a closed queue belongs to a draining run
        if let Err(mpsc::error::TrySendError::Full(_)) = open.try_send(delivered) {
            self.broke_protocol("more batches than agreed".to_owned());
        }
    }

    fn broke_protocol(&self, what: String) {
        self.alarm.raise(ClusterError::Protocol { peer: self.peer.clone(), what });
    }
}
