//! The views over derived tables, as SQL that differs between stores in a few expressions only.

use crate::schema::Schema;

/// The view of how good the predictions of each pattern were.
pub(crate) const PREDICTION_SCORES: &str = "prediction_scores";

/// What stores write differently.
pub(crate) struct Dialect {
    /// After the name of a table: only the last version of each row.
    pub(crate) last: &'static str,
    /// What makes an interval of a number of days, before and after it.
    pub(crate) days: (&'static str, &'static str),
    /// The lower median of the seconds from `issued_at` to `resolved_at` of hits.
    pub(crate) lead_seconds: &'static str,
}

/// Whether this schema has what the view reads.
pub(crate) fn has_scores(schema: Schema) -> bool {
    schema.derived("predictions").is_some() && schema.derived("prediction_days").is_some()
}

/// What the view selects: one row per pattern and number of days (30 and 90, up to the newest prediction).
///
/// `precision` is the share of hits among hits and misses with Wilson's 95 % interval; `recall` the share of targets, on
/// days on which the pattern predicted, that were announced; `skill` is one less the ratio of the Brier score to that of
/// the chance level.
pub(crate) fn prediction_scores(dialect: &Dialect) -> String {
    let Dialect { last, days: (before, after), lead_seconds } = dialect;
    let z = "1.959963984540054";
    // sql: identifiers only
    format!(
        "WITH spans AS (SELECT 30 AS days UNION ALL SELECT 90 AS days),
newest AS (SELECT max(seen) AS newest_row FROM (
  SELECT max(issued_at) AS seen FROM predictions {last} UNION ALL SELECT max(day) AS seen FROM prediction_days
  {last}) AS times),
told AS (
  SELECT correlation_id, days,
    sum(CASE WHEN outcome = 'open' THEN 1 ELSE 0 END) AS open_count,
    sum(CASE WHEN outcome = 'hit' THEN 1 ELSE 0 END) AS hit_count,
    sum(CASE WHEN outcome = 'miss' THEN 1 ELSE 0 END) AS miss_count,
    sum(CASE WHEN outcome = 'void' THEN 1 ELSE 0 END) AS void_count,
    avg(CASE WHEN outcome = 'hit' THEN (probability - 1) * (probability - 1)
             WHEN outcome = 'miss' THEN probability * probability END) AS brier_score,
    avg(CASE WHEN outcome = 'hit' THEN (chance_level - 1) * (chance_level - 1)
             WHEN outcome = 'miss' THEN chance_level * chance_level END) AS chance_score,
    {lead_seconds} AS lead_seconds
  FROM predictions {last} CROSS JOIN spans CROSS JOIN newest
  WHERE issued_at > newest.newest_row - {before}days{after}
  GROUP BY correlation_id, days),
targets AS (
  SELECT correlation_id, days, sum(target_count) AS targets_seen
  FROM prediction_days {last} CROSS JOIN spans CROSS JOIN newest
  WHERE muted IS NULL AND day > newest.newest_row - {before}(days + 1){after}
  GROUP BY correlation_id, days),
shares AS (
  SELECT told.correlation_id AS correlation_id, told.days AS days, open_count, hit_count, miss_count, void_count,
    brier_score, chance_score, lead_seconds, coalesce(targets_seen, 0) AS target_total,
    nullif(hit_count + miss_count, 0) * 1e0 AS n,
    hit_count * 1e0 / nullif(hit_count + miss_count, 0) AS share
  FROM told LEFT JOIN targets ON told.correlation_id = targets.correlation_id AND told.days = targets.days)
SELECT correlation_id, days, open_count, hit_count, miss_count, void_count, share AS \"precision\",
  CASE WHEN n > 0 THEN greatest(0e0, (share + {z} * {z} / (2 * n) - {z} * sqrt(share * (1 - share) / n + {z} * {z} / (4 * n * n)))
    / (1 + {z} * {z} / n)) END AS precision_low,
  CASE WHEN n > 0 THEN least(1e0, (share + {z} * {z} / (2 * n) + {z} * sqrt(share * (1 - share) / n + {z} * {z} / (4 * n * n)))
    / (1 + {z} * {z} / n)) END AS precision_high,
  target_total AS target_count, CASE WHEN target_total > 0 THEN least(1e0, hit_count * 1e0 / target_total) END AS recall,
  brier_score, 1 - brier_score / nullif(chance_score, 0) AS skill,
  CASE WHEN hit_count > 0 THEN lead_seconds END AS lead_seconds_median
FROM shares"
    )
}
