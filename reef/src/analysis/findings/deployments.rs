//! Deployments as findings: what was deployed, what it did to its service, what followed.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Kind, Quantity};
use super::super::plan::Topic;
use super::medians::{Medians, columns};
use super::{Sources, Told, ranked};
use crate::answers::deployment::{Deployment, DeploymentQuestion, Incident, deployment};
use crate::answers::{AnswerError, DeploymentLine, page};
use crate::impact::windows::Moment;
use crate::impact::{Impact, MetricImpact};
use crate::printable::printable;
use crate::statement::statement;
use model::meaning::Better;
use model::time::{MINUTE_MS, TimeMs, format_duration_ms};

/// Deployments that are looked at, the newest first.
const DEPLOYMENTS_MAX: usize = 4;
/// Metrics of one that are told.
const CHANGES_MAX: usize = 3;
/// Incidents of one that are told.
const INCIDENTS_MAX: usize = 3;

/// The deployment that is named, and the newest of the range.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Told, AnswerError> {
    let (plan, Some(range)) = (sources.plan, sources.plan.range) else { return Ok(Told::default()) };
    let is_named = |line: &DeploymentLine| {
        plan.deployment.as_ref().is_some_and(|(colony, id)| *colony == line.colony_id && *id == line.deployment_id)
    };
    let lines = sources.known.deployments.iter();
    let mut wanted: Vec<&DeploymentLine> = lines
        .filter(|line| {
            let is_near = plan.colonies.contains(&line.colony_id) && plan.takes_service(&line.service_id);
            is_named(line) || is_near && line.start < range.to && line.end.unwrap_or(range.to) >= range.from
        })
        .collect();
    wanted.sort_by_key(|line| (!is_named(line), place_of(line)));
    let left_out = wanted.len().saturating_sub(DEPLOYMENTS_MAX);
    let mut findings = Vec::new();
    for line in wanted.into_iter().take(DEPLOYMENTS_MAX) {
        let question = DeploymentQuestion { id: format!("{}/{}", line.colony_id, line.deployment_id) };
        let answer = match deployment(&question, sources.reader, sources.scope).await {
            Ok(answer) => answer,
            Err(AnswerError::Refused(_)) => continue,
            Err(error) => return Err(error),
        };
        findings.push(finding(&answer, line, is_named(line), sources));
    }
    Ok(Told { findings, left_out })
}

/// Those that went wrong come first, as far as it is stored; the newest of them first.
fn place_of(line: &DeploymentLine) -> u8 {
    match (line.verdict.as_deref(), line.status.as_str()) {
        (Some("failed"), _) => 0,
        (Some("degraded"), _) | (_, "failed" | "rolled_back") => 1,
        _ => 2,
    }
}

fn finding(answer: &Deployment, line: &DeploymentLine, is_named: bool, sources: &Sources<'_>) -> Finding {
    let metrics = &answer.impact.metrics;
    let verdict = metrics.verdict.as_str();
    let rank = match verdict {
        "failed" => 0.9,
        "degraded" => 0.75,
        "pending" => 0.4,
        _ => 0.3,
    };
    let rank = ranked(sources.plan, Topic::Deployments, rank) + if is_named { 1.0 } else { 0.0 };
    let name = name_of(line);
    let mut finding = Finding {
        rank,
        key: format!("deployment {} {}", line.colony_id, line.deployment_id),
        title: format!("{name} was deployed to {} at {}: {verdict}", line.place(), page::time(line.start)),
        lines: vec![(format!("status {}, {}", line.status.replace('_', " "), metrics.verdict_reason), 0)],
        evidence: vec![row(line, answer, sources)],
        // of what is not judged yet there is nothing to recommend
        advice: if verdict == "pending" { String::new() } else { answer.recommendation.clone() },
        actions: actions(line, verdict),
    };
    let told = metrics.changes.iter().filter(|change| change.significance != "none").take(CHANGES_MAX);
    for change in told {
        finding.lines.push((shown(change), finding.evidence.len()));
        finding.evidence.push(changed(change, line, metrics));
    }
    for incident in answer.impact.incidents.iter().take(INCIDENTS_MAX) {
        if !sources.plan.scope.contains(&incident.colony_id) {
            continue;
        }
        finding.lines.push((followed(incident), finding.evidence.len()));
        finding.evidence.push(of_incident(incident, line));
    }
    finding
}

