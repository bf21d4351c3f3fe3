//! Open predictions as findings: what is expected, when, how probable it is, and how good the pattern was at it before.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Kind, Quantity, SHARE_MAX};
use super::super::plan::Topic;
use super::ends::Ends;
use super::{Sources, Told, ranked};
use crate::answers::predictions::{Predictions, PredictionsQuestion, all_predictions};
use crate::answers::{AnswerError, page};
use crate::predicted::{PredictionLine, Record};
use crate::statement::{conditions, statement};
use model::time::DAY_MS;

/// Predictions that are told.
const PREDICTIONS_MAX: usize = 4;
/// Over how many days a pattern's predictions are counted.
const SCORED_DAYS: i64 = 30;

/// The most probable open predictions whose target is among what is looked at, both ends in scope; or that there is none.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Told, AnswerError> {
    let plan = sources.plan;
    if !plan.patterns || plan.colonies.is_empty() {
        return Ok(Told::default());
    }
    let question = PredictionsQuestion { filter: plan.filter(), ..PredictionsQuestion::default() };
    let answer = all_predictions(&question, sources.reader, sources.scope).await?;
    let open = answer.predictions.items.iter().map(|told| &told.line);
    let is_of = |service: &str| service == "*" || plan.takes_service(service);
    let mut lines: Vec<&PredictionLine> =
        open.filter(|line| is_of(&line.target_service) || plan.takes_service(&line.source_service)).collect();
    if lines.is_empty() && plan.topics.contains(&Topic::Predictions) {
        return Ok(Told { findings: vec![nothing(sources)], left_out: 0 });
    }
    lines.retain(|line| plan.scope.contains(&line.source_colony_id) && plan.scope.contains(&line.target_colony_id));
    lines.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.prediction_id.cmp(&b.prediction_id)));
    let left_out = lines.len().saturating_sub(PREDICTIONS_MAX);
    let findings = lines.into_iter().take(PREDICTIONS_MAX).map(|line| finding(line, &answer, sources)).collect();
    Ok(Told { findings, left_out })
}

fn finding(line: &PredictionLine, answer: &Predictions, sources: &Sources<'_>) -> Finding {
    let (from, to) = (page::time(line.times.from), page::time(line.times.to));
    let ends = Ends::of_prediction(line);
    let title = format!(
        "{} is expected from {from} to {to} with a probability of {}%",
        ends.target.shown(),
        whole_percent(line.probability)
    );
    let mut lines = vec![(
        format!(
            "after {} at {}, by the pattern {}",
            ends.source.shown(),
            page::time(line.times.issued),
            line.correlation_id
        ),
        0,
    )];
    let mut evidence = vec![expected(line)];
    if let Some(record) = record(line, answer) {
        lines.push((format!("before: {}", came_true(&record)), 1));
        evidence.push(score(line, &record));
    }
    let look = Action::look("See the pattern behind the prediction", &["correlation", &line.correlation_id]);
    Finding {
        rank: ranked(sources.plan, Topic::Predictions, 0.45 + 0.2 * line.probability),
        key: format!("prediction {}", line.prediction_id),
        title,
        lines,
        evidence,
        advice: String::new(),
        actions: look.into_iter().collect(),
    }
}

/// Never certain.
fn whole_percent(share: f64) -> f64 {
    (share.min(SHARE_MAX) * 100.0).round()
}

/// How earlier predictions of the pattern came out; none where none has.
fn record(line: &PredictionLine, answer: &Predictions) -> Option<Record> {
    let pattern = answer.patterns.iter().find(|pattern| pattern.correlation_id == line.correlation_id)?;
    let score = pattern.scores.iter().find(|score| score.days == SCORED_DAYS)?;
    (score.record.hits + score.record.misses > 0).then_some(score.record)
}

/// `2 of 3 predictions of the pattern in 30 days came true`.
fn came_true(record: &Record) -> String {
    let all = record.hits + record.misses;
    let plural = if all == 1 { "prediction" } else { "predictions" };
    format!("{} of {all} {plural} of the pattern in {SCORED_DAYS} days came true", record.hits)
}

fn names(line: &PredictionLine, ends: &Ends<'_>) -> Vec<Fact> {
    let mut names = Fact::names([&line.prediction_id, &line.correlation_id]);
    names.extend(ends.names());
    names.extend(Fact::names([&line.source_event_id]));
    names
}

