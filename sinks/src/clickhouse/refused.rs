//! Rejects of a commit, and the counts of those that are not stored.
//!
//! An interrupted commit is retried: deleted rows stay deleted, and counts store the location up to which they count.

use super::fault::Fault;
use super::insert::insert;
use super::parts::parts;
use super::rows::{texts, versions};
use super::session::Session;
use crate::Commit;
use crate::columns::times;
use crate::rejects::{self, Group, KEPT_MAX, Omitted, Stored};
use arrow::array::{StringArray, UInt64Array};
use model::reject::{Reject, RejectReason};
use model::time::TimeMs;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

#[derive(clickhouse::Row, Deserialize)]
struct RejectAnswer {
    source: String,
    place: String,
    colony_id: Option<String>,
    reason: String,
    detail: String,
    raw: String,
    rejected_at: i64,
}

const SELECTION: &str = "source, place, colony_id, reason, detail, raw, rejected_at";

#[derive(clickhouse::Row, Deserialize)]
struct KeptAnswer {
    source: String,
    part: String,
    reason: String,
    kept: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct OmittedAnswer {
    source: String,
    part: String,
    reason: String,
    omitted: u64,
    counted_to: String,
}

/// Writes `rejects`, those of the commit and those of the server.
pub(super) async fn write(session: &mut Session, commit: &Commit, rejects: &[Reject]) -> Result<(), Fault> {
    delete_settled(session, commit).await?;
    if rejects.is_empty() {
        return Ok(());
    }
    let rejects = rejects::each_once(rejects);
    let stored = stored(session, &rejects).await?;
    let changes = rejects::changes(&rejects, stored, KEPT_MAX);
    let written: BTreeSet<(&str, &str)> = changes.written.iter().map(|row| (&*row.source, &*row.place)).collect();
    let gone: Vec<&(String, String)> =
        changes.removed.iter().filter(|(source, place)| !written.contains(&(&**source, &**place))).collect();
    remove(session, &gone).await?;
    let version = session.next_version();
    insert(session, "rejects", &changes.written, |rows| {
        let colonies = rows.iter().map(|row| row.colony_id.as_deref());
        let mut columns = vec![
            ("source", texts(rows, |row| &row.source)),
            ("place", texts(rows, |row| &row.place)),
            ("colony_id", Arc::new(colonies.collect::<StringArray>()) as _),
            ("reason", texts(rows, |row| row.reason.as_str())),
            ("detail", texts(rows, |row| &row.detail)),
            ("raw", texts(rows, |row| &row.raw)),
            ("rejected_at", times(rows.iter().map(|row| row.rejected_at))),
            ("part", texts(rows, |row| row.part())),
        ];
        columns.extend(versions(rows.iter().map(|_| (version, false))));
        columns
    })
    .await?;
    // after the rows: once there is a count, no further row of its group is stored
    let omitted: Vec<(&Group, &Omitted)> = changes.omitted.iter().collect();
    count(session, &omitted, commit.committed_at, false).await
}

/// Deletes rejects that no longer hold.
async fn delete_settled(session: &mut Session, commit: &Commit) -> Result<(), Fault> {
    let mut gone: BTreeSet<(String, String)> = commit.settled.iter().cloned().collect();
    let mut numbers: Vec<(Group, Omitted)> = Vec::new();
    for part in parts(&commit.restarted) {
        let sql = "SELECT source, place, colony_id, reason, '' AS detail, '' AS raw, rejected_at
                   FROM rejects FINAL WHERE (source, part) IN {parts:Array(Tuple(String, String))}";
        let rows = session.server.rows::<RejectAnswer>(session.server.query(sql).param("parts", part)).await?;
        gone.extend(rows.into_iter().map(|row| (row.source, row.place)));
        numbers.extend(omitted(session, part).await?);
    }
    for part in parts(&commit.rewound) {
        let sql = "SELECT source, place, colony_id, reason, '' AS detail, '' AS raw, rejected_at
                   FROM rejects FINAL
                   WHERE (source, part) IN {parts:Array(Tuple(String, String))} AND reason = 'far_future'";
        let rows = session.server.rows::<RejectAnswer>(session.server.query(sql).param("parts", part)).await?;
        gone.extend(rows.into_iter().map(|row| (row.source, row.place)));
        let counted = omitted(session, part).await?.into_iter();
        numbers.extend(counted.filter(|((.., reason), _)| reason == RejectReason::FarFuture.as_str()));
    }
    remove(session, &gone.iter().collect::<Vec<_>>()).await?;
    let numbers: Vec<(&Group, &Omitted)> = numbers.iter().map(|(group, omitted)| (group, omitted)).collect();
    count(session, &numbers, commit.committed_at, true).await?;
    let mut counted = HashMap::new();
    for part in parts(&rejects::parts_of(&commit.settled)) {
        counted.extend(omitted(session, part).await?);
    }
    let changed = rejects::without_settled(&commit.settled, &counted);
    count(session, &changed.iter().collect::<Vec<_>>(), commit.committed_at, false).await
}

async fn remove(session: &mut Session, keys: &[&(String, String)]) -> Result<(), Fault> {
    let (version, now) = (session.next_version(), session.server.config.clock.now());
    insert(session, "rejects", keys, |keys| {
        let mut columns = vec![
            ("source", texts(keys, |key| &key.0)),
            ("place", texts(keys, |key| &key.1)),
            ("reason", texts(keys, |_| "")),
            ("detail", texts(keys, |_| "")),
            ("raw", texts(keys, |_| "")),
            ("rejected_at", times(keys.iter().map(|_| now))),
        ];
        columns.extend(versions(keys.iter().map(|_| (version, true))));
        columns
    })
    .await
}

async fn stored(session: &Session, rejects: &[&Reject]) -> Result<Stored, Fault> {
    let mut stored = Stored::default();
    let places: Vec<(&str, &str)> = rejects.iter().map(|reject| (&*reject.source, &*reject.place)).collect();
    // sql: identifiers only
    let sql = format!(
        "SELECT {SELECTION} FROM rejects FINAL WHERE (source, place) IN {{places:Array(Tuple(String, String))}}"
    );
    for places in parts(&places) {
        for row in session.server.rows::<RejectAnswer>(session.server.query(&sql).param("places", places)).await? {
            stored.rejects.insert((row.source.clone(), row.place.clone()), read(row)?);
        }
    }
    let of: BTreeSet<(&str, &str)> = rejects.iter().map(|reject| (&*reject.source, reject.part())).collect();
    let of: Vec<(&str, &str)> = of.into_iter().collect();
    for part in parts(&of) {
        let sql = "SELECT source, part, reason, count() AS kept FROM rejects FINAL
                   WHERE (source, part) IN {parts:Array(Tuple(String, String))} GROUP BY ALL";
        for row in session.server.rows::<KeptAnswer>(session.server.query(sql).param("parts", part)).await? {
            stored.kept.insert((row.source, row.part, row.reason), row.kept);
        }
        stored.omitted.extend(omitted(session, part).await?);
    }
    Ok(stored)
}

/// The numbers of these parts.
async fn omitted<K: serde::Serialize>(session: &Session, part: &[K]) -> Result<HashMap<Group, Omitted>, Fault> {
    let sql = "SELECT source, part, reason, omitted, counted_to FROM rejects_omitted FINAL
               WHERE (source, part) IN {parts:Array(Tuple(String, String))}";
    let rows = session.server.rows::<OmittedAnswer>(session.server.query(sql).param("parts", part)).await?;
    let read = |row: OmittedAnswer| {
        ((row.source, row.part, row.reason), Omitted { rows: row.omitted, counted_to: row.counted_to })
    };
    Ok(rows.into_iter().map(read).collect())
}

fn read(row: RejectAnswer) -> Result<Reject, Fault> {
    Ok(Reject {
        source: row.source,
        place: row.place,
        colony_id: row.colony_id,
        reason: rejects::read_reason(&row.reason)
            .map_err(|error| Fault::stop("column reason of rejects is not what this program writes", error))?,
        detail: row.detail,
        raw: row.raw,
        rejected_at: TimeMs(row.rejected_at),
    })
}

async fn count(
    session: &mut Session,
    omitted: &[(&Group, &Omitted)],
    now: TimeMs,
    is_removed: bool,
) -> Result<(), Fault> {
    let version = session.next_version();
    insert(session, "rejects_omitted", omitted, |rows| {
        let numbers = rows.iter().map(|(_, omitted)| omitted.rows);
        let mut columns = vec![
            ("source", texts(rows, |((source, ..), _)| source)),
            ("part", texts(rows, |((_, part, _), _)| part)),
            ("reason", texts(rows, |((.., reason), _)| reason)),
            ("omitted", Arc::new(UInt64Array::from_iter_values(numbers)) as _),
            ("counted_to", texts(rows, |(_, omitted)| &omitted.counted_to)),
            ("updated_at", times(rows.iter().map(|_| now))),
        ];
        columns.extend(versions(rows.iter().map(|_| (version, is_removed))));
        columns
    })
    .await
}
