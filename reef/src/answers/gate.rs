//! The promotion gate: what a version is expected to change in the next environment, learnt from how earlier versions of the
//! service did in both.

use super::completeness::Completeness;
use super::fleet::{Fleet, Scope};
use super::names;
use super::page;
use super::refusal::{AnswerError, Refusal};
use super::timeline::{self, DeploymentLine};
use super::watch::{impact_on, is_near, siblings_of};
use crate::impact::verdict::{EFFECTIVE_MIN, TOLERANCE, direction, is_critical};
use crate::impact::windows::LOOKS_MIN;
use crate::impact::{Impact, MetricImpact, Verdict};
use crate::printable::printable;
use model::meaning::Meaning;
use model::version::Version;
use serde::{Deserialize, Serialize};
use sinks::{SinkError, StoreReader};
use std::collections::{BTreeMap, BTreeSet};

/// Earlier versions that are used, the newest ones.
const PAIRS_MAX: usize = 10;
/// Earlier versions whose metrics are read: of old ones they may be deleted.
const TRIED_MAX: usize = 2 * PAIRS_MAX;
/// Fewest earlier versions of which a metric is known in both environments.
const PAIRS_MIN: usize = 3;
/// Student's t, two-sided 95 %, with 2 to 9 degrees of freedom.
const T_95: [f64; PAIRS_MAX - 2] = [4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/// What is to be promoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateQuestion {
    /// The service.
    pub service: String,
    /// Its version.
    pub version: String,
    /// The environment in which it runs.
    pub from: String,
    /// The environment that it would go to.
    pub to: String,
    /// The application, where several have the service.
    pub application: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// `pass`, `hold` or `not_enough_data`.
    pub verdict: &'static str,
    /// Why.
    pub reason: String,
    /// What is expected, those that decide first.
    pub expected: Vec<Expected>,
    /// Latency and error metrics that the verdict says nothing about; none while the version itself is not judged.
    pub not_judged: Vec<NotJudged>,
    /// Earlier versions that were judged in both environments.
    pub pairs: usize,
    /// These versions, the newest first.
    pub versions: Vec<String>,
    /// The application.
    pub application_name: String,
    /// The service.
    pub service_id: String,
    /// The version.
    pub version: String,
    /// The environment in which it runs.
    pub from_environment: String,
    /// The environment that it would go to.
    pub to_environment: String,
    /// Its deployment in the first environment.
    pub deployment_id: Option<String>,
    /// What the answer is complete to: the two environments, and the colonies whose changes its verdicts subtract.
    pub completeness: Completeness,
}

/// The expected change of one metric, in percent of its value before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expected {
    /// The metric.
    pub metric_name: String,
    /// Low end of the 95 % interval.
    pub change_low: f64,
    /// What is expected.
    pub change: f64,
    /// High end of the interval.
    pub change_high: f64,
    /// What the version changed in the first environment.
    pub change_so_far: f64,
    /// Earlier versions that this is learnt from.
    pub pairs: usize,
    /// Whether the verdict depends on it: latency and errors.
    pub decides: bool,
    #[serde(skip)]
    meaning: Meaning,
}

/// A latency or error metric of which no change can be expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    /// The metric.
    pub metric_name: String,
    /// Why.
    pub reason: String,
}

