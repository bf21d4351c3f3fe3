//! Known words: each word of a sentence is one of its evidence, or of a list.
//!
//! A word that no list has could be the name of a thing, say that one thing brought about another, or be an order. The list
//! has no things that could be blamed, and no verb that says more of two things than that one came after the other.

use super::super::evidence::Evidence;
use super::{names, words};
use crate::answers::names::same;
use std::collections::BTreeSet;

/// Words of any sentence, beside those of its evidence, numbers, and words of direction.
const KNOWN: &[&str] = &[
    "a",
    "about",
    "additionally",
    "after",
    "again",
    "against",
    "almost",
    "also",
    "an",
    "and",
    "any",
    "appeared",
    "appears",
    "application",
    "applications",
    "approximate",
    "approximately",
    "are",
    "around",
    "as",
    "at",
    "average",
    "averaged",
    "averages",
    "b",
    "be",
    "been",
    "before",
    "began",
    "begin",
    "begins",
    "being",
    "between",
    "both",
    "but",
    "by",
    "bytes",
    "came",
    "chance",
    "change",
    "changed",
    "changes",
    "claim",
    "claimed",
    "claims",
    "co-moving",
    "coefficient",
    "colonies",
    "colony",
    "come",
    "comes",
    "common",
    "compare",
    "compared",
    "compares",
    "comparison",
    "confidence",
    "correlation",
    "count",
    "counted",
    "counts",
    "current",
    "currently",
    "d",
    "data",
    "date",
    "day",
    "days",
    "delay",
    "deploy",
    "deployed",
    "deployment",
    "deployments",
    "deploys",
    "detected",
    "did",
    "differ",
    "difference",
    "differs",
    "duration",
    "during",
    "earlier",
    "end",
    "ended",
    "engine",
    "environment",
    "environments",
    "error",
    "errors",
    "event",
    "events",
    "evidence",
    "exactly",
    "expect",
    "expected",
    "expects",
    "factor",
    "finding",
    "findings",
    "first",
    "followed",
    "following",
    "follows",
    "for",
    "forecast",
    "found",
    "from",
    "furthermore",
    "gb",
    "h",
    "had",
    "happened",
    "happens",
    "has",
    "have",
    "here",
    "hour",
    "hours",
    "hr",
    "hrs",
    "in",
    "incident",
    "incidents",
    "interval",
    "into",
    "is",
    "issue",
    "issues",
    "it",
    "its",
    "joins",
    "kb",
    "lag",
    "last",
    "lasted",
    "lasts",
    "latency",
    "later",
    "latest",
    "level",
    "listed",
    "look",
    "looked",
    "mb",
    "mean",
    "meanwhile",
    "measured",
    "measurement",
    "measurements",
    "median",
    "metric",
    "metrics",
    "milliseconds",
    "min",
    "mins",
    "minute",
    "minutes",
    "monitoring",
    "moreover",
    "move",
    "moved",
    "moves",
    "moving",
    "ms",
    "nearly",
    "newest",
    "now",
    "number",
    "observations",
    "observed",
    "occurred",
    "occurrences",
    "occurs",
    "of",
    "on",
    "only",
    "open",
    "or",
    "other",
    "over",
    "overall",
    "pattern",
    "patterns",
    "pct",
    "per",
    "percent",
    "percentage",
    "period",
    "preceded",
    "precedes",
    "predict",
    "predicted",
    "prediction",
    "predictions",
    "predicts",
    "previous",
    "previously",
    "prior",
    "probabilities",
    "probability",
    "probable",
    "qps",
    "r",
    "ran",
    "range",
    "rate",
    "ratio",
    "recent",
    "recently",
    "recorded",
    "records",
    "release",
    "releases",
    "report",
    "reported",
    "reports",
    "req",
    "request",
    "requests",
    "respectively",
    "response",
    "responses",
    "roughly",
    "row",
    "rows",
    "rps",
    "s",
    "same",
    "score",
    "sec",
    "second",
    "seconds",
    "secs",
    "seen",
    "service",
    "services",
    "severity",
    "showed",
    "shows",
    "side",
    "sides",
    "signal",
    "signals",
    "source",
    "sources",
    "span",
    "spike",
    "spikes",
    "stands",
    "start",
    "started",
    "starts",
    "state",
    "states",
    "status",
    "stood",
    "target",
    "targets",
    "than",
    "that",
    "the",
    "their",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "throughput",
    "time",
    "times",
    "to",
    "together",
    "total",
    "traffic",
    "type",
    "types",
    "typical",
    "typically",
    "until",
    "upon",
    "usual",
    "usually",
    "utc",
    "value",
    "values",
    "verdict",
    "version",
    "versions",
    "versus",
    "vs",
    "was",
    "week",
    "weeks",
    "went",
    "were",
    "when",
    "where",
    "which",
    "while",
    "whose",
    "will",
    "window",
    "windows",
    "with",
    "within",
    "x",
];

/// Whether each word is known; `lower` is in lower case.
pub(super) fn are_known(lower: &str, cited: &[&Evidence]) -> bool {
    let of_evidence = words_of(cited);
    split(lower).all(|word| {
        // "error-rate": of known words
        is_known(word, &of_evidence) || (word.contains('-') && word.split('-').all(|part| is_known(part, &of_evidence)))
    })
}

fn is_known(word: &str, of_evidence: &BTreeSet<String>) -> bool {
    word.is_empty()
        || word.chars().any(|c| c.is_ascii_digit())
        || KNOWN.contains(&word)
        || words::is_direction(word)
        || of_evidence.contains(word)
}

/// The names of the evidence, the words of its descriptions, and the parts of both.
fn words_of(cited: &[&Evidence]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    for name in names::of(cited) {
        all.extend(parts(&name));
        // an environment may be called by its other form as well
        all.extend(same(&name).map(str::to_owned));
        all.insert(name);
    }
    for one in cited {
        let description = one.description.to_lowercase();
        all.extend(parts(&description));
        all.extend(split(&description).map(str::to_owned));
    }
    all
}

/// The words of a text, without the signs around them, and without the end of "production's".
fn split(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c.is_whitespace() || "/()[]→←–—".contains(c)).map(trimmed);
    words.map(|word| word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word))
}

/// A word without the signs around it.
pub(super) fn trimmed(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Letters and digits between other signs.
fn parts(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::orders;
    use super::*;

    #[test]
    fn the_lists_agree() {
        for word in words::BEHIND.iter().chain(orders::STATING) {
            assert!(are_known(word, &[]), "{word}");
        }
        // verbs of direction have a direction
        for word in words::MOVING {
            assert!(words::is_direction(word), "{word}");
        }
    }

    #[test]
    fn a_word_with_a_hyphen_is_known_by_its_parts() {
        for (text, expected) in [("error-rate", true), ("a higher error-rate.", true), ("kafka-rate", false)] {
            assert_eq!(are_known(text, &[]), expected, "{text}");
        }
    }
}
