//! The reference store: plain maps, the same rules as the others. Tests of other crates use it as a store.

use crate::closing::Closing;
use crate::commit::Commit;
use crate::derived;
use crate::error::{FaultClass, SinkError};
use crate::outcome::{Met, Outcome};
use crate::rejects::{self, KEPT_MAX, Omitted, Stored};
use crate::resolve::{self, MetricKey, Seen, Sighting};
use crate::rollup::{Summary, Sums};
use crate::schema::{DerivedTable, Schema};
use crate::store::{AmendedEvent, Span, StoreReader, StoreWriter, Totals, Watermarks};
use crate::stored::{StoredCopies, StoredRow};
use crate::transfer::{Cursor, Page};
use async_trait::async_trait;
use model::derived::Value;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence, Finding};
use model::position::Positions;
use model::real::Real;
use model::reject::{Reject, RejectReason};
use model::rows::RollupKey;
use model::series::SeriesId;
use model::statistics::Statistics;
use model::time::{HOUR_MS, TimeMs};
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A correlation and how often it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revised {
    /// The row with its evidence.
    pub finding: Finding,
    /// 1 when first written, one more whenever a column of the correlation changes.
    pub revision: u64,
    /// When that was.
    pub updated_at: TimeMs,
}

/// Everything a memory store holds, by identity.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// By `(colony_id, event_id)`.
    pub events: BTreeMap<(String, String), StoredRow<Event>>,
    /// By bucket.
    pub metrics: BTreeMap<MetricKey, StoredRow<MetricPoint>>,
    /// Late copies of events.
    pub late_events: BTreeMap<(String, String), Event>,
    /// Late copies of buckets.
    pub late_metrics: BTreeMap<MetricKey, MetricPoint>,
    /// Hourly summaries.
    pub summaries: BTreeMap<RollupKey, Summary>,
    /// By `(colony_id, service_id)`.
    pub nodes: BTreeMap<(String, String), Seen<ServiceNode>>,
    /// By `(colony_id, from_service, to_service, protocol)`.
    pub edges: BTreeMap<(String, String, String, String), Seen<ServiceEdge>>,
    /// By colony.
    pub colonies: BTreeMap<String, ColonyStatus>,
    /// By correlation id.
    pub findings: BTreeMap<String, Revised>,
    /// By `(source, place)`.
    pub rejects: BTreeMap<(String, String), Reject>,
    /// By source, part and reason: refused rows that are counted only.
    pub rejects_omitted: BTreeMap<(String, String, String), Omitted>,
    /// By table, then by key.
    pub derived: BTreeMap<&'static str, BTreeMap<Vec<Value>, Vec<Value>>>,
    /// By source.
    pub positions: BTreeMap<String, Positions>,
}

/// A store in memory. A clone is the same store opened again: it shares the contents, but closing one closes no other.
#[derive(Debug, Default)]
pub struct MemoryStore {
    reader: MemoryReader,
}

/// Reads a store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryReader {
    tables: Arc<Mutex<Tables>>,
    schema: Schema,
    closing: Closing,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        let (tables, schema) = (Arc::clone(&self.reader.tables), self.reader.schema);
        MemoryStore { reader: MemoryReader { tables, schema, closing: Closing::default() } }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.reader.closing.close();
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty store with other tables.
    pub fn with_schema(schema: Schema) -> MemoryStore {
        MemoryStore { reader: MemoryReader { schema, ..MemoryReader::default() } }
    }

    /// A copy of everything it holds.
    pub fn tables(&self) -> Tables {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.reader.lock()
    }
}

/// A key of each series: of its first bucket.
fn series_keys(metrics: &BTreeMap<MetricKey, StoredRow<MetricPoint>>) -> impl Iterator<Item = &MetricKey> {
    let next = move |key: &&MetricKey| {
        let others = (Bound::Excluded(at_time(key, i64::MAX)), Bound::Unbounded);
        metrics.range(others).next().map(|(key, _)| key)
    };
    std::iter::successors(metrics.keys().next(), next)
}

/// The key of the same series at another time.
fn at_time(key: &MetricKey, time: i64) -> MetricKey {
    let mut key = key.clone();
    key.6 = time;
    key
}