/// `api v2.1.0`, as far as it is known.
fn name_of(line: &DeploymentLine) -> String {
    let what = if line.service_id.is_empty() { &line.application_name } else { &line.service_id };
    match line.to_version.as_str() {
        "" => what.clone(),
        version => format!("{what} {}", page::short_version(version)),
    }
}

fn actions(line: &DeploymentLine, verdict: &str) -> Vec<Action> {
    let id = format!("{}/{}", line.colony_id, line.deployment_id);
    let mut actions: Vec<Action> = [
        Action::look(format!("See what {} did", name_of(line)), &["deployment", &id]),
        Action::look("See which neighbours it affects", &["affected", &id]),
    ]
    .into_iter()
    .flatten()
    .collect();
    let is_bad = verdict == "failed" || verdict == "degraded";
    if is_bad && line.status != "rolled_back" && !line.from_version.is_empty() {
        let (name, before) = (printable(&name_of(line)), printable(&page::short_version(&line.from_version)));
        actions.push(Action::change(format!("Roll {name} in {} back to {before}", printable(line.place()))));
    }
    actions
}

/// What every evidence about a deployment may name.
fn facts_of(line: &DeploymentLine) -> Vec<Fact> {
    // what the version before did is no matter of this deployment
    let to = page::short_version(&line.to_version);
    let mut facts = Fact::names([
        &line.colony_id,
        &line.deployment_id,
        &line.application_name,
        &line.environment,
        &line.service_id,
        &line.to_version,
        &to,
    ]);
    facts.push(Fact::Time(line.start));
    facts.extend(line.end.map(Fact::Time));
    facts.extend(line.duration_seconds.map(|seconds| Fact::Number(Quantity::Milliseconds, seconds as f64 * 1_000.0)));
    facts
}

/// How many incidents followed it in the colonies that may be looked at; none where only some of all are listed, and those
/// of other colonies are among them.
fn followers(answer: &Deployment, sources: &Sources<'_>) -> Option<usize> {
    let impact = &answer.impact;
    let in_scope = impact.incidents.iter().filter(|one| sources.plan.scope.contains(&one.colony_id)).count();
    let is_whole = sources.known.fleet.colonies.keys().all(|id| sources.plan.scope.contains(id));
    match impact.incidents.len() == impact.incidents_total {
        true => Some(in_scope),
        false => is_whole.then_some(impact.incidents_total),
    }
}

/// Its row of the timeline.
fn row(line: &DeploymentLine, answer: &Deployment, sources: &Sources<'_>) -> Evidence {
    let mut facts = facts_of(line);
    let impact = &answer.impact;
    facts.extend(Fact::names([&line.from_version, &page::short_version(&line.from_version)]));
    facts.extend(followers(answer, sources).map(|count| Fact::Number(Quantity::Plain, count as f64)));
    facts.extend(Fact::names([impact.metrics.verdict.as_str(), &line.status]));
    facts.extend(
        impact.metrics.look_minutes.map(|minutes| Fact::Number(Quantity::Milliseconds, (minutes * MINUTE_MS) as f64)),
    );
    Evidence {
        id: String::new(),
        kind: Kind::Event,
        colony_id: line.colony_id.clone(),
        other_colony_id: None,
        description: format!(
            "deployment {} of {} ({}) in {} at {}: {}, verdict {}",
            line.deployment_id,
            name_of(line),
            line.shown_versions(),
            line.place(),
            page::time(line.start),
            line.status.replace('_', " "),
            impact.metrics.verdict.as_str()
        ),
        query: statement(
            "SELECT DISTINCT service_id, from_version, to_version, status, started_at FROM deployment_timeline",
            &[("colony_id", &line.colony_id), ("deployment_id", &line.deployment_id)],
        ),
        data: vec![
            ("service_id", line.service_id.clone()),
            ("from_version", line.from_version.clone()),
            ("to_version", line.to_version.clone()),
            ("status", line.status.clone()),
            ("started_at", line.started_at.clone()),
        ],
        facts,
        claim: Claim::Observed,
        confidence: 0.99,
        complete_to: None,
    }
}

/// `latency 180ms → 207ms (+15.0%, warning)`.
fn shown(change: &MetricImpact) -> String {
    let unit = change.meaning.unit;
    let percent = change.percent_change.map_or(String::new(), |percent| format!("{}, ", page::signed_percent(percent)));
    let (before, after) = (unit.shown(change.before_value), unit.shown(change.after_value));
    format!("{} {before} → {after} ({percent}{})", change.metric_name, change.significance)
}

