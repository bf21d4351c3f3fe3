//! A relation of two metrics as a row of `correlations`, with its evidence and its sentence.

use super::kinds::is_latency;
use super::params::MetricParams;
use super::relation::Relation;
use libm::exp;
use model::metric::SeriesKey;
use model::pattern::{Correlation, Evidence, EvidenceRole, Finding, PatternKey, PatternState, Signal, SignalKind};
use model::real::Real;
use model::time::format_duration_ms;

/// Logarithm of the greatest e-value that is published: it stays finite.
const LOG_E_MAX: f64 = 690.0;

/// A relation as it is to be published.
pub(super) struct Shown<'a> {
    pub(super) relation: Relation<'a>,
    pub(super) q: f64,
    pub(super) explained: Option<String>,
    pub(super) state: PatternState,
    pub(super) reason: Option<String>,
}

fn signal(key: &SeriesKey) -> Signal {
    Signal {
        kind: SignalKind::Metric,
        colony_id: key.colony_id.clone(),
        service_id: key.service_id.clone(),
        name: key.metric_name.clone(),
    }
}

pub(super) fn pattern_key(relation: &Relation<'_>) -> PatternKey {
    PatternKey { source: signal(relation.source()), target: signal(relation.target()) }
}

pub(super) fn series_ref(key: &SeriesKey) -> String {
    format!("{}/{}/{}", key.colony_id, key.service_id, key.metric_name)
}

fn seconds(ms: i64) -> i32 {
    (ms / 1000).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

fn describe(relation: &Relation<'_>, params: &MetricParams) -> String {
    let (source, target) = (relation.source(), relation.target());
    let order = match relation.lag_ms() {
        0 => "moves at the same time as".to_owned(),
        lag_ms => format!("comes {} before", format_duration_ms(lag_ms)),
    };
    let window = format_duration_ms(params.window_ms);
    let judged = match relation.evidence.windows {
        1 => String::new(),
        windows => format!(", judged over {windows} windows of {window}"),
    };
    format!(
        "{} of {} in {} {order} {} of {} in {}: r = {:.3} over {window} ({} points){judged}",
        source.metric_name,
        source.service_id,
        source.colony_id,
        target.metric_name,
        target.service_id,
        target.colony_id,
        relation.window.coefficient.0,
        relation.window.points,
    )
}

/// The row. `first` and `last`: the relation at the first and the last instant at which it was present.
pub(super) fn finding(shown: Shown<'_>, first: &Relation<'_>, last: &Relation<'_>, params: &MetricParams) -> Finding {
    let Shown { relation, q, explained, state, reason } = shown;
    let key = pattern_key(&relation);
    let both_latency = is_latency(&relation.source().metric_name) && is_latency(&relation.target().metric_name);
    let (row, window, lag_ms) = (relation.row, relation.window, relation.lag_ms());
    let source_from = row.target_from - lag_ms;
    let evidence = Evidence {
        correlation_id: key.correlation_id(),
        source_ref: series_ref(relation.source()),
        target_ref: series_ref(relation.target()),
        source_timestamp: source_from,
        target_timestamp: row.target_from,
        lag_ms,
        weight: Real(1.0),
        role: EvidenceRole::Match,
        lag_weight: Real(1.0),
    };
    let correlation = Correlation {
        key,
        correlation_type: if both_latency { "latency_correlation" } else { "metric_correlation" }.to_owned(),
        source_application: relation.source_identity().0.clone(),
        source_environment: relation.source_identity().1.clone(),
        target_application: relation.target_identity().0.clone(),
        target_environment: relation.target_identity().1.clone(),
        source_timestamp: source_from,
        target_timestamp: row.target_from,
        correlation_score: Real(window.coefficient.0.abs()),
        coefficient: window.coefficient,
        confidence: Real(1.0 - q),
        lag_seconds: seconds(lag_ms),
        lag_low_seconds: seconds(relation.lag_range.0),
        lag_high_seconds: seconds(relation.lag_range.1),
        pattern_description: describe(&relation, params),
        occurrence_count: u32::try_from(window.points).unwrap_or(u32::MAX),
        first_observed: first.row.target_from - first.lag_ms(),
        last_observed: last.row.target_to,
        state,
        e_value: Real(exp(relation.evidence.log_e.min(LOG_E_MAX))),
        q_value: Real(q),
        sample_count: window.points,
        explained_by: explained,
        reason,
        chance_level: Some(Real(relation.evidence.p_value())),
        effective_points: Some(Real(relation.evidence.effective_points)),
        judged_coefficient: Some(Real(relation.evidence.coefficient)),
        part_of: None,
        open_count: 0,
        open_until: None,
    };
    Finding { correlation, evidence: vec![evidence] }
}
