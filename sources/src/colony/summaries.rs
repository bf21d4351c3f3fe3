//! Summaries of one colony: metrics, events, health and topology, requested at an interval.
//!
//! There are three kinds of requests; the one due first is sent first:
//! 1. **the tail**: from the committed position, less the longest bucket and the overlap, up to now, every
//!    `summary_interval`. Buckets still open are thus sent again until they are closed; after an outage the same pass
//!    fills the gap; without a position it starts at the oldest row a colony can hold (or `initial_lookback` back);
//! 2. **a recheck** of the range already pulled, for rows that arrived later with old timestamps (an import). It starts
//!    `recheck_interval` after the process did, and then takes at most one fiftieth of the time. It covers the range
//!    whose delivered rows this process remembers; after a restart it covers everything once.
//!
//! Both go in slices that adapt to what fits a message ([`Pass`]). Rows already delivered by this process are omitted
//! (an open bucket that grew is a new row). The position advances with the last batch of a slice of the tail, so an
//! interrupted slice is requested again.

use super::BATCH_ROWS_MAX;
use super::config::ColonySourceConfig;
use super::fault::LinkFault;
use super::link::Link;
use super::remembered::{REMEMBERED_ROWS_MAX, Remembered};
use super::slices::Pass;
use crate::{Arrival, Batch, Source, SourceContext, SourceError};
use async_trait::async_trait;
use model::check::{Fault, TIMESTAMP_MIN};
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use model::position::Positions;
use model::reject::Reject;
use model::rows::Rows;
use model::time::{DAY_MS, MINUTE_MS, SECOND_MS, TimeMs};
use proto::convert::{event_from_wire, metric_from_wire, time_from_wire, topology_from_wire};
use proto::reef::v1::GetSummaryResponse;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tokio::time::{Instant, sleep_until};

/// A second look takes at most one part in this many of the time.
const RECHECK_REST_FACTOR: u32 = 50;
/// How long buckets are taken to be until the colony has shown some.
const INTERVAL_MS_DEFAULT: i64 = 5 * MINUTE_MS;

/// Position of the tail. The stored form is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tail {
    /// Everything before this time has been received.
    complete_to: TimeMs,
    /// The longest bucket seen: how long a bucket may stay open.
    interval_ms: i64,
}

/// The pass of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Tail,
    Recheck,
}

/// Pulls one colony's summaries.
pub struct ColonySummaries {
    name: String,
    link: Link,
    start: TimeMs,
    tail: Tail,
    tail_pass: Option<Pass>,
    /// A pass of the tail has completed: earlier rows were the backlog.
    has_caught_up: bool,
    recheck_pass: Option<Pass>,
    recheck_started: Instant,
    next_tail_at: Instant,
    next_recheck_at: Instant,
    remembered: Remembered,
    ready: VecDeque<Batch>,
}

impl ColonySummaries {
    pub(crate) fn new(config: ColonySourceConfig, positions: &Positions, context: SourceContext) -> ColonySummaries {
        let name = format!("colony-summaries:{}", config.colony_id);
        let start = match config.initial_lookback_ms {
            Some(lookback_ms) => TIMESTAMP_MIN.max(context.clock.now() - lookback_ms),
            None => TIMESTAMP_MIN,
        };
        let stored = positions.0.get(&config.colony_id).and_then(|text| serde_json::from_str(text).ok());
        let tail = stored.unwrap_or(Tail { complete_to: start, interval_ms: INTERVAL_MS_DEFAULT });
        let next_recheck_at = Instant::now() + config.recheck_interval;
        ColonySummaries {
            link: Link::new(config, &name, context),
            name,
            start,
            tail,
            tail_pass: None,
            has_caught_up: false,
            recheck_pass: None,
            recheck_started: next_recheck_at,
            next_tail_at: Instant::now(),
            next_recheck_at,
            remembered: Remembered::new(REMEMBERED_ROWS_MAX),
            ready: VecDeque::new(),
        }
    }

    /// Where the next pass of the tail starts: at the oldest bucket that may still change.
    fn reopened(&self) -> TimeMs {
        (self.tail.complete_to - self.tail.interval_ms - self.link.config.overlap_ms).max(self.start)
    }

