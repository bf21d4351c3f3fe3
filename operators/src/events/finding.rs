//! Converts a scanned pair to a correlation with its sentence and evidence.

use crate::events::levels::is_general;
use crate::events::row::{Identity, Match, PairDetail, PairScan, WeightedPair};
use model::event::EventTypeKey;
use model::pattern::{Correlation, Evidence, EvidenceRole, Finding, PatternKey, PatternState, Signal, SignalKind};
use model::real::Real;
use model::time::{SECOND_MS, TimeMs, format_duration_ms};
use std::collections::BTreeMap;

/// Below this share of forward over backward hits the direction is not decided.
const DIRECTION_MIN: f64 = 0.5;

/// The [`Correlation::explained_by`] of a pair whose sources follow targets about as often as targets follow sources.
pub const CO_MOVING: &str = "co_moving";

/// What the verdict says about a pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Its q-value.
    pub q_value: f64,
    /// Its state.
    pub state: PatternState,
    /// Why it is not confirmed.
    pub reason: Option<String>,
    /// The id of the more specific pattern that it follows from.
    pub part_of: Option<String>,
}

/// The finding for a pair; `None` without detail or without a single matched occurrence.
///
/// `e_value` is capped at the greatest finite number.
pub fn finding(pair: &PairScan, judgement: Judgement) -> Option<Finding> {
    let Judgement { q_value, state, reason, part_of } = judgement;
    let detail = pair.detail.as_ref()?;
    let (first, last) = (detail.matches.first()?, detail.matches.last()?);
    let [lag_low_seconds, lag_seconds, lag_high_seconds] = detail.lag_s;
    let key = pattern_key(&pair.source, &pair.target);
    let correlation = Correlation {
        correlation_type: correlation_type(&pair.source.event_type, &pair.target.event_type).to_owned(),
        source_application: detail.source_identity.application_name.clone(),
        source_environment: detail.source_identity.environment.clone(),
        target_application: detail.target_identity.application_name.clone(),
        target_environment: detail.target_identity.environment.clone(),
        source_timestamp: last.source_at,
        target_timestamp: last.target_at,
        correlation_score: detail.score,
        coefficient: detail.score,
        confidence: Real(1.0 - q_value),
        lag_seconds,
        lag_low_seconds,
        lag_high_seconds,
        pattern_description: describe(pair, detail, lag_seconds),
        occurrence_count: pair.occurrences,
        first_observed: first.source_at,
        last_observed: last.target_at,
        state,
        e_value: Real(libm::exp(pair.log_e.0).min(f64::MAX)),
        q_value: Real(q_value),
        sample_count: detail.source_count,
        explained_by: is_undirected(pair.frequency.hits, detail.hits_reversed).then(|| CO_MOVING.to_owned()),
        reason,
        chance_level: Some(pair.frequency.chance),
        effective_points: None,
        judged_coefficient: None,
        part_of,
        open_count: u32::try_from(detail.open_count).unwrap_or(u32::MAX),
        open_until: detail.open_until,
        key,
    };
    let correlation_id = correlation.key.correlation_id();
    Some(Finding { evidence: evidence(&correlation_id, detail), correlation })
}

/// The matched pairs, each with its weight in the law of the lag, and what else is in that law; sorted.
fn evidence(correlation_id: &str, detail: &PairDetail) -> Vec<Evidence> {
    let row = |pair: &Match, weight: f64, role: EvidenceRole, lag_weight: Real| Evidence {
        correlation_id: correlation_id.to_owned(),
        source_ref: pair.source_event_id.clone(),
        target_ref: pair.target_event_id.clone(),
        source_timestamp: pair.source_at,
        target_timestamp: pair.target_at,
        lag_ms: pair.lag_ms(),
        weight: Real(weight),
        role,
        lag_weight,
    };
    let times = |pair: &Match| (pair.source_at, pair.target_at);
    let mut of_law: BTreeMap<(TimeMs, TimeMs), &WeightedPair> =
        detail.lag_pairs.iter().map(|one| (times(&one.pair), one)).collect();
    let weight = 1.0 / detail.matches.len() as f64;
    let mut evidence = Vec::with_capacity(of_law.len().max(detail.matches.len()));
    for (place, pair) in detail.matches.iter().enumerate() {
        let role = if (place as u64) < detail.matched_passed { EvidenceRole::Match } else { EvidenceRole::Early };
        let lag_weight = of_law.remove(&times(pair)).map_or(Real(0.0), |one| one.weight);
        evidence.push(row(pair, weight, role, lag_weight));
    }
    evidence.extend(of_law.values().map(|one| row(&one.pair, 0.0, EvidenceRole::Lag, one.weight)));
    evidence.sort_unstable();
    evidence
}