fn changed(change: &MetricImpact, line: &DeploymentLine, metrics: &Impact) -> Evidence {
    let unit = change.meaning.unit;
    let mut facts = facts_of(line);
    let (quantity, before) = Quantity::of(unit, change.before_value);
    let after = Quantity::of(unit, change.after_value).1;
    facts.extend([before, after].map(|value| Fact::Number(quantity, value)));
    facts.extend(Fact::change(quantity, Quantity::of(unit, change.change).1));
    facts.push(Fact::Pair { quantity, first: (String::new(), before), second: (String::new(), after) });
    facts.extend(change.percent_change.into_iter().flat_map(|percent| Fact::change(Quantity::Percent, percent)));
    if change.before_value != 0.0 {
        facts.push(Fact::Number(Quantity::Plain, change.after_value / change.before_value));
    }
    facts.extend(Fact::names([&change.metric_name, &change.service_id]));
    let greater = change.change > 0.0;
    facts.push(Fact::Direction {
        of: change.metric_name.clone(),
        than: String::new(),
        greater,
        worse: match change.meaning.better {
            Better::Lower => Some(greater),
            Better::Higher => Some(!greater),
            Better::Unknown => None,
        },
    });
    let look_minutes = metrics.look_minutes.unwrap_or(0);
    let look_ms = look_minutes * MINUTE_MS;
    let (medians, data) = columns(&Medians {
        names: [&line.colony_id, &change.service_id, &change.metric_name],
        moment: Moment { start: line.start, end: line.end.unwrap_or(line.start) },
        look_minutes,
        before: change.before_value,
        after: change.adjusted_for.is_empty().then_some(change.after_value),
    });
    facts.push(Fact::Number(Quantity::Milliseconds, look_ms as f64));
    Evidence {
        id: String::new(),
        kind: Kind::Metric,
        colony_id: line.colony_id.clone(),
        other_colony_id: None,
        description: format!(
            "{} of {} in the {} after {}: {}",
            change.metric_name,
            change.service_id,
            format_duration_ms(look_ms),
            line.deployment_id,
            shown(change)
        ),
        query: ["SELECT ", &medians].concat(),
        data,
        facts,
        claim: Claim::Changed,
        confidence: (1.0 - change.q_value).clamp(0.0, 0.999),
        complete_to: None,
    }
}

/// `error_spike spike-1 15m after it (pattern c-…)`.
fn followed(incident: &Incident) -> String {
    let after = format_duration_ms(incident.seconds_after * 1_000);
    let by = match &incident.correlation_id {
        Some(id) => format!("pattern {id}"),
        None => "in time only".to_owned(),
    };
    format!("{} {} {after} after it ({by})", incident.event_type, incident.event_id)
}

fn of_incident(incident: &Incident, line: &DeploymentLine) -> Evidence {
    let mut facts = facts_of(line);
    facts.push(Fact::Number(Quantity::Milliseconds, incident.seconds_after as f64 * 1_000.0));
    facts.extend(TimeMs::parse_rfc3339(&incident.occurred_at).map(Fact::Time));
    let pattern = incident.correlation_id.as_deref().unwrap_or_default();
    facts.extend(Fact::names([
        &incident.event_id,
        &incident.event_type,
        &incident.service_id,
        &incident.colony_id,
        pattern,
    ]));
    facts.extend(incident.correlation_score.map(|score| Fact::Number(Quantity::Plain, score)));
    facts.push(Fact::order([&line.deployment_id, ""], [&incident.event_id, &incident.event_type], true));
    Evidence {
        id: String::new(),
        kind: Kind::Event,
        colony_id: incident.colony_id.clone(),
        other_colony_id: (incident.colony_id != line.colony_id).then(|| line.colony_id.clone()),
        description: format!("{} after {}", followed(incident), line.deployment_id),
        query: statement(
            "SELECT DISTINCT event_type, service_id, timestamp FROM federated_events",
            &[("colony_id", &incident.colony_id), ("event_id", &incident.event_id)],
        ),
        data: vec![
            ("event_type", incident.event_type.clone()),
            ("service_id", incident.service_id.clone()),
            ("timestamp", incident.occurred_at.clone()),
        ],
        facts,
        // only a confirmed pattern says more than that one came after the other
        claim: if incident.correlation_id.is_some() { Claim::Follows } else { Claim::Observed },
        confidence: incident.correlation_score.unwrap_or(0.5).clamp(0.0, 0.999),
        complete_to: None,
    }
}