fn expected(line: &PredictionLine) -> Evidence {
    let times = &line.times;
    let mut facts: Vec<Fact> = [times.issued, times.from, times.to].into_iter().map(Fact::Time).collect();
    let spans = [times.from - times.issued, times.to - times.issued, times.to - times.from];
    facts.extend(spans.into_iter().map(|ms| Fact::Number(Quantity::Milliseconds, ms as f64)));
    facts.extend(Fact::share(line.probability));
    facts.push(Fact::Number(Quantity::Plain, line.chance_level));
    let ends = Ends::of_prediction(line);
    facts.extend(names(line, &ends));
    facts.push(ends.order(true));
    Evidence {
        description: format!(
            "prediction: {} from {} to {}, probability {}%, after {} at {}, {}",
            ends.target.shown(),
            page::time(times.from),
            page::time(times.to),
            whole_percent(line.probability),
            ends.source.shown(),
            page::time(times.issued),
            line.correlation_id
        ),
        query: statement(
            "SELECT DISTINCT outcome, expected_from, expected_to, probability, correlation_id FROM predictions",
            &[("prediction_id", &line.prediction_id)],
        ),
        data: vec![
            ("outcome", line.outcome.as_str().to_owned()),
            ("expected_from", line.expected_from.clone()),
            ("expected_to", line.expected_to.clone()),
            ("probability", line.probability.to_string()),
            ("correlation_id", line.correlation_id.clone()),
        ],
        facts,
        claim: Claim::Expected,
        confidence: line.probability.clamp(0.0, 0.999),
        ..ends.evidence()
    }
}

fn score(line: &PredictionLine, record: &Record) -> Evidence {
    let counts = [record.hits, record.misses, record.voids, record.hits + record.misses];
    let mut facts: Vec<Fact> = counts.map(|count| Fact::Number(Quantity::Plain, count as f64)).to_vec();
    facts.push(Fact::Number(Quantity::Milliseconds, (SCORED_DAYS * DAY_MS) as f64));
    let ends = Ends::of_prediction(line);
    facts.extend(names(line, &ends));
    let within_30_days = format!(" AND days = {SCORED_DAYS}");
    Evidence {
        description: format!("{}: {}", line.correlation_id, came_true(record)),
        query: [
            statement(
                "SELECT DISTINCT hit_count, miss_count, void_count FROM prediction_scores",
                &[("correlation_id", &line.correlation_id)],
            ),
            within_30_days,
        ]
        .concat(),
        data: vec![
            ("hit_count", record.hits.to_string()),
            ("miss_count", record.misses.to_string()),
            ("void_count", record.voids.to_string()),
        ],
        facts,
        claim: Claim::Observed,
        confidence: 0.99,
        ..ends.evidence()
    }
}

/// That nothing is expected.
fn nothing(sources: &Sources<'_>) -> Finding {
    let plan = sources.plan;
    let colonies: Vec<&str> = plan.colonies.iter().map(String::as_str).collect();
    let places = match plan.environments.as_slice() {
        [] => "in any colony".to_owned(),
        names => format!("in {}", names.join(", ")),
    };
    let places = match plan.services.as_slice() {
        [] => places,
        names => format!("for {} {places}", names.join(", ")),
    };
    let any_of = |list: Vec<String>| [" AND (", &list.join(" OR "), ")"].concat();
    let of_colonies = any_of(colonies.iter().map(|id| conditions(&[("target_colony_id", id)])).collect());
    let ends = plan
        .services
        .iter()
        .flat_map(|service| ["source_service", "target_service"].map(|end| conditions(&[(end, service.as_str())])));
    let of_services = if plan.services.is_empty() { String::new() } else { any_of(ends.collect()) };
    let mut facts = vec![Fact::Number(Quantity::Plain, 0.0)];
    facts.extend(colonies.iter().map(|id| Fact::Name((*id).to_owned())));
    facts.extend(plan.environments.iter().chain(&plan.services).cloned().map(Fact::Name));
    let evidence = Evidence {
        id: String::new(),
        kind: Kind::Correlation,
        colony_id: colonies.first().copied().unwrap_or_default().to_owned(),
        other_colony_id: None,
        description: format!("0 open predictions {places}"),
        query: [
            "SELECT count(DISTINCT prediction_id) AS predictions FROM predictions WHERE outcome = 'open'",
            &of_colonies,
            &of_services,
        ]
        .concat(),
        data: vec![("predictions", "0".to_owned())],
        facts,
        claim: Claim::Observed,
        confidence: 0.9,
        complete_to: None,
    };
    Finding {
        rank: ranked(plan, Topic::Predictions, 0.5),
        key: "predictions none".to_owned(),
        title: format!("No prediction is open {places}: no confirmed pattern expects an event there"),
        lines: Vec::new(),
        evidence: vec![evidence],
        advice: String::new(),
        actions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_is_never_certain() {
        let shown = [0.004, 0.5, 0.864, 0.989, 0.996, 1.0].map(|share| format!("{}%", whole_percent(share)));
        assert_eq!(shown, ["0%", "50%", "86%", "99%", "99%", "99%"]);
    }
}
