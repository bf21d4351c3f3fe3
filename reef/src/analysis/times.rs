//! Times as people say them: "last 2 hours", "since yesterday", "after the deploy of …". Now is after the newest row.

use super::calendar;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs, parse_duration_ms};

/// The hour that a time of day stands for, before and after it.
const AROUND_MS: i64 = 30 * MINUTE_MS;
/// Before a deployment, what is looked at when the question says "before".
const BEFORE_MS: i64 = HOUR_MS;

/// Words by which a question says when.
const SAYING_WHEN: [&str; 20] = [
    "ago",
    "since",
    "until",
    "yesterday",
    "today",
    "noon",
    "midnight",
    "am",
    "pm",
    "second",
    "seconds",
    "minute",
    "minutes",
    "hour",
    "hours",
    "day",
    "days",
    "week",
    "weeks",
    "month",
];

/// The range that the words name, if any: `from..to`, with `to` at most `now`. `deployed` is the start of the deployment
/// that they name.
pub(super) fn named(words: &[String], now: TimeMs, deployed: Option<TimeMs>) -> Option<(TimeMs, TimeMs)> {
    if words.iter().any(|word| calendar::is_name(word)) {
        return None;
    }
    let found = (0..words.len()).find_map(|place| at(&words[place..], now, deployed))?;
    let (from, to) = (found.0.max(TimeMs(0)), found.1.min(now));
    (from < to).then_some((from, to))
}

/// Whether the words say when.
pub(super) fn say_when(words: &[String]) -> bool {
    let is_time = |(place, word): (usize, &String)| {
        let word = word.as_str();
        calendar::is_name(word)
            || SAYING_WHEN.contains(&word)
            || clock(&words[place..]).is_some()
            || day(word).is_some()
    };
    words.iter().enumerate().any(is_time)
}

/// The range that begins with these words.
fn at(words: &[String], now: TimeMs, deployed: Option<TimeMs>) -> Option<(TimeMs, TimeMs)> {
    let word = |place: usize| words.get(place).map_or("", String::as_str);
    let around = |time: TimeMs| (time - AROUND_MS, time + AROUND_MS);
    let today = now.floor_to(DAY_MS);
    match word(0) {
        "last" | "past" => length(&words[1..]).map(|(ms, _)| (now - ms, now)),
        "since" | "after" if deployed.is_some() && is_about_deploy(&words[1..]) => deployed.map(|start| (start, now)),
        "before" if deployed.is_some() && is_about_deploy(&words[1..]) => {
            deployed.map(|start| (start - BEFORE_MS, start))
        }
        "since" => match (instant(&words[1..], now), word(1)) {
            (Some(time), _) => Some((time, now)),
            (None, "yesterday") => Some((today - DAY_MS, now)),
            (None, "today") => Some((today, now)),
            _ => None,
        },
        "yesterday" => Some(instant(words, now).map_or((today - DAY_MS, today), around)),
        "today" => Some(instant(words, now).map_or((today, now), around)),
        "this" if word(1) == "week" => Some((now - 7 * DAY_MS, now)),
        "at" | "around" => instant(&words[1..], now).map(around),
        _ => {
            // "2 hours ago"
            let (ms, used) = length(words)?;
            (word(used) == "ago").then(|| (now - ms - AROUND_MS.max(ms / 4), now - ms + AROUND_MS.max(ms / 4)))
        }
    }
}

/// Whether a deployment is meant within the next words.
fn is_about_deploy(words: &[String]) -> bool {
    let names = ["deploy", "deployment", "release", "rollout", "rollback", "upgrade", "it"];
    words.iter().take(4).any(|word| names.contains(&word.as_str()))
}

/// `2 hours`, `2h`, `hour`, `an hour`, and how many words it takes.
fn length(words: &[String]) -> Option<(i64, usize)> {
    let word = |place: usize| words.get(place).map_or("", String::as_str);
    if let Ok(ms) = parse_duration_ms(word(0)) {
        return (ms > 0).then_some((ms, 1));
    }
    if let Some(unit) = unit(word(0)) {
        return Some((unit, 1));
    }
    let count = match word(0) {
        "a" | "an" | "one" => 1,
        "two" => 2,
        "three" | "few" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "eleven" => 11,
        "twelve" => 12,
        "fifteen" => 15,
        "twenty" => 20,
        "thirty" => 30,
        "forty" => 40,
        "fifty" => 50,
        "sixty" => 60,
        "half" if word(1) == "an" && word(2) == "hour" => return Some((30 * MINUTE_MS, 3)),
        other => other.parse::<u32>().ok().filter(|count| (1..=10_000).contains(count)).map(i64::from)?,
    };
    Some((unit(word(1))?.saturating_mul(count), 2))
}

fn unit(word: &str) -> Option<i64> {
    Some(match word {
        "second" | "seconds" | "sec" | "secs" => SECOND_MS,
        "minute" | "minutes" | "min" | "mins" => MINUTE_MS,
        "hour" | "hours" | "hr" | "hrs" => HOUR_MS,
        "day" | "days" => DAY_MS,
        "week" | "weeks" => 7 * DAY_MS,
        "month" | "months" => 30 * DAY_MS,
        _ => return None,
    })
}

