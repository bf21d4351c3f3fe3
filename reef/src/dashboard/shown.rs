//! Shown: numbers, times, names and signs as HTML. Each number carries the value of the JSON that it stands for.

use super::query::address;
use crate::printable::{printable, shortened};
use maud::{Markup, html};
use model::meaning::Unit;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs};
use std::fmt::Display;

/// Longest name in a cell; the whole is in its title.
const NAME_MAX: usize = 48;

/// A number of the JSON, as it is there.
pub fn count(value: impl Display + Copy) -> Markup {
    html! { data value=(value) { (grouped(&value.to_string())) } }
}

/// A number of the JSON, as people read it.
pub fn data(value: impl Display, shown: &str) -> Markup {
    html! { data value=(value) { (shown) } }
}

/// The name of a unit, as the scripts of charts know it.
pub fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
        Unit::Share => "share",
        Unit::Percent => "percent",
        Unit::Bytes => "bytes",
        Unit::RequestsPerSecond => "req/s",
        Unit::None => "none",
    }
}

/// `12345` as `12,345`.
fn grouped(digits: &str) -> String {
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole || digits.len() <= 4 {
        return digits.to_owned();
    }
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time of the JSON, to the minute; the whole of it is in its title.
pub fn time(rfc_3339: &str) -> Markup {
    html! { time datetime=(rfc_3339) title=(rfc_3339) { (minute(rfc_3339)) } }
}

/// `2026-11-13 14:30` of `2026-11-13T14:30:05.000Z`; text that is no time stays.
pub fn minute(rfc_3339: &str) -> String {
    match TimeMs::parse_rfc3339(rfc_3339) {
        Some(time) => time.to_string().chars().take(16).collect::<String>().replace('T', " "),
        None => printable(rfc_3339),
    }
}

/// `2 h 13 min`: at most two units, as people say it.
pub fn span(ms: i64) -> String {
    let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")];
    let size = ms.checked_abs().unwrap_or(i64::MAX);
    let Some(first) = units.iter().position(|(unit, _)| size >= *unit) else {
        return if size == 0 { "0 s".to_owned() } else { "under 1 s".to_owned() };
    };
    let (unit, name) = units[first];
    let rest = units.get(first + 1).map(|(next, name)| (size % unit / next, name)).filter(|(rest, _)| *rest > 0);
    let sign = if ms < 0 { "−" } else { "" };
    match rest {
        Some((rest, next)) => format!("{sign}{} {name} {rest} {next}", size / unit),
        None => format!("{sign}{} {name}", size / unit),
    }
}

/// A number of seconds of the JSON.
pub fn seconds(value: impl Into<i64>) -> Markup {
    let value = value.into();
    data(value, &span(value.saturating_mul(SECOND_MS)))
}

/// A share of the JSON, 0 to 1, in percent; never rounded to certainty or impossibility.
pub fn share(value: f64) -> Markup {
    let shown = match value {
        value if value > 0.0 && value <= 0.005 => "< 1 %".to_owned(),
        value if (0.995..1.0).contains(&value) => "> 99 %".to_owned(),
        value => format!("{:.0} %", value * 100.0),
    };
    data(value, &shown)
}

/// A confidence of the JSON: never rounded up to certainty, which no number of rows gives.
pub fn confidence(value: f64) -> Markup {
    if value >= 0.995 { data(value, "> 99 %") } else { share(value) }
}

/// A change in percent, with its sign.
pub fn percent(value: f64) -> Markup {
    let size = value.abs();
    let shown = if size >= 10.0 { format!("{value:+.0} %") } else { format!("{value:+.1} %") };
    data(value, &shown.replace('-', "−"))
}

/// Text from outside, without what could control a display, cut where it is long.
pub fn name(text: &str) -> Markup {
    let shown = shortened(text, NAME_MAX);
    html! { @if shown == text { (shown) } @else { span title=(printable(text)) { (shown) } } }
}

/// A sentence from outside: whole, without what could control a display.
pub fn sentence(text: &str) -> Markup {
    html! { span.text { (printable(text)) } }
}

/// A name; a dash where it is empty.
pub fn name_or_dash(text: &str) -> Markup {
    html! { @if text.is_empty() { span.muted { "–" } } @else { (name(text)) } }
}

/// How something is: a sign, a word and a colour.
pub fn state(word: &str) -> Markup {
    let (class, sign) = match word {
        "healthy" | "success" | "current" | "confirmed" | "newest" | "pass" | "running" | "answered" => ("good", "✓"),
        "degraded" | "warning" | "late" | "behind" | "rolled_back" | "draining" | "withdrawn" | "cancelled"
        | "interrupted" => ("warn", "▲"),
        "unhealthy" | "failed" | "critical" | "unreachable" | "revoked" => ("bad", "✗"),
        "stale" => ("warn", "◷"),
        "candidate" | "pending" | "info" | "differs" | "restoring" | "template" | "started" => ("note", "◌"),
        _ => ("none", "–"),
    };
    html! { span class={ "state " (class) } { span.sign aria-hidden="true" { (sign) } " " (printable(&word.replace('_', " "))) } }
}

/// A command to copy.
pub fn command(text: &str) -> Markup {
    html! {
        div.command { code tabindex="0" { (text) } button.copy type="button" hidden { "Copy" } }
    }
}

/// What a list or chart says that has nothing to show: why, and what to do.
pub fn empty(why: &str, what_to_do: Markup) -> Markup {
    html! { div.empty { p { strong { (printable(why)) } } p { (what_to_do) } } }
}

/// A word as an argument of a shell command.
pub fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", printable(text).replace('\'', "'\\''")),
    }
}

