//! Events of one colony as they happen: an open stream, resumed at its position after every interruption.
//!
//! The position is the resume token of the last processed event, rejected ones included. A batch is cut when it is full
//! or when its first event has waited `batch_delay`. After every connect the colony is asked for its identity once.
//! This gives the application and environment of its events, and detects another colony at the same address.
//!
//! Each event states whether it was stored before the stream was opened, and whether it is resent because the position
//! is not of the colony's history (after a restore from a backup). A batch contains only one kind.

use super::BATCH_ROWS_MAX;
use super::config::ColonySourceConfig;
use super::fault::{LinkFault, classify};
use super::link::Link;
use crate::{Arrival, Batch, Source, SourceContext, SourceError};
use async_trait::async_trait;
use model::check::TIMESTAMP_MIN;
use model::colony::ColonyIdentity;
use model::position::Positions;
use model::topology::ColonyStatus;
use proto::convert::event_from_wire;
use proto::reef::v1::Event;
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;

/// Receives one colony's events.
pub struct ColonyEvents {
    name: String,
    link: Link,
    stream: Option<(Streaming<Event>, ColonyIdentity)>,
    resume_token: String,
    pending: Batch,
    /// An event that does not go with those pending: the first of the next batch.
    held: Option<Event>,
    /// A history is being read again, also across cuts of the stream.
    is_resent: bool,
    cut_at: Option<Instant>,
}

impl ColonyEvents {
    pub(crate) fn new(config: ColonySourceConfig, positions: &Positions, context: SourceContext) -> ColonyEvents {
        let name = format!("colony-events:{}", config.colony_id);
        let resume_token = positions.0.get(&config.colony_id).cloned().unwrap_or_default();
        ColonyEvents {
            link: Link::new(config, &name, context),
            name,
            stream: None,
            resume_token,
            pending: Batch::default(),
            held: None,
            is_resent: false,
            cut_at: None,
        }
    }

    /// Connects, checks the identity, and opens the stream. Cancel-safe: nothing is stored until the stream is open.
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

    /// A failure: the stream is reopened after a pause. Received events will still be delivered.
    fn take_fault(&mut self, fault: LinkFault) {
        self.stream = None;
        let health = fault.health();
        let (words, reject) = match fault {
            LinkFault::Nameless => ("the response has no colony_id".to_owned(), Some(self.link.reject_nameless())),
            LinkFault::Passing(words) | LinkFault::Revoked(words) | LinkFault::TooLarge(words) => (words, None),
        };
        if let Some(status) = self.link.failed(&words, health) {
            self.pending.rejects.extend(reject);
            self.pend_status(status);
        }
    }

    fn pend_status(&mut self, status: ColonyStatus) {
        self.pending.rows.colonies = vec![status];
        self.cut_at.get_or_insert_with(Instant::now);
    }

    /// Accepts an event, or delays it until pending ones have been delivered.
    fn take_event(&mut self, wire: Event) {
        self.link.works();
        let arrival = match wire.backlog.unwrap_or(false) {
            true if self.is_resent || wire.resent.unwrap_or(false) => Arrival::Again,
            true => Arrival::Backlog,
            false => Arrival::Live,
        };
        if arrival != self.pending.arrival && !self.pending.positions.0.is_empty() {
            self.held = Some(wire);
            self.cut_at = Some(Instant::now());
            return;
        }
        self.pending.arrival = arrival;
        self.note_resent(arrival == Arrival::Again);
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

    /// Says once for each time that a history is sent again.
    fn note_resent(&mut self, is_resent: bool) {
        if is_resent && !self.is_resent {
            tracing::warn!(
                source = %self.name,
                colony_id = %self.link.config.colony_id,
                "the colony's history is not the one that was read: its database was restored from a backup, or is another \
                 one; all events that it holds are read again, and those known are taken once"
            );
        }
        self.is_resent = is_resent;
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
            if self.is_full() || (self.held.is_some() && self.pending != Batch::default()) {
                return Ok(Some(self.take_pending()));
            }
            if let Some(held) = self.held.take() {
                self.take_event(held);
                continue;
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
                    let fault = classify(&status);
                    self.take_fault(fault);
                }
            }
        }
    }
}
