//! Event time: milliseconds since 1970-01-01 UTC, and durations as users write them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds in one second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds in one minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in one hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in one day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Timestamps before 1990 are unit errors (seconds read as milliseconds land in January 1970).
pub const TIMESTAMP_MIN: TimeMs = TimeMs(631_152_000_000);

/// A point in event time, UTC, in whole milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeMs(pub i64);

impl TimeMs {
    /// The last instant at or before `self` that is a whole multiple of `step_ms` since 1970.
    ///
    /// ```
    /// use coral_model::time::{TimeMs, DAY_MS};
    /// assert_eq!(TimeMs(DAY_MS + 5).floor_to(DAY_MS), TimeMs(DAY_MS));
    /// assert_eq!(TimeMs(-1).floor_to(DAY_MS), TimeMs(-DAY_MS));
    /// ```
    pub fn floor_to(self, step_ms: i64) -> TimeMs {
        TimeMs(self.0.div_euclid(step_ms) * step_ms)
    }

    /// Reads RFC 3339 (`2023-01-03T19:06:18.000Z`, any offset). `None` when the text is not a time.
    ///
    /// ```
    /// use coral_model::time::TimeMs;
    /// let t = TimeMs::parse_rfc3339("1970-01-01T01:00:00.250+01:00").unwrap();
    /// assert_eq!(t, TimeMs(250));
    /// assert_eq!(t.to_string(), "1970-01-01T00:00:00.250Z");
    /// ```
    pub fn parse_rfc3339(text: &str) -> Option<TimeMs> {
        let text = text.trim();
        parse_plain(text)
            .or_else(|| chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| TimeMs(t.timestamp_millis())))
    }
}

/// `2023-01-03T19:06:18Z` or `2023-01-03T19:06:18.250Z`, as nearly all writers have it: a third of the time that a row
/// takes to decode would go into reading every form of a time.
fn parse_plain(text: &str) -> Option<TimeMs> {
    let bytes = text.as_bytes();
    let digits = |first: usize, count: usize| {
        bytes
            .get(first..first + count)?
            .iter()
            .try_fold(0_u32, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
    };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let ms = match bytes.len() {
        20 if is(19, b'Z') => 0,
        24 if is(19, b'.') && is(23, b'Z') => digits(20, 3)?,
        _ => return None,
    };
    if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
        return None;
    }
    let year = i32::try_from(digits(0, 4)?).ok()?;
    let date = chrono::NaiveDate::from_ymd_opt(year, digits(5, 2)?, digits(8, 2)?)?;
    let time = date.and_hms_milli_opt(digits(11, 2)?, digits(14, 2)?, digits(17, 2)?, ms)?;
    Some(TimeMs(time.and_utc().timestamp_millis()))
}

impl fmt::Display for TimeMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0) {
            Some(t) => write!(f, "{}", t.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl std::ops::Add<i64> for TimeMs {
    type Output = TimeMs;
    fn add(self, ms: i64) -> TimeMs {
        TimeMs(self.0.saturating_add(ms))
    }
}

impl std::ops::Sub<i64> for TimeMs {
    type Output = TimeMs;
    fn sub(self, ms: i64) -> TimeMs {
        TimeMs(self.0.saturating_sub(ms))
    }
}

impl std::ops::Sub<TimeMs> for TimeMs {
    type Output = i64;
    fn sub(self, other: TimeMs) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// Why a duration text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A bare number: `90` could be seconds or days.
    #[error("duration {0:?} has no unit; write for example 90s, 15m, 4h, 30d or 1y")]
    NoUnit(String),
    /// Not a sequence of numbers with units.
    #[error("{0:?} is not a duration; write for example 90s, 15m, 2h15m, 30d or 1y")]
    Malformed(String),
}

/// Reads `90s`, `15m`, `2h15m`, `30d`, `1y` (365 days) or `500ms` into milliseconds.
///
/// ```
/// use coral_model::time::parse_duration_ms;
/// assert_eq!(parse_duration_ms("2h15m"), Ok(8_100_000));
/// assert!(parse_duration_ms("90").is_err());
/// ```
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    let text = text.trim();
    let malformed = || DurationError::Malformed(text.to_owned());
    if text.is_empty() {
        return Err(malformed());
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().map_err(|_| malformed())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => SECOND_MS,
            "m" => MINUTE_MS,
            "h" => HOUR_MS,
            "d" => DAY_MS,
            "y" => 365 * DAY_MS,
            _ => return Err(malformed()),
        };
        rest = &rest[letters..];
        total = number.checked_mul(unit_ms).and_then(|ms| total.checked_add(ms)).ok_or_else(malformed)?;
    }
    Ok(total)
}

/// Writes a duration the way people read it: `2h15m`, `45s`, `30d`, `1.5s` below a minute.
///
/// ```
/// assert_eq!(coral_model::time::format_duration_ms(8_100_000), "2h15m");
/// assert_eq!(coral_model::time::format_duration_ms(0), "0s");
/// ```
pub fn format_duration_ms(ms: i64) -> String {
    let (sign, mut rest) = if ms < 0 { ("-", -ms) } else { ("", ms) };
    if rest < MINUTE_MS {
        let seconds = rest as f64 / 1000.0;
        return if rest % 1000 == 0 { format!("{sign}{}s", rest / 1000) } else { format!("{sign}{seconds:.1}s") };
    }
    let mut text = sign.to_owned();
    let mut parts = 0;
    for (unit_ms, unit) in [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")] {
        if rest >= unit_ms && parts < 2 {
            text.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
            parts += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The form with a fast path, and near misses.
    fn nearly_plain() -> impl Strategy<Value = String> {
        let field = |width: usize, max: u32| (0..=max).prop_map(move |number| format!("{number:0width$}"));
        let fraction = prop_oneof![Just(String::new()), field(3, 999).prop_map(|ms| format!(".{ms}"))];
        let date = (field(4, 9_999), field(2, 13), field(2, 32));
        let time = (field(2, 25), field(2, 61), field(2, 61), fraction);
        (date, time, 0_usize..24, any::<Option<char>>()).prop_map(|((y, mo, d), (h, mi, s, fraction), at, odd)| {
            let text = format!("{y}-{mo}-{d}T{h}:{mi}:{s}{fraction}Z");
            match odd {
                Some(odd) => text.chars().enumerate().map(|(n, char)| if n == at { odd } else { char }).collect(),
                None => text,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_quick_reading_is_the_full_one(text in nearly_plain()) {
            let full = chrono::DateTime::parse_from_rfc3339(text.trim()).ok().map(|t| TimeMs(t.timestamp_millis()));
            prop_assert_eq!(TimeMs::parse_rfc3339(&text), full);
        }

        #[test]
        fn what_is_shown_reads_back(ms in 0..253_402_300_799_999_i64) {
            prop_assert_eq!(TimeMs::parse_rfc3339(&TimeMs(ms).to_string()), Some(TimeMs(ms)));
        }
    }
}
