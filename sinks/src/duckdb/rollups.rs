//! Writes hourly summaries, from stored buckets unless they are cached. The sums are integers, so they depend neither
//! on the order of rows nor on the number of threads; [`crate::rollup`] converts them to floats.

use super::fault::Cause;
use super::stage::{append, temporary};
use crate::columns::{reals, text, times};
use crate::hours::Touched;
use crate::rollup::{Summary, Sums, UNITS_PER_ONE, VALUE_ABS_MAX, WEIGHT_MAX};
use arrow::array::{Float64Array, UInt32Array, UInt64Array};
use duckdb::{Connection, params};
use model::real::Real;
use model::rows::RollupKey;
use model::time::HOUR_MS;
use std::sync::Arc;

/// Writes the summaries of a commit whose rows are written; returns their sums.
pub(super) fn write<'a>(connection: &Connection, touched: Touched<'a>) -> Result<Vec<(&'a RollupKey, Sums)>, Cause> {
    let Touched { known: mut summaries, to_read } = touched;
    if !to_read.is_empty() {
        stage_keys(connection, &to_read)?;
        let mut read = vec![Sums::default(); to_read.len()];
        for (place, sums) in read_sums(connection, &to_read)? {
            read[place as usize] = sums;
        }
        summaries.extend(to_read.into_iter().zip(read));
    }
    if summaries.is_empty() {
        return Ok(summaries);
    }
    let mut deletion = connection.prepare(
        "DELETE FROM env_metric_summary WHERE (application_name, environment, metric_name, epoch_ms(hour)) = (?, ?, ?, ?)",
    )?;
    let mut rows = Vec::with_capacity(summaries.len());
    for (key, sums) in &summaries {
        if sums.points > 0 {
            rows.push((*key, sums.summary()));
        } else {
            deletion.execute(params![key.application_name, key.environment, key.metric_name, key.hour.0])?;
        }
    }
    upsert(connection, &rows)?;
    Ok(summaries)
}

fn stage_keys(connection: &Connection, keys: &[&RollupKey]) -> Result<(), Cause> {
    temporary(
        connection,
        "staged_hours",
        "SELECT application_name, environment, metric_name, hour, 0::UINTEGER AS place FROM env_metric_summary",
    )?;
    let placed: Vec<(u32, &RollupKey)> = (0..).zip(keys.iter().copied()).collect();
    append(connection, "staged_hours", &placed, |chunk| {
        vec![
            ("application_name", text(chunk.iter().map(|(_, key)| key.application_name.as_str()))),
            ("environment", text(chunk.iter().map(|(_, key)| key.environment.as_str()))),
            ("metric_name", text(chunk.iter().map(|(_, key)| key.metric_name.as_str()))),
            ("hour", times(chunk.iter().map(|(_, key)| key.hour))),
            ("place", Arc::new(chunk.iter().map(|(place, _)| Some(*place)).collect::<UInt32Array>())),
        ]
    })
}

fn read_sums(connection: &Connection, keys: &[&RollupKey]) -> Result<Vec<(u32, Sums)>, Cause> {
    let hours = || keys.iter().map(|key| key.hour.0);
    let (first, last) = (hours().min().unwrap_or(0), hours().max().unwrap_or(0));
    // the same arithmetic as `Sums::add`; the bounds on the time let DuckDB skip row groups
    let sql = format!(
        "WITH bucket AS (
           SELECT application_name, environment, metric_name, date_trunc('hour', timestamp) AS hour,
                  coalesce(p95, mean) AS value, max_value, sample_count,
                  least(coalesce(sample_count, 1), {WEIGHT_MAX})::HUGEINT AS weight
           FROM federated_metrics
           WHERE timestamp >= make_timestamp(?::BIGINT * 1000) AND timestamp < make_timestamp(?::BIGINT * 1000))
         SELECT place,
                coalesce(sum(round(least(greatest(value, -{VALUE_ABS_MAX:e}), {VALUE_ABS_MAX:e}) * {UNITS_PER_ONE:e})::HUGEINT
                             * weight) FILTER (isfinite(value)), 0)::HUGEINT,
                coalesce(sum(weight) FILTER (isfinite(value)), 0)::HUGEINT,
                max(max_value),
                coalesce(sum(sample_count), 0)::HUGEINT,
                count(*)
         FROM bucket JOIN staged_hours USING (application_name, environment, metric_name, hour)
         GROUP BY place"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([first, last.saturating_add(HOUR_MS)])?;
    let mut sums = Vec::with_capacity(keys.len());
    while let Some(row) = rows.next()? {
        let samples: i128 = row.get(4)?;
        let points: i64 = row.get(5)?;
        sums.push((
            row.get(0)?,
            Sums {
                weighted_units: row.get(1)?,
                weight: row.get(2)?,
                max: row.get::<_, Option<f64>>(3)?.map(Real),
                samples: samples.unsigned_abs(),
                points: points.unsigned_abs(),
            },
        ));
    }
    Ok(sums)
}

fn upsert(connection: &Connection, rows: &[(&RollupKey, Summary)]) -> Result<(), Cause> {
    temporary(connection, "staged_summaries", "SELECT * FROM env_metric_summary")?;
    append(connection, "staged_summaries", rows, |chunk| {
        let counts = |of: fn(&Summary) -> u64| {
            Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|(_, summary)| of(summary))))
        };
        vec![
            ("application_name", text(chunk.iter().map(|(key, _)| key.application_name.as_str()))),
            ("environment", text(chunk.iter().map(|(key, _)| key.environment.as_str()))),
            ("metric_name", text(chunk.iter().map(|(key, _)| key.metric_name.as_str()))),
            ("hour", times(chunk.iter().map(|(key, _)| key.hour))),
            ("mean_p95", Arc::new(chunk.iter().map(|(_, summary)| summary.mean_p95).collect::<Float64Array>())),
            ("max_value", reals(chunk.iter().map(|(_, summary)| summary.max_value.map(Real)))),
            ("total_samples", counts(|summary| summary.total_samples)),
            ("points", counts(|summary| summary.points)),
        ]
    })?;
    connection.execute_batch(
        "INSERT INTO env_metric_summary BY NAME SELECT * FROM staged_summaries
         ON CONFLICT (application_name, environment, metric_name, hour) DO UPDATE SET
           mean_p95 = excluded.mean_p95, max_value = excluded.max_value,
           total_samples = excluded.total_samples, points = excluded.points",
    )?;
    Ok(())
}
