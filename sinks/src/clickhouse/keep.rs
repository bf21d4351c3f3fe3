//! Upserts of events: looks up stored copies of the same identity, and writes greater ones. Metric buckets: `buckets`.
//!
//! A copy is written only when it is greater than the stored one, with a version above all before it. So the order of
//! versions is the order of [`StoredRow`], which no column of the engine could hold, and the comparison is the same code as
//! in every other store. Late copies that say more than the current one: `late_copies`.

use super::fault::Fault;
use super::insert::{insert, insert_taking_out};
use super::late_copies::{self, Changes, CopyTable, RefusedRow};
use super::parts::{Encoded, parts, parts_by};
use super::rows::{EventAnswer, EventCopy, Mark, ReadRow, event_columns, selection};
use super::server::Server;
use super::session::Session;
use crate::columns::ReportedRow;
use crate::outcome::{Met, Outcome};
use crate::store::AmendedEvent;
use crate::stored::{StoredCopies, StoredRow};
use model::event::Event;
use model::time::TimeMs;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

/// Colony and event id.
pub(super) type EventKey = (String, String);

/// An event and its mark, as stored.
pub(super) struct StoredEvent {
    pub(super) held: StoredRow<Event>,
    pub(super) mark: Mark,
}

/// Stored events under `keys`.
pub(super) async fn stored_events(
    server: &Server,
    place: CopyTable,
    keys: &[EventKey],
) -> Result<HashMap<EventKey, StoredEvent>, Fault> {
    let mut stored = HashMap::with_capacity(keys.len());
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} FINAL
         WHERE (colony_id, event_id) IN {{keys:Array(Tuple(String, String))}}",
        place.selection::<Event>(),
        place.table::<Event>()
    );
    for keys in parts(keys) {
        for row in server.rows::<EventAnswer>(server.query(&sql).param("keys", keys)).await? {
            let key = (row.colony_id.clone(), row.event_id.clone());
            let mark =
                Mark { correlation_group: row.correlation_group.clone(), correlation_score: row.correlation_score };
            stored.insert(key, StoredEvent { held: Event::read(row)?, mark });
        }
    }
    Ok(stored)
}

#[derive(clickhouse::Row, Deserialize)]
struct AnyAnswer {
    amended: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct AmendedAnswer {
    colony_id: String,
    event_id: String,
    happened_ms: i64,
}

/// As [`crate::StoreWriter::amended_events`].
pub(super) async fn amended_events(server: &Server, limit: usize) -> Result<Option<Vec<AmendedEvent>>, Fault> {
    // most stores have none, which is known without merging rows
    let sql = "SELECT count() AS amended FROM (SELECT 1 FROM federated_events WHERE version > 0 OR withdrawn LIMIT 1)";
    if server.rows::<AnyAnswer>(server.query(sql)).await?.iter().all(|answer| answer.amended == 0) {
        return Ok(Some(Vec::new()));
    }
    let sql = "SELECT colony_id, event_id, toUnixTimestamp64Milli(timestamp) AS happened_ms
               FROM federated_events FINAL WHERE (version > 0 OR withdrawn) AND NOT late LIMIT {limit:UInt64}";
    let query = server.query(sql).param("limit", u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1));
    let answers = server.rows::<AmendedAnswer>(query).await?;
    if answers.len() > limit {
        return Ok(None);
    }
    let named = answers.into_iter().map(|AmendedAnswer { colony_id, event_id, happened_ms }| AmendedEvent {
        colony_id,
        event_id,
        timestamp: TimeMs(happened_ms),
    });
    Ok(Some(named.collect()))
}

/// As [`crate::StoreWriter::newer_events`].
pub(super) async fn newer_events(server: &Server, events: &[Event]) -> Result<Vec<Event>, Fault> {
    let keys: BTreeSet<EventKey> = events.iter().map(|row| (row.colony_id.clone(), row.event_id.clone())).collect();
    let keys: Vec<EventKey> = keys.into_iter().collect();
    let mut newer = Vec::new();
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM federated_events FINAL
         WHERE (colony_id, event_id) IN {{keys:Array(Tuple(String, String))}} AND NOT late
           AND (version > 0 OR withdrawn)",
        selection::<Event>()
    );
    for keys in parts(&keys) {
        for row in server.rows::<EventAnswer>(server.query(&sql).param("keys", keys)).await? {
            newer.push(Event::read(row)?.row);
        }
    }
    newer.sort();
    Ok(newer)
}

