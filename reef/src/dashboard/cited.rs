//! Cited: the evidence of an answer, each piece with its statement and a link to its rows.

use super::query::address;
use super::shown;
use crate::analysis::RecordedEvidence;
use crate::answers::page::number;
use crate::printable::printable;
use maud::{Markup, html};
use model::time::TimeMs;

/// The evidence of an answer, for which so many findings were left out.
pub fn list(evidence: &[RecordedEvidence], omitted: usize) -> Markup {
    html! {
        @for one in evidence { (piece(one)) }
        p.muted { "Confidence is that of the engine, and of no model: for a pattern, the share of patterns this sure that are real." }
        @if omitted > 0 {
            p.muted { (shown::count(omitted)) " more findings were left out: ask about one colony, service or metric for more." }
        }
    }
}

fn piece(one: &RecordedEvidence) -> Markup {
    html! {
        article.evidence id=(one.id) {
            p { strong { (one.id) } " " (shown::sentence(&one.description)) }
            p.muted {
                (claimed(&one.claim)) " · confidence " (shown::confidence(one.confidence))
                @if !one.colony_id.is_empty() { " · " (shown::name(&one.colony_id)) }
                @if let Some(to) = &one.complete_to { " · complete to " (shown::time(to)) }
                @if let Some((words, to)) = rows(one) { " · " a href=(to) { (words) } }
            }
            details data-key={ "evidence " (one.id) } { summary { "Values and query" }
                dl.facts {
                    @for (name, value) in &one.data { dt { (name) } dd { (shown_value(name, value)) } }
                }
                (shown::command(&printable(&one.query)))
            }
        }
    }
}

/// What the engine says of the two things.
fn claimed(claim: &str) -> &str {
    match claim {
        "co_moving" => "moves together",
        "follows" => "follows beyond chance",
        "changed" => "changed beyond chance",
        plain => plain,
    }
}

/// A value as it is shown: the version `1.10` and the id `007` are no numbers.
fn shown_value(name: &str, value: &str) -> Markup {
    let is_name = ["_id", "_version", "_name", "_type"].iter().any(|end| name.ends_with(end));
    let read = value.parse::<f64>().ok().filter(|read| read.is_finite() && !is_name);
    html! {
        @match (read, TimeMs::parse_rfc3339(value)) {
            (Some(read), _) => (shown::data(read, &number(read))),
            (None, Some(_)) => (shown::time(value)),
            (None, None) => (shown::name_or_dash(value)),
        }
    }
}

/// Where its rows are: read from its statement, which names them.
fn rows(one: &RecordedEvidence) -> Option<(&'static str, String)> {
    let named = |column: &str| equal(&one.query, column).into_iter().next();
    let value = |name: &str| one.data.get(name).map(String::as_str);
    let colony = named("colony_id").unwrap_or_else(|| one.colony_id.clone());
    let text = |column: &str| named(column).unwrap_or_default();
    if let Some(id) = named("correlation_id") {
        return Some(("the rows behind the pattern", shown::pattern_address(&id)));
    }
    if let Some(id) = named("deployment_id") {
        return Some(("the deployment", shown::deployment_address(&colony, &id)));
    }
    if named("prediction_id").is_some() {
        return value("correlation_id").map(|id| ("the pattern that expects it", shown::pattern_address(id)));
    }
    if let Some(at) = value("timestamp") {
        return Some(("the event", shown::events_address(&colony, at)));
    }
    if value("events").is_some() || value("event_type").is_some() {
        let (from, to) = value("first_at").zip(value("last_at")).unwrap_or_default();
        // the last event is within the range
        let to = TimeMs::parse_rfc3339(to).map(|to| (to + 1).to_string()).unwrap_or_default();
        let (service, event_type) = (text("service_id"), text("event_type"));
        let fields = [
            ("colony", colony.as_str()),
            ("service", service.as_str()),
            ("type", event_type.as_str()),
            ("from", from),
            ("to", to.as_str()),
        ];
        return Some(("the events", address("/events", &fields)));
    }
    if let Some(metric) = named("metric_name") {
        let environments = equal(&one.query, "environment");
        if let [a, b, ..] = environments.as_slice() {
            let application = text("application_name");
            let fields =
                [("a", a.as_str()), ("b", b.as_str()), ("app", application.as_str()), ("metric", metric.as_str())];
            return Some(("both series", address("/compare", &fields)));
        }
        let service = text("service_id");
        let (from, to) = times(&one.query);
        let fields = [
            ("colony", colony.as_str()),
            ("service", service.as_str()),
            ("metric", metric.as_str()),
            ("from", from.as_deref().unwrap_or_default()),
            ("to", to.as_deref().unwrap_or_default()),
        ];
        return Some(("the series", address("/series", &fields)));
    }
    if named("from_service").is_some() || value("health").is_some() {
        return Some(("the services", address("/services", &[("colony", colony.as_str())])));
    }
    None
}

/// The values that a column is compared with, `column = 'value'`.
fn equal(query: &str, column: &str) -> Vec<String> {
    let begin = [column, " = '"].concat();
    let mut found = Vec::new();
    for (at, _) in query.match_indices(&begin) {
        // not the end of a longer name
        if query[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        if let Some(value) = literal(&query[at + begin.len()..])
            && !value.is_empty()
            && !found.contains(&value)
        {
            found.push(value);
        }
    }
    found
}

/// A text of a statement, from behind its first quote to its last one.
fn literal(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if rest.peek() == Some(&'\'') => {
                rest.next();
                value.push('\'');
            }
            '\'' => return Some(value),
            c => value.push(c),
        }
    }
    None
}

