//! Two environments side by side: their metrics over the hours in which both were observed.

use super::completeness::Completeness;
use super::fleet::{Fleet, KnownColony, Scope};
use super::names;
use super::page;
use super::refusal::{AnswerError, Refusal};
use crate::printable::printable;
use model::meaning::{Better, Family, Meaning};
use model::time::{DAY_MS, HOUR_MS, TimeMs, format_duration_ms};
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use sinks::rollup::Summary;
use std::collections::{BTreeMap, BTreeSet};

/// The window when none is given.
pub const WINDOW_MS: i64 = DAY_MS;
/// A difference below this is called none, in percent.
const SAME_PERCENT: f64 = 5.0;
/// A difference from this on, and in nearly every hour, is critical, in percent.
const CRITICAL_PERCENT: f64 = 25.0;
/// Fewest common hours for more than `info`.
const HOURS_MIN: usize = 6;
/// Other metrics that a recommendation names.
const OTHERS_MAX: usize = 2;

/// What to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareQuestion {
    /// The environment looked at.
    pub environment_a: String,
    /// The environment it is compared with.
    pub environment_b: String,
    /// `latency`, `error_rate`, `throughput`, a metric's name, or nothing for all shared metrics.
    pub metric: Option<String>,
    /// How far to look back from the newest common hour, in milliseconds.
    pub window_ms: Option<i64>,
    /// The application, where several share the environments.
    pub application: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// In one sentence.
    pub summary: String,
    /// Metric by metric: those that were asked for first, the greatest difference first.
    pub differences: Vec<Difference>,
    /// What could be done.
    pub recommendation: String,
    /// The application compared.
    pub application_name: String,
    /// The environment looked at.
    pub environment_a: String,
    /// The environment it is compared with.
    pub environment_b: String,
    /// Begin of the window; RFC 3339.
    pub from: String,
    /// Its end.
    pub to: String,
    /// What the answer is complete to.
    pub completeness: Completeness,
    /// The metrics that were not asked for, the greatest difference first; empty where all were.
    #[serde(skip)]
    pub others: Vec<Difference>,
    #[serde(skip)]
    window_ms: i64,
}

/// How one metric differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The metric.
    pub metric_name: String,
    /// Its value in `environment_a`: the mean of the buckets' p95 (of their means where they have none), weighted by
    /// samples.
    pub value_a: f64,
    /// The same in `environment_b`.
    pub value_b: f64,
    /// `(value_a - value_b) / value_b`, in percent; none where `value_b` is 0.
    pub percent_change: Option<f64>,
    /// `critical`, `warning` or `info`.
    pub significance: &'static str,
    /// Hours in which both were observed; no other hour counts.
    pub hours: usize,
    /// In how many of them `environment_a` was worse, or greater where neither is known to be better.
    pub hours_worse: usize,
    #[serde(skip)]
    pub(crate) meaning: Meaning,
}