/// The key of the pattern of two event types.
pub fn pattern_key(source: &EventTypeKey, target: &EventTypeKey) -> PatternKey {
    PatternKey { source: signal(source), target: signal(target) }
}

fn signal(key: &EventTypeKey) -> Signal {
    Signal {
        kind: SignalKind::Event,
        colony_id: key.colony_id.clone(),
        service_id: key.service_id.clone(),
        name: key.event_type.clone(),
    }
}

/// Whether `(forward - backward) / (forward + backward)` is below one half.
fn is_undirected(hits: u64, hits_reversed: u64) -> bool {
    let (forward, backward) = (hits as f64, hits_reversed as f64);
    forward - backward < DIRECTION_MIN * (forward + backward)
}

/// The kind of a pattern by the kinds of its events.
///
/// A deployment after a deployment is a cascade; trouble after trouble, or after a deployment, is propagation; anything
/// else (a deployment after trouble, unknown kinds) is only a pattern.
///
/// ```
/// use coral_operators::events::finding::correlation_type;
/// assert_eq!(correlation_type("deploy", "rollback"), "deployment_cascade");
/// assert_eq!(correlation_type("deploy", "error_spike"), "error_propagation");
/// assert_eq!(correlation_type("alert", "crash"), "error_propagation");
/// assert_eq!(correlation_type("crash", "deploy"), "event_pattern");
/// assert_eq!(correlation_type("high_tide", "alert"), "event_pattern");
/// ```
pub fn correlation_type(source: &str, target: &str) -> &'static str {
    let is_deployment = |kind| matches!(kind, "deploy" | "deployment" | "rollback");
    let is_trouble = |kind| matches!(kind, "error_spike" | "error" | "crash" | "alert" | "restart");
    match (source, target) {
        _ if is_deployment(source) && is_deployment(target) => "deployment_cascade",
        _ if is_trouble(target) && (is_trouble(source) || is_deployment(source)) => "error_propagation",
        _ => "event_pattern",
    }
}

/// One sentence: source, target, lag, frequency, and frequency by chance.
fn describe(pair: &PairScan, detail: &PairDetail, lag_seconds: i32) -> String {
    let what = |key: &EventTypeKey, identity: &Identity| {
        let place = if identity.application_name.is_empty() { &key.colony_id } else { &identity.application_name };
        let environment = match identity.environment.as_str() {
            "" => String::new(),
            environment => format!(" ({environment})"),
        };
        let service = if is_general(key) { "any service" } else { &key.service_id };
        format!("{} of {service} in {place}{environment}", key.event_type)
    };
    let lag = match lag_seconds {
        0 => "within a second".to_owned(),
        seconds => format!("{} later", format_duration_ms(i64::from(seconds) * SECOND_MS)),
    };
    let verb =
        if is_undirected(pair.frequency.hits, detail.hits_reversed) { "moves together with" } else { "is followed by" };
    format!(
        "{} {verb} {}, {lag} in {} of {} cases (chance: {} %)",
        what(&pair.source, &detail.source_identity),
        what(&pair.target, &detail.target_identity),
        pair.occurrences,
        detail.source_count,
        percent(pair.frequency.chance.0),
    )
}

/// Whole percents, but never a rounded-up certainty or a rounded-down impossibility.
pub(crate) fn percent(share: f64) -> String {
    if share < 0.005 { "< 1".to_owned() } else { format!("{:.0}", share * 100.0) }
}
