//! Writes hourly summaries, from stored buckets unless they are cached. The sums are integers, so they depend neither
//! on the order of rows nor on the number of threads; [`crate::rollup`] converts them to floats.

use super::fault::Fault;
use super::insert::insert;
use super::parts::parts;
use super::rows::{texts, versions};
use super::session::Session;
use crate::columns::{reals, times};
use crate::hours::Touched;
use crate::resolve::SeriesRows;
use crate::rollup::{Summary, Sums, UNITS_PER_ONE, VALUE_ABS_MAX, WEIGHT_MAX};
use crate::stored::StoredRow;
use arrow::array::{Float64Array, UInt64Array};
use model::columns::MetricRow;
use model::real::Real;
use model::rows::RollupKey;
use model::time::{HOUR_MS, TimeMs};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Summaries per query.
const KEYS_PER_QUERY: usize = 2_000;

/// Ranges of time per query at most.
const RANGES_MAX: usize = 50;

/// 2^32: a float of up to 70 bits is taken apart there, exactly.
const TWO_TO_32: u64 = 1 << 32;

/// Colony, application, environment and metric.
type Member<'a> = (&'a str, &'a str, &'a str, &'a str);

#[derive(clickhouse::Row, Deserialize)]
struct SumsAnswer {
    application_name: String,
    environment: String,
    metric_name: String,
    hour_number: i64,
    weighted_units: i128,
    weight: i128,
    max: Option<f64>,
    samples: u128,
    points: u64,
}