/// The hours of a metric in an environment.
type Hours = BTreeMap<TimeMs, Summary>;

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown or several applications.
pub async fn compare(
    question: &CompareQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Comparison, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let environments = fleet.environments();
    let environment = |given: &str, field: &str| {
        names::resolve("environment", given, &environments).map_err(|refusal| refusal.at(field))
    };
    let a = environment(&question.environment_a, "environment_a")?;
    let b = environment(&question.environment_b, "environment_b")?;
    if a == b {
        return Err(Refusal::invalid(format!("both environments are {a}"), "name two").at("environment_b").into());
    }
    let window_ms = question.window_ms.unwrap_or(WINDOW_MS);
    if window_ms < HOUR_MS {
        let message = format!("the window of {} is too short", format_duration_ms(window_ms));
        let hint = "compare at least 1h: metrics are summed by the hour";
        return Err(Refusal::invalid(message, hint).at("time_window").into());
    }
    let application = application(question.application.as_deref(), &fleet, (&a, &b))
        .map_err(|refusal| refusal.at("application_name"))?;
    let is_taken = |environment: &str, colony: &KnownColony| {
        colony.application_name == application && colony.environment == environment
    };
    let newest = |environment: &str| {
        fleet
            .colonies
            .values()
            .filter(|colony| is_taken(environment, colony))
            .filter_map(|colony| colony.newest_metric)
            .max()
    };
    let completeness = Completeness::of(&fleet, |_, colony| is_taken(&a, colony) || is_taken(&b, colony));
    let (Some(newest_a), Some(newest_b)) = (newest(&a), newest(&b)) else {
        let missing = if newest(&a).is_none() { &a } else { &b };
        let message = format!("{application} has no metrics in {missing}");
        return Err(Refusal::not_found(message, "see what has been received: coral reef health").into());
    };
    let to = newest_a.min(newest_b).floor_to(HOUR_MS) + HOUR_MS;
    let from = to - window_ms;
    let mut metrics: BTreeMap<String, (Hours, Hours)> = BTreeMap::new();
    for (key, summary) in reader.hours(from, to).await? {
        if key.application_name != application || (key.environment != a && key.environment != b) {
            continue;
        }
        let (of_a, of_b) = metrics.entry(key.metric_name).or_default();
        let side = if key.environment == a { of_a } else { of_b };
        side.insert(key.hour, summary);
    }
    let shared: Vec<Difference> = metrics
        .iter()
        .filter_map(|(name, (of_a, of_b))| difference(name, scope.metrics.of(name), of_a, of_b))
        .collect();
    let (mut asked, mut others) = asked(question.metric.as_deref(), shared, &metrics)?;
    asked.sort_by(worse_first);
    others.sort_by(worse_first);
    let sides = Sides { a: &a, b: &b };
    Ok(Comparison {
        summary: sides.summary(&asked),
        recommendation: sides.recommendation(&asked, &others, question.metric.is_some()),
        differences: asked,
        others,
        application_name: application,
        from: from.to_string(),
        to: to.to_string(),
        completeness,
        window_ms,
        environment_a: a.clone(),
        environment_b: b.clone(),
    })
}

/// The application that is meant.
fn application(given: Option<&str>, fleet: &Fleet, (a, b): (&str, &str)) -> Result<String, Refusal> {
    if let Some(given) = given {
        return names::resolve("application", given, &fleet.applications());
    }
    let of = |environment: &str| -> BTreeSet<&String> {
        let colonies = fleet.colonies.values().filter(|colony| colony.environment == environment);
        colonies.map(|colony| &colony.application_name).collect()
    };
    let both: Vec<&String> = of(a).intersection(&of(b)).copied().collect();
    match both.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Refusal::not_found(
            format!("no application has both {a} and {b}"),
            "see which there are: coral reef health",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(Refusal::ambiguous(
                format!("several applications have {a} and {b}"),
                format!("name one with --app: {}", names.join(", ")),
            ))
        }
    }
}

/// Over the common hours; `None` if there is no value on one side.
fn difference(name: &str, meaning: Meaning, of_a: &Hours, of_b: &Hours) -> Option<Difference> {
    let (mut sum_a, mut weight_a, mut sum_b, mut weight_b) = (0.0, 0.0, 0.0, 0.0);
    let (mut hours, mut hours_worse) = (0, 0);
    for (hour, a) in of_a {
        let Some(b) = of_b.get(hour) else { continue };
        let (Some(value_a), Some(value_b)) = (a.mean_p95, b.mean_p95) else { continue };
        let (samples_a, samples_b) = (weight(a), weight(b));
        (sum_a, weight_a) = (sum_a + value_a * samples_a, weight_a + samples_a);
        (sum_b, weight_b) = (sum_b + value_b * samples_b, weight_b + samples_b);
        hours += 1;
        let is_worse = if meaning.better == Better::Higher { value_a < value_b } else { value_a > value_b };
        hours_worse += usize::from(is_worse);
    }
    if hours == 0 {
        return None;
    }
    let (value_a, value_b) = (sum_a / weight_a, sum_b / weight_b);
    let percent_change = match value_a == value_b {
        true => Some(0.0),
        false => (value_b != 0.0).then(|| (value_a - value_b) / value_b.abs() * 100.0),
    };
    let significance = significance(percent_change, value_a - value_b, meaning.better, (hours, hours_worse));
    Some(Difference {
        metric_name: name.to_owned(),
        value_a,
        value_b,
        percent_change,
        significance,
        hours,
        hours_worse,
        meaning,
    })
}