/// Writes the copies of `rows` that are greater than the stored ones; `rows` has each identity once.
pub(super) async fn keep_events(
    session: &mut Session,
    rows: &[StoredCopies<&Event>],
    outcome: &mut Outcome,
) -> Result<Vec<RefusedRow<Event>>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let key = |kept: &StoredCopies<&Event>| (kept.current.row.colony_id.clone(), kept.current.row.event_id.clone());
    let keys: Vec<EventKey> = rows.iter().map(key).collect();
    let stored = stored_events(&session.server, CopyTable::Current, &keys).await?;
    let stored_late = match session.memory.has_late_copies {
        true => stored_events(&session.server, CopyTable::Late, &keys).await?,
        false => HashMap::new(),
    };
    // the version before it stays free for what takes an older copy back
    let (_, version) = (session.next_version(), session.next_version());
    let (mut known, mut copies, mut changes) = (Vec::new(), Vec::new(), Changes::default());
    for (kept, key) in rows.iter().zip(&keys) {
        let before = stored.get(key);
        let current_before = before.map(|before| before.held.each_ref());
        let late = stored_late.get(key).map(|stored| &stored.held.row);
        current_before.into_iter().for_each(|stands| Event::met(kept.current, stands, outcome));
        let now = kept.clone().after(current_before, late);
        changes.note(late, now.late);
        if before.is_some() {
            known.push((key.clone(), now.current));
        }
        if current_before != Some(now.current) {
            let mark = before.map(|before| before.mark.clone()).unwrap_or_default();
            let held = StoredRow { on_time: now.current.on_time, row: now.current.row.clone() };
            copies.push(EventCopy { held, mark, version, removed: false });
        }
    }
    let mut refused = late_copies::put_late_copies(session, &changes.put).await?;
    let found = insert_taking_out(session, Event::TABLE, &copies, event_columns).await?;
    refused
        .extend(found.into_iter().map(|it| RefusedRow { row: copies[it.place].held.row.clone(), reason: it.reason }));
    let gone = moved_away(&session.server, &known).await?;
    insert(session, Event::TABLE, &gone, event_columns).await?;
    late_copies::delete_late_copies(session, &changes.obsolete).await?;
    Ok(refused)
}

#[derive(clickhouse::Row, Deserialize)]
struct CopyAnswer {
    colony_id: String,
    event_id: String,
    at_ms: i64,
    copy_version: u64,
    is_removed: u8,
}

/// Deletions of the copies of events that now have another time: an older copy may be in another part of the table,
/// where a query for that time would still find it. Queried after the insert, so that the retry of a commit interrupted
/// between the two completes it.
async fn moved_away(server: &Server, known: &[(EventKey, StoredRow<&Event>)]) -> Result<Vec<EventCopy>, Fault> {
    let mut gone = Vec::new();
    let sql =
        "SELECT colony_id, event_id, toUnixTimestamp64Milli(timestamp) AS at_ms, max(ingest_version) AS copy_version,
                      argMax(removed, ingest_version) AS is_removed
               FROM federated_events
               WHERE (colony_id, event_id) IN {keys:Array(Tuple(String, String))}
               GROUP BY colony_id, event_id, timestamp";
    for known in parts_by(known, |(key, _)| key.encoded_bytes()) {
        let keys: Vec<&EventKey> = known.iter().map(|(key, _)| key).collect();
        let mut copies: HashMap<EventKey, Vec<CopyAnswer>> = HashMap::new();
        for row in server.rows::<CopyAnswer>(server.query(sql).param("keys", keys)).await? {
            copies.entry((row.colony_id.clone(), row.event_id.clone())).or_default().push(row);
        }
        for (key, any) in known {
            let Some(copies) = copies.get(key) else { continue };
            let Some(current) = copies.iter().map(|copy| copy.copy_version).max() else { continue };
            for copy in copies.iter().filter(|copy| copy.copy_version < current && copy.is_removed == 0) {
                let row = Event { timestamp: TimeMs(copy.at_ms), ..any.row.clone() };
                let held = StoredRow { on_time: any.on_time, row };
                // above the copy, below the one that counts
                gone.push(EventCopy { held, mark: Mark::default(), version: current - 1, removed: true });
            }
        }
    }
    Ok(gone)
}
