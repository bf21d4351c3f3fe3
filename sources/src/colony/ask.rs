//! Questions to a colony outside a source: the rows of a range, narrowed, and its topology now. Nothing is remembered,
//! and no position moves.

use super::config::ColonySourceConfig;
use super::dial::{Client, dial};
use super::fault::{LinkFault, check_identity, classify};
use super::slices::Pass;
use mesh::{Network, Route};
use model::clock::SharedClock;
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};
use proto::convert::{event_from_wire, metric_from_wire, time_to_wire, topology_from_wire};
use proto::reef::v1::{GetSummaryRequest, GetSummaryResponse, GetTopologyRequest};
use std::ops::Range;
use std::time::Duration;
use tokio::time::timeout;

/// How long a colony may take for one response.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Which rows of a colony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsOf {
    /// Metric buckets.
    Metrics,
    /// Events.
    Events,
}

impl RowsOf {
    /// As a request calls it.
    fn part(self) -> &'static str {
        match self {
            RowsOf::Metrics => "metrics",
            RowsOf::Events => "events",
        }
    }
}

/// A range of rows, `from <= timestamp < to`. A colony of an earlier version sends those of other services and metrics
/// too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRange {
    /// Which rows.
    pub rows: RowsOf,
    /// First time.
    pub from: TimeMs,
    /// First time after it.
    pub to: TimeMs,
    /// Only these services; empty for all.
    pub services: Vec<String>,
    /// Only these metrics; empty for all.
    pub metrics: Vec<String>,
}

/// Rows as a colony sent them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentRows {
    /// Metric buckets.
    pub metrics: Vec<MetricPoint>,
    /// Events.
    pub events: Vec<Event>,
    /// Rows that are none: a name is missing, a number is no number, the time is not in the range.
    pub refused: u64,
}

/// Why a colony gives no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnswered(pub String);

impl From<LinkFault> for NotAnswered {
    fn from(fault: LinkFault) -> NotAnswered {
        NotAnswered(match fault {
            LinkFault::Passing(words) | LinkFault::Revoked(words) | LinkFault::TooLarge(words) => words,
            LinkFault::Nameless => "the response has no colony_id".to_owned(),
        })
    }
}

/// A colony that has answered by its id.
pub struct AskedColony {
    client: Client,
    identity: ColonyIdentity,
    clock: SharedClock,
}

impl AskedColony {
    /// Connects, and asks who answers.
    ///
    /// # Errors
    /// When no colony answers, or another one.
    pub async fn reach(
        network: &Network,
        (colony_id, route): (&str, &Route),
        clock: SharedClock,
    ) -> Result<AskedColony, NotAnswered> {
        let config = ColonySourceConfig::at(colony_id, route.clone());
        let reached = async {
            let mut client = dial(network, &config).await?;
            let nothing = Some(time_to_wire(TimeMs(0)));
            let request = GetSummaryRequest { start_time: nothing, end_time: nothing, ..GetSummaryRequest::default() };
            let answer = client.get_summary(request).await.map_err(|status| classify(&status))?.into_inner();
            Ok::<_, NotAnswered>((client, answer))
        };
        let late = || NotAnswered(format!("no answer within {} s", ANSWER_WAIT.as_secs()));
        let (client, answer) = timeout(ANSWER_WAIT, reached).await.map_err(|_| late())??;
        Ok(AskedColony { client, identity: check_identity(colony_id, &answer)?, clock })
    }

    /// The rows of a range, slice by slice: a slice fits into a response.
    pub fn rows(self, range: AskedRange) -> RowSlices {
        let pass = (range.from < range.to).then(|| Pass::new(range.from, range.to));
        RowSlices { colony: self, range, pass }
    }

    /// Services and the calls between them, now.
    ///
    /// # Errors
    /// When the colony no longer answers.
    pub async fn topology(&mut self) -> Result<(Vec<ServiceNode>, Vec<ServiceEdge>), NotAnswered> {
        let asked = timeout(ANSWER_WAIT, self.client.get_topology(GetTopologyRequest {})).await;
        let late = |_| NotAnswered(format!("no topology within {} s", ANSWER_WAIT.as_secs()));
        let answer = asked.map_err(late)?.map_err(|status| classify(&status))?.into_inner();
        let topology = answer.topology.unwrap_or_default();
        let (nodes, edges, _) = topology_from_wire(&self.identity.colony_id, topology, self.clock.now());
        Ok((nodes, edges))
    }
}

/// Slices of a range that are left to ask for.
pub struct RowSlices {
    colony: AskedColony,
    range: AskedRange,
    pass: Option<Pass>,
}

impl RowSlices {
    /// The rows of the next slice; `None` when there is none.
    ///
    /// # Errors
    /// When the colony no longer answers, or one millisecond has more rows than fit into a response.
    pub async fn next(&mut self) -> Result<Option<SentRows>, NotAnswered> {
        loop {
            let Some(mut pass) = self.pass else { return Ok(None) };
            let (from, to) = pass.slice();
            let AskedRange { rows, services, metrics, .. } = &self.range;
            let request = GetSummaryRequest {
                start_time: Some(time_to_wire(from)),
                end_time: Some(time_to_wire(to)),
                parts: vec![rows.part().to_owned()],
                service_ids: services.clone(),
                metric_names: metrics.clone(),
            };
            let asked = timeout(ANSWER_WAIT, self.colony.client.get_summary(request)).await;
            let late = |_| NotAnswered(format!("no rows within {} s", ANSWER_WAIT.as_secs()));
            let answer = match asked.map_err(late)?.map_err(|status| classify(&status)) {
                Ok(answer) => answer.into_inner(),
                Err(LinkFault::TooLarge(_)) if pass.halve() => {
                    self.pass = Some(pass);
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            };
            // another colony may have its address by now
            self.colony.identity = check_identity(&self.colony.identity.colony_id, &answer)?;
            self.pass = (!pass.advance()).then_some(pass);
            return Ok(Some(self.decoded(answer, from..to)));
        }
    }

    /// The rows of a response that are in the range that was asked for: what is above relies on it.
    fn decoded(&self, answer: GetSummaryResponse, range: Range<TimeMs>) -> SentRows {
        let (identity, now) = (&self.colony.identity, self.colony.clock.now());
        let mut sent = SentRows::default();
        match self.range.rows {
            RowsOf::Metrics => {
                let rows: Vec<_> = answer.metrics.into_iter().map(|row| metric_from_wire(identity, row, now)).collect();
                sent.refused = rows.len() as u64;
                sent.metrics = rows.into_iter().flatten().filter(|row| range.contains(&row.timestamp)).collect();
            }
            RowsOf::Events => {
                let rows: Vec<_> = answer.events.into_iter().map(|row| event_from_wire(identity, row, now)).collect();
                sent.refused = rows.len() as u64;
                sent.events = rows.into_iter().flatten().filter(|row| range.contains(&row.timestamp)).collect();
            }
        }
        sent.refused -= (sent.metrics.len() + sent.events.len()) as u64;
        sent
    }
}
