//! Confirmed patterns as findings: what follows what, how often, after how long.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Quantity, SHARE_MAX};
use super::super::plan::Topic;
use super::ends::Ends;
use super::{Sources, Told, ranked};
use crate::answers::AnswerError;
use crate::answers::correlations::{CorrelationsQuestion, all_correlations};
use crate::report::PatternLine;
use crate::statement::statement;
use crate::text::pattern::duration;
use model::time::{SECOND_MS, TimeMs};

/// Patterns that are told.
const PATTERNS_MAX: usize = 4;

/// The best confirmed patterns with an end among what is looked at, both ends in scope.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Told, AnswerError> {
    let plan = sources.plan;
    if !plan.patterns || plan.colonies.is_empty() {
        return Ok(Told::default());
    }
    let question = CorrelationsQuestion { filter: plan.filter(), ..CorrelationsQuestion::default() };
    let mut lines = all_correlations(&question, sources.reader, sources.scope).await?.correlations.items;
    lines.retain(|line| {
        let ends = [&line.source_service, &line.target_service];
        let is_near = plan.services.is_empty() || ends.iter().any(|end| plan.services.contains(end));
        is_near && plan.scope.contains(&line.source_colony_id) && plan.scope.contains(&line.target_colony_id)
    });
    Ok(Told {
        findings: lines
            .iter()
            .take(PATTERNS_MAX)
            .enumerate()
            .map(|(place, line)| finding(place, line, sources))
            .collect(),
        left_out: lines.len().saturating_sub(PATTERNS_MAX),
    })
}

fn finding(place: usize, line: &PatternLine, sources: &Sources<'_>) -> Finding {
    let claim = claim(line);
    let rank = match claim {
        Claim::Follows => 0.5 + 0.15 * line.correlation_score,
        _ => 0.35 + 0.1 * line.correlation_score,
    };
    let ends = Ends::of_pattern(line);
    let (source, target) = (ends.source.shown(), ends.target.shown());
    let lag = duration(line.lag_seconds);
    let title = match claim {
        Claim::Follows => {
            format!("{target} followed {source} {}, usually after {lag}", times(line))
        }
        _ if line.lag_seconds == 0 => format!("{source} and {target} move together"),
        _ => format!("{target} moves with {source}, {lag} later"),
    };
    let (low, high) = (duration(line.lag_low_seconds), duration(line.lag_high_seconds));
    let strength = match line.source_kind {
        "metric" => format!("r {:.2}", line.coefficient),
        _ => format!("score {:.2}", line.correlation_score),
    };
    let mut lines =
        vec![(format!("lag {lag} ({low} to {high}), {strength}, confidence {:.2}", shown_confidence(line)), 0)];
    if line.explained_by.is_some() {
        lines.push(("something simpler explains it".to_owned(), 0));
    }
    Finding {
        rank: ranked(sources.plan, Topic::Patterns, rank) - place as f64 * 0.001,
        key: format!("pattern {}", line.correlation_id),
        title,
        lines,
        evidence: vec![evidence(line, claim)],
        advice: advice(line, claim),
        actions: Action::look("See the rows behind the pattern", &["correlation", &line.correlation_id])
            .into_iter()
            .collect(),
    }
}

/// An event pattern with a lag that nothing explains says more than that both move together.
fn claim(line: &PatternLine) -> Claim {
    let is_event = line.source_kind == "event" && line.target_kind == "event";
    if is_event && line.lag_seconds > 0 && line.explained_by.is_none() { Claim::Follows } else { Claim::CoMoving }
}

/// Rounded down: never certain.
fn shown_confidence(line: &PatternLine) -> f64 {
    (line.confidence.min(SHARE_MAX) * 100.0).floor() / 100.0
}

fn times(line: &PatternLine) -> String {
    match line.occurrence_count {
        1 => "1 time".to_owned(),
        many => format!("{many} times"),
    }
}

fn advice(line: &PatternLine, claim: Claim) -> String {
    if claim != Claim::Follows
        || line.source_environment == line.target_environment
        || line.source_environment.is_empty()
    {
        return String::new();
    }
    format!(
        "Look at {} before you change {}: {} followed there {}, usually {} after {}.",
        line.source_environment,
        line.target_environment,
        line.target_signal,
        times(line),
        duration(line.lag_seconds),
        line.source_signal
    )
}

fn evidence(line: &PatternLine, claim: Claim) -> Evidence {
    let ends = Ends::of_pattern(line);
    let lag = |seconds: i32| Fact::Number(Quantity::Milliseconds, (i64::from(seconds) * SECOND_MS) as f64);
    let mut facts = vec![
        lag(line.lag_seconds),
        lag(line.lag_low_seconds),
        lag(line.lag_high_seconds),
        Fact::Number(Quantity::Plain, f64::from(line.occurrence_count)),
        Fact::Number(Quantity::Plain, line.correlation_score),
        Fact::Number(Quantity::Plain, line.coefficient),
        Fact::Number(Quantity::Percent, line.correlation_score * 100.0),
    ];
    facts.extend([line.confidence, shown_confidence(line)].into_iter().flat_map(Fact::share));
    let moments = [&line.first_observed, &line.last_observed, &line.source_timestamp, &line.target_timestamp];
    facts.extend(moments.into_iter().filter_map(|time| TimeMs::parse_rfc3339(time)).map(Fact::Time));
    facts.push(Fact::Name(line.correlation_id.clone()));
    facts.extend(ends.names());
    facts.push(ends.order(claim == Claim::Follows));
    Evidence {
        description: format!(
            "{} → {}: {}, lag {}, score {:.2}, {}",
            ends.source.shown(),
            ends.target.shown(),
            times(line),
            duration(line.lag_seconds),
            line.correlation_score,
            line.correlation_id
        ),
        query: statement(
            "SELECT DISTINCT state, occurrence_count, lag_seconds, lag_low_seconds, lag_high_seconds, correlation_score, \
             confidence FROM correlations",
            &[("correlation_id", &line.correlation_id)],
        ),
        data: vec![
            ("state", line.state.to_owned()),
            ("occurrence_count", line.occurrence_count.to_string()),
            ("lag_seconds", line.lag_seconds.to_string()),
            ("lag_low_seconds", line.lag_low_seconds.to_string()),
            ("lag_high_seconds", line.lag_high_seconds.to_string()),
            ("correlation_score", line.correlation_score.to_string()),
            ("confidence", line.confidence.to_string()),
        ],
        facts,
        claim,
        confidence: line.confidence.clamp(0.0, 0.999),
        ..ends.evidence()
    }
}
