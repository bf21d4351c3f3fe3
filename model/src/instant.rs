//! Instants in the formats found in files and messages: every unambiguous form is read.

use crate::time::{DAY_MS, TimeMs};
use chrono::{FixedOffset, NaiveDate, NaiveTime};

/// Why a text is not an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstantError {
    /// A date and time without a time zone.
    #[error("names no time zone: write Z or an offset such as +02:00 behind it")]
    NoZone,
    /// A zone name that is ambiguous, or whose offset changes.
    #[error("names a time zone that is no offset: write Z or an offset such as +02:00")]
    NamedZone,
    /// Day and month are ambiguous, or another format.
    #[error("expected RFC 3339 text such as 2023-01-03T19:06:18Z, or whole milliseconds since 1970")]
    NotATime,
}

impl TimeMs {
    /// Reads an instant in any common form: RFC 3339; a blank or `_` instead of `T`; an offset as `+00`, `+0000`,
    /// `+00:00`, `Z`, `UTC` or `GMT`; the forms of RFC 2822, Go and Java. Digits below a millisecond are cut off.
    ///
    /// ```
    /// use coral_model::instant::InstantError;
    /// use coral_model::time::TimeMs;
    /// assert_eq!(TimeMs::read("1970-01-01 02:00:01+02"), Ok(TimeMs(1_000)));
    /// assert_eq!(TimeMs::read("1970-01-01 02:00:01"), Err(InstantError::NoZone));
    /// ```
    pub fn read(text: &str) -> Result<TimeMs, InstantError> {
        let text = text.trim();
        if let Some(time) = TimeMs::parse_rfc3339(text) {
            return Ok(time);
        }
        if let Ok(time) = chrono::DateTime::parse_from_rfc2822(text) {
            return Ok(TimeMs(time.timestamp_millis()));
        }
        let (date, rest) = split_date(text).ok_or(InstantError::NotATime)?;
        let rest = rest.trim_start_matches(['T', 't', '_']).trim_start();
        if rest.is_empty() {
            return Err(InstantError::NoZone);
        }
        let (time, rest) = split_time(rest).ok_or(InstantError::NotATime)?;
        let offset = offset(rest)?;
        let local = date.and_time(time).and_utc().timestamp_millis();
        Ok(TimeMs(local - i64::from(offset.local_minus_utc()) * 1_000))
    }
}

