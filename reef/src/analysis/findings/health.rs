//! The health of colonies as findings, as the colonies state it.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Kind, Quantity};
use super::super::plan::Topic;
use super::{Sources, ranked};
use crate::answers::AnswerError;
use crate::answers::health::{ColonyHealth, HealthQuestion, health};
use crate::statement::statement;

/// Services that are named.
const NAMED_MAX: usize = 4;

/// Colonies that are not well; all of them where the question is about health.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Vec<Finding>, AnswerError> {
    let plan = sources.plan;
    if plan.colonies.is_empty() {
        return Ok(Vec::new());
    }
    let is_asked = plan.topics.contains(&Topic::Health);
    let answer = health(&HealthQuestion { filter: plan.filter() }, sources.reader, sources.scope).await?;
    let states = &sources.known.fleet.colonies;
    // what only files or topics report states no health
    let stated =
        answer.colonies.iter().filter(|one| states.get(&one.colony_id).is_some_and(|known| known.status.is_some()));
    Ok(stated.filter(|one| is_asked || one.health != "healthy").map(|one| finding(one, sources)).collect())
}

fn finding(one: &ColonyHealth, sources: &Sources<'_>) -> Finding {
    let rank = match one.health.as_str() {
        "healthy" => 0.15,
        "degraded" => 0.5,
        "unknown" => 0.2,
        _ => 0.65,
    };
    let title = format!(
        "{} is {}: {} of {} services are healthy",
        one.colony_id, one.health, one.healthy_services, one.services
    );
    let lines =
        one.troubled.iter().take(NAMED_MAX).map(|service| (format!("{}: {}", service.service_id, service.status), 0));
    Finding {
        rank: ranked(sources.plan, Topic::Health, rank),
        key: format!("health {}", one.colony_id),
        title,
        lines: lines.collect(),
        evidence: vec![evidence(one)],
        advice: String::new(),
        actions: Action::look("See how the colonies are", &["health"]).into_iter().collect(),
    }
}

fn evidence(one: &ColonyHealth) -> Evidence {
    let share = f64::from(one.healthy_services) / f64::from(one.services.max(1)) * 100.0;
    let mut facts = vec![
        Fact::Number(Quantity::Plain, f64::from(one.healthy_services)),
        Fact::Number(Quantity::Plain, f64::from(one.services)),
        Fact::Number(Quantity::Plain, f64::from(one.services.saturating_sub(one.healthy_services))),
        Fact::Number(Quantity::Percent, share),
    ];
    facts.extend(Fact::names([&one.colony_id, &one.application_name, &one.environment, &one.health]));
    facts.extend(one.troubled.iter().flat_map(|service| Fact::names([&service.service_id, &service.status])));
    facts.extend(one.agents.map(|agents| Fact::Number(Quantity::Plain, f64::from(agents))));
    Evidence {
        id: String::new(),
        kind: Kind::Metric,
        colony_id: one.colony_id.clone(),
        other_colony_id: None,
        description: format!("{}, {} of {} services healthy", one.health, one.healthy_services, one.services),
        query: statement(
            "SELECT DISTINCT health, total_services, healthy_services FROM colony_status",
            &[("colony_id", &one.colony_id)],
        ),
        data: vec![
            ("health", one.health.clone()),
            ("total_services", one.services.to_string()),
            ("healthy_services", one.healthy_services.to_string()),
        ],
        facts,
        claim: Claim::Observed,
        confidence: 0.95,
        complete_to: None,
    }
}
