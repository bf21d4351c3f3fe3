//! Upserts of metric buckets, like `keep` for events. A bucket newer than all stored ones of its series is not looked
//! up.

use super::dictionary::Dictionaries;
use super::fault::Fault;
use super::insert::insert_taking_out;
use super::late_copies::{self, Changes, CopyTable, RefusedRow};
use super::memory::{Series, named};
use super::parts::{Encoded, parts, parts_by};
use super::rows::{ReadRow, versions};
use super::session::Session;
use crate::columns::{Bucket, ReportedRow, bucket_columns, intervals, series_columns};
use crate::outcome::{Met, Outcome};
use crate::resolve::{SeriesBuckets, SeriesRows};
use crate::stored::StoredRow;
use foldhash::fast::RandomState as FastHash;
use model::columns::MetricRow;
use model::metric::MetricPoint;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, TimeMs};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};

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
pub(super) struct WrittenBuckets<'a> {
    pub(super) refused: Vec<RefusedRow<MetricPoint>>,
    /// Stored now, and under no copy before.
    pub(super) new: Vec<SeriesRows<'a>>,
    /// All others.
    pub(super) needs_lookup: Vec<StoredRow<MetricRow<'a>>>,
}

/// Which series of a commit, and which of its buckets.
type Spot = (usize, usize);

/// Writes the copies that are greater than the stored ones. In the order of the table, so that the server need not
/// sort.
pub(super) async fn keep_metrics<'a>(
    session: &mut Session,
    of_series: &[SeriesBuckets<'a>],
    outcome: &mut Outcome,
) -> Result<WrittenBuckets<'a>, Fault> {
    let names: Vec<Series> = of_series.iter().map(|it| named(it.series)).collect();
    learn_newest(session, of_series).await?;
    let (mut stored, mut stored_late) = (HashMap::new(), HashMap::new());
    let mut looked_up: HashSet<Spot, FastHash> = HashSet::default();
    for of_day in buckets_to_look_up(session, of_series).into_values() {
        looked_up.extend(of_day.iter().flat_map(|(number, places)| places.iter().map(|place| (*number, *place))));
        let of_day: Vec<(usize, Vec<usize>)> = of_day.into_iter().collect();
        for part in parts_by(&of_day, |(number, _)| names[*number].encoded_bytes()) {
            stored.extend(stored_metrics(session, CopyTable::Current, of_series, &names, part).await?);
            if session.memory.has_late_copies {
                stored_late.extend(stored_metrics(session, CopyTable::Late, of_series, &names, part).await?);
            }
        }
    }
    // raised first: should the outcome of the insert be unknown, a look-up too many is the safe side
    for SeriesBuckets { series, buckets } in of_series {
        buckets.last().into_iter().for_each(|newest| session.memory.raise(*series, newest.current.row.timestamp().0));
    }
    let version = session.next_version();
    let (mut copies, mut changes) = (Vec::new(), Changes::default());
    let spots = || {
        of_series.iter().enumerate().flat_map(|(number, it)| (0..it.buckets.len()).map(move |place| (number, place)))
    };
    for spot in spots() {
        let kept = &of_series[spot.0].buckets[spot.1];
        let (before, late) = (stored.get(&spot), stored_late.get(&spot).map(|held| held.row));
        if before.is_none() && late.is_none() && kept.late.is_none() {
            copies.push((spot.0, Bucket::from(kept.current)));
            continue;
        }
        let kept = kept.points();
        before.into_iter().for_each(|stands| MetricPoint::met(kept.current.each_ref(), stands.each_ref(), outcome));
        let now = kept.after(before.copied(), late);
        changes.note(late, now.late);
        if before != Some(&now.current) {
            copies.push((spot.0, Bucket::from(now.current.each_ref())));
        }
    }
    let dictionaries = Dictionaries::of(of_series.iter().map(|it| it.series));
    let columns = |chunk: &[(usize, Bucket)]| {
        let mut columns = match &dictionaries {
            Some(dictionaries) => {
                let mut columns = dictionaries.columns(chunk.iter().map(|(series, _)| *series));
                columns.push(("interval_seconds", intervals(chunk.iter().map(|(series, _)| names[*series].5))));
                columns
            }
            None => series_columns(chunk.iter().map(|(series, _)| of_series[*series].series)),
        };
        columns.extend(bucket_columns(chunk.iter().map(|(_, bucket)| *bucket)));
        columns.extend(versions(chunk.iter().map(|_| (version, false))));
        columns
    };
    let (put, obsolete) = (changes.put.iter().collect::<Vec<_>>(), changes.obsolete.iter().collect::<Vec<_>>());
    let mut refused = late_copies::put_late_copies(session, &put).await?;
    let found = insert_taking_out(session, MetricPoint::TABLE, &copies, columns).await?;
    let any_refused = !found.is_empty();
    refused.extend(found.into_iter().map(|it| {
        let (series, Bucket { timestamp, statistics, .. }) = copies[it.place];
        RefusedRow { row: statistics.point(of_series[series].series, timestamp), reason: it.reason }
    }));
    late_copies::delete_late_copies(session, &obsolete).await?;
    let mut kept = WrittenBuckets { refused, new: Vec::with_capacity(of_series.len()), needs_lookup: Vec::new() };
    for (number, SeriesBuckets { series, buckets }) in of_series.iter().enumerate() {
        let (needs_lookup, new): (Vec<_>, Vec<_>) = (0..buckets.len())
            .map(|place| ((number, place), buckets[place].current))
            .partition(|(spot, _)| any_refused || looked_up.contains(spot));
        let held = |rows: Vec<(Spot, StoredRow<MetricRow<'a>>)>| rows.into_iter().map(|(_, held)| held);
        kept.new.push(SeriesRows { series: *series, rows: held(new).collect() });
        kept.needs_lookup.extend(held(needs_lookup));
    }
    Ok(kept)
}