/// What a store in memory is called.
const NAME: &str = "memory";

impl MemoryReader {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, doing: &str) -> Result<MutexGuard<'_, Tables>, SinkError> {
        self.closing.check(NAME, doing)?;
        Ok(self.lock())
    }
}

impl Tables {
    fn apply(&mut self, commit: &Commit) -> Outcome {
        let mut outcome = Outcome::default();
        for kept in resolve::events(commit, &mut outcome) {
            let StoredCopies { current: StoredRow { on_time, row }, late } = kept;
            let kept = StoredCopies { current: StoredRow { on_time, row: row.clone() }, late: late.cloned() };
            keep(&mut self.events, &mut self.late_events, event_key(&kept.current.row), kept, &mut outcome);
        }
        for kept in resolve::metrics(commit, &mut outcome).into_iter().flat_map(|of_series| of_series.buckets) {
            let StoredCopies { current, late } = kept.points();
            let current = StoredRow { on_time: current.on_time, row: with_unsigned_zeros(&current.row) };
            let kept = StoredCopies { current, late: late.as_ref().map(with_unsigned_zeros) };
            let key = resolve::metric_key(&kept.current.row);
            keep(&mut self.metrics, &mut self.late_metrics, key, kept, &mut outcome);
        }
        for rows in [&commit.rows, &commit.late] {
            for node in &rows.nodes {
                let key = (node.colony_id.clone(), node.service_id.clone());
                see(&mut self.nodes, key, node);
            }
            for edge in &rows.edges {
                let ServiceEdge { colony_id, from_service, to_service, protocol, .. } = edge.clone();
                see(&mut self.edges, (colony_id, from_service, to_service, protocol), edge);
            }
            for status in &rows.colonies {
                let mut status = status.clone();
                if let Some(before) = self.colonies.get(&status.colony_id) {
                    status.last_success_at = status.last_success_at.or(before.last_success_at);
                    status.complete_to = status.complete_to.or(before.complete_to);
                }
                self.colonies.insert(status.colony_id.clone(), status);
            }
        }
        self.refuse(commit);
        self.summarize(&commit.rollups);
        for correlation_id in &commit.removed {
            self.findings.remove(correlation_id);
        }
        for finding in &commit.findings {
            self.keep_finding(finding, commit.committed_at);
        }
        for (source, newer) in &commit.positions {
            self.positions.entry(source.clone()).or_default().advance(newer.clone());
        }
        outcome
    }

    fn refuse(&mut self, commit: &Commit) {
        let Commit { rejects: refused, restarted, rewound, settled, .. } = commit;
        if refused.is_empty() && restarted.is_empty() && rewound.is_empty() && settled.is_empty() {
            return;
        }
        for (source, part) in &commit.restarted {
            self.rejects.retain(|_, reject| reject.source != *source || reject.part() != part);
            self.rejects_omitted.retain(|(of, in_part, _), _| of != source || in_part != part);
        }
        for (source, part) in &commit.rewound {
            let is_again = |of: &str, in_part: &str, reason: &str| {
                of == source && in_part == part && reason == RejectReason::FarFuture.as_str()
            };
            self.rejects.retain(|_, reject| !is_again(&reject.source, reject.part(), reject.reason.as_str()));
            self.rejects_omitted.retain(|(of, in_part, reason), _| !is_again(of, in_part, reason));
        }
        for key in &commit.settled {
            self.rejects.remove(key);
        }
        let omitted = self.rejects_omitted.clone().into_iter().collect();
        self.rejects_omitted.extend(rejects::without_settled(&commit.settled, &omitted));
        let mut stored = Stored {
            rejects: self.rejects.clone().into_iter().collect(),
            omitted: self.rejects_omitted.clone().into_iter().collect(),
            ..Stored::default()
        };
        self.rejects.values().for_each(|reject| *stored.kept.entry(rejects::group(reject)).or_default() += 1);
        let changes = rejects::changes(&rejects::each_once(&commit.rejects), stored, KEPT_MAX);
        for key in &changes.removed {
            self.rejects.remove(key);
        }
        for reject in changes.written {
            self.rejects.insert((reject.source.clone(), reject.place.clone()), reject.clone());
        }
        self.rejects_omitted.extend(changes.omitted);
    }