/// `14:05` of the last day, `14:05 yesterday`, `yesterday at 2pm`, `2024-11-13`, `2024-11-13 at 14:05`, or RFC 3339.
fn instant(words: &[String], now: TimeMs) -> Option<TimeMs> {
    let word = |place: usize| words.get(place).map_or("", String::as_str);
    if let Some(time) = TimeMs::parse_rfc3339(&word(0).to_uppercase()) {
        return Some(time);
    }
    let today = now.floor_to(DAY_MS);
    let rest = if ["at", "around"].contains(&word(1)) { 2 } else { 1 };
    let behind = || clock(words.get(rest..).unwrap_or_default()).map(|(ms, _)| ms);
    match word(0) {
        "yesterday" => return behind().map(|ms| today - DAY_MS + ms),
        "today" => return behind().map(|ms| today + ms),
        other => {
            if let Some(day) = day(other) {
                return Some(day + behind().unwrap_or(0));
            }
        }
    }
    let (ms, used) = clock(words)?;
    let used = if word(used) == "utc" { used + 1 } else { used };
    match word(used) {
        "yesterday" => Some(today - DAY_MS + ms),
        "today" => Some(today + ms),
        _ if today + ms > now => Some(today - DAY_MS + ms),
        _ => Some(today + ms),
    }
}

/// The begin of `2024-11-13`.
fn day(word: &str) -> Option<TimeMs> {
    TimeMs::parse_rfc3339(&format!("{word}T00:00:00Z"))
}

/// Milliseconds since midnight of `14:05`, `2pm`, `2:30 pm`, `noon`, and how many words it takes.
fn clock(words: &[String]) -> Option<(i64, usize)> {
    let word = words.first().map_or("", String::as_str);
    match word {
        "noon" => return Some((12 * HOUR_MS, 1)),
        "midnight" => return Some((0, 1)),
        _ => {}
    }
    let half_of = |word: &str| match word {
        "am" | "a.m" => Some(false),
        "pm" | "p.m" => Some(true),
        _ => None,
    };
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '.');
    let (half, used) = match (half_of(&word[digits.len()..]), words.get(1).and_then(|next| half_of(next))) {
        (Some(half), _) => (Some(half), 1),
        (None, _) if digits.len() < word.len() => return None,
        (None, Some(half)) => (Some(half), 2),
        (None, None) => (None, 1),
    };
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) => (hour, minute),
        // an hour alone is a number
        None => half.map(|_| (digits, "0"))?,
    };
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(is_after_noon) => hour % 12 + if is_after_noon { 12 } else { 0 },
    };
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some((hour * HOUR_MS + minute * MINUTE_MS, used))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::analysis::words::Words;

    #[test]
    fn times_are_read_as_people_say_them() {
        let now = TimeMs::parse_rfc3339("2024-11-13T12:00:00Z").unwrap();
        let deployed = TimeMs::parse_rfc3339("2024-11-13T10:30:00Z").unwrap();
        let range = |question: &str| {
            let found = named(&Words::of(question).list(), now, Some(deployed));
            found.map(|(from, to)| format!("{}/{}", &from.to_string()[5..16], &to.to_string()[5..16]))
        };
        let expected = [
            ("any errors in the last 2 hours?", "11-13T10:00/11-13T12:00"),
            ("errors in the past hour", "11-13T11:00/11-13T12:00"),
            ("last 30m", "11-13T11:30/11-13T12:00"),
            ("last week", "11-06T12:00/11-13T12:00"),
            ("what changed since yesterday", "11-12T00:00/11-13T12:00"),
            ("what broke yesterday?", "11-12T00:00/11-13T00:00"),
            ("today", "11-13T00:00/11-13T12:00"),
            ("what happened after the deploy of checkout v1.4.1?", "11-13T10:30/11-13T12:00"),
            ("before the deploy", "11-13T09:30/11-13T10:30"),
            ("since 09:15", "11-13T09:15/11-13T12:00"),
            ("what was at 14:00?", "11-12T13:30/11-12T14:30"),
            ("since 2024-11-12 08:00", "11-12T08:00/11-13T12:00"),
            ("since 2024-11-12t08:30:00z", "11-12T08:30/11-13T12:00"),
            ("two hours ago", "11-13T09:30/11-13T10:30"),
            ("what broke yesterday at 14:00?", "11-12T13:30/11-12T14:30"),
            ("what broke at 14:00 yesterday?", "11-12T13:30/11-12T14:30"),
            ("what broke at 09:00 UTC yesterday?", "11-12T08:30/11-12T09:30"),
            ("errors in the last five minutes", "11-13T11:55/11-13T12:00"),
            ("errors in the last ten hours", "11-13T02:00/11-13T12:00"),
            ("what was at 2pm?", "11-12T13:30/11-12T14:30"),
            ("what was at 9:30 a.m.?", "11-13T09:00/11-13T10:00"),
            ("what was at noon yesterday", "11-12T11:30/11-12T12:30"),
            ("since yesterday at 14:00", "11-12T14:00/11-13T12:00"),
            ("since 2024-11-12 at 08:00", "11-12T08:00/11-13T12:00"),
            ("since midnight", "11-13T00:00/11-13T12:00"),
        ];
        for (question, expected) in expected {
            assert_eq!(range(question).as_deref(), Some(expected), "{question}");
        }
        for none in ["why is prod slow?", "the last deploy", "since the launch", "last 0 hours", "since 2099-01-01", ""]
        {
            assert_eq!(range(none), None, "{none}");
        }
        for unread in ["on monday at 14:00", "at 14:00 CET", "yesterday evening", "since the launch", "until 14:00"] {
            assert_eq!(range(unread), None, "{unread}");
            assert!(say_when(&Words::of(unread).list()), "{unread}");
        }
        assert!(!say_when(&Words::of("why is prod slow?").list()));
    }
}
