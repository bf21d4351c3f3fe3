//! The plan: what a question in words is about. Names are those the store knows; what is not recognised narrows nothing.

use super::question::AnalyzeQuestion;
use super::times;
use super::words::Words;
use crate::answers::fleet::{Filter, Fleet};
use crate::answers::names;
use crate::answers::range::{RANGE_MAX_MS, RANGE_MS, Range};
use crate::answers::vocabulary::Vocabulary;
use crate::answers::{DeploymentLine, Refusal};
use model::time::{TimeMs, format_duration_ms};
use model::version::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Two environments side by side.
    Compare,
    /// What went wrong.
    Incidents,
    /// What was deployed, and what it did.
    Deployments,
    /// What follows what.
    Patterns,
    /// What is expected next.
    Predictions,
    /// How colonies are.
    Health,
    /// Which neighbours something affects.
    Affected,
    /// Whether a version may go to the next environment.
    Promotion,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The topics that the words name; empty for a general question.
    pub topics: BTreeSet<Topic>,
    /// When; `None` where nothing has been received.
    pub range: Option<Range>,
    /// Whether the question or its caller says when.
    pub range_is_said: bool,
    /// Whether the words say when in a way that is not read.
    pub range_is_unread: bool,
    /// The colonies that the caller allows.
    pub scope: BTreeSet<String>,
    /// The colonies that are looked at, by id.
    pub colonies: BTreeSet<String>,
    /// The environments that the words name, in their order.
    pub environments: Vec<String>,
    /// The applications that they name.
    pub applications: Vec<String>,
    /// The services that they name.
    pub services: Vec<String>,
    /// The versions that they name.
    pub versions: Vec<String>,
    /// A metric, or `latency`, `error_rate`, `throughput`, `saturation`.
    pub metric: Option<String>,
    /// The deployment that they name: colony and id.
    pub deployment: Option<(String, String)>,
    /// Whether patterns are used.
    pub patterns: bool,
}

/// Words that name a topic.
const TOPICS: [(Topic, &[&str]); 8] = [
    (Topic::Compare, &["compare", "compared", "versus", "vs", "differ", "difference", "than"]),
    (
        Topic::Incidents,
        &[
            "issue",
            "issues",
            "problem",
            "problems",
            "incident",
            "incidents",
            "wrong",
            "broken",
            "broke",
            "error",
            "errors",
            "alert",
            "alerts",
            "crash",
            "crashes",
            "outage",
            "failing",
            "failed",
            "fail",
            "spike",
            "happened",
        ],
    ),
    (
        Topic::Deployments,
        &[
            "deploy",
            "deploys",
            "deployed",
            "deployment",
            "deployments",
            "release",
            "released",
            "releases",
            "rollout",
            "rollback",
            "version",
            "versions",
            "changed",
            "shipped",
            "upgrade",
        ],
    ),
    (
        Topic::Patterns,
        &[
            "pattern",
            "patterns",
            "correlate",
            "correlated",
            "correlates",
            "correlation",
            "correlations",
            "follow",
            "follows",
            "followed",
            "usually",
            "happened before",
            "lag",
        ],
    ),
    (
        Topic::Predictions,
        &[
            "predict",
            "predicts",
            "predicted",
            "prediction",
            "predictions",
            "forecast",
            "expect",
            "expected",
            "happen next",
            "happens next",
            "come next",
            "comes next",
            "about to",
            "will happen",
        ],
    ),
    (Topic::Promotion, &["promote", "promoted", "promoting", "promotion", "roll out to", "rollout to"]),
    (Topic::Health, &["health", "healthy", "status", "degraded", "unhealthy", "up", "down"]),
    (
        Topic::Affected,
        &[
            "affect",
            "affected",
            "affecting",
            "affects",
            "neighbour",
            "neighbours",
            "neighbors",
            "downstream",
            "upstream",
            "spread",
            "blast radius",
            "other services",
        ],
    ),
];

/// Words that name a group of metrics.
const METRICS: [(&str, &[&str]); 4] = [
    ("latency", &["slow", "slower", "fast", "faster", "latency", "response time", "response times", "delay"]),
    ("error_rate", &["error rate", "error_rate", "error rates"]),
    ("throughput", &["throughput", "traffic", "requests per second"]),
    ("saturation", &["saturation", "saturated", "utilization", "utilisation", "exhaustion"]),
];

