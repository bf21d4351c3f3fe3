//! Words: what a pattern says, so that each statistic comes with its meaning.

use super::shown::{confidence, count, data, name, seconds};
use crate::answers::page::number;
use crate::report::PatternLine;
use crate::text::pattern::explained;
use maud::{Markup, html};
use model::pattern::ANY_SERVICE;

/// An end of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End<'a> {
    /// The colony.
    pub colony_id: &'a str,
    /// Its application; empty where it is unknown.
    pub application: &'a str,
    /// Its environment; empty where it is unknown.
    pub environment: &'a str,
    /// The service; `*` for the whole colony.
    pub service: &'a str,
    /// The event type or metric.
    pub signal: &'a str,
}

impl<'a> End<'a> {
    /// Where a pattern begins.
    pub fn source(line: &'a PatternLine) -> End<'a> {
        End {
            colony_id: &line.source_colony_id,
            application: &line.source_application,
            environment: &line.source_environment,
            service: &line.source_service,
            signal: &line.source_signal,
        }
    }

    /// Where it ends.
    pub fn target(line: &'a PatternLine) -> End<'a> {
        End {
            colony_id: &line.target_colony_id,
            application: &line.target_application,
            environment: &line.target_environment,
            service: &line.target_service,
            signal: &line.target_signal,
        }
    }

    /// `web in my-shop staging`.
    pub fn place(&self) -> Markup {
        html! {
            @if self.service == ANY_SERVICE { "any service" } @else { (name(self.service)) }
            " in "
            @match (self.application, self.environment) {
                ("", _) => (name(self.colony_id)),
                (application, "") => (name(application)),
                (application, environment) => { (name(application)) " " (name(environment)) },
            }
        }
    }
}

/// `error_spike` as `error spike`.
fn spoken(signal: &str) -> String {
    signal.replace('_', " ")
}

/// `error spike` as `error spikes`.
fn several(signal: &str) -> String {
    let word = spoken(signal);
    if word.ends_with('s') { word } else { format!("{word}s") }
}

/// `an error spike`.
fn one(signal: &str) -> String {
    let word = spoken(signal);
    let is_vowel = word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    format!("{} {word}", if is_vowel { "an" } else { "a" })
}

/// The pattern in a sentence.
pub fn sentence(line: &PatternLine) -> Markup {
    if line.source_kind == "metric" { of_metrics(line) } else { of_events(line) }
}

fn of_events(line: &PatternLine) -> Markup {
    let (source, target) = (End::source(line), End::target(line));
    html! {
        strong { (count(line.occurrence_count)) " of " (count(line.sample_count)) }
        " " (name(&several(source.signal))) " of " (source.place()) " were followed by " (name(&one(target.signal))) " of "
        (target.place()) ", "
        @if line.lag_seconds == 0 { "within a second" } @else { "usually after " strong { (seconds(line.lag_seconds)) } }
        @if let Some(chance) = line.chance_level {
            "; expected by chance: " (expected(chance, line.sample_count)) " of " (count(line.sample_count))
        }
        "."
    }
}

/// How many of the sources would be followed by chance alone.
fn expected(chance: f64, sources: u64) -> Markup {
    let expected = chance * sources as f64;
    let shown = if expected < 0.05 { "under 0.1".to_owned() } else { format!("{expected:.1}") };
    data(chance, &shown)
}

fn of_metrics(line: &PatternLine) -> Markup {
    let (source, target) = (End::source(line), End::target(line));
    let way = if line.coefficient < 0.0 { "falls when" } else { "rises and falls with" };
    html! {
        (name(&spoken(target.signal))) " of " (target.place()) " " (way) " " (name(&spoken(source.signal))) " of "
        (source.place())
        @if line.coefficient < 0.0 { " rises" }
        @if line.lag_seconds == 0 { ", at the same time" } @else { ", " strong { (seconds(line.lag_seconds)) } " later" }
        ": " strong { (strength(line.coefficient)) } " (r = " (data(line.coefficient, &format!("{:.2}", line.coefficient)))
        "; 1 is in step, 0 is unrelated) over " (count(line.occurrence_count)) " points."
    }
}

fn strength(coefficient: f64) -> &'static str {
    match coefficient.abs() {
        size if size >= 0.9 => "almost in step",
        size if size >= 0.7 => "closely",
        size if size >= 0.5 => "clearly",
        _ => "loosely",
    }
}

/// Why it is not confirmed, or what explains it.
pub fn reason(line: &PatternLine) -> Option<String> {
    match (&line.explained_by, &line.reason) {
        (Some(explanation), _) => Some(explained(explanation)),
        (None, Some(reason)) if line.state != "confirmed" => Some(format!("not confirmed: {reason}")),
        _ => None,
    }
}

/// The statistics, each with what it means.
pub fn statistics(line: &PatternLine) -> Markup {
    let is_metric = line.source_kind == "metric";
    html! {
        dl.facts {
            dt { "Confidence" }
            dd { (confidence(line.confidence)) " – of patterns that are at least this sure, so many are expected to be real." }
            dt { "q-value" }
            dd { (data(line.q_value, &small(line.q_value))) " – the share of chance findings among them: 1 − confidence." }
            dt { "e-value" }
            dd { (data(line.e_value, &large(line.e_value))) " – how many times better than chance it predicts what was observed." }
            dt { "Lag" }
            dd { (seconds(line.lag_seconds)) ", mostly " (seconds(line.lag_low_seconds)) " to " (seconds(line.lag_high_seconds)) }
            dt { "Strength" }
            dd {
                @if is_metric {
                    "r = " (data(line.coefficient, &format!("{:.2}", line.coefficient)))
                    @if let Some(judged) = line.judged_coefficient {
                        "; " (data(judged, &format!("{judged:.2}"))) " over all windows that were judged together, without the daily cycle"
                    }
                } @else {
                    (data(line.correlation_score, &format!("{:.2}", line.correlation_score)))
                    " – 0: as often as by chance; 1: every time."
                }
            }
            @if let Some(chance) = line.chance_level {
                dt { "By chance" }
                dd {
                    (data(chance, &small(chance)))
                    @if is_metric { " – at most this probable where the two are unrelated." }
                    @else { " – the share of sources that would be followed where the two are unrelated." }
                }
            }
            @if let Some(points) = line.effective_points {
                dt { "Independent points" }
                dd { (data(points, &number(points))) " – neighbouring points tell little new, so the sample is worth fewer." }
            }
        }
    }
}

/// A small number that is not rounded to nothing.
fn small(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 1e-6 => "under 0.000001".to_owned(),
        value if value < 0.001 => format!("{value:.6}"),
        value => format!("{value:.3}"),
    }
}

/// A large number in words.
fn large(value: f64) -> String {
    match value {
        value if value >= 1e12 => "over a million million".to_owned(),
        value if value >= 1e9 => "over a thousand million".to_owned(),
        value if value >= 1e6 => format!("{:.0} million", value / 1e6),
        value => number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_words() {
        assert_eq!((spoken("error_spike"), several("deploys")), ("error spike".to_owned(), "deploys".to_owned()));
        assert_eq!((one("error_spike"), one("crash")), ("an error spike".to_owned(), "a crash".to_owned()));
    }

    #[test]
    fn tiny_and_huge_numbers_are_said_in_words() {
        assert_eq!((small(3e-9), small(0.0), small(0.04)), ("under 0.000001".into(), "0".into(), "0.040".into()));
        assert_eq!((large(4.2e6), large(7e13)), ("4 million".into(), "over a million million".into()));
    }
}
