//! Upserts of metric buckets, as `keep` does it for events. A bucket that is newer than all of its series is not looked up.

use super::aside::{self, Changes, Place, RefusedRow};
use super::dictionary::Dictionaries;
use super::fault::Fault;
use super::insert::insert_taking_out;
use super::keep::KEYS_PER_QUERY;
use super::memory::{Series, owned};
use super::rows::{ReadRow, versions};
use super::session::Session;
use crate::columns::{KeptRow, metric_columns_without_names};
use crate::resolve::{Held, Kept, SeriesRef, series_of};
use foldhash::fast::RandomState as FastHash;
use model::metric::MetricPoint;
use model::time::{DAY_MS, TimeMs};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

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

/// What became of the buckets of a commit.
pub(super) struct KeptMetrics<'a> {
    pub(super) refused: Vec<RefusedRow<MetricPoint>>,
    /// Stored now, and under no copy before.
    pub(super) new: Vec<Held<&'a MetricPoint>>,
    /// All others.
    pub(super) doubtful: Vec<Held<&'a MetricPoint>>,
}

/// Writes those copies of `rows` that are greater than what is stored; each identity stands in `rows` once.
pub(super) async fn keep_metrics<'a>(
    session: &mut Session,
    rows: &[Kept<&'a MetricPoint>],
) -> Result<KeptMetrics<'a>, Fault> {
    let mut of_series: HashMap<SeriesRef<'_>, Vec<usize>, FastHash> = HashMap::default();
    for (place, kept) in rows.iter().enumerate() {
        of_series.entry(series_of(kept.shown.row)).or_default().push(place);
    }
    let mut of_series: Vec<(Series, Vec<usize>)> =
        of_series.into_iter().map(|(series, places)| (owned(series), places)).collect();
    in_table_order(rows, &mut of_series);
    learn_newest(session, rows, &of_series).await?;
    let (mut stored, mut stored_aside) = (HashMap::new(), HashMap::new());
    let mut is_doubtful = vec![false; rows.len()];
    for of_day in doubtful(session, rows, &of_series).into_values() {
        of_day.values().flatten().for_each(|place| is_doubtful[*place] = true);
        let of_day: Vec<(&Series, Vec<usize>)> = of_day.into_iter().collect();
        for part in of_day.chunks(KEYS_PER_QUERY) {
            stored.extend(stored_metrics(session, Place::Shown, rows, part).await?);
            if session.memory.has_late_copies {
                stored_aside.extend(stored_metrics(session, Place::Aside, rows, part).await?);
            }
        }
    }
    let dictionaries = Dictionaries::of(of_series.iter().map(|(series, _)| series));
    // raised first: should the outcome of the insert be unknown, a look-up too many is the safe side
    for (series, places) in &of_series {
        if let Some(newest) = places.iter().map(|place| rows[*place].shown.row.timestamp.0).max() {
            session.memory.raise(series, newest);
        }
    }
    let version = session.next_version();
    let (mut copies, mut changes) = (Vec::new(), Changes::default());
    for (number, (_, places)) in of_series.iter().enumerate() {
        for place in places {
            let before = stored.get(place).map(Held::each_ref);
            let aside = stored_aside.get(place).map(|held| &held.row);
            let now = rows[*place].clone().after(before, aside);
            changes.note(aside, now.aside);
            if before != Some(now.shown) {
                copies.push((number, now.shown));
            }
        }
    }
    let columns = |chunk: &[(usize, Held<&MetricPoint>)]| {
        let held: Vec<Held<&MetricPoint>> = chunk.iter().map(|(_, held)| *held).collect();
        let mut columns = match &dictionaries {
            Some(dictionaries) => {
                let mut columns = dictionaries.columns(chunk.iter().map(|(series, _)| *series));
                columns.extend(metric_columns_without_names(&held));
                columns
            }
            None => MetricPoint::columns(&held),
        };
        columns.extend(versions(chunk.iter().map(|_| (version, false))));
        columns
    };
    let mut refused = aside::put(session, &changes.put).await?;
    let found = insert_taking_out(session, MetricPoint::TABLE, &copies, columns).await?;
    let any_refused = !found.is_empty();
    refused.extend(found.into_iter().map(|it| RefusedRow { row: copies[it.place].1.row.clone(), reason: it.reason }));
    aside::take_back(session, &changes.taken_back).await?;
    let (new, doubtful): (Vec<_>, Vec<_>) = (rows.iter().map(|kept| kept.shown).zip(is_doubtful))
        .partition(|(_, is_doubtful)| !is_doubtful && !any_refused);
    let rows = |of: Vec<(Held<&'a MetricPoint>, bool)>| of.into_iter().map(|(held, _)| held).collect();
    Ok(KeptMetrics { refused, new: rows(new), doubtful: rows(doubtful) })
}

