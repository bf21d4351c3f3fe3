//! The meaning of a metric: its unit, and whether more of it is better; as stated, otherwise learnt from its name.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// In what a value is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// A share, 0 to 1.
    #[serde(rename = "share")]
    Share,
    /// A share in percent.
    #[serde(rename = "percent")]
    Percent,
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
    /// Requests per second.
    #[serde(rename = "req/s")]
    RequestsPerSecond,
    /// A plain number.
    #[serde(rename = "none")]
    None,
}

/// Whether more of it is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less is better: latency, errors, saturation.
    Lower,
    /// More is better: throughput, availability.
    Higher,
    /// Neither is known to be better.
    Unknown,
}

/// What people call a group of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// How long something takes.
    Latency,
    /// How much of it fails.
    Errors,
    /// How much of it there is.
    Throughput,
    /// How full a resource is.
    Saturation,
    /// Anything else.
    Other,
}

/// What a metric's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meaning {
    /// Its unit.
    pub unit: Unit,
    /// Whether more is better.
    pub better: Better,
    /// What people call it.
    pub family: Family,
}

/// What is stated about metrics of some names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedMeaning {
    /// A metric's name, or a pattern in which `*` stands for any text; upper and lower case are the same.
    pub pattern: String,
    /// Their unit.
    pub unit: Option<Unit>,
    /// Whether more is better.
    pub better: Option<Better>,
}

/// What is stated about metrics; the rest is learnt from their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Meanings(pub Vec<StatedMeaning>);

impl Meanings {
    /// The meaning of a metric of this name. Of several patterns that fit, the one with the most characters other than
    /// `*` counts, of equal ones the first. A metric of unknown kind whose unit is a time is a latency.
    ///
    /// ```
    /// use coral_model::meaning::{Better, Family, Meaning, Meanings, StatedMeaning, Unit};
    /// let stated = |pattern: &str, unit, better| StatedMeaning { pattern: pattern.to_owned(), unit, better };
    /// let meanings = Meanings(vec![
    ///     stated("*latency*", Some(Unit::Seconds), None),
    ///     stated("*", None, Some(Better::Unknown)),
    ///     stated("Checkout_P95", Some(Unit::Milliseconds), Some(Better::Lower)),
    /// ]);
    /// let latency = meanings.of("http.latency");
    /// assert_eq!((latency.unit, latency.better), (Unit::Seconds, Better::Lower));
    /// assert_eq!(meanings.of("checkout_p95").family, Family::Latency);
    /// assert_eq!(meanings.of("errors").better, Better::Unknown);
    /// assert_eq!(Meanings::default().of("errors"), Meaning::of("errors"));
    /// ```
    pub fn of(&self, name: &str) -> Meaning {
        let learnt = Meaning::of(name);
        let lower = name.to_lowercase();
        let exactness = |stated: &&StatedMeaning| stated.pattern.chars().filter(|c| *c != '*').count();
        let fitting = self.0.iter().filter(|stated| fits(&stated.pattern.to_lowercase(), &lower));
        // of equal ones `max_by_key` takes the last
        let Some(stated) = fitting.rev().max_by_key(exactness) else { return learnt };
        let is_time = matches!(stated.unit, Some(Unit::Milliseconds | Unit::Seconds));
        let becomes_latency = is_time && learnt.family == Family::Other;
        let family = if becomes_latency { Family::Latency } else { learnt.family };
        let learnt_better = if becomes_latency { Better::Lower } else { learnt.better };
        Meaning { unit: stated.unit.unwrap_or(learnt.unit), better: stated.better.unwrap_or(learnt_better), family }
    }
}

/// Whether `name` is what `pattern` says, `*` being any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    true
}

impl Meaning {
    /// The meaning of a metric of this name.
    ///
    /// ```
    /// use coral_model::meaning::{Better, Family, Meaning, Unit};
    /// let meaning = |name: &str| { let m = Meaning::of(name); (m.family, m.unit, m.better) };
    /// assert_eq!(meaning("http.request.latency_ms"), (Family::Latency, Unit::Milliseconds, Better::Lower));
    /// assert_eq!(meaning("request_duration_seconds"), (Family::Latency, Unit::Seconds, Better::Lower));
    /// assert_eq!(meaning("error_rate"), (Family::Errors, Unit::Share, Better::Lower));
    /// assert_eq!(meaning("throughput"), (Family::Throughput, Unit::RequestsPerSecond, Better::Higher));
    /// assert_eq!(meaning("db.pool.utilization"), (Family::Saturation, Unit::Percent, Better::Lower));
    /// assert_eq!(meaning("water_level_ft"), (Family::Other, Unit::None, Better::Unknown));
    /// ```
    pub fn of(name: &str) -> Meaning {
        let lower = name.to_ascii_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
        let family = family(&has);
        let better = match family {
            Family::Latency | Family::Errors | Family::Saturation => Better::Lower,
            Family::Throughput => Better::Higher,
            Family::Other if has(&["availability", "available", "healthy", "success", "hit", "hits", "uptime"]) => {
                Better::Higher
            }
            Family::Other => Better::Unknown,
        };
        Meaning { unit: unit(family, &has), better, family }
    }
}

