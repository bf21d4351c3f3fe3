//! Times on the command line: RFC 3339, a date, `now`, or how long ago.

use crate::exit::{Exit, Failure};
use model::time::{TimeMs, parse_duration_ms};
use pipelines::replay::{RequestedTime, TimeRange};

/// Parses a user's time; `now` is a parameter so that both ends of a range use the same one.
fn parse(flag: &str, text: &str, now: TimeMs) -> Result<RequestedTime, Failure> {
    let text = text.trim();
    let absolute = TimeMs::parse_rfc3339(text).or_else(|| TimeMs::parse_rfc3339(&format!("{text}T00:00:00Z")));
    if let Some(time) = absolute {
        return Ok(RequestedTime { time, text: time.to_string() });
    }
    if text == "now" {
        return Ok(RequestedTime { time: now, text: text.to_owned() });
    }
    if let Ok(ms) = parse_duration_ms(text.strip_prefix("now-").unwrap_or(text)) {
        return Ok(RequestedTime { time: now - ms, text: text.to_owned() });
    }
    let message = format!("{flag} {text:?} is not a time");
    let hint =
        "write for example 2026-03-02T10:00:00Z, 2026-03-02 (its first moment, UTC), now, now-2h, or 24h for a day ago";
    Err(Failure::new(Exit::Usage, "time_invalid", message).hint(hint))
}

/// One time.
pub fn time(flag: &str, text: &str, now: TimeMs) -> Result<TimeMs, Failure> {
    Ok(parse(flag, text, now)?.time)
}

/// A range, and the text of both its ends, by which the next call recognises it.
pub fn range(from: &str, to: &str, now: TimeMs) -> Result<(TimeRange, (String, String)), Failure> {
    let (from, to) = (parse("--from", from, now)?, parse("--to", to, now)?);
    if from.time >= to.time {
        let message = format!("--from ({}) is not before --to ({})", from.time, to.time);
        let hint = "rows are taken from --from on and before --to; without --to the range ends now";
        return Err(Failure::new(Exit::Usage, "range_invalid", message).hint(hint));
    }
    Ok((TimeRange { from: from.time, to: to.time }, (from.text, to.text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::time::DAY_MS;

    const NOW: TimeMs = TimeMs(1_772_445_600_000); // 2026-03-02T10:00:00Z

    #[test]
    fn all_ways_to_write_a_time() {
        let (exact, words) = range("2026-03-01T01:00:00+01:00", "2026-03-02", NOW).unwrap();
        assert_eq!(exact.to_string(), "2026-03-01T00:00:00.000Z..2026-03-02T00:00:00.000Z");
        assert_eq!(words, (exact.from.to_string(), exact.to.to_string()));
        let (ago, words) = range("1d", "now", NOW).unwrap();
        assert_eq!((ago.from, ago.to), (NOW - DAY_MS, NOW));
        assert_eq!(time("--as-of", "now-1d", NOW).unwrap(), NOW - DAY_MS);
        assert_eq!(words, ("1d".to_owned(), "now".to_owned()));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (from, to, expected) in [
            ("yesterday", "now", "--from \"yesterday\" is not a time"),
            ("2026-02-30", "now", "--from \"2026-02-30\" is not a time"),
            ("24", "now", "--from \"24\" is not a time"),
            ("24h", "tomorrow", "--to \"tomorrow\" is not a time"),
            ("2026-03-02", "2026-03-01", "--from (2026-03-02T00:00:00.000Z) is not before --to (2026-03-01T00"),
            ("now", "now", "is not before"),
        ] {
            let failure = range(from, to, NOW).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(expected), "{failure:?}");
            assert!(failure.hint.is_some());
        }
    }
}