    fn summarize(&mut self, keys: &[RollupKey]) {
        for key in keys.iter().collect::<BTreeSet<_>>() {
            let mut sums = Sums::default();
            let hour = key.hour.0..key.hour.0 + HOUR_MS;
            let members = self.metrics.values().filter(|held| {
                let series = held.row.series.series();
                series.application_name == key.application_name
                    && series.environment == key.environment
                    && series.key.metric_name == key.metric_name
                    && hour.contains(&held.row.timestamp.0)
            });
            members.for_each(|held| sums.add(&Statistics::of(&held.row)));
            match sums.points {
                0 => self.summaries.remove(key),
                _ => self.summaries.insert(key.clone(), sums.summary()),
            };
        }
    }

    fn keep_finding(&mut self, finding: &Finding, committed_at: TimeMs) {
        let finding = Finding { correlation: finding.correlation.clone(), evidence: sorted(&finding.evidence) };
        match self.findings.get_mut(&finding.correlation.key.correlation_id()) {
            Some(stored) => {
                if stored.finding.correlation != finding.correlation {
                    stored.revision += 1;
                    stored.updated_at = committed_at;
                }
                stored.finding = finding;
            }
            None => {
                let id = finding.correlation.key.correlation_id();
                self.findings.insert(id, Revised { finding, revision: 1, updated_at: committed_at });
            }
        }
    }
}

fn sorted(evidence: &[Evidence]) -> Vec<Evidence> {
    let mut evidence = evidence.to_vec();
    evidence.sort();
    evidence
}

/// As every other store writes it.
fn with_unsigned_zeros(point: &MetricPoint) -> MetricPoint {
    let mut point = *point;
    for value in [&mut point.mean, &mut point.p50, &mut point.p95, &mut point.p99, &mut point.max] {
        *value = value.map(|real| Real(real.unsigned_zero()));
    }
    point
}

fn keep<K: Ord + Clone, T: Ord + Met>(
    current: &mut BTreeMap<K, StoredRow<T>>,
    late: &mut BTreeMap<K, T>,
    key: K,
    copies: StoredCopies<T>,
    outcome: &mut Outcome,
) {
    if let Some(stands) = current.get(&key) {
        T::met(copies.current.each_ref(), stands.each_ref(), outcome);
    }
    let kept = copies.after(current.remove(&key), late.remove(&key));
    late.extend(kept.late.map(|row| (key.clone(), row)));
    current.insert(key, kept.current);
}

/// The rows of a span: with late copies, each row by its late copy, if there is one.
fn rows_of<'a, K: Ord, T: Clone>(
    current: &'a BTreeMap<K, StoredRow<T>>,
    late: &'a BTreeMap<K, T>,
    span: Span,
    timestamp: impl Fn(&T) -> TimeMs,
) -> Vec<StoredRow<T>> {
    let current = current.iter().filter(|(key, _)| !(span.with_late && late.contains_key(key))).map(|(_, held)| held);
    let late = late.values().map(|row| StoredRow { on_time: false, row: row.clone() });
    let rows = current.cloned().chain(late);
    rows.filter(|held| span.takes(timestamp(&held.row), held.on_time)).collect()
}

fn event_key(event: &Event) -> (String, String) {
    (event.colony_id.clone(), event.event_id.clone())
}

fn see<K: Ord, T: Sighting>(map: &mut BTreeMap<K, Seen<T>>, key: K, row: &T) {
    let seen = Seen::with(map.remove(&key), row);
    map.insert(key, seen);
}

/// Cursor of event pages.
fn event_order(event: &Event) -> (TimeMs, &str, &str) {
    (event.timestamp, &event.colony_id, &event.event_id)
}

/// Where paging of metrics goes on.
fn metric_order(point: &MetricPoint) -> (TimeMs, SeriesId) {
    (point.timestamp, point.series)
}

