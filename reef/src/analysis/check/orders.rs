//! Orders: parts of a sentence that begin with what is to be done, and state nothing.

use super::known::trimmed;
use super::words;

/// What may be done, as the beginning of an order.
const DOING: &[&str] = &[
    "deploy", "redeploy", "release", "restart", "rollback", "roll", "revert", "move", "start", "stop", "report", "open",
];
/// Words behind which another part of a sentence begins.
const JOINING: &[&str] = &["and", "or", "then", "but", "also"];
/// Words that may come before the verb that begins a part.
const LEADING: &[&str] = &[
    "additionally",
    "again",
    "currently",
    "earlier",
    "first",
    "furthermore",
    "here",
    "later",
    "meanwhile",
    "moreover",
    "now",
    "only",
    "overall",
    "previously",
    "recently",
    "there",
    "together",
    "usually",
];
/// Words behind the name of an event, which is no order then: `deploy of api`.
const OF: &[&str] =
    &["of", "in", "on", "at", "for", "from", "to", "after", "before", "by", "with", "and", "or", "than", "against"];
/// Known words that state something. Those that are as often the name of a thing (`reports`) are not among them.
pub(super) const STATING: &[&str] = &[
    "appeared",
    "appears",
    "are",
    "averaged",
    "began",
    "begins",
    "came",
    "changed",
    "claimed",
    "come",
    "comes",
    "counted",
    "deployed",
    "detected",
    "did",
    "differ",
    "differs",
    "ended",
    "expected",
    "expects",
    "followed",
    "follows",
    "found",
    "had",
    "happened",
    "happens",
    "has",
    "have",
    "is",
    "joins",
    "lasted",
    "lasts",
    "looked",
    "measured",
    "moved",
    "observed",
    "occurred",
    "occurs",
    "preceded",
    "precedes",
    "predicted",
    "predicts",
    "ran",
    "recorded",
    "reported",
    "seen",
    "showed",
    "shows",
    "stands",
    "started",
    "stood",
    "was",
    "went",
    "were",
    "will",
];
/// Words behind which stands no verb: `the recorded version`, `as observed`.
const BEFORE_NAMES: &[&str] = &["a", "an", "as", "its", "of", "than", "the", "their"];
/// Words that begin a part with a verb of its own, which is not that of the sentence.
const SUBORDINATING: &[&str] = &["that", "until", "when", "where", "which", "while", "whose"];

/// Whether a part of a sentence, in lower case, begins with what is to be done, and states nothing.
pub(super) fn is_order(lower: &str) -> bool {
    let words: Vec<&str> = lower.split_whitespace().collect();
    (0..words.len()).any(|place| {
        let Some(next) = words.get(place + 1).map(|next| trimmed(next)) else { return false };
        begins(&words[..place])
            && DOING.contains(&trimmed(words[place]))
            && !next.is_empty()
            && !OF.contains(&next)
            && !states(&words[place..])
    })
}

/// Whether a part begins behind these words.
fn begins(before: &[&str]) -> bool {
    let Some((last, earlier)) = before.split_last() else { return true };
    let word = trimmed(last);
    last.ends_with([',', ';', ':', '.', '!', '–', '—'])
        || JOINING.contains(&word)
        || (LEADING.contains(&word) && begins(earlier))
}

/// Whether the part that these words begin with has a verb of its own. What stands between commas is none of it:
/// `release v2.1.0, which was deployed at 10:30, shows …`.
fn states(words: &[&str]) -> bool {
    let mut parts = words.split_inclusive(|word| word.ends_with([',', ';', ':', '.', '!'])).peekable();
    let (mut verbs, mut subordinate) = (0_usize, 0_usize);
    while let Some(part) = parts.next() {
        verbs += count_of_verbs(part);
        subordinate += part.iter().filter(|word| SUBORDINATING.contains(&trimmed(word))).count();
        let is_inserted = part.last().is_some_and(|word| word.ends_with(','))
            && parts.peek().is_some_and(|next| next.first().is_some_and(|word| is_inserting(trimmed(word))));
        if !is_inserted || parts.next().is_none_or(|inserted| !inserted.last().is_some_and(|word| word.ends_with(',')))
        {
            break;
        }
    }
    verbs > subordinate
}

/// Whether a part between commas begins with this word.
fn is_inserting(word: &str) -> bool {
    SUBORDINATING.contains(&word) || word == "seen" || word == "found" || word.ends_with("ed")
}

fn count_of_verbs(part: &[&str]) -> usize {
    let is_verb = |place: &usize| {
        let word = trimmed(part[*place]);
        let is_behind_name = place.checked_sub(1).is_none_or(|before| !BEFORE_NAMES.contains(&trimmed(part[before])));
        is_behind_name && (STATING.contains(&word) || words::is_verb_of_direction(word))
    };
    (0..part.len()).filter(is_verb).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_is_an_order_wherever_it_begins() {
        for order in [
            "deploy api v2.0.0 in production.",
            "now deploy api v2.0.0 in production.",
            "currently, only restart api.",
            "here and now restart api.",
            "deploy api v2.0.0 in production: latency is 247 ms.",
            "deploy api v2.0.0, latency is 247 ms.",
            "deploy api v2.0.0, which is 15.0% slower.",
            "restart api when latency is above 247 ms.",
            "restart api as observed in staging.",
            "latency rose 15.0%; release api v2.0.0.",
            "latency rose 15.0% — restart api.",
            "latency rose 15.0%, then move api to v2.0.0.",
        ] {
            assert!(is_order(order), "{order}");
        }
    }

    #[test]
    fn an_event_of_which_something_is_said_is_no_order() {
        for stated in [
            "release v2.1.0 shows 15.0% higher latency.",
            "restart e-7 lasted 4 minutes.",
            "release v2.1.0 of api was deployed at 10:30 utc.",
            "release v2.1.0, which was deployed at 10:30, shows 15.0% higher latency.",
            "release v2.1.0, deployed at 10:30, is slower.",
            "restart e-7 was followed by an error_spike that lasted 4 minutes.",
            "latency rose 15.0%, and release v2.1.0 came at 10:30.",
            "deploy in my-shop-staging → error_spike in my-shop-production: 12 times.",
            "open incidents fell.",
            "now the latency is 207 ms.",
        ] {
            assert!(!is_order(stated), "{stated}");
        }
        for verb in STATING.iter().copied().chain(["rose", "fell", "increased", "dropped", "worsened", "recovered"]) {
            let stated = format!("release v2.1.0 {verb} at 10:30 utc.");
            assert!(!is_order(&stated), "{stated}");
        }
    }
}
