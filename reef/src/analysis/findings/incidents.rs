//! Events counted, as findings: what went wrong, or that nothing did.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Kind, Quantity};
use super::super::plan::Topic;
use super::{Sources, ranked};
use crate::answers::counts::{CountsQuestion, EventCount, counts};
use crate::answers::range::{Range, RangeQuestion};
use crate::answers::{AnswerError, page};
use crate::printable::shortened;
use crate::statement::{conditions, within};
use model::event::Severity;
use std::cmp::Reverse;

/// Groups of events that are told.
const GROUPS_MAX: usize = 6;
/// Characters of an event's own text.
const TEXT_MAX: usize = 120;
/// How bad an event has to be.
const LEAST: Severity = Severity::Warning;

/// The worst groups of the range.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Vec<Finding>, AnswerError> {
    let (plan, Some(range)) = (sources.plan, sources.plan.range) else { return Ok(Vec::new()) };
    let question = CountsQuestion {
        filter: plan.filter(),
        least: LEAST,
        range: RangeQuestion { from: Some(range.from), to: Some(range.to), ..RangeQuestion::default() },
    };
    if plan.colonies.is_empty() {
        return Ok(Vec::new());
    }
    let mut groups = counts(&question, sources.reader, sources.scope).await?.counts;
    groups.retain(|group| plan.takes_service(&group.service_id));
    groups.sort_by_key(|group| Reverse((group.severity, group.count, group.last)));
    let more = groups.len().saturating_sub(GROUPS_MAX);
    if groups.is_empty() && plan.topics.contains(&Topic::Incidents) {
        return Ok(vec![nothing(range, sources)]);
    }
    let mut findings: Vec<Finding> =
        groups.iter().take(GROUPS_MAX).map(|group| finding(group, range, sources)).collect();
    if let Some(last) = findings.last_mut().filter(|_| more > 0) {
        last.lines.push((format!("and {more} more groups of events"), 0));
        if let Some(evidence) = last.evidence.first_mut() {
            evidence.facts.push(Fact::Number(Quantity::Plain, more as f64));
        }
    }
    Ok(findings)
}

fn finding(group: &EventCount, range: Range, sources: &Sources<'_>) -> Finding {
    let rank = match group.severity {
        Severity::Critical => 0.7,
        Severity::Error => 0.6,
        Severity::Warning => 0.45,
        Severity::Info => 0.1,
    };
    let rank = ranked(sources.plan, Topic::Incidents, rank + (group.count as f64).log10().min(3.0) / 100.0);
    let plural = if group.count == 1 { "event" } else { "events" };
    let service = page::or_dash(&group.service_id);
    let title = format!(
        "{} {} {plural} of {service} in {}, the last at {}",
        group.count,
        group.event_type,
        group.colony_id,
        page::time(group.last)
    );
    let mut lines =
        vec![(format!("severity {}, the first at {}", group.severity.as_str(), page::time(group.first)), 0)];
    if !group.description.is_empty() {
        lines.push((format!("the colony's text of the last one: \"{}\"", shortened(&group.description, TEXT_MAX)), 0));
    }
    let look = Action::look(
        format!("See whether {} belongs to a pattern", group.event_type),
        &["correlations", "--colony", &group.colony_id],
    );
    Finding {
        rank,
        key: format!("events {} {} {}", group.colony_id, group.service_id, group.event_type),
        title,
        lines,
        evidence: vec![evidence(group, range)],
        advice: String::new(),
        actions: look.into_iter().collect(),
    }
}

fn evidence(group: &EventCount, range: Range) -> Evidence {
    let mut facts = vec![
        Fact::Number(Quantity::Plain, group.count as f64),
        Fact::Time(group.first),
        Fact::Time(group.last),
        Fact::Time(range.from),
        Fact::Time(range.to),
        Fact::Number(Quantity::Milliseconds, (range.to - range.from) as f64),
        Fact::Number(Quantity::Milliseconds, (group.last - group.first) as f64),
        Fact::Number(Quantity::Milliseconds, (range.to - group.last) as f64),
    ];
    facts.extend(Fact::names([&group.colony_id, &group.service_id, &group.event_type, group.severity.as_str()]));
    let equal = [
        ("colony_id", group.colony_id.as_str()),
        ("service_id", group.service_id.as_str()),
        ("event_type", group.event_type.as_str()),
    ];
    Evidence {
        id: String::new(),
        kind: Kind::Event,
        colony_id: group.colony_id.clone(),
        other_colony_id: None,
        description: format!(
            "{} {} of {} from {} to {}, worst severity {}",
            group.count,
            group.event_type,
            page::or_dash(&group.service_id),
            page::time(group.first),
            page::time(group.last),
            group.severity.as_str()
        ),
        query: [
            "SELECT count(DISTINCT event_id) AS events, min(timestamp) AS first_at, max(timestamp) AS last_at FROM \
             federated_events WHERE ",
            &conditions(&equal),
            COUNTED,
            &within("timestamp", range.from, range.to),
        ]
        .concat(),
        data: vec![
            ("events", group.count.to_string()),
            ("first_at", group.first.to_string()),
            ("last_at", group.last.to_string()),
        ],
        facts,
        claim: Claim::Observed,
        confidence: 0.99,
        complete_to: None,
    }
}

/// Which rows are counted.
const COUNTED: &str = " AND NOT late AND NOT withdrawn AND severity IN ('warning', 'error', 'critical') AND ";

/// That there was no such event.
fn nothing(range: Range, sources: &Sources<'_>) -> Finding {
    let colonies: Vec<&str> = sources.plan.colonies.iter().map(String::as_str).collect();
    let places = match sources.plan.environments.as_slice() {
        [] => "any colony".to_owned(),
        names => names.join(", "),
    };
    let services = &sources.plan.services;
    let of = if services.is_empty() { String::new() } else { format!(" of {}", services.join(", ")) };
    let title = format!(
        "No warning, error or critical event{of} in {places} from {} to {}",
        page::time(range.from),
        page::time(range.to)
    );
    let mut facts = vec![Fact::Number(Quantity::Plain, 0.0), Fact::Time(range.from), Fact::Time(range.to)];
    facts.extend(colonies.iter().map(|id| Fact::Name((*id).to_owned())));
    facts.extend(sources.plan.environments.iter().cloned().map(Fact::Name));
    facts.extend(services.iter().cloned().map(Fact::Name));
    let any = |column: &'static str, values: &[&str]| {
        values.iter().map(|value| conditions(&[(column, value)])).collect::<Vec<_>>().join(" OR ")
    };
    let of_services: Vec<&str> = services.iter().map(String::as_str).collect();
    let only = match services.is_empty() {
        true => String::new(),
        false => format!(" AND ({})", any("service_id", &of_services)),
    };
    let evidence = Evidence {
        id: String::new(),
        kind: Kind::Event,
        colony_id: colonies.first().copied().unwrap_or_default().to_owned(),
        other_colony_id: None,
        description: format!("0 events{of} of severity warning, error or critical"),
        query: [
            "SELECT count(DISTINCT event_id) AS events FROM federated_events WHERE (",
            &any("colony_id", &colonies),
            ")",
            &only,
            COUNTED,
            &within("timestamp", range.from, range.to),
        ]
        .concat(),
        data: vec![("events", "0".to_owned())],
        facts,
        claim: Claim::Observed,
        confidence: 0.9,
        complete_to: None,
    };
    Finding {
        rank: ranked(sources.plan, Topic::Incidents, 0.6),
        key: "events none".to_owned(),
        title,
        lines: Vec::new(),
        evidence: vec![evidence],
        advice: String::new(),
        actions: Vec::new(),
    }
}
