//! Configuration of a colony's endpoint and requests.

use super::outage_log::OutageLog;
use super::{ColonyEvents, ColonySummaries};
use crate::SourceContext;
use crate::backoff::BackoffConfig;
use crate::error::SourceError;
use mesh::Route;
use model::position::Positions;
use model::time::MINUTE_MS;
use std::time::Duration;
use tonic::transport::Endpoint;

/// One colony, read over gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColonySourceConfig {
    /// The expected colony id.
    pub colony_id: String,
    /// How it is reached.
    pub route: Route,
    /// How often summaries are pulled.
    pub summary_interval: Duration,
    /// Range of the first pull; `None` requests everything the colony has, including imported data.
    pub initial_lookback_ms: Option<i64>,
    /// Whether summaries also deliver events. Off if the event stream does: two paths of different speed to one
    /// watermark would make on-time rows late.
    pub summaries_carry_events: bool,
    /// Overlap with the last pull, in addition to the longest bucket, for late samples of closed buckets.
    pub overlap_ms: i64,
    /// How often the range already pulled is looked through again for rows that came later with old timestamps. The
    /// pause is never shorter than 50 times what the last look took.
    pub recheck_interval: Duration,
    /// How long the first event of a batch may wait for more.
    pub batch_delay: Duration,
    /// Pauses between attempts.
    pub backoff: BackoffConfig,
    /// Request timeout.
    pub request_timeout: Duration,
    /// What has been logged of an outage; shared by the sources of one configuration.
    pub outage_log: OutageLog,
}

impl ColonySourceConfig {
    /// A colony at `endpoint` (`http://host:port`) of a trusted network, with the default timing.
    pub fn new(colony_id: &str, endpoint: &str) -> ColonySourceConfig {
        ColonySourceConfig::at(colony_id, Route::Plain(endpoint.to_owned()))
    }

    /// A colony with the default timing: pulls every 60 s, everything the colony holds.
    pub fn at(colony_id: &str, route: Route) -> ColonySourceConfig {
        ColonySourceConfig {
            colony_id: colony_id.to_owned(),
            route,
            summary_interval: Duration::from_secs(60),
            initial_lookback_ms: None,
            summaries_carry_events: true,
            overlap_ms: 10 * MINUTE_MS,
            recheck_interval: Duration::from_secs(300),
            batch_delay: Duration::from_millis(100),
            backoff: BackoffConfig::default(),
            request_timeout: Duration::from_secs(60),
            outage_log: OutageLog::default(),
        }
    }

    /// Errors of the configuration that need no connection to detect.
    pub fn validate(&self) -> Result<(), SourceError> {
        if self.colony_id.trim().is_empty() {
            return Err(self.error("the colony id is empty"));
        }
        if let Route::Plain(endpoint) = &self.route {
            match Endpoint::from_shared(endpoint.clone()) {
                Ok(endpoint) if endpoint.uri().scheme_str() == Some("http") && endpoint.uri().host().is_some() => {}
                _ => return Err(self.error("the endpoint is no address; write for example http://127.0.0.1:9000")),
            }
        }
        if self.summary_interval.is_zero() {
            return Err(self.error("the summary interval is 0"));
        }
        if self.overlap_ms < 0 || self.initial_lookback_ms.is_some_and(|lookback| lookback <= 0) {
            return Err(self.error("overlap and lookback must not be negative"));
        }
        Ok(())
    }

    /// The source of summaries, starting at the committed positions.
    pub fn build_summaries(
        &self,
        positions: &Positions,
        context: &SourceContext,
    ) -> Result<ColonySummaries, SourceError> {
        self.validate()?;
        Ok(ColonySummaries::new(self.clone(), positions, context.clone()))
    }

    /// The source of streamed events, starting at the committed positions.
    pub fn build_events(&self, positions: &Positions, context: &SourceContext) -> Result<ColonyEvents, SourceError> {
        self.validate()?;
        Ok(ColonyEvents::new(self.clone(), positions, context.clone()))
    }

    /// An error about this colony.
    pub(crate) fn error(&self, problem: &str) -> SourceError {
        SourceError::Colony {
            colony_id: self.colony_id.clone(),
            endpoint: match &self.route {
                Route::Plain(endpoint) => endpoint.clone(),
                Route::Mesh(_) => self.route.to_string(),
            },
            problem: problem.to_owned(),
        }
    }

    /// `host:port`, for messages.
    pub(crate) fn address(&self) -> String {
        self.route.to_string()
    }
}