fn weight(summary: &Summary) -> f64 {
    (if summary.total_samples > 0 { summary.total_samples } else { summary.points.max(1) }) as f64
}

/// Worse in three quarters of the hours is a warning; much worse in nearly all of them is critical.
fn significance(percent: Option<f64>, change: f64, better: Better, (hours, worse): (usize, usize)) -> &'static str {
    let is_worse = match better {
        Better::Lower => change > 0.0,
        Better::Higher => change < 0.0,
        Better::Unknown => return "info",
    };
    let size = percent.map_or(f64::INFINITY, f64::abs);
    let share = worse as f64 / hours.max(1) as f64;
    if !is_worse || hours < HOURS_MIN || size < SAME_PERCENT || share < 0.75 {
        "info"
    } else if size >= CRITICAL_PERCENT && share >= 0.9 {
        "critical"
    } else {
        "warning"
    }
}

/// What is asked for, and the rest.
fn asked(
    metric: Option<&str>,
    shared: Vec<Difference>,
    known: &BTreeMap<String, (Hours, Hours)>,
) -> Result<(Vec<Difference>, Vec<Difference>), Refusal> {
    let Some(metric) = metric else { return Ok((shared, Vec::new())) };
    let wanted = metric.trim().to_lowercase();
    let family = match wanted.replace(['-', ' '], "_").as_str() {
        "latency" => Some(Family::Latency),
        "error_rate" | "errors" => Some(Family::Errors),
        "throughput" | "traffic" => Some(Family::Throughput),
        "saturation" => Some(Family::Saturation),
        _ => None,
    };
    let is_named = shared.iter().any(|one| one.metric_name.to_lowercase() == wanted);
    let takes = |one: &Difference| match (is_named, family) {
        (true, _) => one.metric_name.to_lowercase() == wanted,
        (false, Some(family)) => one.meaning.family == family,
        (false, None) => one.metric_name.to_lowercase().contains(&wanted),
    };
    let (asked, others): (Vec<Difference>, Vec<Difference>) = shared.into_iter().partition(takes);
    if asked.is_empty() {
        names::check(metric).map_err(|refusal| refusal.at("metric"))?;
        let names: BTreeSet<String> = known.keys().cloned().collect();
        let message = format!("no metric {metric:?} was observed on both sides in the window");
        return Err(Refusal::not_found(message, names::near_hint("metric", &wanted, &names)).at("metric"));
    }
    Ok((asked, others))
}

fn worse_first(a: &Difference, b: &Difference) -> std::cmp::Ordering {
    let rank = |one: &Difference| match one.significance {
        "critical" => 0,
        "warning" => 1,
        _ => 2,
    };
    let size = |one: &Difference| one.percent_change.map_or(f64::INFINITY, f64::abs);
    rank(a).cmp(&rank(b)).then(size(b).total_cmp(&size(a))).then_with(|| a.metric_name.cmp(&b.metric_name))
}

struct Sides<'a> {
    a: &'a str,
    b: &'a str,
}

