//! Links between events and patterns, and the best-scored link in each event's own row.

use super::fault::Fault;
use super::insert::insert;
use super::keep::{EventKey, stored_events};
use super::late_copies::CopyTable;
use super::parts::parts;
use super::rows::{EventCopy, Mark, event_columns, texts, versions};
use super::session::Session;
use crate::columns::ReportedRow;
use crate::resolve::event_links;
use arrow::array::Float64Array;
use model::event::Event;
use model::pattern::Finding;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Colony, event, correlation and role.
type LinkKey = (String, String, String, String);

#[derive(clickhouse::Row, Deserialize)]
struct LinkAnswer {
    colony_id: String,
    event_id: String,
    correlation_id: String,
    role: String,
    score: f64,
}

/// What [`add`] leaves for later.
pub(super) struct PendingLinkChanges {
    /// Events whose best link may have changed.
    events: BTreeSet<EventKey>,
    /// Obsolete links. They are deleted last: as long as they exist, a retried commit knows which events they concern.
    obsolete: BTreeMap<LinkKey, f64>,
}

/// Writes the links of `findings`, and finds the obsolete ones of all ids in `named`.
pub(super) async fn add(
    session: &mut Session,
    findings: &BTreeMap<String, &Finding>,
    named: &[&str],
) -> Result<PendingLinkChanges, Fault> {
    let mut before: BTreeMap<LinkKey, f64> = BTreeMap::new();
    let sql = "SELECT colony_id, event_id, correlation_id, role, score FROM event_correlations FINAL
               WHERE correlation_id IN {ids:Array(String)}";
    for ids in parts(named) {
        for row in session.server.rows::<LinkAnswer>(session.server.query(sql).param("ids", ids)).await? {
            before.insert((row.colony_id, row.event_id, row.correlation_id, row.role), row.score);
        }
    }
    let mut after: BTreeMap<LinkKey, f64> = BTreeMap::new();
    for (id, finding) in findings {
        for (colony_id, event_id, role) in event_links(finding) {
            let key = (colony_id, event_id, id.clone(), role.as_str().to_owned());
            after.insert(key, finding.correlation.correlation_score.0);
        }
    }
    let changed = after.iter().filter(|(key, score)| before.get(*key) != Some(*score));
    write(session, changed.collect(), false).await?;
    // unchanged links too: the previous commit may have been interrupted between links and marks
    let events = before.keys().chain(after.keys()).map(|(colony, event, ..)| (colony.clone(), event.clone())).collect();
    before.retain(|key, _| !after.contains_key(key));
    Ok(PendingLinkChanges { events, obsolete: before })
}

/// Sets each event's best valid link, then deletes obsolete ones.
pub(super) async fn settle(session: &mut Session, pending: PendingLinkChanges) -> Result<(), Fault> {
    mark_events(session, &pending).await?;
    write(session, pending.obsolete.iter().collect(), true).await
}

async fn write(session: &mut Session, links: Vec<(&LinkKey, &f64)>, removed: bool) -> Result<(), Fault> {
    let version = session.next_version();
    insert(session, "event_correlations", &links, |chunk| {
        let mut columns = vec![
            ("colony_id", texts(chunk, |row| &row.0.0)),
            ("event_id", texts(chunk, |row| &row.0.1)),
            ("correlation_id", texts(chunk, |row| &row.0.2)),
            ("role", texts(chunk, |row| &row.0.3)),
            ("score", Arc::new(Float64Array::from_iter_values(chunk.iter().map(|row| *row.1))) as _),
        ];
        columns.extend(versions(chunk.iter().map(|_| (version, removed))));
        columns
    })
    .await
}

/// Writes again those events whose best link is another than their row shows.
async fn mark_events(session: &mut Session, pending: &PendingLinkChanges) -> Result<(), Fault> {
    let events: Vec<EventKey> = pending.events.iter().cloned().collect();
    let sql = "SELECT colony_id, event_id, correlation_id, role, score FROM event_correlations FINAL
               WHERE (colony_id, event_id) IN {keys:Array(Tuple(String, String))}";
    for keys in parts(&events) {
        let mut best: HashMap<EventKey, Mark> = HashMap::new();
        for row in session.server.rows::<LinkAnswer>(session.server.query(sql).param("keys", keys)).await? {
            let key = (row.colony_id, row.event_id, row.correlation_id, row.role);
            if pending.obsolete.contains_key(&key) {
                continue;
            }
            let (colony_id, event_id, correlation_id, _) = key;
            let mark = Mark { correlation_group: Some(correlation_id), correlation_score: Some(row.score) };
            let stored = best.entry((colony_id, event_id)).or_default();
            if is_better(&mark, stored) {
                *stored = mark;
            }
        }
        let version = session.next_version();
        let mut copies = Vec::new();
        for (key, stored) in stored_events(&session.server, CopyTable::Current, keys).await? {
            let mark = best.remove(&key).unwrap_or_default();
            if mark != stored.mark {
                copies.push(EventCopy { held: stored.held, mark, version, removed: false });
            }
        }
        insert(session, Event::TABLE, &copies, event_columns).await?;
    }
    Ok(())
}

/// The greater score; among equals the smaller id.
fn is_better(mark: &Mark, than: &Mark) -> bool {
    match (mark.correlation_score, than.correlation_score) {
        (Some(score), Some(other)) if score == other => mark.correlation_group < than.correlation_group,
        (Some(score), Some(other)) => score > other,
        (Some(_), None) => true,
        (None, _) => false,
    }
}
