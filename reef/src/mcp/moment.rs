//! Moments: times as callers write them: RFC 3339, `now`, or `now-2h`. Now is after the newest row.

use crate::answers::Refusal;
use crate::answers::range::RangeQuestion;
use model::time::{TimeMs, parse_duration_ms};

/// A time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// This one.
    At(TimeMs),
    /// So many milliseconds before now.
    Ago(i64),
}

impl Moment {
    /// The moment that `text` names.
    pub(super) fn read(text: &str) -> Option<Moment> {
        let text = text.trim();
        match text.strip_prefix("now").map(str::trim) {
            Some("") => Some(Moment::Ago(0)),
            Some(rest) => parse_duration_ms(rest.strip_prefix('-')?).ok().map(Moment::Ago),
            None => TimeMs::parse_rfc3339(text).map(Moment::At),
        }
    }
}

/// The range between two moments.
pub(super) fn range(start: Option<Moment>, end: Option<Moment>) -> RangeQuestion {
    let parts = |moment: Option<Moment>| match moment {
        None => (None, None),
        Some(Moment::At(time)) => (Some(time), None),
        Some(Moment::Ago(ms)) => (None, Some(ms)),
    };
    let ((from, from_ago_ms), (to, to_ago_ms)) = (parts(start), parts(end));
    RangeQuestion { from, to, from_ago_ms, to_ago_ms, window_ms: None }
}

/// How far a range reaches back that ends now.
pub(super) fn window_ms(start: Option<Moment>) -> Result<Option<i64>, Refusal> {
    match start {
        None => Ok(None),
        Some(Moment::Ago(ms)) => Ok(Some(ms)),
        Some(Moment::At(_)) => {
            let message = "hours are compared back from the newest hour that both environments have";
            Err(Refusal::invalid(message, "say how far, e.g. now-24h").at("start"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_distances_from_now_are_moments() {
        let noon = TimeMs::parse_rfc3339("2024-11-13T12:00:00Z").map(Moment::At);
        for (text, moment) in [
            ("now", Some(Moment::Ago(0))),
            ("now-2h", Some(Moment::Ago(7_200_000))),
            (" now - 1d ", Some(Moment::Ago(86_400_000))),
            ("now-1h30m", Some(Moment::Ago(5_400_000))),
            ("2024-11-13T12:00:00Z", noon),
            ("2024-11-13T14:00:00+02:00", noon),
            ("now+1h", None),
            ("now-90", None),
            ("yesterday", None),
            ("2024-11-13", None),
            ("", None),
        ] {
            assert_eq!(Moment::read(text), moment, "{text:?}");
        }
    }
}