impl Sides<'_> {
    fn summary(&self, differences: &[Difference]) -> String {
        let Some(first) = differences.first() else {
            return format!("{} and {} share no metric in the window", page::capital(self.a), self.b);
        };
        let change = match first.percent_change {
            Some(percent) if percent.abs() < SAME_PERCENT => "about the same".to_owned(),
            Some(percent) => format!("{:.1}% {}", percent.abs(), first.word()),
            None => first.word().to_owned(),
        };
        format!("{} is {change} than {} ({})", page::capital(self.a), self.b, first.metric_name)
            .replace("about the same than", "about the same as")
    }

    fn recommendation(&self, asked: &[Difference], others: &[Difference], is_narrow: bool) -> String {
        let is_worse = |one: &&Difference| one.significance != "info";
        if !asked.iter().any(|one| one.significance != "info") {
            let is_judged = |one: &Difference| one.hours >= HOURS_MIN && one.meaning.better != Better::Unknown;
            if !asked.iter().any(is_judged) {
                let what = "no metric whose better direction is known";
                return format!("Not judged: {what} has {HOURS_MIN} hours in which both were observed.");
            }
            return format!("Nothing to do: {} is not worse than {} beyond the usual spread.", self.a, self.b);
        }
        let candidates = if is_narrow { others } else { &asked[1..] };
        let causes: Vec<String> =
            candidates.iter().filter(is_worse).take(OTHERS_MAX).map(|one| self.cause(one)).collect();
        match causes.is_empty() {
            true => format!(
                "No other shared metric is worse in {}; look at what was deployed: coral reef deployments.",
                self.a
            ),
            false => format!("{} shows {}.", page::capital(self.a), causes.join(", and ")),
        }
    }

    fn cause(&self, one: &Difference) -> String {
        let word = if one.value_a > one.value_b { "higher" } else { "lower" };
        let shown = |value: f64| one.meaning.unit.shown(value);
        format!("{word} {} ({} against {} in {})", one.metric_name, shown(one.value_a), shown(one.value_b), self.b)
    }
}

impl Difference {
    /// `slower`, `higher`, …
    fn word(&self) -> &'static str {
        match (self.meaning.family, self.value_a > self.value_b) {
            (Family::Latency, true) => "slower",
            (Family::Latency, false) => "faster",
            (_, true) => "higher",
            (_, false) => "lower",
        }
    }

    /// `+40.0% slower`.
    fn shown_change(&self) -> String {
        match self.percent_change {
            Some(percent) if percent.abs() < 0.05 => "none".to_owned(),
            Some(percent) => format!("{} {}", page::signed_percent(percent), self.word()),
            None if self.value_a == 0.0 => "none".to_owned(),
            None => format!("{} (from 0)", self.word()),
        }
    }
}

impl Comparison {
    /// For people.
    pub fn text(&self) -> String {
        let window = page::window(self.window_ms);
        let mut text = format!("Comparing {} vs {} (last {window}):\n", self.environment_a, self.environment_b);
        let (a, b) = (page::capital(&self.environment_a), page::capital(&self.environment_b));
        let width = ["Difference", &a, &b].into_iter().map(|name| name.chars().count()).max().unwrap_or(0) + 1;
        if self.differences.is_empty() {
            text.push_str("\nThey share no metric in the window.\n");
        }
        for one in &self.differences {
            let sign = match one.significance {
                "critical" => "  ✗ critical",
                "warning" => "  ⚠ warning",
                _ => "",
            };
            let shown = |value: f64| one.meaning.unit.shown(value);
            text.push_str(&format!("\n{} (p95):\n", printable(&page::title(&one.metric_name))));
            text.push_str(&format!("  {:width$} {}\n", format!("{a}:"), shown(one.value_a)));
            text.push_str(&format!("  {:width$} {}\n", format!("{b}:"), shown(one.value_b)));
            text.push_str(&format!("  {:width$} {}{sign}\n", "Difference:", one.shown_change()));
        }
        text.push_str(&format!("\nRecommendation:\n  {}\n", printable(&self.recommendation)));
        if self.differences.iter().any(|one| one.significance != "info") {
            let command = format!("coral reef deployments --environment {}", self.environment_a);
            text.push_str(&format!("\nWhat was deployed there: {}\n", printable(&command)));
        }
        if let Some(hours) = self.differences.iter().map(|one| one.hours).max() {
            text.push_str(&format!(
                "\np95: the mean of the p95 of all buckets, weighted by samples, over the {hours} hours to {} in which both\n\
                 were observed. A value that is worse in 3 of 4 hours is a warning, by {CRITICAL_PERCENT}% in 9 of 10 critical.\n",
                self.to
            ));
        }
        text.push_str(&format!("{}\n", self.completeness.line()));
        text
    }
}
