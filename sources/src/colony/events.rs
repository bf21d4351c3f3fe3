//! Events of one colony as they happen: an open stream, resumed after every interruption where it was left.
//!
//! The position is the resume token of the last event taken, refused ones included. A batch is cut when it is full or
//! when its first event has waited `batch_delay`. After every connect the colony is asked once who it is: that names the
//! application and environment of its events, and finds another colony at the same address.

use super::BATCH_ROWS_MAX;
use super::config::ColonySourceConfig;
use super::link::{Link, LinkFault};
use crate::{Batch, Source, SourceError};
use async_trait::async_trait;
use model::check::TIMESTAMP_MIN;
use model::clock::SharedClock;
use model::position::Positions;
use model::topology::ColonyStatus;
use proto::convert::{Identity, event_from_wire};
use proto::reef::v1::Event;
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;

/// Receives one colony's events.
pub struct ColonyEvents {
    name: String,
    link: Link,
    stream: Option<(Streaming<Event>, Identity)>,
    resume_token: String,
    pending: Batch,
    cut_at: Option<Instant>,
}

impl ColonyEvents {
    pub(crate) fn new(config: ColonySourceConfig, positions: &Positions, clock: SharedClock) -> ColonyEvents {
        let name = format!("colony-events:{}", config.colony_id);
        let resume_token = positions.0.get(&config.colony_id).cloned().unwrap_or_default();
        ColonyEvents {
            link: Link::new(config, &name, clock),
            name,
            stream: None,
            resume_token,
            pending: Batch::default(),
            cut_at: None,
        }
    }

    /// Connects, asks who answers, and opens the stream. Cancel-safe: nothing is kept until the stream is open.
    async fn open(&mut self) -> Result<(), LinkFault> {
        // only who it is and how it does: a range without rows
        let answer = self.link.get_summary(TIMESTAMP_MIN, TIMESTAMP_MIN + 1).await?;
        let identity = self.link.check_identity(&answer)?;
        let stream = self.link.stream_events(&self.resume_token).await?;
        let (status, fault) = self.link.answered(&identity, &answer, None);
        let reject = fault.map(|fault| self.link.reject("GetSummary health".to_owned(), fault, ""));
        self.pending.rejects.extend(reject);
        self.pend_status(status);
        self.stream = Some((stream, identity));
        Ok(())
    }

    /// A failure: the stream is opened again after a pause. What has been received stays to be delivered.
    fn take_fault(&mut self, fault: LinkFault) {
        self.stream = None;
        let (words, reject) = match fault {
            LinkFault::Nameless => ("the answer has no colony_id".to_owned(), Some(self.link.reject_nameless())),
            LinkFault::Passing(words) | LinkFault::TooLarge(words) => (words, None),
        };
        if let Some(status) = self.link.failed(&words) {
            self.pending.rejects.extend(reject);
            self.pend_status(status);
        }
    }

    fn pend_status(&mut self, status: ColonyStatus) {
        self.pending.rows.colonies = vec![status];
        self.cut_at.get_or_insert_with(Instant::now);
    }

    fn take_event(&mut self, wire: Event) {
        self.link.works();
        let Some((_, identity)) = &self.stream else { return };
        if !wire.resume_token.is_empty() {
            self.resume_token.clone_from(&wire.resume_token);
            self.pending.positions.0.insert(identity.colony_id.clone(), wire.resume_token.clone());
        }
        let (event_id, raw) = (wire.event_id.clone(), wire.clone());
        match event_from_wire(identity, wire, self.link.clock.now()) {
            Ok(event) => self.pending.rows.events.push(event),
            Err(fault) => {
                let place = format!("StreamEvents {event_id:?} after {}", raw.resume_token);
                self.pending.rejects.push(self.link.reject(place, fault, &format!("{raw:?}")));
            }
        }
        let delay = self.link.config.batch_delay;
        self.cut_at.get_or_insert_with(|| Instant::now() + delay);
    }

    fn take_pending(&mut self) -> Batch {
        self.cut_at = None;
        std::mem::take(&mut self.pending)
    }

    fn is_full(&self) -> bool {
        self.pending.rows.events.len() + self.pending.rejects.len() >= BATCH_ROWS_MAX
    }
}

#[async_trait]
impl Source for ColonyEvents {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_finite(&self) -> bool {
        false
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        loop {
            if self.is_full() {
                return Ok(Some(self.take_pending()));
            }
            let Some((stream, _)) = &mut self.stream else {
                if self.pending != Batch::default() {
                    return Ok(Some(self.take_pending()));
                }
                if let Err(fault) = self.open().await {
                    self.take_fault(fault);
                }
                continue;
            };
            let message = match self.cut_at {
                None => stream.message().await,
                Some(cut_at) => match timeout_at(cut_at, stream.message()).await {
                    Ok(message) => message,
                    Err(_) => return Ok(Some(self.take_pending())),
                },
            };
            match message {
                Ok(Some(event)) => self.take_event(event),
                Ok(None) => self.take_fault(LinkFault::Passing("the colony ended the stream".to_owned())),
                Err(status) => {
                    let fault = self.link.classify(&status);
                    self.take_fault(fault);
                }
            }
        }
    }
}