fn family(has: &impl Fn(&[&str]) -> bool) -> Family {
    if has(&["latency", "duration", "elapsed", "rtt", "delay", "lag", "wait"]) || (has(&["response"]) && has(&["time"]))
    {
        Family::Latency
    } else if has(&[
        "error",
        "errors",
        "failure",
        "failures",
        "failed",
        "5xx",
        "timeout",
        "timeouts",
        "exceptions",
        "dropped",
        "retries",
    ]) {
        Family::Errors
    } else if has(&["throughput", "rps", "qps", "tps", "requests", "rpm"])
        || (has(&["request", "query", "message"]) && has(&["rate", "count", "total"]))
    {
        Family::Throughput
    } else if has(&[
        "utilization",
        "utilisation",
        "usage",
        "cpu",
        "memory",
        "mem",
        "heap",
        "saturation",
        "pool",
        "disk",
        "queue",
        "load",
    ]) {
        Family::Saturation
    } else {
        Family::Other
    }
}

fn unit(family: Family, has: &impl Fn(&[&str]) -> bool) -> Unit {
    let names_share = has(&["rate", "ratio", "share", "fraction"]);
    if has(&["ms", "millis", "milliseconds"]) {
        Unit::Milliseconds
    } else if has(&["seconds", "secs", "sec", "s"]) && family == Family::Latency {
        Unit::Seconds
    } else if has(&["bytes"]) {
        Unit::Bytes
    } else if has(&["percent", "pct", "percentage"]) {
        Unit::Percent
    } else {
        match family {
            Family::Latency => Unit::Milliseconds,
            Family::Errors if names_share => Unit::Share,
            Family::Throughput => Unit::RequestsPerSecond,
            Family::Saturation if has(&["utilization", "utilisation", "cpu", "usage"]) && !has(&["memory", "mem"]) => {
                Unit::Percent
            }
            _ if has(&["availability", "ratio"]) => Unit::Share,
            _ => Unit::None,
        }
    }
}

impl Unit {
    /// A value with its unit, for people: three significant digits.
    ///
    /// ```
    /// use coral_model::meaning::Unit;
    /// let shown = |unit: Unit, value: f64| unit.shown(value);
    /// assert_eq!(shown(Unit::Milliseconds, 245.4), "245ms");
    /// assert_eq!(shown(Unit::Milliseconds, 1_250.0), "1250ms");
    /// assert_eq!(shown(Unit::Share, 0.0003), "0.03%");
    /// assert_eq!(shown(Unit::Percent, 95.0), "95%");
    /// assert_eq!(shown(Unit::RequestsPerSecond, 1150.2), "1150 req/s");
    /// assert_eq!(shown(Unit::Bytes, 1_500_000.0), "1.5 MB");
    /// assert_eq!(shown(Unit::None, 6.4213), "6.42");
    /// ```
    pub fn shown(self, value: f64) -> String {
        match self {
            Unit::Milliseconds => format!("{}ms", digits(value)),
            Unit::Seconds => format!("{}s", digits(value)),
            Unit::Share => format!("{}%", digits(value * 100.0)),
            Unit::Percent => format!("{}%", digits(value)),
            Unit::RequestsPerSecond => format!("{} req/s", digits(value)),
            Unit::None => digits(value),
            Unit::Bytes => {
                let (scaled, name) = match value.abs() {
                    size if size >= 1e9 => (value / 1e9, "GB"),
                    size if size >= 1e6 => (value / 1e6, "MB"),
                    size if size >= 1e3 => (value / 1e3, "kB"),
                    _ => (value, "B"),
                };
                format!("{} {name}", digits(scaled))
            }
        }
    }
}

/// Three significant digits, all of those before the point, and no trailing zeros.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0).min(9);
    let mut text = String::new();
    let _ = write!(text, "{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_any_text_and_nothing_else_is_special() {
        let fitting = [
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("*a", "ba"),
            ("a*c*e", "abcde"),
            ("a*b", "aab"),
            ("**a**", "a"),
            ("a.b", "a.b"),
        ];
        for (pattern, name) in fitting {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        let others = [
            ("", "a"),
            ("a", ""),
            ("a*", "ba"),
            ("*a", "ab"),
            ("a*a", "a"),
            ("a*c*e", "aedc"),
            ("a.b", "axb"),
            ("a?b", "axb"),
        ];
        for (pattern, name) in others {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