/// `2023-01-03`, `2023/01/03` or `20230103`, and what follows.
fn split_date(text: &str) -> Option<(NaiveDate, &str)> {
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    let separator = text.as_bytes().get(4)?;
    let (month, day, end) = match separator {
        b'-' | b'/' if text.as_bytes().get(7) == Some(separator) => (number(5, 7)?, number(8, 10)?, 10),
        byte if byte.is_ascii_digit() => (number(4, 6)?, number(6, 8)?, 8),
        _ => return None,
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    let rest = text.get(end..)?;
    // nine or more digits are a count
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((NaiveDate::from_ymd_opt(year, month, day)?, rest))
}

/// `19:06`, `19:06:18`, `190618`, each with a fraction behind the seconds, and what follows.
fn split_time(text: &str) -> Option<(NaiveTime, &str)> {
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    let bytes = text.as_bytes();
    let (minute, second, mut end) = match bytes.get(2)? {
        b':' if bytes.get(5) == Some(&b':') => (number(3, 5)?, number(6, 8)?, 8),
        b':' => (number(3, 5)?, 0, 5),
        _ => (number(2, 4)?, number(4, 6)?, 6),
    };
    let mut ms = 0;
    if end > 5 && matches!(bytes.get(end), Some(b'.' | b',')) {
        let fraction = text[end + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if fraction == 0 {
            return None;
        }
        let first_three = text.get(end + 1..end + 1 + fraction.min(3))?;
        ms = digits(first_three)? * 10_u32.pow(3 - fraction.min(3) as u32);
        end += 1 + fraction;
    }
    Some((NaiveTime::from_hms_milli_opt(number(0, 2)?, minute, second, ms)?, text.get(end..)?))
}

/// `Z`, `UTC`, `+00`, `-0330`, `+05:30`, Go's `+0000 UTC`, Java's `+01:00[Europe/Rome]`.
fn offset(text: &str) -> Result<FixedOffset, InstantError> {
    let text = text.trim();
    let utc = FixedOffset::east_opt(0).ok_or(InstantError::NotATime)?;
    if text.is_empty() {
        return Err(InstantError::NoZone);
    }
    let (sign, rest) = match text.chars().next() {
        Some('+') => (1, &text[1..]),
        Some('-') => (-1, &text[1..]),
        Some('\u{2212}') => (-1, &text['\u{2212}'.len_utf8()..]),
        _ => {
            let name = text.split(['[', ' ']).next().unwrap_or_default().to_ascii_uppercase();
            return match name.as_str() {
                "Z" | "UTC" | "GMT" | "ZULU" => Ok(utc),
                name if name.chars().all(|c| c.is_ascii_alphabetic() || c == '/' || c == '_') => {
                    Err(InstantError::NamedZone)
                }
                _ => Err(InstantError::NotATime),
            };
        }
    };
    let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let (stated, behind) = rest.split_at(digits_end);
    // Go names the zone again, Java its place
    if !(behind.is_empty() || behind.starts_with([' ', '['])) {
        return Err(InstantError::NotATime);
    }
    let compact: String = stated.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match compact.len() {
        1 | 2 => (digits(&compact), Some(0)),
        3 | 4 => (digits(&compact[..compact.len() - 2]), digits(&compact[compact.len() - 2..])),
        _ => (None, None),
    };
    let (Some(hours @ 0..=23), Some(minutes @ 0..=59)) = (hours, minutes) else { return Err(InstantError::NotATime) };
    FixedOffset::east_opt(sign * (hours * 3_600 + minutes * 60) as i32).ok_or(InstantError::NotATime)
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// For a number that cannot be milliseconds since 1970: the unit in which it is a time between 1990 and a day after
/// `now`, and that time.
pub fn likely_unit(number: i64, now: TimeMs) -> Option<(&'static str, TimeMs)> {
    let fits = |time: &TimeMs| (crate::time::TIMESTAMP_MIN..=now + DAY_MS).contains(time);
    let units = [
        ("seconds", number.checked_mul(1_000)),
        ("microseconds", Some(number / 1_000)),
        ("nanoseconds", Some(number / 1_000_000)),
    ];
    units.into_iter().filter_map(|(unit, ms)| Some((unit, TimeMs(ms?)))).find(|(_, time)| fits(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_instants_are_read_in_every_usual_form() {
        let at = TimeMs(1_672_772_778_250);
        for text in [
            "2023-01-03T19:06:18.250Z",
            "2023-01-03 19:06:18.25+00",
            "2023-01-03 19:06:18.250000+0000",
            "2023-01-03 19:06:18.250 UTC",
            "2023-01-03 19:06:18.250 GMT",
            "2023-01-03 21:06:18,250 +02:00",
            "2023-01-03T16:06:18.250-03",
            "2023-01-03T15:36:18.250-0330",
            "2023-01-03T15:36:18.250\u{2212}03:30",
            "2023/01/03 19:06:18.250 +0",
            "20230103T190618.250Z",
            "2023-01-03_19:06:18.250Z",
            "2023-01-03 19:06:18.250123456 +0000 UTC",
            "2023-01-03T20:06:18.250+01:00[Europe/Rome]",
            "2023-01-03T19:06:18.250Z[UTC]",
            " 2023-01-03t19:06:18.250z ",
        ] {
            assert_eq!(TimeMs::read(text), Ok(at), "{text}");
        }
        assert_eq!(TimeMs::read("Tue, 03 Jan 2023 19:06:18 GMT"), Ok(TimeMs(1_672_772_778_000)));
        assert_eq!(TimeMs::read("2023-01-03 19:06Z"), Ok(TimeMs(1_672_772_760_000)));
    }

    #[test]
    fn what_is_in_doubt_is_refused_and_says_why() {
        use InstantError::{NamedZone, NoZone, NotATime};
        for (text, why) in [
            ("2023-01-03T19:06:18", NoZone),
            ("2023-01-03 19:06:18.250", NoZone),
            ("2023-01-03", NoZone),
            ("20230103 190618", NoZone),
            ("2023-01-03 19:06:18 CET", NamedZone),
            ("2023-01-03 19:06:18 Europe/Rome", NamedZone),
            ("03/01/2023 19:06:18Z", NotATime),
            ("2023-02-29T00:00:00 Z", NotATime),
            ("2023-01-03T24:00:00 Z", NotATime),
            ("2023-01-03 19:06:18 +25", NotATime),
            ("2023-01-03 19:06:18 +1:00:00", NotATime),
            ("2023-01-03 19:06:18+00x", NotATime),
            ("2023-01-03 19:06:18.Z", NotATime),
            ("16727727780001", NotATime),
            ("yesterday", NotATime),
            ("2023-01\u{e9}", NotATime),
            ("", NotATime),
        ] {
            assert_eq!(TimeMs::read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn the_likely_unit_of_a_number_is_found() {
        let now = TimeMs(1_700_000_000_000);
        assert_eq!(likely_unit(1_672_772_778, now), Some(("seconds", TimeMs(1_672_772_778_000))));
        assert_eq!(likely_unit(1_672_772_778_000_000, now), Some(("microseconds", TimeMs(1_672_772_778_000))));
        assert_eq!(likely_unit(1_672_772_778_000_000_000, now), Some(("nanoseconds", TimeMs(1_672_772_778_000))));
        assert_eq!(likely_unit(-62_135_596_800_000, now), None);
        assert_eq!(likely_unit(17, now), None);
    }
}