/// The positions of buckets that may already be stored, by series and day. By day, so that one old bucket does not make
/// the look-up read the whole range.
fn buckets_to_look_up(
    session: &Session,
    of_series: &[SeriesBuckets<'_>],
) -> BTreeMap<TimeMs, BTreeMap<usize, Vec<usize>>> {
    let mut by_day: BTreeMap<TimeMs, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
    for (number, SeriesBuckets { series, buckets }) in of_series.iter().enumerate() {
        let newest_ms = session.memory.newest(*series).unwrap_or(i64::MAX);
        let stored = buckets.iter().take_while(|kept| kept.current.row.timestamp().0 <= newest_ms);
        for (place, kept) in stored.enumerate() {
            let day = kept.current.row.timestamp().floor_to(DAY_MS);
            by_day.entry(day).or_default().entry(number).or_default().push(place);
        }
    }
    by_day
}

/// Asks for the newest bucket of series that the session does not know yet, no further back than `rows` reach.
async fn learn_newest(session: &mut Session, of_series: &[SeriesBuckets<'_>]) -> Result<(), Fault> {
    let series = of_series.iter().map(|it| it.series);
    let unknown: Vec<SeriesId> = series.filter(|series| session.memory.newest(*series).is_none()).collect();
    let names: Vec<Series> = unknown.iter().map(|series| named(*series)).collect();
    let oldest = of_series.iter().filter_map(|it| it.buckets.first()).map(|kept| kept.current.row.timestamp().0).min();
    let Some(oldest) = oldest else { return Ok(()) };
    let sql = "SELECT colony_id, application_name, environment, service_id, metric_name, interval_seconds,
                      toUnixTimestamp64Milli(max(timestamp)) AS newest_ms
               FROM federated_metrics
               WHERE (colony_id, application_name, environment, service_id, metric_name, interval_seconds)
                     IN {series:Array(Tuple(String, String, String, String, String, UInt32))}
                 AND timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC')
               GROUP BY ALL";
    // nothing found: nothing is stored from the oldest of these rows on
    let mut answered: HashMap<SeriesId, i64, FastHash> = unknown.iter().map(|series| (*series, oldest - 1)).collect();
    for part in parts(&names) {
        let query = session.server.query(sql).param("series", part).param("oldest", oldest);
        let answers = session.server.rows::<NewestAnswer>(query).await?;
        for row in answers {
            let names = SeriesRef {
                colony_id: &row.colony_id,
                application_name: &row.application_name,
                environment: &row.environment,
                service_id: &row.service_id,
                metric_name: &row.metric_name,
                interval_seconds: Some(row.interval_seconds),
            };
            answered.insert(SeriesId::of(names), row.newest_ms.max(oldest - 1));
        }
    }
    unknown.iter().for_each(|series| session.memory.remember(*series, answered[series]));
    Ok(())
}

/// The stored copies of some buckets (`asked`: series, and positions of its buckets).
async fn stored_metrics(
    session: &Session,
    place: CopyTable,
    of_series: &[SeriesBuckets<'_>],
    names: &[Series],
    asked: &[(usize, Vec<usize>)],
) -> Result<Vec<(Spot, StoredRow<MetricPoint>)>, Fault> {
    let mut spots: HashMap<(SeriesId, i64), Spot> = HashMap::new();
    for (number, places) in asked {
        let SeriesBuckets { series, buckets } = &of_series[*number];
        spots.extend(
            places.iter().map(|place| ((*series, buckets[*place].current.row.timestamp().0), (*number, *place))),
        );
    }
    let times = || spots.keys().map(|(_, timestamp)| *timestamp);
    let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
    let series: Vec<&Series> = asked.iter().map(|(number, _)| &names[*number]).collect();
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
    let query = session.server.query(&sql).param("series", series).param("from", from).param("to", to);
    let mut stored = Vec::new();
    for answer in session.server.rows::<<MetricPoint as ReadRow>::Answer>(query).await? {
        let held = MetricPoint::read(answer)?;
        let spot = spots.get(&(held.row.series, held.row.timestamp.0)).copied();
        stored.extend(spot.map(|spot| (spot, held)));
    }
    Ok(stored)
}