/// The first and the last time that a statement names.
fn times(query: &str) -> (Option<String>, Option<String>) {
    let time = |text: &str| {
        let text = literal(text)?.replace(' ', "T") + "Z";
        TimeMs::parse_rfc3339(&text).map(|time| time.to_string())
    };
    let of = |sign: &'static str| -> Vec<String> {
        query.match_indices(sign).filter_map(|(at, _)| time(&query[at + sign.len()..])).collect()
    };
    (of(">= '").into_iter().min(), of("< '").into_iter().max())
}

/// A text of an answer in which each `[E1]` leads to its evidence, where that is on the page.
pub fn referring(text: &str, evidence: &[RecordedEvidence]) -> Markup {
    let is_id = |part: &str| evidence.iter().any(|one| one.id == part);
    let mut parts: Vec<Markup> = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        parts.push(html! { (printable(before)) "[" });
        rest = after;
        let Some((ids, after)) = after.split_once(']') else { continue };
        if !ids.split(',').all(|id| is_id(id.trim())) {
            continue;
        }
        for (place, id) in ids.split(',').map(str::trim).enumerate() {
            parts.push(html! { @if place > 0 { ", " } a href={ "#" (id) } { (id) } });
        }
        parts.push(html! { "]" });
        rest = after;
    }
    parts.push(html! { (printable(rest)) });
    html! { @for part in &parts { (part) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(query: &str, data: &[(&str, &str)]) -> RecordedEvidence {
        RecordedEvidence {
            id: "E1".to_owned(),
            colony_id: "my-shop-production".to_owned(),
            query: query.to_owned(),
            data: data.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..RecordedEvidence::default()
        }
    }

    #[test]
    fn each_kind_of_evidence_leads_to_its_rows() {
        let of = |query: &str, data: &[(&str, &str)]| rows(&evidence(query, data)).map(|it| it.1);
        let pattern = of("SELECT state FROM correlations WHERE correlation_id = 'c-1'", &[]);
        assert_eq!(pattern.as_deref(), Some("/pattern?id=c-1"));
        let deployed = "SELECT status FROM deployment_timeline WHERE colony_id = 'it''s' AND deployment_id = 'e-3'";
        assert_eq!(of(deployed, &[]).as_deref(), Some("/deployment?id=it%27s%2Fe-3"));
        let expected = "SELECT outcome FROM predictions WHERE prediction_id = 'p-1'";
        assert_eq!(of(expected, &[("outcome", "open")]), None);
        assert_eq!(of(expected, &[("correlation_id", "c-1")]).as_deref(), Some("/pattern?id=c-1"));
        let happened = "SELECT timestamp FROM federated_events WHERE colony_id = 'a' AND event_id = 'x'";
        let at = [("event_type", "crash"), ("timestamp", "2024-11-13T10:45:00.000Z")];
        let expected = "/events?colony=a&from=2024-11-13T10:44:00.000Z&to=2024-11-13T10:46:00.000Z";
        assert_eq!(of(happened, &at).as_deref(), Some(expected));
        let counted = "SELECT count(*) FROM federated_events WHERE colony_id = 'a' AND event_type = 'crash'";
        let data = [("events", "2"), ("first_at", "2024-11-13T10:45:00.000Z"), ("last_at", "2024-11-13T10:46:00.000Z")];
        let expected = "/events?colony=a&type=crash&from=2024-11-13T10:45:00.000Z&to=2024-11-13T10:46:00.001Z";
        assert_eq!(of(counted, &data).as_deref(), Some(expected));
        let compared = "SELECT 1 FROM t WHERE application_name = 'shop' AND environment = 'production' AND metric_name = \
                        'latency' AND 1 = (SELECT 1 FROM t WHERE environment = 'staging')";
        let expected = "/compare?a=production&b=staging&app=shop&metric=latency";
        assert_eq!(of(compared, &[("value_a", "1")]).as_deref(), Some(expected));
        let median = "SELECT median(p95) FROM federated_metrics WHERE colony_id = 'a' AND metric_name = 'latency' AND \
                      timestamp >= '2024-11-13 08:00:00' AND timestamp < '2024-11-13 09:00:00'";
        let expected = "/series?colony=a&metric=latency&from=2024-11-13T08:00:00.000Z&to=2024-11-13T09:00:00.000Z";
        assert_eq!(of(median, &[("before_value", "1")]).as_deref(), Some(expected));
        let calls = "SELECT 1 FROM service_edges WHERE colony_id = 'a' AND from_service = 'x' AND to_service = 'y'";
        assert_eq!(of(calls, &[]).as_deref(), Some("/services?colony=a"));
    }

    #[test]
    fn a_name_of_digits_is_shown_as_it_is() {
        for (name, value) in [("to_version", "1.10"), ("service_id", "007"), ("event_type", "404")] {
            let shown = shown_value(name, value).into_string();
            assert!(shown.contains(value) && !shown.contains("<data"), "{shown}");
        }
        let shown = shown_value("lag_seconds", "120").into_string();
        assert!(shown.contains("<data value=\"120\""), "{shown}");
    }

    #[test]
    fn a_reference_leads_to_its_evidence_and_other_brackets_stay() {
        let [first, other] = ["E1", "E12"].map(|id| RecordedEvidence { id: id.to_owned(), ..evidence("", &[]) });
        let text = "slower [E1, E12], [see] <b> [E] [E2] [x";
        let shown = referring(text, &[first, other]).into_string();
        let expected = "slower [<a href=\"#E1\">E1</a>, <a href=\"#E12\">E12</a>], [see] &lt;b&gt; [E] [E2] [x";
        assert_eq!(shown, expected);
        assert!(!referring(text, &[]).into_string().contains("<a "), "what is not on the page is no link");
    }
}
