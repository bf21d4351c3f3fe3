//! Writes a commit: each insert can be repeated, and source positions come last.
//!
//! ClickHouse has no transactions. An interrupted commit leaves some of its rows. They stay, because the positions are
//! still before them: the same rows are sent again, and each step writes only what is missing.

use super::buckets::WrittenBuckets;
use super::fault::Fault;
use super::late_copies::RefusedRow;
use super::memory::{Kind, MarkKey};
use super::session::Session;
use super::{buckets, derived, findings, fleet, keep, refused, rollups};
use crate::resolve;
use crate::{Commit, Outcome};
use foldhash::fast::RandomState as FastHash;
use model::reject::{RAW_CHARS_MAX, Reject, RejectReason, STORE_SOURCE};
use model::rows::Rows;
use model::series::SeriesId;
use model::time::TimeMs;
use std::collections::{BTreeMap, HashMap};

pub(super) async fn commit(session: &mut Session, commit: &Commit) -> Result<Outcome, Fault> {
    session.memory.hours.announce(&commit.rollups);
    let outcome = write(session, commit).await;
    if outcome.is_err() {
        session.memory.hours.forget();
    }
    outcome
}

async fn write(session: &mut Session, commit: &Commit) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let events = resolve::events(commit, &mut outcome);
    let metrics = resolve::metrics(commit, &mut outcome);
    let newest = newest(commit);
    session.memory.note_colonies(&newest);
    let mut rejects = commit.rejects.clone();
    let refused = keep::keep_events(session, &events, &mut outcome).await?;
    rejects.extend(refused.iter().map(|it| reject(it, describe_event, commit.committed_at)));
    let WrittenBuckets { refused, new, needs_lookup } = buckets::keep_metrics(session, &metrics, &mut outcome).await?;
    rejects.extend(refused.iter().map(|it| reject(it, describe_metric, commit.committed_at)));
    fleet::write_nodes(session, &both(commit, |rows| &rows.nodes)).await?;
    fleet::write_edges(session, &both(commit, |rows| &rows.edges)).await?;
    fleet::write_colonies(session, &both(commit, |rows| &rows.colonies), commit.committed_at).await?;
    rollups::write(session, &commit.rollups, &new, &needs_lookup).await?;
    findings::write(session, commit).await?;
    derived::write(session, commit).await?;
    refused::write(session, commit, &rejects).await?;
    fleet::write_watermarks(session, newest).await?;
    fleet::write_positions(session, commit).await?;
    Ok(outcome)
}

fn both<T>(commit: &Commit, of: impl Fn(&Rows) -> &Vec<T>) -> Vec<&T> {
    of(&commit.rows).iter().chain(of(&commit.late)).collect()
}

/// The newest time per colony of this commit.
fn newest(commit: &Commit) -> BTreeMap<MarkKey, i64> {
    let mut newest: HashMap<(&str, &str, &str, Kind), i64, FastHash> = HashMap::default();
    let mut raise = |key, time: TimeMs| {
        let stored = newest.entry(key).or_insert(time.0);
        *stored = (*stored).max(time.0);
    };
    for row in &commit.rows.events {
        raise((&row.colony_id, &row.application_name, &row.environment, Kind::Event), row.timestamp);
    }
    for (rows, kind) in [(&commit.rows, Kind::Metric), (&commit.late, Kind::LateMetric)] {
        let mut of_series: HashMap<SeriesId, TimeMs, FastHash> = HashMap::default();
        for row in rows.metrics.rows() {
            let newest = of_series.entry(row.series()).or_insert(row.timestamp());
            *newest = (*newest).max(row.timestamp());
        }
        for (series, newest) in of_series {
            let series = series.series();
            raise((&series.key.colony_id, &series.application_name, &series.environment, kind), newest);
        }
    }
    let owned = |((colony, application, environment, kind), time): ((&str, &str, &str, Kind), i64)| {
        ((colony.to_owned(), application.to_owned(), environment.to_owned(), kind), time)
    };
    newest.into_iter().map(owned).collect()
}

/// Colony, place and content of a row, for people.
type Description = (String, String, String);

fn describe_event(row: &model::event::Event) -> Description {
    let place = format!("federated_events {}/{}", row.colony_id, row.event_id);
    (row.colony_id.clone(), place, serde_json::to_string(row).unwrap_or_default())
}

fn describe_metric(row: &model::metric::MetricPoint) -> Description {
    let series = row.series.names();
    let place = format!(
        "federated_metrics {}/{}/{} {} {}",
        series.colony_id,
        series.service_id,
        series.metric_name,
        series.interval_seconds.unwrap_or(0),
        row.timestamp
    );
    (series.colony_id.to_owned(), place, serde_json::to_string(row).unwrap_or_default())
}

fn reject<T>(refused: &RefusedRow<T>, describe: fn(&T) -> Description, now: TimeMs) -> Reject {
    let (colony_id, place, raw) = describe(&refused.row);
    Reject {
        source: STORE_SOURCE.to_owned(),
        place,
        colony_id: Some(colony_id),
        reason: RejectReason::RefusedByStore,
        detail: refused.reason.clone(),
        raw: raw.chars().take(RAW_CHARS_MAX).collect(),
        rejected_at: now,
    }
}