/// In the order of the table's sorting key: the server finds that it has nothing to sort.
fn in_table_order(rows: &[Kept<&MetricPoint>], of_series: &mut [(Series, Vec<usize>)]) {
    of_series.sort_unstable();
    for (_, places) in of_series {
        places.sort_by_key(|place| rows[*place].shown.row.timestamp);
    }
}

/// The places of buckets that may be stored already. By day, so that one old bucket does not make the look-up read all
/// that lies between.
fn doubtful<'a>(
    session: &Session,
    rows: &[Kept<&MetricPoint>],
    of_series: &'a [(Series, Vec<usize>)],
) -> BTreeMap<TimeMs, BTreeMap<&'a Series, Vec<usize>>> {
    let mut doubtful: BTreeMap<TimeMs, BTreeMap<&Series, Vec<usize>>> = BTreeMap::new();
    for (series, places) in of_series {
        let newest = session.memory.newest(series).unwrap_or(i64::MAX);
        for place in places.iter().copied().filter(|place| rows[*place].shown.row.timestamp.0 <= newest) {
            let day = rows[place].shown.row.timestamp.floor_to(DAY_MS);
            doubtful.entry(day).or_default().entry(series).or_default().push(place);
        }
    }
    doubtful
}

/// Asks for the newest bucket of series that the session does not know yet, no further back than `rows` reach.
async fn learn_newest(
    session: &mut Session,
    rows: &[Kept<&MetricPoint>],
    of_series: &[(Series, Vec<usize>)],
) -> Result<(), Fault> {
    let unknown: Vec<&Series> =
        of_series.iter().map(|(series, _)| series).filter(|series| session.memory.newest(series).is_none()).collect();
    let Some(oldest) = rows.iter().map(|kept| kept.shown.row.timestamp.0).min() else { return Ok(()) };
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

/// The stored copies of some rows, by their place in `rows`.
async fn stored_metrics(
    session: &Session,
    place: Place,
    rows: &[Kept<&MetricPoint>],
    of_series: &[(&Series, Vec<usize>)],
) -> Result<Vec<(usize, Held<MetricPoint>)>, Fault> {
    let mut places: HashMap<(SeriesRef<'_>, i64), usize> = HashMap::new();
    for place in of_series.iter().flat_map(|(_, places)| places) {
        let row = rows[*place].shown.row;
        places.insert((series_of(row), row.timestamp.0), *place);
    }
    let times = || places.keys().map(|(_, timestamp)| *timestamp);
    let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
    let series: Vec<&Series> = of_series.iter().map(|(series, _)| *series).collect();
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} FINAL
         WHERE (colony_id, application_name, environment, service_id, metric_name, interval_seconds)
               IN {{series:Array(Tuple(String, String, String, String, String, UInt32))}}
           AND timestamp >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC')
           AND timestamp <= fromUnixTimestamp64Milli({{to:Int64}}, 'UTC')",
        place.selection::<MetricPoint>(),
        place.table::<MetricPoint>()
    );
    let query = session.query(&sql).param("series", series).param("from", from).param("to", to);
    let mut stored = Vec::new();
    for answer in session.rows::<<MetricPoint as ReadRow>::Answer>(query).await? {
        let held = MetricPoint::read(answer)?;
        let place = places.get(&(series_of(&held.row), held.row.timestamp.0)).copied();
        stored.extend(place.map(|place| (place, held)));
    }
    Ok(stored)
}
