//! Upserts of events and metric buckets: looks up what is stored under the same identity, writes the greater copy.
//!
//! A copy is written only when it is greater than the stored one, with a version above all before it. So the order of
//! versions is the order of [`Held`], which no column of the engine could hold, and the comparison is the same code as
//! in every other store.

use super::fault::Fault;
use super::insert::{Refused, insert, insert_taking_out};
use super::memory::{Series, owned};
use super::rows::{EventAnswer, EventCopy, Mark, ReadRow, event_columns, selection, versions};
use super::session::Session;
use crate::columns::KeptRow;
use crate::resolve::{Held, SeriesRef, series_of};
use foldhash::fast::RandomState as FastHash;
use model::event::Event;
use model::metric::MetricPoint;
use model::time::{DAY_MS, TimeMs};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Identities per query: a few hundred kilobytes of bound values.
const KEYS_PER_QUERY: usize = 4_000;

/// Colony and event id.
pub(super) type EventKey = (String, String);

/// An event and its mark, as stored.
pub(super) struct StoredEvent {
    pub(super) held: Held<Event>,
    pub(super) mark: Mark,
}

#[derive(clickhouse::Row, Deserialize)]
struct NewestAnswer {
    colony_id: String,
    application_name: String,
    environment: String,
    service_id: String,
    metric_name: String,
    interval_seconds: u32,
    newest_ms: i64,
}

/// Stored events under `keys`.
pub(super) async fn stored_events(
    session: &Session,
    keys: &[EventKey],
) -> Result<HashMap<EventKey, StoredEvent>, Fault> {
    let mut stored = HashMap::with_capacity(keys.len());
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM federated_events FINAL
         WHERE (colony_id, event_id) IN {{keys:Array(Tuple(String, String))}}",
        selection::<Event>()
    );
    for keys in keys.chunks(KEYS_PER_QUERY) {
        for row in session.rows::<EventAnswer>(session.query(&sql).param("keys", keys)).await? {
            let key = (row.colony_id.clone(), row.event_id.clone());
            let mark =
                Mark { correlation_group: row.correlation_group.clone(), correlation_score: row.correlation_score };
            stored.insert(key, StoredEvent { held: Event::read(row)?, mark });
        }
    }
    Ok(stored)
}

/// As [`crate::Store::newer_events`].
pub(super) async fn newer_events(session: &Session, events: &[Event]) -> Result<Vec<Event>, Fault> {
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
    for keys in keys.chunks(KEYS_PER_QUERY) {
        for row in session.rows::<EventAnswer>(session.query(&sql).param("keys", keys)).await? {
            newer.push(Event::read(row)?.row);
        }
    }
    newer.sort();
    Ok(newer)
}