/// The address of a pattern's page.
pub fn pattern_address(correlation_id: &str) -> String {
    address("/pattern", &[("id", correlation_id)])
}

/// The address of a deployment's page. Its id is one in its colony only.
pub fn deployment_address(colony_id: &str, deployment_id: &str) -> String {
    address("/deployment", &[("id", format!("{colony_id}/{deployment_id}").as_str())])
}

/// The points of a metric from a moment on, for a day: the window of a metric pattern.
pub fn series_address([colony_id, service, metric]: [&str; 3], rfc_3339: &str) -> String {
    let to = TimeMs::parse_rfc3339(rfc_3339).map(|time| (time + DAY_MS).to_string()).unwrap_or_default();
    let of = [("colony", colony_id), ("service", service), ("metric", metric), ("from", rfc_3339), ("to", to.as_str())];
    address("/series", &of)
}

/// The events around a moment in a colony.
pub fn events_address(colony_id: &str, rfc_3339: &str) -> String {
    let around = |ms: i64| TimeMs::parse_rfc3339(rfc_3339).map(|time| (time + ms).to_string()).unwrap_or_default();
    let (from, to) = (around(-MINUTE_MS), around(MINUTE_MS));
    address("/events", &[("colony", colony_id), ("from", from.as_str()), ("to", to.as_str())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_at_most_two_units() {
        let cases = [
            (0, "0 s"),
            (400, "under 1 s"),
            (59_000, "59 s"),
            (7_980_000, "2 h 13 min"),
            (3_600_000, "1 h"),
            (3_601_000, "1 h"),
            (-90_000, "−1 min 30 s"),
            (200_000_000, "2 d 7 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn a_number_carries_the_value_that_it_stands_for() {
        assert_eq!(count(1_234_567_u64).into_string(), r#"<data value="1234567">1,234,567</data>"#);
        assert_eq!(share(0.9999).into_string(), r#"<data value="0.9999">&gt; 99 %</data>"#);
        assert_eq!(share(0.995).into_string(), r#"<data value="0.995">&gt; 99 %</data>"#);
        assert_eq!(share(0.005).into_string(), r#"<data value="0.005">&lt; 1 %</data>"#);
        assert_eq!(confidence(0.995).into_string(), r#"<data value="0.995">&gt; 99 %</data>"#);
        assert_eq!(share(1.0).into_string(), r#"<data value="1">100 %</data>"#);
        assert_eq!(percent(-41.26).into_string(), r#"<data value="-41.26">−41 %</data>"#);
        assert_eq!(seconds(7_980_i32).into_string(), r#"<data value="7980">2 h 13 min</data>"#);
    }

    #[test]
    fn hostile_text_is_text() {
        let hostile = "<script>alert(1)</script>\u{202e}";
        let shown = name(hostile).into_string();
        assert!(
            !shown.contains("<script") && shown.contains("&lt;script&gt;") && !shown.contains('\u{202e}'),
            "{shown}"
        );
        let long = "the error rate rose ".repeat(9);
        assert!(sentence(&long).into_string().contains(long.as_str()), "a sentence is not cut");
        assert_eq!(quoted("a b'; rm -rf ~"), r"'a b'\''; rm -rf ~'");
        assert_eq!(quoted("c-1a2b"), "c-1a2b");
    }
}