#[async_trait]
impl StoreWriter for MemoryStore {
    fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::new(self.reader.clone())
    }

    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError> {
        let derived = derived::changes(commit, self.reader.schema).map_err(|error| SinkError {
            class: FaultClass::Stop,
            doing: format!("cannot commit tick {}", commit.tick),
            store: NAME.to_owned(),
            hint: "this is a bug of an operator; please report it with this text".to_owned(),
            cause: Some(Box::new(error)),
        })?;
        let mut tables = self.lock();
        let outcome = tables.apply(commit);
        for changes in derived {
            let table = tables.derived.entry(changes.table.table.name).or_default();
            for (key, row) in changes.rows {
                match row {
                    Some(row) => table.insert(key, row),
                    None => table.remove(&key),
                };
            }
        }
        Ok(outcome)
    }

    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        Ok(self.lock().newer_events(events))
    }

    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        Ok(Some(self.lock().amended_events()).filter(|events| events.len() <= limit))
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[async_trait]
impl StoreReader for MemoryReader {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        Ok(self.open("cannot read source positions")?.positions.clone())
    }

    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        let tables = self.open("cannot read watermarks")?;
        let mut marks = Watermarks::default();
        let raise = |marks: &mut BTreeMap<String, TimeMs>, colony_id: &String, timestamp: TimeMs| {
            let mark = marks.entry(colony_id.clone()).or_insert(timestamp);
            *mark = (*mark).max(timestamp);
        };
        for held in tables.events.values().filter(|held| held.on_time) {
            raise(&mut marks.events, &held.row.colony_id, held.row.timestamp);
        }
        for key in series_keys(&tables.metrics) {
            let buckets = tables.metrics.range(at_time(key, i64::MIN)..=at_time(key, i64::MAX)).map(|(_, held)| held);
            if let Some(last) = buckets.rev().find(|held| held.on_time) {
                raise(&mut marks.metrics, &key.0, last.row.timestamp);
            }
        }
        Ok(marks)
    }

    async fn events_in(
        &self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError> {
        let tables = self.open("cannot read events")?;
        let mut rows = rows_of(&tables.events, &tables.late_events, span, |row| row.timestamp);
        rows.retain(|held| after.is_none_or(|after| event_order(&held.row) > event_order(after)));
        rows.sort_by(|a, b| event_order(&a.row).cmp(&event_order(&b.row)));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        Ok(self.open("cannot read the types of events")?.event_types())
    }

    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        Ok(self.open("cannot read the names of services")?.service_names())
    }

    async fn events_of(&self, types: &[String], after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError> {
        let tables = self.open("cannot read events")?;
        let of_types = tables.events.values().filter(|held| held.on_time && types.contains(&held.row.event_type));
        let mut rows: Vec<Event> = of_types.map(|held| held.row.clone()).collect();
        rows.retain(|row| after.is_none_or(|after| event_order(row) > event_order(after)));
        rows.sort_by(|a, b| event_order(a).cmp(&event_order(b)));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn metrics_in(
        &self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        let tables = self.open("cannot read metrics")?;
        let mut rows = rows_of(&tables.metrics, &tables.late_metrics, span, |row| row.timestamp);
        rows.retain(|held| after.is_none_or(|after| metric_order(&held.row) > metric_order(after)));
        rows.sort_by_key(|a| metric_order(&a.row));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn metrics_of(&self, colonies: &[String], from: TimeMs, to: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        let tables = self.open("cannot read metrics")?;
        let mut rows: Vec<MetricPoint> = Vec::new();
        for key in series_keys(&tables.metrics).filter(|key| from < to && colonies.contains(&key.0)) {
            let buckets = tables.metrics.range(at_time(key, from.0)..at_time(key, to.0));
            let buckets = buckets.filter(|bucket| !tables.late_metrics.contains_key(bucket.0));
            rows.extend(buckets.map(|(_, held)| held.row));
        }
        let is_wanted = |row: &&MetricPoint| {
            from <= row.timestamp && row.timestamp < to && colonies.contains(&row.series.series().key.colony_id)
        };
        rows.extend(tables.late_metrics.values().filter(is_wanted));
        rows.sort_by_key(metric_order);
        Ok(rows)
    }

    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        Ok(self
            .open("cannot read correlations")?
            .findings
            .values()
            .map(|revised| revised.finding.correlation.clone())
            .collect())
    }

    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        Ok(self
            .open("cannot read evidence")?
            .findings
            .get(correlation_id)
            .map(|stored| stored.finding.evidence.clone())
            .unwrap_or_default())
    }

    async fn totals(&self) -> Result<Totals, SinkError> {
        let tables = self.open("cannot count rows")?;
        let links: usize = tables.findings.values().map(|revised| resolve::event_links(&revised.finding).len()).sum();
        let evidence: usize = tables.findings.values().map(|revised| revised.finding.evidence.len()).sum();
        let parts: usize = tables.positions.values().map(|positions| positions.0.len()).sum();
        let counts = [
            ("federated_metrics", tables.metrics.len()),
            ("federated_events", tables.events.len()),
            ("late_metric_copies", tables.late_metrics.len()),
            ("late_event_copies", tables.late_events.len()),
            ("env_metric_summary", tables.summaries.len()),
            ("correlations", tables.findings.len()),
            ("correlation_evidence", evidence),
            ("event_correlations", links),
            ("service_nodes", tables.nodes.len()),
            ("service_edges", tables.edges.len()),
            ("colony_status", tables.colonies.len()),
            ("rejects", tables.rejects.len()),
            ("rejects_omitted", tables.rejects_omitted.len()),
            ("source_positions", parts),
        ];
        let derived = self.schema.derived.iter().map(|derived| {
            let name = derived.table.name;
            (name, tables.derived.get(name).map_or(0, BTreeMap::len))
        });
        let mut rejects: BTreeMap<String, u64> = BTreeMap::new();
        for reject in tables.rejects.values() {
            *rejects.entry(reject.reason.as_str().to_owned()).or_default() += 1;
        }
        for ((_, _, reason), omitted) in &tables.rejects_omitted {
            *rejects.entry(reason.clone()).or_default() += omitted.rows;
        }
        let late_events = tables.events.values().filter(|held| !held.on_time).count();
        let late_metrics = tables.metrics.values().filter(|held| !held.on_time).count();
        Ok(Totals {
            rows: counts.into_iter().chain(derived).map(|(table, rows)| (table.to_owned(), rows as u64)).collect(),
            rejects,
            late: (late_events + late_metrics + tables.late_events.len() + tables.late_metrics.len()) as u64,
        })
    }

    async fn count_in(&self, span: Span) -> Result<(u64, u64), SinkError> {
        let tables = self.open("cannot count rows")?;
        let events = rows_of(&tables.events, &tables.late_events, span, |row| row.timestamp);
        let metrics = rows_of(&tables.metrics, &tables.late_metrics, span, |row| row.timestamp);
        Ok((events.len() as u64, metrics.len() as u64))
    }

    async fn rows_of(
        &self,
        table: &'static DerivedTable,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        self.derived(table, None, after, limit)
    }

    async fn rows_with(
        &self,
        table: &'static DerivedTable,
        texts: (&'static str, &[String]),
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        self.derived(table, Some(texts), after, limit)
    }

    async fn newest_of(
        &self,
        table: &'static DerivedTable,
        before: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        self.newest(table, before, limit)
    }

    async fn count_of(&self, table: &'static DerivedTable, most: u64) -> Result<u64, SinkError> {
        self.count(table, most)
    }

    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        Ok(self.open("cannot read services")?.nodes.values().cloned().collect())
    }

    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        Ok(self.open("cannot read calls between services")?.edges.values().cloned().collect())
    }

    async fn hours(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        let tables = self.open("cannot read hourly summaries")?;
        let of_span = tables.summaries.iter().filter(|(key, _)| key.hour >= from && key.hour < to);
        let mut hours: Vec<(RollupKey, Summary)> = of_span.map(|(key, summary)| (key.clone(), *summary)).collect();
        // the key's own order has the hour last
        hours.sort_by_key(|(key, _)| key.hour);
        Ok(hours)
    }

    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        Ok(self.open("cannot read the state of colonies")?.colonies.values().cloned().collect())
    }
}

mod lookups;
mod outputs;

#[cfg(test)]
mod tests;