    /// Waits until a request is due, and returns it. Cancel-safe.
    async fn due(&mut self) -> (Purpose, Pass) {
        loop {
            let now = Instant::now();
            if let Some(pass) = self.tail_pass {
                return (Purpose::Tail, pass);
            }
            if now >= self.next_tail_at {
                self.next_tail_at = now + self.link.config.summary_interval;
                // a clock that was set back must not give an empty range
                let end = self.link.clock.now().max(self.reopened() + 1);
                self.tail_pass = Some(Pass::new(self.reopened(), end));
                continue;
            }
            if let Some(pass) = self.recheck_pass {
                return (Purpose::Recheck, pass);
            }
            if now >= self.next_recheck_at {
                let from = self.start.max(self.remembered.forgotten_before());
                self.recheck_started = now;
                if from < self.reopened() {
                    self.recheck_pass = Some(Pass::new(from, self.reopened()));
                } else {
                    self.end_recheck();
                }
                continue;
            }
            sleep_until(self.next_tail_at.min(self.next_recheck_at)).await;
        }
    }

    fn end_recheck(&mut self) {
        self.recheck_pass = None;
        let rest = self.link.config.recheck_interval.max(self.recheck_started.elapsed() * RECHECK_REST_FACTOR);
        self.next_recheck_at = Instant::now() + rest;
    }

    /// A slice did not come: a smaller one next, or the same one after a pause.
    fn take_fault(&mut self, purpose: Purpose, fault: LinkFault) {
        let health = fault.health();
        let (words, reject) = match fault {
            LinkFault::TooLarge(words) => {
                let pass = match purpose {
                    Purpose::Tail => &mut self.tail_pass,
                    Purpose::Recheck => &mut self.recheck_pass,
                };
                if pass.as_mut().is_some_and(Pass::halve) {
                    return;
                }
                (format!("the rows of one millisecond exceed the response limit ({words})"), None)
            }
            LinkFault::Nameless => ("the response has no colony_id".to_owned(), Some(self.link.reject_nameless())),
            LinkFault::Passing(words) | LinkFault::Revoked(words) => (words, None),
        };
        if let Some(status) = self.link.failed(&words, health) {
            let rows = Rows { colonies: vec![status], ..Rows::default() };
            self.ready.push_back(Batch { rows, rejects: reject.into_iter().collect(), ..Batch::default() });
        }
    }

    /// Handles a slice: decodes its new rows into batches, and advances.
    fn take_answer(&mut self, purpose: Purpose, pass: Pass, answer: GetSummaryResponse) {
        let identity = match self.link.check_identity(&answer) {
            Ok(identity) => identity,
            Err(fault) => return self.take_fault(purpose, fault),
        };
        self.link.works();
        let (from, to) = pass.slice();
        let mut pass = pass;
        let is_over = pass.advance();
        let mut slice = Slice { from, identity, rows: Rows::default(), rejects: Vec::new() };
        slice.decode(&self.link, &mut self.remembered, &answer);
        let longest = slice.rows.metrics.iter().filter_map(|row| row.series.interval_seconds).max().unwrap_or(0);
        self.tail.interval_ms = self.tail.interval_ms.max(i64::from(longest) * SECOND_MS).min(DAY_MS);
        if purpose == Purpose::Tail {
            self.tail.complete_to = self.tail.complete_to.max(to);
            let (status, fault) = self.link.answered(&slice.identity, &answer, Some(self.tail.complete_to));
            slice.rejects.extend(fault.map(|fault| self.link.reject("GetSummary health".to_owned(), fault, "")));
            if is_over {
                slice.rows.colonies.push(status);
                slice.take_topology(&self.link, answer);
            }
            self.tail_pass = (!is_over).then_some(pass);
        } else if is_over {
            self.end_recheck();
        } else {
            self.recheck_pass = Some(pass);
        }
        let mut batches = slice.into_batches();
        if purpose == Purpose::Tail {
            let partition = self.link.config.colony_id.clone();
            let position = serde_json::json!(self.tail).to_string();
            let last = batches.len() - 1;
            batches[last].positions = Positions([(partition, position)].into());
            if !self.has_caught_up {
                batches.iter_mut().for_each(|batch| batch.arrival = Arrival::Backlog);
            }
            self.has_caught_up |= is_over;
        }
        self.ready.extend(batches.into_iter().filter(Batch::is_to_be_committed));
    }
}

