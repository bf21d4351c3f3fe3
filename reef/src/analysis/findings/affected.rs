//! Neighbours of a deployment as a finding: who is affected, who is not.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Kind, Quantity};
use super::super::plan::Topic;
use super::medians::{Medians, columns};
use super::{Sources, ranked};
use crate::answers::affected::{Affected, AffectedQuestion, Judged, Relation, affected, summary};
use crate::answers::{AnswerError, DeploymentLine, page};
use crate::statement::statement;
use model::time::{SECOND_MS, TimeMs};

/// Neighbours of each kind that are told.
const NEIGHBOURS_MAX: usize = 5;

/// Of the deployment that is named, else of the last one of the services that are named.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Vec<Finding>, AnswerError> {
    let plan = sources.plan;
    if !plan.topics.contains(&Topic::Affected) {
        return Ok(Vec::new());
    }
    let named = plan.deployment.clone().or_else(|| {
        let is_of_service = |line: &&DeploymentLine| {
            plan.colonies.contains(&line.colony_id) && plan.services.contains(&line.service_id)
        };
        let line = sources.known.deployments.iter().find(is_of_service)?;
        Some((line.colony_id.clone(), line.deployment_id.clone()))
    });
    let Some((colony, id)) = named else { return Ok(Vec::new()) };
    let question = AffectedQuestion { id: format!("{colony}/{id}") };
    let answer = match affected(&question, sources.reader, sources.scope).await {
        Ok(answer) => answer,
        Err(AnswerError::Refused(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(vec![finding(&answer, sources)])
}

fn finding(answer: &Affected, sources: &Sources<'_>) -> Finding {
    let look = format!("{}/{}", answer.colony_id, answer.id);
    let lists = [&answer.affected, &answer.not_affected, &answer.not_known];
    let is_in_scope = |one: &&Judged| sources.plan.scope.contains(&one.colony_id);
    let counts = lists.map(|list| list.iter().filter(is_in_scope).count());
    let summary = if counts == [0; 3] && lists.iter().any(|list| !list.is_empty()) {
        format!("no neighbour of {} is in the colonies that are looked at", answer.service_id)
    } else {
        summary(&answer.service_id, counts)
    };
    let mut finding = Finding {
        rank: ranked(sources.plan, Topic::Affected, 1.2),
        key: format!("affected {look}"),
        title: format!("{}: {summary}", answer.id),
        lines: Vec::new(),
        evidence: vec![start(answer, counts)],
        advice: String::new(),
        actions: Action::look("See all neighbours", &["affected", &look]).into_iter().collect(),
    };
    for (word, neighbours) in [("affected", &answer.affected), ("not affected", &answer.not_affected)] {
        for one in neighbours.iter().filter(is_in_scope).take(NEIGHBOURS_MAX) {
            let line = format!("{} in {} is {word}: {}", one.service_id, one.colony_id, one.reason);
            finding.lines.push((line, finding.evidence.len()));
            finding.evidence.push(neighbour(one, answer, word));
        }
    }
    finding
}

/// The deployment itself.
fn start(answer: &Affected, counts: [usize; 3]) -> Evidence {
    let mut facts: Vec<Fact> = counts.iter().map(|count| Fact::Number(Quantity::Plain, *count as f64)).collect();
    facts.extend(Fact::names([&answer.id, &answer.colony_id, &answer.service_id]));
    facts.extend(TimeMs::parse_rfc3339(&answer.started_at).map(Fact::Time));
    Evidence {
        id: String::new(),
        kind: Kind::Event,
        colony_id: answer.colony_id.clone(),
        other_colony_id: None,
        description: format!("{} of {} in {}", answer.id, answer.service_id, answer.colony_id),
        query: statement(
            "SELECT DISTINCT service_id, started_at FROM deployment_timeline",
            &[("colony_id", &answer.colony_id), ("deployment_id", &answer.id)],
        ),
        data: vec![("service_id", answer.service_id.clone()), ("started_at", answer.started_at.clone())],
        facts,
        claim: Claim::Observed,
        confidence: 0.9,
        complete_to: None,
    }
}

/// The medians that its change is of, as further columns, and their values; none where no metric shows it.
fn medians(one: &Judged) -> (String, Vec<(&'static str, String)>) {
    let Some((measured, metric)) = one.measured.as_ref().zip(one.metric_name.as_ref()) else {
        return (String::new(), Vec::new());
    };
    let (medians, values) = columns(&Medians {
        names: [&one.colony_id, &one.service_id, metric],
        moment: measured.moment,
        look_minutes: measured.look_minutes,
        before: measured.before_value,
        after: measured.after_value,
    });
    ([", ", &medians].concat(), values)
}

fn neighbour(one: &Judged, answer: &Affected, word: &str) -> Evidence {
    let mut facts = Fact::names([
        &one.colony_id,
        &one.application_name,
        &one.environment,
        &one.service_id,
        &answer.id,
        &answer.service_id,
        one.metric_name.as_deref().unwrap_or_default(),
        one.correlation_id.as_deref().unwrap_or_default(),
    ]);
    facts.extend(one.events.iter().cloned().map(Fact::Name));
    facts.push(Fact::Number(Quantity::Milliseconds, (one.lag_seconds * SECOND_MS) as f64));
    for percent in [one.change, one.visible_from].into_iter().flatten() {
        facts.extend(Fact::change(Quantity::Percent, percent));
    }
    if let (Some(change), Some(metric)) = (one.change, &one.metric_name) {
        facts.push(Fact::Direction { of: metric.clone(), than: String::new(), greater: change > 0.0, worse: None });
    }
    let (medians, values) = medians(one);
    let select = |names: &str, table: &str| ["SELECT DISTINCT ", names, &medians, " FROM ", table].concat();
    let (query, mut data) = match (&one.correlation_id, one.relation) {
        (Some(id), Relation::Pattern) => (
            statement(&select("correlation_id, state", "correlations"), &[("correlation_id", id)]),
            vec![("correlation_id", id.clone()), ("state", "confirmed".to_owned())],
        ),
        (_, relation) => {
            let ends = match relation {
                Relation::CallsIt => (&one.service_id, &answer.service_id),
                _ => (&answer.service_id, &one.service_id),
            };
            (
                statement(
                    &select("from_service, to_service", "service_edges"),
                    &[("colony_id", &one.colony_id), ("from_service", ends.0), ("to_service", ends.1)],
                ),
                vec![("from_service", ends.0.clone()), ("to_service", ends.1.clone())],
            )
        }
    };
    data.extend(values);
    let change = one.change.map_or(String::new(), |change| format!(", {}", page::signed_percent(change)));
    Evidence {
        id: String::new(),
        kind: if one.relation == Relation::Pattern { Kind::Correlation } else { Kind::Metric },
        colony_id: one.colony_id.clone(),
        other_colony_id: (one.colony_id != answer.colony_id).then(|| answer.colony_id.clone()),
        description: format!("{} is {word}: {}{change}", one.service_id, one.reason),
        query,
        data,
        facts,
        claim: if word == "affected" { Claim::Changed } else { Claim::Observed },
        confidence: one.score.unwrap_or(0.5).clamp(0.5, 0.99),
        complete_to: None,
    }
}