/// Relative changes by metric.
type Changes = BTreeMap<String, (f64, Meaning)>;

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown or several applications.
pub async fn gate(question: &GateQuestion, reader: &dyn StoreReader, scope: &Scope) -> Result<Gate, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let environments = fleet.environments();
    let environment = |given: &str, field: &str| {
        names::resolve("environment", given, &environments).map_err(|refusal| refusal.at(field))
    };
    let from = environment(&question.from, "from_environment")?;
    let to = environment(&question.to, "to_environment")?;
    if from == to {
        return Err(Refusal::invalid(format!("both environments are {from}"), "name two").at("to_environment").into());
    }
    let mut lines = timeline::read(reader).await?;
    lines.iter_mut().for_each(|line| line.identify(fleet.identity(&line.colony_id)));
    let (application, service) = service_of(question, &lines)?;
    // the newest first, as the timeline is
    let of_service: Vec<&DeploymentLine> = lines
        .iter()
        .filter(|line| line.application_name == application && line.service_id == service && line.kind != "rollback")
        .collect();
    let is_version = |line: &DeploymentLine| Version::are_same(&line.to_version, &question.version);
    if !of_service.iter().any(|line| is_version(line)) {
        names::check(&question.version).map_err(|refusal| refusal.at("version"))?;
        let known =
            of_service.iter().map(|line| line.to_version.clone()).filter(|version| !version.is_empty()).collect();
        let message = format!("{service} {} has never been deployed", question.version);
        let hint = names::near_hint("version", &question.version, &known);
        return Err(Refusal::not_found(message, hint).at("version").into());
    }
    let places = Places { lines: &lines, of_service: &of_service, fleet: &fleet, scope, reader };
    let candidate = of_service.iter().find(|line| line.environment == from && is_version(line)).copied();
    let so_far = match candidate {
        Some(line) => Some(places.impact(line).await?),
        None => None,
    };
    let pairs = places.pairs((&from, &to), (&question.version, candidate)).await?;
    let expected = so_far.as_ref().map_or(Vec::new(), |impact| expected(&sure_changes(impact), &pairs));
    let not_judged = so_far.as_ref().map_or(Vec::new(), |impact| not_judged(&from, impact, &expected, &pairs));
    let (verdict, reason) = verdict((&from, &question.version), so_far.as_ref(), (&expected, &not_judged), pairs.len());
    let judged = candidate.into_iter().chain(pairs.iter().flat_map(|pair| pair.lines));
    let siblings = siblings_of(judged, &lines, &fleet);
    let completeness = Completeness::of(&fleet, |id, colony| {
        let is_asked = colony.environment == from || colony.environment == to;
        (colony.application_name == application && is_asked) || siblings.contains(id)
    });
    Ok(Gate {
        verdict,
        reason,
        expected,
        not_judged,
        pairs: pairs.len(),
        versions: pairs.into_iter().map(|pair| pair.version).collect(),
        application_name: application,
        service_id: service,
        version: candidate.map_or_else(|| question.version.clone(), |line| line.to_version.clone()),
        from_environment: from,
        to_environment: to,
        deployment_id: candidate.map(|line| line.deployment_id.clone()),
        completeness,
    })
}

/// The application and the service that are meant.
fn service_of(question: &GateQuestion, lines: &[DeploymentLine]) -> Result<(String, String), Refusal> {
    let services: BTreeSet<String> = lines.iter().map(|line| line.service_id.clone()).collect();
    let service =
        names::resolve("deployed service", &question.service, &services).map_err(|refusal| refusal.at("service_id"))?;
    let of_service = lines.iter().filter(|line| line.service_id == service);
    let applications: BTreeSet<String> = of_service.map(|line| line.application_name.clone()).collect();
    if let Some(given) = &question.application {
        let named = names::resolve("application", given, &applications);
        return Ok((named.map_err(|refusal| refusal.at("application_name"))?, service));
    }
    let names: Vec<&str> = applications.iter().map(String::as_str).collect();
    match names.as_slice() {
        [one] => Ok(((*one).to_owned(), service)),
        several => {
            let hint = format!("name one with --app: {}", several.join(", "));
            let message = format!("several applications have a service {service}");
            Err(Refusal::ambiguous(message, hint).at("application_name"))
        }
    }
}

/// An earlier version in both environments.
struct Pair<'a> {
    version: String,
    /// Its deployments in both.
    lines: [&'a DeploymentLine; 2],
    from: Changes,
    to: Changes,
}

struct Places<'a> {
    lines: &'a [DeploymentLine],
    of_service: &'a [&'a DeploymentLine],
    fleet: &'a Fleet,
    scope: &'a Scope,
    reader: &'a dyn StoreReader,
}

impl Places<'_> {
    async fn impact(&self, line: &DeploymentLine) -> Result<Impact, SinkError> {
        impact_on(line, self.lines, (self.fleet, self.scope), self.reader).await
    }

    /// Earlier versions that were deployed in both environments, in this order, and judged at the last look in both.
    async fn pairs(
        &self,
        environments: (&str, &str),
        candidate: (&str, Option<&DeploymentLine>),
    ) -> Result<Vec<Pair<'_>>, SinkError> {
        let mut pairs: Vec<Pair<'_>> = Vec::new();
        for (first, later) in self.earlier(environments, candidate).into_iter().take(TRIED_MAX) {
            let (before, after) = (self.impact(first).await?, self.impact(later).await?);
            if is_final(&before) && is_final(&after) {
                let (version, lines) = (later.to_version.clone(), [first, later]);
                pairs.push(Pair { version, lines, from: changes(&before), to: changes(&after) });
            }
            if pairs.len() == PAIRS_MAX {
                break;
            }
        }
        Ok(pairs)
    }

    /// Each version's deployments in both environments, the newest version first. Of the first environment only those before
    /// the candidate's.
    fn earlier(
        &self,
        (from, to): (&str, &str),
        (candidate, deployed): (&str, Option<&DeploymentLine>),
    ) -> Vec<(&DeploymentLine, &DeploymentLine)> {
        let is_earlier = |line: &DeploymentLine| deployed.is_none_or(|candidate| line.start < candidate.start);
        let is_usable = |line: &DeploymentLine| {
            line.end.is_some() && line.status != "failed" && !line.to_version.is_empty() && !self.is_disturbed(line)
        };
        let mut found: Vec<(&DeploymentLine, &DeploymentLine)> = Vec::new();
        for later in self.of_service.iter().copied().filter(|line| line.environment == to) {
            let is_same = |version: &str| Version::are_same(version, &later.to_version);
            if is_same(candidate) || found.iter().any(|(_, known)| is_same(&known.to_version)) || !is_usable(later) {
                continue;
            }
            let mut before =
                self.of_service.iter().copied().filter(|line| line.environment == from && is_earlier(line));
            let first = before.find(|line| line.start < later.start && is_same(&line.to_version) && is_usable(line));
            found.extend(first.map(|first| (first, later)));
        }
        found
    }

    /// Whether its windows may be those of another version as well: of another deployment of the service, or of the version
    /// that a rollback put back. A version that was rolled back at an unknown time is disturbed too. One that was rolled
    /// back later is not: without it, production would seem better than it is.
    fn is_disturbed(&self, line: &DeploymentLine) -> bool {
        let mut of_service = self.lines.iter().filter(|other| other.service_id == line.service_id);
        let puts_back = |other: &DeploymentLine| {
            other.kind == "rollback"
                && other.colony_id == line.colony_id
                && other.start >= line.start
                && Version::are_same(&other.from_version, &line.to_version)
        };
        let is_back_at_unknown_time = line.status == "rolled_back" && !of_service.clone().any(puts_back);
        is_back_at_unknown_time || of_service.any(|other| is_near(line, other))
    }
}

