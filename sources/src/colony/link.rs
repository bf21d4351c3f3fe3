//! The connection to one colony: dials, sends requests, paces retries, checks the identity, and keeps its last known
//! state.

use super::config::ColonySourceConfig;
use super::dial::{Client, dial};
use super::fault::{LinkFault, check_identity, classify};
use crate::SourceContext;
use crate::backoff::Backoff;
use mesh::Network;
use model::check::Fault;
use model::clock::SharedClock;
use model::colony::ColonyIdentity;
use model::colony::identity_from_id;
use model::instruments::Counter;
use model::reject::{RAW_CHARS_MAX, Reject, RejectReason};
use model::time::TimeMs;
use model::topology::{ColonyStatus, REVOKED};
use proto::convert::{health_from_wire, time_to_wire};
use proto::reef::v1::{Event, GetSummaryRequest, GetSummaryResponse, StreamEventsRequest};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Streaming;

/// A seed of each source's own, so that sources that lost the same colony do not dial it together.
fn of_source(seed: u64, source: &str) -> u64 {
    source.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

pub(crate) struct Link {
    pub(crate) config: ColonySourceConfig,
    pub(crate) clock: SharedClock,
    network: Network,
    source: String,
    client: Option<Client>,
    backoff: Backoff,
    retry_at: Option<Instant>,
    lost_at: Option<Instant>,
    failures: Counter,
    reconnects: Counter,
    status: ColonyStatus,
}

impl Link {
    pub(crate) fn new(config: ColonySourceConfig, source: &str, context: SourceContext) -> Link {
        let SourceContext { clock, network, jitter_seed, registry } = context;
        let failures = registry.counters("source_failures", "Failed exchanges, each tried again", &["source"]);
        let reconnects = registry.counters("source_reconnects", "Outages that have ended", &["source"]);
        let (application_name, environment) = identity_from_id(&config.colony_id);
        let status = ColonyStatus {
            colony_id: config.colony_id.clone(),
            application_name,
            environment,
            health: "unknown".to_owned(),
            total_services: 0,
            healthy_services: 0,
            degraded_services: 0,
            unhealthy_services: 0,
            agent_count: None,
            last_success_at: None,
            complete_to: None,
            last_error: String::new(),
        };
        let backoff = match jitter_seed {
            Some(seed) => Backoff::seeded(config.backoff, of_source(seed, source)),
            None => Backoff::new(config.backoff),
        };
        Link {
            config,
            clock,
            network,
            source: source.to_owned(),
            client: None,
            backoff,
            retry_at: None,
            lost_at: None,
            failures: failures.with(&[source]),
            reconnects: reconnects.with(&[source]),
            status,
        }
    }

    /// Asks for the rows of `[from, to)`.
    pub(crate) async fn get_summary(&mut self, from: TimeMs, to: TimeMs) -> Result<GetSummaryResponse, LinkFault> {
        let request = GetSummaryRequest {
            start_time: Some(time_to_wire(from)),
            end_time: Some(time_to_wire(to)),
            ..GetSummaryRequest::default()
        };
        let mut client = self.client().await?;
        let answer = timeout(self.config.request_timeout, client.get_summary(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(classify(&status)),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// Opens the event stream after `resume_token`.
    pub(crate) async fn stream_events(&mut self, resume_token: &str) -> Result<Streaming<Event>, LinkFault> {
        let request = StreamEventsRequest { resume_token: resume_token.to_owned(), ..StreamEventsRequest::default() };
        let mut client = self.client().await?;
        let answer = timeout(self.config.request_timeout, client.stream_events(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(classify(&status)),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// The connection, dialled when there is none; waits out the pause after a failure. Cancel-safe.
    async fn client(&mut self) -> Result<Client, LinkFault> {
        if let Some(retry_at) = self.retry_at {
            sleep_until(retry_at).await;
        }
        if self.client.is_none() {
            self.client = Some(dial(&self.network, &self.config).await?);
        }
        self.client.clone().ok_or_else(|| LinkFault::Passing("no connection".to_owned()))
    }

    fn too_slow(&self) -> LinkFault {
        LinkFault::Passing(format!("no answer within {} s", self.config.request_timeout.as_secs_f64()))
    }

    /// Checks the identity: it must be the configured colony.
    pub(crate) fn check_identity(&self, answer: &GetSummaryResponse) -> Result<ColonyIdentity, LinkFault> {
        check_identity(&self.config.colony_id, answer)
    }

    /// Notes a failure: the next attempt waits. Returns the state of the colony at the start of an outage, and when another
    /// reason takes the place of the first. `health` is that of the fault; a colony that has revoked this reef is revoked
    /// until it answers again.
    pub(crate) fn failed(&mut self, words: &str, health: &str) -> Option<ColonyStatus> {
        self.failures.add(1);
        self.client = None;
        self.retry_at = Some(Instant::now() + self.backoff.next_pause());
        let error = format!("{}: {words}", self.config.address());
        if self.lost_at.is_some() && self.status.last_error == error {
            return None;
        }
        self.lost_at.get_or_insert_with(Instant::now);
        if self.config.outage_log.is_news(&error) {
            tracing::warn!(colony_id = %self.config.colony_id, %error, "colony lost; trying again");
        } else {
            tracing::debug!(source = %self.source, colony_id = %self.config.colony_id, %error, "colony lost; trying again");
        }
        if self.status.health != REVOKED {
            health.clone_into(&mut self.status.health);
        }
        self.status.last_error = error;
        Some(self.status.clone())
    }

    /// Records a response: the colony's reported status is its current state. The fault is one in its health counts.
    pub(crate) fn answered(
        &mut self,
        identity: &ColonyIdentity,
        answer: &GetSummaryResponse,
        complete_to: Option<TimeMs>,
    ) -> (ColonyStatus, Option<Fault>) {
        self.retry_at = None;
        if let Some(lost_at) = self.lost_at.take() {
            self.reconnects.add(1);
            let outage_s = lost_at.elapsed().as_secs();
            if self.config.outage_log.is_over() {
                tracing::info!(colony_id = %self.config.colony_id, outage_s, "colony is back");
            }
        }
        let (mut status, fault) = health_from_wire(identity, &answer.health.clone().unwrap_or_default());
        status.last_success_at = Some(self.clock.now());
        status.complete_to = complete_to.or(self.status.complete_to);
        self.status = status.clone();
        (status, fault)
    }

    /// Notes that the line works as it should: pauses are short again.
    pub(crate) fn works(&mut self) {
        self.backoff.reset();
    }

    /// A reject of this colony.
    pub(crate) fn reject(&self, place: String, fault: Fault, raw: &str) -> Reject {
        Reject {
            source: self.source.clone(),
            place,
            colony_id: Some(self.config.colony_id.clone()),
            reason: fault.0,
            detail: fault.1,
            raw: raw.chars().take(RAW_CHARS_MAX).collect(),
            rejected_at: self.clock.now(),
        }
    }

    /// The reject of a response without a colony id; its location is always the same, so it is counted once.
    pub(crate) fn reject_nameless(&self) -> Reject {
        let place = format!("GetSummary {}", self.config.address());
        let fault = (RejectReason::MissingField, "the response has no colony_id; all of it was rejected".to_owned());
        let mut reject = self.reject(place, fault, "");
        reject.colony_id = None;
        reject
    }
}