/// Other words of questions, which a service may be called as well.
const GRAMMAR: [&str; 93] = [
    "a",
    "about",
    "after",
    "again",
    "ago",
    "all",
    "an",
    "and",
    "any",
    "are",
    "around",
    "at",
    "been",
    "before",
    "best",
    "between",
    "by",
    "can",
    "day",
    "days",
    "did",
    "do",
    "does",
    "every",
    "find",
    "first",
    "for",
    "from",
    "give",
    "go",
    "had",
    "happen",
    "has",
    "have",
    "hour",
    "hours",
    "how",
    "i",
    "in",
    "into",
    "is",
    "it",
    "its",
    "last",
    "latest",
    "list",
    "many",
    "me",
    "minutes",
    "most",
    "much",
    "my",
    "new",
    "newest",
    "now",
    "of",
    "on",
    "or",
    "our",
    "out",
    "over",
    "promote",
    "promoted",
    "recent",
    "safe",
    "see",
    "service",
    "services",
    "show",
    "since",
    "some",
    "tell",
    "test",
    "that",
    "the",
    "then",
    "there",
    "this",
    "time",
    "to",
    "today",
    "us",
    "was",
    "we",
    "week",
    "were",
    "what",
    "when",
    "which",
    "who",
    "why",
    "with",
    "yesterday",
];

/// Words that mean a deployment in the singular.
const ONE_DEPLOYMENT: [&str; 7] = ["deploy", "deployment", "release", "rollout", "rollback", "upgrade", "version"];

impl Plan {
    /// The plan of a question.
    ///
    /// # Errors
    /// When a colony of it is unknown, or its window is wrong.
    pub fn of(question: &AnalyzeQuestion, known: &Vocabulary) -> Result<Plan, Refusal> {
        question.check()?;
        let in_scope = colonies_in_scope(question, &known.fleet)?;
        let fleet = || known.fleet.colonies.iter().filter(|(id, _)| in_scope.contains(*id));
        let mut words = Words::of(&question.question);
        // longer names first: the id of a colony has the words of its application
        let colonies = words.names(in_scope.iter());
        let services = services(&mut words, &question.question, &known.services);
        let mut metric = words.names(&known.metrics).into_iter().next();
        let applications = words.names(&fleet().map(|(_, one)| one.application_name.clone()).collect::<BTreeSet<_>>());
        let environments = environments(&mut words, &fleet().map(|(_, one)| one.environment.clone()).collect());
        let topics: BTreeSet<Topic> =
            TOPICS.iter().filter(|(_, any)| words.has_any(any)).map(|(topic, _)| *topic).collect();
        if metric.is_none() {
            metric = METRICS.iter().find(|(_, any)| words.has_any(any)).map(|(name, _)| (*name).to_owned());
        }
        let narrowed: BTreeSet<String> = fleet()
            .filter(|(id, one)| {
                (colonies.is_empty() || colonies.contains(id))
                    && (applications.is_empty() || applications.contains(&one.application_name))
                    && (environments.is_empty() || environments.contains(&one.environment))
            })
            .map(|(id, _)| id.clone())
            .collect();
        // names that fit no colony together narrow nothing: each of them is still looked for
        let colonies = if narrowed.is_empty() { in_scope.clone() } else { narrowed };
        let versions: Vec<String> =
            words.list().into_iter().filter(|word| is_version(word) && words.is_free(word)).collect();
        let deployment = deployment(&words, &known.deployments, &colonies, (&services, &versions));
        let start = deployment.map(|line| line.start);
        let (range, range_is_said) = range(question, &words, known.now(), start)?;
        Ok(Plan {
            topics,
            range,
            range_is_said,
            range_is_unread: !range_is_said && times::say_when(&words.list()),
            scope: in_scope,
            colonies,
            environments,
            applications,
            services,
            versions,
            metric,
            deployment: deployment.map(|line| (line.colony_id.clone(), line.deployment_id.clone())),
            patterns: question.patterns,
        })
    }

    /// Whether a topic is looked for: one that is named, or all of a general question.
    pub fn is_about(&self, topic: Topic) -> bool {
        self.topics.is_empty() || self.topics.contains(&topic)
    }

    /// Its colonies, as the other questions take them.
    pub fn filter(&self) -> Filter {
        Filter { colonies: self.colonies.iter().cloned().collect(), ..Filter::default() }
    }

    /// Whether a service is looked at.
    pub fn takes_service(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|one| one == service)
    }
}

/// The colonies that the caller allows.
fn colonies_in_scope(question: &AnalyzeQuestion, fleet: &Fleet) -> Result<BTreeSet<String>, Refusal> {
    let known: BTreeSet<String> = fleet.colonies.keys().cloned().collect();
    names::check_count(&question.colonies, "colony_ids")?;
    if question.colonies.is_empty() {
        return Ok(known);
    }
    let colony = |(place, id): (usize, &String)| {
        let found = names::resolve("colony", id, &known);
        // an unknown colony is a mistake of the request here, not something that is missing
        found.map_err(|refusal| Refusal::invalid(refusal.message, refusal.hint).at(&format!("colony_ids[{place}]")))
    };
    question.colonies.iter().enumerate().map(colony).collect()
}

