//! Metrics of two environments side by side, as findings.

use super::super::actions::Action;
use super::super::evidence::{Claim, Evidence, Fact, Finding, Kind, Quantity};
use super::super::plan::Topic;
use super::Sources;
use crate::answers::compare::{CompareQuestion, Comparison, Difference, compare};
use crate::answers::{AnswerError, page};
use crate::statement::{conditions, within};
use model::meaning::Better;
use model::time::{HOUR_MS, TimeMs, format_duration_ms};

/// Applications that are compared.
const APPLICATIONS_MAX: usize = 4;
/// Metrics beside the one that is asked for.
const OTHERS_MAX: usize = 5;
/// A difference of a metric whose direction says nothing is told from this size on, in percent.
const TOLD_PERCENT: f64 = 50.0;
/// A difference below this is called none, in percent.
const SAME_PERCENT: f64 = 5.0;
/// Before all findings of other kinds: it is what the question asks for.
const ASKED: f64 = 2.0;

/// The differences of each application that has both environments.
pub(super) async fn find(sources: &Sources<'_>) -> Result<Vec<Finding>, AnswerError> {
    let Some((a, b)) = environments(sources) else { return Ok(Vec::new()) };
    // a comparison is of the newest hours: of a range that ends before it would be about another time
    if sources.plan.range.is_some_and(|range| sources.known.now().is_some_and(|now| range.to < now)) {
        return Ok(Vec::new());
    }
    let applications = applications(sources, &a, &b);
    let mut findings = Vec::new();
    for application in applications.iter().take(APPLICATIONS_MAX) {
        let range_ms = sources.plan.range.map_or(HOUR_MS, |range| range.to - range.from);
        let question = |metric: Option<String>| CompareQuestion {
            environment_a: a.clone(),
            environment_b: b.clone(),
            metric,
            window_ms: Some(range_ms.max(HOUR_MS)),
            application: Some(application.clone()),
        };
        let metric = sources.plan.metric.clone();
        let answer = match compare(&question(metric), sources.reader, sources.scope).await {
            Err(AnswerError::Refused(_)) => compare(&question(None), sources.reader, sources.scope).await,
            other => other,
        };
        match answer {
            Ok(answer) => findings.extend(of_answer(&answer, applications.len() > 1, sources)),
            // an environment without metrics: the other findings still answer
            Err(AnswerError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

/// Which two environments are meant: those that are named, or the one that is named and its usual other one.
fn environments(sources: &Sources<'_>) -> Option<(String, String)> {
    let plan = sources.plan;
    let is_asked = plan.topics.contains(&Topic::Compare) || plan.metric.is_some();
    if !is_asked {
        return None;
    }
    if let [a, b, ..] = plan.environments.as_slice() {
        return Some((a.clone(), b.clone()));
    }
    let scoped = sources.known.fleet.colonies.iter().filter(|(id, _)| plan.scope.contains(*id));
    let known: std::collections::BTreeSet<String> =
        scoped.map(|(_, colony)| colony.environment.clone()).filter(|name| !name.is_empty()).collect();
    let usual = |other_than: &str| {
        let preferred = ["production", "staging"].into_iter().find(|name| *name != other_than && known.contains(*name));
        preferred.map(str::to_owned).or_else(|| known.iter().find(|name| *name != other_than).cloned())
    };
    let a = plan.environments.first().cloned().or_else(|| usual(""))?;
    let b = usual(&a)?;
    Some((a, b))
}

/// Applications that have both environments, and all of whose colonies there are in scope.
fn applications(sources: &Sources<'_>, a: &str, b: &str) -> Vec<String> {
    let plan = sources.plan;
    let colonies = || sources.known.fleet.colonies.iter();
    let names: std::collections::BTreeSet<&String> = colonies().map(|(_, colony)| &colony.application_name).collect();
    let fits = |name: &&&String| {
        let of = |environment: &str| {
            let mut ids = colonies()
                .filter(|(_, colony)| colony.application_name == ***name && colony.environment == environment)
                .map(|(id, _)| id)
                .peekable();
            // hours are summed by environment: one colony outside the scope would be part of the number
            ids.peek().is_some() && ids.all(|id| plan.scope.contains(id))
        };
        (plan.applications.is_empty() || plan.applications.contains(**name)) && of(a) && of(b)
    };
    names.iter().filter(fits).map(|name| (*name).clone()).collect()
}

fn of_answer(answer: &Comparison, names_application: bool, sources: &Sources<'_>) -> Vec<Finding> {
    let is_narrow = sources.plan.metric.is_some() && !answer.others.is_empty() || answer.differences.len() == 1;
    let asked_count = if is_narrow { answer.differences.len() } else { 1 };
    let all = answer.differences.iter().chain(&answer.others).enumerate();
    let mut findings = Vec::new();
    for (place, one) in all {
        let size = one.percent_change.map_or(100.0, f64::abs).min(1_000.0);
        let rank = match (place < asked_count, one.significance) {
            (true, _) => ASKED - place as f64 * 0.001,
            (false, "critical") => 0.8 + size / 10_000.0,
            (false, "warning") => 0.6 + size / 10_000.0,
            (false, _) if size >= TOLD_PERCENT => 0.5 + size / 10_000.0,
            _ => continue,
        };
        if findings.len() >= asked_count + OTHERS_MAX {
            break;
        }
        let mut finding = finding(one, answer, (rank, place < asked_count), sources);
        if names_application {
            finding.title = format!("{}: {}", answer.application_name, finding.title);
        }
        if place == 0 {
            finding.advice = answer.recommendation.clone();
        }
        findings.push(finding);
    }
    findings
}

fn finding(one: &Difference, answer: &Comparison, (rank, is_asked): (f64, bool), sources: &Sources<'_>) -> Finding {
    let (a, b) = (&answer.environment_a, &answer.environment_b);
    let unit = one.meaning.unit;
    let (shown_a, shown_b) = (unit.shown(one.value_a), unit.shown(one.value_b));
    let is_same = one.percent_change.is_some_and(|percent| percent.abs() < SAME_PERCENT);
    let way = if one.value_a > one.value_b { "higher" } else { "lower" };
    let capital = page::capital(a);
    let size = one.percent_change.map_or(String::new(), |percent| format!("{:.1}% ", percent.abs()));
    let title = match (is_asked, is_same) {
        (true, true) => {
            format!("{capital} {} (p95) is about the same as {b}: {shown_a} against {shown_b}", one.metric_name)
        }
        (true, false) => {
            format!("{capital} {} (p95) is {size}{way} than {b}: {shown_a} against {shown_b}", one.metric_name)
        }
        (false, _) => format!("{capital} has {size}{way} {} than {b}", one.metric_name),
    };
    let hours = match one.meaning.better {
        Better::Unknown => format!("{way} or equal over {} common hours", one.hours),
        _ => format!("worse in {} of {} common hours", one.hours_worse, one.hours),
    };
    let evidence = evidence(one, answer, sources);
    // the title of what is asked for has the values
    let mut lines = match is_asked {
        true => Vec::new(),
        false => vec![(format!("{capital}: {shown_a}"), 0), (format!("{}: {shown_b}", page::capital(b)), 0)],
    };
    if one.hours_worse > 0 && one.meaning.better != Better::Unknown {
        lines.push((hours, 0));
    }
    let look: [&str; 7] = ["compare", a, b, "--metric", &one.metric_name, "--app", &answer.application_name];
    Finding {
        rank,
        key: format!("compare {} {}", answer.application_name, one.metric_name),
        title,
        lines,
        evidence: vec![evidence],
        advice: String::new(),
        actions: Action::look(format!("Compare {} of {a} and {b}", one.metric_name), &look).into_iter().collect(),
    }
}

fn evidence(one: &Difference, answer: &Comparison, sources: &Sources<'_>) -> Evidence {
    let (a, b) = (&answer.environment_a, &answer.environment_b);
    let colony = |environment: &str| {
        let colonies = sources.known.fleet.colonies.iter();
        colonies
            .filter(|(_, colony)| {
                colony.environment == environment && colony.application_name == answer.application_name
            })
            .map(|(id, _)| id.clone())
            .next()
    };
    let unit = one.meaning.unit;
    let (quantity, value_a) = Quantity::of(unit, one.value_a);
    let (_, value_b) = Quantity::of(unit, one.value_b);
    let mut facts = vec![
        Fact::Number(quantity, value_a),
        Fact::Number(quantity, value_b),
        Fact::Pair { quantity, first: (a.clone(), value_a), second: (b.clone(), value_b) },
        Fact::Number(Quantity::Plain, one.hours as f64),
        Fact::Number(Quantity::Plain, one.hours_worse as f64),
        Fact::Direction {
            of: a.clone(),
            than: b.clone(),
            greater: one.value_a > one.value_b,
            worse: match one.meaning.better {
                Better::Lower => Some(one.value_a > one.value_b),
                Better::Higher => Some(one.value_a < one.value_b),
                Better::Unknown => None,
            },
        },
    ];
    facts.extend(Fact::change(quantity, value_a - value_b));
    if let Some(percent) = one.percent_change {
        facts.extend(Fact::change(Quantity::Percent, percent));
    }
    if one.value_b != 0.0 {
        facts.push(Fact::Number(Quantity::Plain, one.value_a / one.value_b));
    }
    let times = [&answer.from, &answer.to].map(|text| TimeMs::parse_rfc3339(text));
    if let [Some(from), Some(to)] = times {
        facts.extend([Fact::Time(from), Fact::Time(to), Fact::Number(Quantity::Milliseconds, (to - from) as f64)]);
    }
    facts.extend(Fact::names([a, b, &answer.application_name, &one.metric_name]));
    let (colony_a, colony_b) = (colony(a).unwrap_or_default(), colony(b));
    facts.extend(Fact::names([&colony_a, colony_b.as_deref().unwrap_or_default()]));
    let percent = one.percent_change.map_or(String::new(), |percent| format!(", {}", page::signed_percent(percent)));
    let window = times[0].zip(times[1]).map_or(String::new(), |(from, to)| format_duration_ms(to - from));
    let share = one.hours_worse as f64 / one.hours.max(1) as f64;
    Evidence {
        id: String::new(),
        kind: Kind::Metric,
        colony_id: colony_a,
        other_colony_id: colony_b,
        description: format!(
            "{} of {}: {} in {a}, {} in {b}{percent}, over {} common hours of the last {window}",
            one.metric_name,
            answer.application_name,
            unit.shown(one.value_a),
            unit.shown(one.value_b),
            one.hours
        ),
        query: query(one, answer, times),
        data: vec![
            ("value_a", one.value_a.to_string()),
            ("value_b", one.value_b.to_string()),
            ("hours", one.hours.to_string()),
        ],
        facts,
        claim: Claim::Observed,
        // of few hours, or of hours that disagree, little can be said
        confidence: match (one.hours, one.significance) {
            (..6, _) => 0.5,
            (_, "info") => 0.9,
            _ => share.clamp(0.5, 0.99),
        },
        complete_to: None,
    }
}

/// The weighted means over the hours that both sides have.
fn query(one: &Difference, answer: &Comparison, times: [Option<TimeMs>; 2]) -> String {
    let range = match times {
        [Some(from), Some(to)] => [" AND ", &within("hour", from, to)].concat(),
        _ => String::new(),
    };
    let side = |environment: &str| {
        let equal = [
            ("application_name", answer.application_name.as_str()),
            ("environment", environment),
            ("metric_name", one.metric_name.as_str()),
        ];
        [
            "(SELECT DISTINCT hour, mean_p95, CASE WHEN total_samples > 0 THEN total_samples ELSE greatest(points, 1) END AS \
             weight FROM env_metric_summary WHERE mean_p95 IS NOT NULL AND ",
            &conditions(&equal),
            &range,
            ")",
        ]
        .concat()
    };
    [
        "SELECT sum(a.mean_p95 * a.weight) / sum(a.weight) AS value_a, sum(b.mean_p95 * b.weight) / sum(b.weight) AS \
         value_b, count(*) AS hours FROM ",
        &side(&answer.environment_a),
        " AS a JOIN ",
        &side(&answer.environment_b),
        " AS b ON a.hour = b.hour",
    ]
    .concat()
}