#[async_trait]
impl Source for ColonySummaries {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_finite(&self) -> bool {
        false
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            let (purpose, pass) = self.due().await;
            let (from, to) = pass.slice();
            match self.link.get_summary(from, to).await {
                Ok(answer) => self.take_answer(purpose, pass, answer),
                Err(fault) => self.take_fault(purpose, fault),
            }
        }
    }
}

/// The new rows in the response for one time slice.
struct Slice {
    from: TimeMs,
    identity: ColonyIdentity,
    rows: Rows,
    rejects: Vec<Reject>,
}

impl Slice {
    fn decode(&mut self, link: &Link, remembered: &mut Remembered, answer: &GetSummaryResponse) {
        let now = link.clock.now();
        let shown = |time: Option<&prost_types::Timestamp>| {
            time.and_then(time_from_wire).map_or_else(|| "no time".to_owned(), |time| time.to_string())
        };
        for wire in &answer.metrics {
            match metric_from_wire(&self.identity, wire.clone(), now) {
                Ok(row) if remembered.is_new(row.timestamp, &row) => self.rows.metrics.push(row),
                Ok(_) => {}
                Err(fault) => {
                    let time = shown(wire.timestamp.as_ref());
                    let place = format!("GetSummary metric {} {} {time}", wire.service_id, wire.metric_name);
                    self.refuse(link, remembered, place, fault, &format!("{wire:?}"));
                }
            }
        }
        let events = if link.config.summaries_carry_events { answer.events.as_slice() } else { &[] };
        for wire in events {
            match event_from_wire(&self.identity, wire.clone(), now) {
                Ok(row) if remembered.is_new(row.timestamp, &row) => self.rows.events.push(row),
                Ok(_) => {}
                Err(fault) => {
                    let place = format!("GetSummary event {:?} {}", wire.event_id, shown(wire.timestamp.as_ref()));
                    self.refuse(link, remembered, place, fault, &format!("{wire:?}"));
                }
            }
        }
    }

    fn refuse(&mut self, link: &Link, remembered: &mut Remembered, place: String, fault: Fault, raw: &str) {
        if remembered.is_new(self.from, &place) {
            self.rejects.push(link.reject(place, fault, raw));
        }
    }

    fn take_topology(&mut self, link: &Link, answer: GetSummaryResponse) {
        let topology = answer.topology.unwrap_or_default();
        let (nodes, edges, faults) = topology_from_wire(&self.identity.colony_id, topology, link.clock.now());
        self.rows.nodes = nodes;
        self.rows.edges = edges;
        let faults = faults.into_iter().enumerate();
        self.rejects.extend(faults.map(|(n, fault)| link.reject(format!("GetSummary topology {n}"), fault, "")));
    }

    /// Cuts the rows into batches, oldest first: a batch must not make the rows of the next one late.
    fn into_batches(self) -> Vec<Batch> {
        let Rows { metrics, mut events, nodes, edges, colonies } = self.rows;
        let mut metrics = metrics.to_vec();
        metrics.sort_by_key(|row| row.timestamp);
        events.sort_by_key(|row| row.timestamp);
        let mut metrics = cut(metrics);
        let mut events: VecDeque<Vec<Event>> = cut(events);
        let mut batches = Vec::new();
        while !metrics.is_empty() || !events.is_empty() {
            let metrics: Vec<MetricPoint> = metrics.pop_front().unwrap_or_default();
            let rows =
                Rows { metrics: metrics.into(), events: events.pop_front().unwrap_or_default(), ..Rows::default() };
            batches.push(Batch { rows, ..Batch::default() });
        }
        let rest = Rows { nodes, edges, colonies, ..Rows::default() };
        match batches.last_mut() {
            Some(last) => {
                last.rows.append(rest);
                last.rejects = self.rejects;
            }
            None => batches.push(Batch { rows: rest, rejects: self.rejects, ..Batch::default() }),
        }
        batches
    }
}

fn cut<T>(mut rows: Vec<T>) -> VecDeque<Vec<T>> {
    let mut pieces = VecDeque::new();
    while rows.len() > BATCH_ROWS_MAX {
        let rest = rows.split_off(BATCH_ROWS_MAX);
        pieces.push_back(std::mem::replace(&mut rows, rest));
    }
    if !rows.is_empty() {
        pieces.push_back(rows);
    }
    pieces
}
