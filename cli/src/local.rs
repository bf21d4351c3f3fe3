//! Local: times of a page in the zone of who reads it, with that zone; documents keep UTC.
//!
//! Answers are made by the process that runs a reef, in UTC, each time in full: `2024-11-13 14:30:00 UTC`. RFC 3339 stays
//! as it is: it names its zone, and people copy it into commands.

use chrono::{Local, NaiveDateTime, Offset, TimeZone};

/// How pages write a time in UTC.
const UTC: &str = " UTC";
const SECOND: &str = "%Y-%m-%d %H:%M:%S";
const MINUTE: &str = "%Y-%m-%d %H:%M";

/// The page with times of this machine's zone (`TZ`).
pub fn localised(page: &str) -> String {
    in_zone(page, &Local)
}

fn in_zone<Z: TimeZone>(page: &str, zone: &Z) -> String {
    let (mut text, mut rest) = (String::with_capacity(page.len()), page);
    while let Some(at) = rest.find(UTC) {
        let (before, after) = (&rest[..at], &rest[at + UTC.len()..]);
        match stamped(before, zone) {
            Some((begin, local)) => {
                text.push_str(&before[..begin]);
                text.push_str(&local);
            }
            None => text.push_str(&rest[..at + UTC.len()]),
        }
        rest = after;
    }
    text + rest
}

/// Where the time begins with which a text ends, and the same in a zone; `None` where it ends with none, or the zone is UTC.
fn stamped<Z: TimeZone>(text: &str, zone: &Z) -> Option<(usize, String)> {
    let ending = |form: &str, length: usize| {
        let begin = text.len().checked_sub(length)?;
        let at = NaiveDateTime::parse_from_str(text.get(begin..)?, form).ok()?;
        Some((begin, shown(zone, at, form)?))
    };
    ending(SECOND, "2024-11-13 14:30:00".len()).or_else(|| ending(MINUTE, "2024-11-13 14:30".len()))
}

/// A time in a zone, with its offset; `None` where that is 0.
fn shown<Z: TimeZone>(zone: &Z, at: NaiveDateTime, form: &str) -> Option<String> {
    let local = zone.from_utc_datetime(&at);
    let offset = local.offset().fix();
    (offset.local_minus_utc() != 0).then(|| format!("{} {offset}", local.naive_local().format(form)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chrono::FixedOffset;

    #[test]
    fn times_of_a_page_are_those_of_the_reader_and_say_their_zone() {
        let zone = |minutes: i32| FixedOffset::east_opt(minutes * 60).unwrap();
        for (minutes, page, expected) in [
            (120, "Complete to 2024-11-13 12:00:00 UTC for all.", "Complete to 2024-11-13 14:00:00 +02:00 for all."),
            (330, "a 2024-12-31 23:00 UTC b", "a 2025-01-01 04:30 +05:30 b"),
            (
                -300,
                "seen 2024-11-13 04:05:00 UTC to 2024-11-13 14:35:00 UTC, 86 %",
                "seen 2024-11-12 23:05:00 -05:00 to 2024-11-13 09:35:00 -05:00, 86 %",
            ),
            (0, "2024-11-13 12:00:00 UTC", "2024-11-13 12:00:00 UTC"),
            (60, "days are UTC; 2024-02-30 12:00:00 UTC", "days are UTC; 2024-02-30 12:00:00 UTC"),
            (60, "– UTC, 2024-11-13T12:00:00.000Z", "– UTC, 2024-11-13T12:00:00.000Z"),
            (60, "ä UTC 2024-11-13 12:00:00 UTC UTC", "ä UTC 2024-11-13 13:00:00 +01:00 UTC"),
        ] {
            assert_eq!(in_zone(page, &zone(minutes)), expected);
        }
    }
}