/// The services that the words name. One that is called like a word of a question is meant only where it is quoted or called
/// a service.
fn services(words: &mut Words, question: &str, known: &BTreeSet<String>) -> Vec<String> {
    let lower = question.to_lowercase();
    let is_meant = |name: &&String| {
        let name = name.to_lowercase();
        let said = |before: &str, after: &str| lower.contains(&[before, &name, after].concat());
        let is_service = lower
            .split_whitespace()
            .zip(lower.split_whitespace().skip(1))
            .any(|(before, word)| before == "service" && word.trim_matches(|c: char| !c.is_alphanumeric()) == name);
        !is_grammar(&name) || said("\"", "\"") || said("'", "'") || said("`", "`") || is_service
    };
    words.names(known.iter().filter(is_meant))
}

/// Whether a name is a word, or words, of questions.
fn is_grammar(name: &str) -> bool {
    let of_topics = TOPICS.iter().flat_map(|(_, any)| any.iter());
    let of_metrics = METRICS.iter().flat_map(|(_, any)| any.iter());
    GRAMMAR.contains(&name) || of_topics.chain(of_metrics).any(|word| *word == name)
}

/// The environments in the order of the words, by their names or the usual other forms.
fn environments(words: &mut Words, known: &BTreeSet<String>) -> Vec<String> {
    let mut found: BTreeMap<usize, String> = BTreeMap::new();
    for name in known.iter().filter(|name| !name.is_empty()) {
        let lower = name.to_lowercase();
        let forms = [Some(lower.as_str()), names::same(&lower)];
        if let Some(place) = forms.into_iter().flatten().find_map(|form| words.take(form)) {
            found.insert(place, name.clone());
        }
    }
    found.into_values().collect()
}

/// The deployment that the words name: its id, its version, or the last one of the services and colonies named.
fn deployment<'a>(
    words: &Words,
    lines: &'a [DeploymentLine],
    colonies: &BTreeSet<String>,
    (services, versions): (&[String], &[String]),
) -> Option<&'a DeploymentLine> {
    let in_scope: Vec<&DeploymentLine> = lines.iter().filter(|line| colonies.contains(&line.colony_id)).collect();
    let ids = |line: &DeploymentLine| {
        let whole = [vec![line.deployment_id.clone()], line.reported_as.clone()].concat();
        // a number is as likely a count
        whole.into_iter().filter(|id| id.chars().any(char::is_alphabetic) && id.chars().any(|c| c.is_ascii_digit()))
    };
    if let Some(line) = in_scope.iter().find(|line| ids(line).any(|id| words.has(&id))) {
        return Some(line);
    }
    let of_service: Vec<&DeploymentLine> = match services {
        [] => in_scope,
        names => in_scope.into_iter().filter(|line| names.contains(&line.service_id)).collect(),
    };
    let is_named = |line: &&&DeploymentLine| {
        !line.to_version.is_empty() && versions.iter().any(|word| Version::are_same(word, &line.to_version))
    };
    match of_service.iter().find(is_named) {
        Some(line) => Some(line),
        None if versions.is_empty() && is_one_deployment(words) => of_service.first().copied(),
        None => None,
    }
}

/// Whether one deployment is meant: "which deployment" asks for one, and names none.
fn is_one_deployment(words: &Words) -> bool {
    let asks = ["which", "any", "what", "a", "an", "no", "every", "each"];
    let is_asked = |name: &str| asks.iter().any(|ask| words.has(&format!("{ask} {name}")));
    words.has_any(&ONE_DEPLOYMENT) && !ONE_DEPLOYMENT.iter().any(|name| is_asked(name))
}

/// `v2`, `1.4.1`, `v2.1.0`.
fn is_version(word: &str) -> bool {
    let rest = word.strip_prefix('v').unwrap_or(word);
    let parts: Vec<&str> = rest.split('.').collect();
    let are_numbers = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    are_numbers && (parts.len() > 1 || rest.len() < word.len())
}

/// What the caller says, else what the words say, else the last day.
fn range(
    question: &AnalyzeQuestion,
    words: &Words,
    now: Option<TimeMs>,
    deployed: Option<TimeMs>,
) -> Result<(Option<Range>, bool), Refusal> {
    if let Some(window_ms) = question.window_ms.filter(|ms| *ms <= 0 || *ms > RANGE_MAX_MS) {
        let message = format!("the window {} is out of range", format_duration_ms(window_ms));
        let hint = format!("ask for more than 0s and at most {}", format_duration_ms(RANGE_MAX_MS));
        return Err(Refusal::invalid(message, hint).at("time_window"));
    }
    let Some(now) = now else { return Ok((None, false)) };
    let said = match question.window_ms {
        Some(window_ms) => Some((now - window_ms, now)),
        None => times::named(&words.list(), now, deployed),
    };
    let (from, to) = said.unwrap_or((now - RANGE_MS, now));
    let from = from.max(to - RANGE_MAX_MS).max(TimeMs(0));
    Ok((Some(Range { from, to }), said.is_some()))
}
