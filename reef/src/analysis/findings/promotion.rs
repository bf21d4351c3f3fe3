//! Whether a version may go to the next environment, as a finding: what the promotion gate says.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Kind, Quantity};
use super::super::plan::Topic;
use super::{Sources, ranked};
use crate::answers::gate::{Gate, GateQuestion, gate};
use crate::answers::{AnswerError, DeploymentLine, page};
use crate::statement::statement;
use model::version::Version;

/// Metrics of which the expected change is told.
const EXPECTED_MAX: usize = 4;

/// What the gate says of the version that is named, else of the newest one of the services that are named.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Vec<Finding>, AnswerError> {
    let plan = sources.plan;
    if !plan.topics.contains(&Topic::Promotion) {
        return Ok(Vec::new());
    }
    let Some((line, to)) = candidate(sources) else { return Ok(Vec::new()) };
    // earlier versions are learnt from in all colonies of both environments
    let mut colonies = sources.known.fleet.colonies.iter();
    let is_of_both = |environment: &str| environment == line.environment || environment == to;
    if !colonies.all(|(id, colony)| !is_of_both(&colony.environment) || plan.scope.contains(id)) {
        return Ok(Vec::new());
    }
    let question = GateQuestion {
        service: line.service_id.clone(),
        version: line.to_version.clone(),
        from: line.environment.clone(),
        to,
        application: Some(line.application_name.clone()).filter(|name| !name.is_empty()),
    };
    match gate(&question, sources.reader, sources.scope).await {
        Ok(answer) => Ok(vec![finding(&answer, line, sources)]),
        Err(AnswerError::Refused(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The deployment of the version where it runs, and the environment that it would go to.
fn candidate<'a>(sources: &Sources<'a>) -> Option<(&'a DeploymentLine, String)> {
    let plan = sources.plan;
    let is_meant = |line: &&DeploymentLine| {
        plan.scope.contains(&line.colony_id)
            && !line.service_id.is_empty()
            && !line.to_version.is_empty()
            && plan.takes_service(&line.service_id)
            && (plan.applications.is_empty() || plan.applications.contains(&line.application_name))
            && (plan.versions.is_empty()
                || plan.versions.iter().any(|version| Version::are_same(version, &line.to_version)))
    };
    // without a name it would be any version
    if plan.services.is_empty() && plan.versions.is_empty() {
        return None;
    }
    let lines = || sources.known.deployments.iter().filter(is_meant);
    let to = match plan.environments.as_slice() {
        [from, to, ..] => match lines().any(|line| line.environment == *from) {
            true => to.clone(),
            false => from.clone(),
        },
        [to] => to.clone(),
        [] => "production".to_owned(),
    };
    let from = plan.environments.iter().find(|name| **name != to);
    let line = lines().find(|line| line.environment != to && from.is_none_or(|from| line.environment == *from))?;
    Some((line, to))
}

fn finding(answer: &Gate, line: &DeploymentLine, sources: &Sources<'_>) -> Finding {
    let (from, to) = (&answer.from_environment, &answer.to_environment);
    let name = format!("{} {}", answer.service_id, page::short_version(&answer.version));
    let said = match answer.verdict {
        "pass" => "may be promoted",
        "hold" => "is better not promoted",
        _ => "cannot be judged yet for a promotion",
    };
    let mut lines = vec![(format!("verdict {}: {}", answer.verdict.replace('_', " "), answer.reason), 0)];
    let mut facts = Fact::names([
        &answer.service_id,
        &answer.version,
        &page::short_version(&answer.version),
        &answer.application_name,
        from,
        to,
        answer.verdict,
        &line.deployment_id,
        &line.colony_id,
    ]);
    facts.push(Fact::Number(Quantity::Plain, answer.pairs as f64));
    for one in answer.expected.iter().take(EXPECTED_MAX) {
        let percents = [one.change_low, one.change, one.change_high];
        lines.push((
            format!(
                "{} is expected to change by {} ({} to {})",
                one.metric_name,
                page::signed_percent(one.change),
                page::signed_percent(one.change_low),
                page::signed_percent(one.change_high)
            ),
            0,
        ));
        facts.extend(percents.into_iter().flat_map(|percent| Fact::change(Quantity::Percent, percent)));
        facts.push(Fact::Name(one.metric_name.clone()));
    }
    let evidence = Evidence {
        id: String::new(),
        kind: Kind::Event,
        colony_id: line.colony_id.clone(),
        other_colony_id: None,
        description: format!("{name} from {from} to {to}: {}", answer.verdict.replace('_', " ")),
        query: statement(
            "SELECT DISTINCT service_id, to_version FROM deployment_timeline",
            &[("colony_id", &line.colony_id), ("deployment_id", &line.deployment_id)],
        ),
        data: vec![("service_id", line.service_id.clone()), ("to_version", line.to_version.clone())],
        facts,
        claim: Claim::Observed,
        confidence: if answer.verdict == "not_enough_data" { 0.5 } else { 0.9 },
        complete_to: None,
    };
    let id = format!("{}/{}", line.colony_id, line.deployment_id);
    let version = format!("{}@{}", answer.service_id, answer.version);
    let mut judge: Vec<&str> = vec!["gate", version.as_str(), "--from", from.as_str(), "--to", to.as_str()];
    if !answer.application_name.is_empty() {
        judge.extend(["--app", answer.application_name.as_str()]);
    }
    let looks = [
        // what is expected is worked out of many rows, and has no statement
        Action::look(format!("See what {name} is expected to change in {to}"), &judge),
        Action::look(format!("See what {name} did in {from}"), &["deployment", &id]),
    ];
    Finding {
        // before all findings of other kinds: it is what the question asks for
        rank: ranked(sources.plan, Topic::Promotion, 2.0),
        key: format!("promotion {id}"),
        title: format!("{name} {said} from {from} to {to}"),
        lines,
        evidence: vec![evidence],
        advice: String::new(),
        actions: looks.into_iter().flatten().collect(),
    }
}