/// Writes those of `rows` that are greater than what is stored; each identity stands in `rows` once.
pub(super) async fn keep_events(session: &mut Session, rows: &[Held<&Event>]) -> Result<Vec<Refused>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<EventKey> = rows.iter().map(|held| (held.row.colony_id.clone(), held.row.event_id.clone())).collect();
    let mut stored = stored_events(session, &keys).await?;
    // the version before it stays free for what takes an older copy back
    let (_, version) = (session.next_version(), session.next_version());
    let (mut known, mut copies, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (place, (held, key)) in rows.iter().zip(&keys).enumerate() {
        let before = stored.remove(key);
        if before.is_some() {
            known.push((key.clone(), *held));
        }
        if before.as_ref().is_some_and(|before| before.held.as_ref() >= *held) {
            continue;
        }
        let mark = before.map(|before| before.mark).unwrap_or_default();
        let held = Held { on_time: held.on_time, row: held.row.clone() };
        copies.push(EventCopy { held, mark, version, removed: false });
        places.push(place);
    }
    let mut refused = insert_taking_out(session, Event::TABLE, &copies, event_columns).await?;
    refused.iter_mut().for_each(|refused| refused.place = places[refused.place]);
    let gone = moved_away(session, &known).await?;
    insert(session, Event::TABLE, &gone, event_columns).await?;
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

/// What takes back the copies of events that now have another time: an older one may lie in another part of the table,
/// where a query for that time alone would still find it. Asked for after the insert, so that a commit that was cut off
/// between the two is healed by its repeat.
async fn moved_away(session: &Session, known: &[(EventKey, Held<&Event>)]) -> Result<Vec<EventCopy>, Fault> {
    let mut gone = Vec::new();
    let sql =
        "SELECT colony_id, event_id, toUnixTimestamp64Milli(timestamp) AS at_ms, max(ingest_version) AS copy_version,
                      argMax(removed, ingest_version) AS is_removed
               FROM federated_events
               WHERE (colony_id, event_id) IN {keys:Array(Tuple(String, String))}
               GROUP BY colony_id, event_id, timestamp";
    for known in known.chunks(KEYS_PER_QUERY) {
        let keys: Vec<&EventKey> = known.iter().map(|(key, _)| key).collect();
        let mut copies: HashMap<EventKey, Vec<CopyAnswer>> = HashMap::new();
        for row in session.rows::<CopyAnswer>(session.query(sql).param("keys", keys)).await? {
            copies.entry((row.colony_id.clone(), row.event_id.clone())).or_default().push(row);
        }
        for (key, any) in known {
            let Some(copies) = copies.get(key) else { continue };
            let Some(current) = copies.iter().map(|copy| copy.copy_version).max() else { continue };
            for copy in copies.iter().filter(|copy| copy.copy_version < current && copy.is_removed == 0) {
                let row = Event { timestamp: TimeMs(copy.at_ms), ..any.row.clone() };
                let held = Held { on_time: any.on_time, row };
                // above the copy, below the one that counts
                gone.push(EventCopy { held, mark: Mark::default(), version: current - 1, removed: true });
            }
        }
    }
    Ok(gone)
}

/// What became of metric buckets.
pub(super) struct KeptMetrics {
    pub(super) refused: Vec<Refused>,
    /// By place: a copy of the bucket may have been stored before, or it was refused.
    pub(super) is_doubtful: Vec<bool>,
}

/// [`keep_events`] for metric buckets. Buckets that are newer than all of their series need no look-up.
pub(super) async fn keep_metrics(session: &mut Session, rows: &[Held<&MetricPoint>]) -> Result<KeptMetrics, Fault> {
    let mut of_series: HashMap<SeriesRef<'_>, Vec<usize>, FastHash> = HashMap::default();
    for (place, held) in rows.iter().enumerate() {
        of_series.entry(series_of(held.row)).or_default().push(place);
    }
    let of_series: Vec<(Series, Vec<usize>)> =
        of_series.into_iter().map(|(series, places)| (owned(series), places)).collect();
    learn_newest(session, rows, &of_series).await?;

    let mut wanted = vec![true; rows.len()];
    let mut is_doubtful = vec![false; rows.len()];
    // by day, so that one old bucket does not make the look-up read all that lies between
    let mut doubtful: BTreeMap<TimeMs, BTreeMap<&Series, Vec<usize>>> = BTreeMap::new();
    for (series, places) in &of_series {
        let newest = session.memory.newest(series).unwrap_or(i64::MAX);
        for place in places.iter().copied().filter(|place| rows[*place].row.timestamp.0 <= newest) {
            is_doubtful[place] = true;
            let day = rows[place].row.timestamp.floor_to(DAY_MS);
            doubtful.entry(day).or_default().entry(series).or_default().push(place);
        }
    }
    for of_day in doubtful.into_values() {
        let of_day: Vec<(&Series, Vec<usize>)> = of_day.into_iter().collect();
        for part in of_day.chunks(KEYS_PER_QUERY) {
            drop_smaller(session, rows, part, &mut wanted).await?;
        }
    }
    // raised first: should the outcome of the insert be unknown, a look-up too many is the safe side
    for (series, places) in of_series {
        if let Some(newest) = places.iter().map(|place| rows[*place].row.timestamp.0).max() {
            session.memory.raise(&series, newest);
        }
    }
    let version = session.next_version();
    let places: Vec<usize> = (0..rows.len()).filter(|place| wanted[*place]).collect();
    let copies: Vec<Held<&MetricPoint>> = places.iter().map(|place| rows[*place]).collect();
    let columns = |chunk: &[Held<&MetricPoint>]| {
        let mut columns = MetricPoint::columns(chunk);
        columns.extend(versions(chunk.iter().map(|_| (version, false))));
        columns
    };
    let mut refused = insert_taking_out(session, MetricPoint::TABLE, &copies, columns).await?;
    for refused in &mut refused {
        refused.place = places[refused.place];
        is_doubtful[refused.place] = true;
    }
    Ok(KeptMetrics { refused, is_doubtful })
}

/// Asks for the newest bucket of series that the session does not know yet, no further back than `rows` reach.
async fn learn_newest(
    session: &mut Session,
    rows: &[Held<&MetricPoint>],
    of_series: &[(Series, Vec<usize>)],
) -> Result<(), Fault> {
    let unknown: Vec<&Series> =
        of_series.iter().map(|(series, _)| series).filter(|series| session.memory.newest(series).is_none()).collect();
    let Some(oldest) = rows.iter().map(|held| held.row.timestamp.0).min() else { return Ok(()) };
    let sql = "SELECT colony_id, application_name, environment, service_id, metric_name, interval_seconds,
                      toUnixTimestamp64Milli(max(timestamp)) AS newest_ms
               FROM federated_metrics
               WHERE (colony_id, application_name, environment, service_id, metric_name, interval_seconds)
                     IN {series:Array(Tuple(String, String, String, String, String, UInt32))}
                 AND timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC')
               GROUP BY ALL";
    for part in unknown.chunks(KEYS_PER_QUERY) {
        let query = session.query(sql).param("series", part).param("oldest", oldest);
        let answers = session.rows::<NewestAnswer>(query).await?;
        // nothing found: nothing is stored from the oldest of these rows on
        part.iter().for_each(|series| session.memory.remember((*series).clone(), oldest - 1));
        for row in answers {
            let series = (
                row.colony_id,
                row.application_name,
                row.environment,
                row.service_id,
                row.metric_name,
                row.interval_seconds,
            );
            session.memory.remember(series, row.newest_ms);
        }
    }
    Ok(())
}

/// Looks up the stored copies of some rows and marks those rows as not wanted that are no greater.
async fn drop_smaller(
    session: &Session,
    rows: &[Held<&MetricPoint>],
    of_series: &[(&Series, Vec<usize>)],
    wanted: &mut [bool],
) -> Result<(), Fault> {
    let mut places: HashMap<(SeriesRef<'_>, i64), usize> = HashMap::new();
    for place in of_series.iter().flat_map(|(_, places)| places) {
        let row = rows[*place].row;
        places.insert((series_of(row), row.timestamp.0), *place);
    }
    let times = || places.keys().map(|(_, timestamp)| *timestamp);
    let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(()) };
    let series: Vec<&Series> = of_series.iter().map(|(series, _)| *series).collect();
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM federated_metrics FINAL
         WHERE (colony_id, application_name, environment, service_id, metric_name, interval_seconds)
               IN {{series:Array(Tuple(String, String, String, String, String, UInt32))}}
           AND timestamp >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC')
           AND timestamp <= fromUnixTimestamp64Milli({{to:Int64}}, 'UTC')",
        selection::<MetricPoint>()
    );
    let query = session.query(&sql).param("series", series).param("from", from).param("to", to);
    for answer in session.rows::<<MetricPoint as ReadRow>::Answer>(query).await? {
        let stored = MetricPoint::read(answer)?;
        if let Some(place) = places.get(&(series_of(&stored.row), stored.row.timestamp.0)) {
            wanted[*place] = rows[*place] > stored.as_ref();
        }
    }
    Ok(())
}
