//! Names of a sentence: each that the store knows must be in the cited evidence, and so must each word that looks like one.

use super::super::evidence::{Evidence, Fact};
use super::super::words::Words;
use crate::answers::names::same;
use model::version::Version;

/// Names of the store that are words of the language as well: they say nothing of a place.
const WORDS: [&str; 16] = [
    "deploy",
    "deployment",
    "release",
    "rollout",
    "rollback",
    "alert",
    "crash",
    "error",
    "errors",
    "latency",
    "throughput",
    "traffic",
    "load",
    "event",
    "restart",
    "metric",
];
/// Those of them that are types of events: beside these words they are counted or said to have happened.
const EVENTS: [&str; 8] = ["deploy", "deployment", "release", "rollout", "rollback", "alert", "crash", "restart"];
/// Words by which a sentence speaks of events.
const HAPPENING: [&str; 9] =
    ["event", "events", "time", "times", "followed", "follows", "following", "happened", "occurred"];

/// Names that the cited evidence has, in lower case.
pub(super) fn of(cited: &[&Evidence]) -> Vec<String> {
    let names = cited.iter().flat_map(|one| &one.facts).filter_map(|fact| match fact {
        Fact::Name(name) => Some(name.to_lowercase()),
        _ => None,
    });
    names.chain(cited.iter().map(|one| one.id.to_lowercase())).collect()
}

/// The first name of the text that the evidence does not have; `known` are the names of the store.
pub(super) fn unknown(text: &str, names: &[String], known: &[String]) -> Option<String> {
    let mut words = Words::of(text);
    let is_happening = words.has_any(&HAPPENING);
    let mut all: Vec<(String, &str)> = Vec::new();
    for name in known.iter().filter(|name| name.len() > 1) {
        let lower = name.to_lowercase();
        if !WORDS.contains(&lower.as_str()) {
            all.push((lower.clone(), name));
            // an environment may be called by its other form as well
            all.extend(same(&lower).map(|other| (other.to_owned(), name.as_str())));
        } else if is_happening && EVENTS.contains(&lower.as_str()) {
            let forms = [lower.clone(), format!("{lower}s"), format!("{lower}es"), format!("{lower}ed")];
            all.extend(forms.map(|form| (form, name.as_str())));
        }
    }
    // environments by their usual names, also where the store has none of them
    let usual = ["production", "prod", "staging", "stage", "development", "dev", "testing", "test"];
    all.extend(usual.map(|name| (name.to_owned(), name)));
    // longer names first: "payment-api" is not "api"
    all.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
    for (form, name) in all {
        if words.take(&form).is_some() && !has(names, name, known) {
            return Some(form);
        }
    }
    None
}

/// Whether the evidence has a name. The other form of an environment is the same one where the store has not both.
fn has(names: &[String], name: &str, known: &[String]) -> bool {
    let lower = name.to_lowercase();
    let is_known = |form: &str| known.iter().any(|one| one.to_lowercase() == form);
    let other = same(&lower).filter(|other| !(is_known(other) && is_known(&lower)));
    names.iter().any(|one| *one == lower || other.is_some_and(|other| one == other))
}

/// Whether a word with digits that is no number is a name of the evidence, or a version of it.
pub(super) fn is_known(word: &str, names: &[String]) -> bool {
    let lower = word.to_lowercase();
    names.iter().any(|name| *name == lower || (!name.is_empty() && Version::are_same(name, &lower)))
        || lower == "p95"
        || lower == "p50"
        || lower == "p99"
}

/// Words that look like names: with a sign inside, or in quotes. Words of the language are no names.
pub(super) fn looks_like_name(word: &str) -> bool {
    let inside = word.trim_matches(|c: char| !c.is_alphanumeric());
    let has_sign =
        inside.chars().any(|c| "_./@".contains(c)) || (inside.contains('-') && inside.matches('-').count() > 1);
    has_sign && inside.chars().any(char::is_alphabetic)
}