fn is_final(impact: &Impact) -> bool {
    impact.look_minutes == LOOKS_MIN.last().copied()
}

/// In percent of the value before. Where that is 0 there is none.
fn changes(impact: &Impact) -> Changes {
    let of_metric = |one: &MetricImpact| Some((one.metric_name.clone(), (one.percent_change?, one.meaning)));
    impact.changes.iter().filter_map(of_metric).collect()
}

/// Those of metrics with enough independent points: the interval allows for noise only as far as earlier versions had it.
fn sure_changes(impact: &Impact) -> Changes {
    let is_sure = |name: &String| {
        impact.changes.iter().any(|one| one.metric_name == *name && one.effective_points >= EFFECTIVE_MIN)
    };
    changes(impact).into_iter().filter(|(name, _)| is_sure(name)).collect()
}

/// What the version changed so far, and on top of it how much more or less than before earlier versions changed in the next
/// environment: the mean of these differences with the interval for one more of them.
fn expected(so_far: &Changes, pairs: &[Pair<'_>]) -> Vec<Expected> {
    let mut expected = Vec::new();
    for (metric_name, (change_so_far, meaning)) in so_far {
        let both = |pair: &Pair<'_>| Some(pair.to.get(metric_name)?.0 - pair.from.get(metric_name)?.0);
        let differences: Vec<f64> = pairs.iter().filter_map(both).collect();
        if differences.len() < PAIRS_MIN {
            continue;
        }
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        let half = T_95[differences.len() - PAIRS_MIN] * deviation * (1.0 + 1.0 / count).sqrt();
        let change = change_so_far + mean;
        expected.push(Expected {
            metric_name: metric_name.clone(),
            change_low: change - half,
            change,
            change_high: change + half,
            change_so_far: *change_so_far,
            pairs: differences.len(),
            decides: decides(*meaning),
            meaning: *meaning,
        });
    }
    expected.sort_by(|a, b| (!a.decides, &a.metric_name).cmp(&(!b.decides, &b.metric_name)));
    expected
}

fn decides(meaning: Meaning) -> bool {
    is_critical(meaning.family) && direction(meaning).is_some()
}

/// The deciding metrics of which nothing is expected, by name.
fn not_judged(from: &str, impact: &Impact, expected: &[Expected], pairs: &[Pair<'_>]) -> Vec<NotJudged> {
    if !is_final(impact) {
        return Vec::new();
    }
    let count =
        |name: &str| pairs.iter().filter(|pair| pair.from.contains_key(name) && pair.to.contains_key(name)).count();
    let mut reasons: BTreeMap<&str, String> = BTreeMap::new();
    // the version may have fewer metrics than earlier ones
    for (name, (_, meaning)) in pairs.iter().flat_map(|pair| pair.from.iter().chain(&pair.to)) {
        if decides(*meaning) {
            reasons.insert(name, format!("too few values in {from}"));
        }
    }
    for one in impact.changes.iter().filter(|one| decides(one.meaning)) {
        let reason = match one.percent_change {
            None => format!("it was 0 in {from} before"),
            Some(_) if one.effective_points < EFFECTIVE_MIN => {
                format!("fewer than {EFFECTIVE_MIN} independent points in {from}")
            }
            Some(_) => {
                let known = count(&one.metric_name);
                format!("{known} earlier versions have a change of it in both environments, {PAIRS_MIN} are needed")
            }
        };
        reasons.insert(&one.metric_name, reason);
    }
    for one in expected {
        reasons.remove(one.metric_name.as_str());
    }
    let named = |(name, reason): (&str, String)| NotJudged { metric_name: name.to_owned(), reason };
    reasons.into_iter().map(named).collect()
}

impl Expected {
    /// The worse end of the interval, in percent; positive where it is worse than before.
    fn worst(&self) -> f64 {
        match direction(self.meaning) {
            Some(sign) if sign < 0.0 => -self.change_low,
            _ => self.change_high,
        }
    }

    /// `latency: expected +3.1%, 95% interval -2.0% to +8.2%`.
    fn shown(&self) -> String {
        let percent = page::signed_percent;
        let (low, high) = (percent(self.change_low), percent(self.change_high));
        format!("{}: expected {}, 95% interval {low} to {high}", self.metric_name, percent(self.change))
    }
}

fn verdict(
    (from, version): (&str, &str),
    so_far: Option<&Impact>,
    (expected, not_judged): (&[Expected], &[NotJudged]),
    pairs: usize,
) -> (&'static str, String) {
    let Some(impact) = so_far else {
        return ("not_enough_data", format!("{version} has not been deployed in {from}"));
    };
    if matches!(impact.verdict, Verdict::Failed | Verdict::Degraded) {
        let verdict = impact.verdict.as_str();
        return ("hold", format!("its deployment in {from} is {verdict}: {}", impact.verdict_reason));
    }
    if impact.verdict == Verdict::Pending {
        return ("not_enough_data", format!("its deployment in {from} is not judged: {}", impact.verdict_reason));
    }
    if !is_final(impact) {
        let last = LOOKS_MIN[LOOKS_MIN.len() - 1];
        return ("not_enough_data", format!("it has not been watched in {from} for {last} minutes after its end"));
    }
    let deciding: Vec<&Expected> = expected.iter().filter(|one| one.decides).collect();
    if deciding.is_empty() {
        let needed =
            format!("{PAIRS_MIN} earlier versions with a latency or error metric in both environments are needed");
        return ("not_enough_data", format!("{needed}; {pairs} were judged in both"));
    }
    let limit = TOLERANCE * 100.0;
    let too_bad = deciding.iter().filter(|one| one.worst() >= limit);
    if let Some(worst) = too_bad.max_by(|a, b| a.worst().total_cmp(&b.worst())) {
        return ("hold", format!("{limit}% worse is not excluded: {}", worst.shown()));
    }
    let names = deciding.iter().map(|one| one.metric_name.as_str()).collect::<Vec<_>>().join(", ");
    let mut reason = format!("{limit}% worse is excluded for {names}");
    if !not_judged.is_empty() {
        let others = not_judged.iter().map(|one| one.metric_name.as_str()).collect::<Vec<_>>().join(", ");
        reason.push_str(&format!("; not judged: {others}"));
    }
    ("pass", reason)
}

impl Gate {
    /// For people.
    pub fn text(&self) -> String {
        let what = format!("{} {}", self.service_id, self.version);
        let way = format!("{} → {}", self.from_environment, self.to_environment);
        let sign = match self.verdict {
            "pass" => "✓ pass",
            "hold" => "✗ hold",
            _ => "– not enough data",
        };
        let verdict = format!("{sign} ({})", self.reason);
        let mut text = format!("Gate: {} ({})\nVerdict: {}\n", printable(&what), printable(&way), printable(&verdict));
        if !self.expected.is_empty() {
            let pairs = self.pairs;
            text.push_str(&format!(
                "\nExpected in {}, learnt from {pairs} earlier versions:\n",
                printable(&self.to_environment)
            ));
            let row = |one: &Expected| {
                let percent = page::signed_percent;
                vec![
                    one.metric_name.clone(),
                    percent(one.change),
                    format!("({} to {})", percent(one.change_low), percent(one.change_high)),
                    format!("{} in {}", percent(one.change_so_far), self.from_environment),
                    if one.decides { "decides".to_owned() } else { String::new() },
                ]
            };
            text.push_str(&page::table(&self.expected.iter().map(row).collect::<Vec<_>>()));
        }
        if !self.not_judged.is_empty() {
            text.push_str("\nNot judged:\n");
            let row = |one: &NotJudged| vec![one.metric_name.clone(), one.reason.clone()];
            text.push_str(&page::table(&self.not_judged.iter().map(row).collect::<Vec<_>>()));
        }
        if let Some(id) = &self.deployment_id {
            let command = format!("coral reef deployment {id}");
            text.push_str(&format!("\nIts deployment in {}: {}\n", self.from_environment, printable(&command)));
        }
        text.push_str(&format!("\n{}\n", self.completeness.line()));
        text
    }
}