/// Writes the summaries named by `keys`, after the rows of their commit.
pub(super) async fn write(
    session: &mut Session,
    keys: &[RollupKey],
    new: &[SeriesRows<'_>],
    needs_lookup: &[StoredRow<MetricRow<'_>>],
) -> Result<(), Fault> {
    let Touched { known: mut summaries, to_read } = session.memory.hours.touch(keys, new, needs_lookup);
    for part in to_read.chunks(KEYS_PER_QUERY) {
        let mut sums = read_sums(session, part).await?;
        summaries.extend(part.iter().map(|key| (*key, sums.remove(*key).unwrap_or_default())));
    }
    write_sums(session, &summaries).await?;
    session.memory.hours.store(&summaries);
    Ok(())
}

async fn read_sums(session: &Session, keys: &[&RollupKey]) -> Result<BTreeMap<RollupKey, Sums>, Fault> {
    let ranges = ranges(keys.iter().map(|key| key.hour.0).collect());
    let range = |at: usize| {
        format!(
            "timestamp >= fromUnixTimestamp64Milli({{begin{at}:Int64}}, 'UTC')
             AND timestamp < fromUnixTimestamp64Milli({{end{at}:Int64}}, 'UTC')"
        )
    };
    let times = (0..ranges.len()).map(range).collect::<Vec<_>>().join(" OR ");
    // the same arithmetic as `Sums::add`: round() goes to even numbers here, and toInt128 of a float is not exact
    // sql: identifiers only
    let sql = format!(
        "WITH ifNull(coalesce(p95, mean), nan) AS value,
              isFinite(value) AS has_value,
              if(has_value, least(greatest(value, -{VALUE_ABS_MAX:e}), {VALUE_ABS_MAX:e}) * {UNITS_PER_ONE:e}, 0) AS exact,
              trunc(exact / {TWO_TO_32}) AS high,
              exact - high * {TWO_TO_32} AS low,
              toInt64(trunc(low)) + if(abs(low - trunc(low)) >= 0.5, toInt64(sign(low)), 0) AS low_units,
              toInt128(toInt64(high)) * {TWO_TO_32} + low_units AS units,
              toInt128(least(ifNull(sample_count, 1), toUInt64({WEIGHT_MAX}))) AS weight_of_row
         SELECT application_name, environment, metric_name,
                intDiv(toUnixTimestamp64Milli(timestamp), {HOUR_MS}) AS hour_number,
                sumIf(units * weight_of_row, has_value) AS weighted_units,
                sumIf(weight_of_row, has_value) AS weight,
                max(max_value) AS max,
                sum(toUInt128(ifNull(sample_count, 0))) AS samples,
                count() AS points
         FROM federated_metrics FINAL
         WHERE (colony_id, application_name, environment, metric_name)
               IN {{members:Array(Tuple(String, String, String, String))}}
           AND ({times})
         GROUP BY ALL"
    );
    let mut sums: BTreeMap<RollupKey, Sums> = BTreeMap::new();
    let mut answers = Vec::new();
    for members in parts(&members(session, keys)) {
        let mut query = session.server.query(&sql).param("members", members);
        for (at, range) in ranges.iter().enumerate() {
            query = query.param(&format!("begin{at}"), range.start).param(&format!("end{at}"), range.end);
        }
        // a bucket and its copies are in one partition, since its time is part of its identity
        let query = query.with_setting("do_not_merge_across_partitions_select_final", "1");
        answers.extend(session.server.rows::<SumsAnswer>(query).await?);
    }
    for row in answers {
        let key = RollupKey {
            application_name: row.application_name,
            environment: row.environment,
            metric_name: row.metric_name,
            hour: TimeMs(row.hour_number * HOUR_MS),
        };
        let of_key = Sums {
            weighted_units: row.weighted_units,
            weight: row.weight,
            max: row.max.map(Real),
            samples: row.samples,
            points: row.points,
        };
        // the colonies of an environment may be in several responses
        sums.entry(key).or_default().merge(&of_key);
    }
    Ok(sums)
}

/// The times of these hours as ranges: gaps between them are not read, unless there would be too many ranges.
fn ranges(hours: BTreeSet<i64>) -> Vec<Range<i64>> {
    let mut gap_ms = 0;
    loop {
        let mut ranges: Vec<Range<i64>> = Vec::new();
        for hour in &hours {
            let end = hour.saturating_add(HOUR_MS);
            match ranges.last_mut() {
                Some(range) if *hour - range.end <= gap_ms => range.end = end,
                _ => ranges.push(*hour..end),
            }
        }
        if ranges.len() <= RANGES_MAX {
            return ranges;
        }
        gap_ms = 2 * gap_ms.max(HOUR_MS);
    }
}

/// The sorting key begins with the colony: naming the colonies of an environment lets the server skip all others.
fn members<'a>(session: &'a Session, keys: &[&'a RollupKey]) -> Vec<Member<'a>> {
    let mut members: BTreeSet<Member<'a>> = BTreeSet::new();
    for key in keys {
        let environment = (key.application_name.clone(), key.environment.clone());
        for colony in session.memory.colonies.get(&environment).into_iter().flatten() {
            members.insert((colony, &key.application_name, &key.environment, &key.metric_name));
        }
    }
    members.into_iter().collect()
}

async fn write_sums(session: &mut Session, summaries: &[(&RollupKey, Sums)]) -> Result<(), Fault> {
    let version = session.next_version();
    // none when no bucket is left in the hour
    let summaries = summaries.iter().map(|(key, sums)| (*key, (sums.points > 0).then(|| sums.summary())));
    let rows: Vec<(&RollupKey, Option<Summary>)> = summaries.collect();
    insert(session, "env_metric_summary", &rows, |chunk| {
        let counts = |of: fn(&Summary) -> u64| {
            Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|(_, summary)| summary.as_ref().map_or(0, of))))
        };
        let summaries = || chunk.iter().map(|(_, summary)| summary.as_ref());
        let means = summaries().map(|summary| summary.and_then(|summary| summary.mean_p95));
        let mut columns = vec![
            ("application_name", texts(chunk, |(key, _)| &key.application_name)),
            ("environment", texts(chunk, |(key, _)| &key.environment)),
            ("metric_name", texts(chunk, |(key, _)| &key.metric_name)),
            ("hour", times(chunk.iter().map(|(key, _)| key.hour))),
            ("mean_p95", Arc::new(means.collect::<Float64Array>()) as _),
            ("max_value", reals(summaries().map(|summary| summary.and_then(|it| it.max_value).map(Real)))),
            ("total_samples", counts(|summary| summary.total_samples) as _),
            ("points", counts(|summary| summary.points) as _),
        ];
        columns.extend(versions(chunk.iter().map(|row| (version, row.1.is_none()))));
        columns
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_hours(hours: impl IntoIterator<Item = i64>) -> Vec<Range<i64>> {
        let ranges = ranges(hours.into_iter().map(|hour| hour * HOUR_MS).collect());
        ranges.iter().map(|range| range.start / HOUR_MS..range.end / HOUR_MS).collect()
    }

    #[test]
    fn one_late_hour_does_not_bring_the_days_between() {
        assert_eq!(of_hours([5, 6, 7, 90 * 24]), [5..8, 2_160..2_161]);
        assert!(of_hours([]).is_empty());
    }

    #[test]
    fn too_many_ranges_grow_together_where_they_are_closest() {
        let near: Vec<i64> = (0..200).map(|hour| 2 * hour).collect();
        assert_eq!(of_hours(near.iter().copied().chain([100_000])), [0..399, 100_000..100_001]);
    }
}
