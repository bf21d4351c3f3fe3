//! Words that say more than a number: causes, directions, denials, numbers in letters, and what no sentence may have.

use super::super::calendar;

/// Words that say that one thing brought about another.
const CAUSAL: &[&str] = &[
    "because",
    "cause",
    "caused",
    "causes",
    "causing",
    "root cause",
    "root of",
    "at the root",
    "due to",
    "led to",
    "lead to",
    "leads to",
    "leading to",
    "resulted in",
    "results in",
    "result in",
    "resulting in",
    "result of",
    "as a result",
    "owing to",
    "thanks to",
    "trigger",
    "triggered",
    "triggers",
    "triggering",
    "responsible for",
    "reason for",
    "the reason",
    "explains",
    "explain",
    "explained",
    "drive",
    "drives",
    "drove",
    "driven by",
    "driving",
    "broke",
    "breaks",
    "broken by",
    "stem from",
    "stems from",
    "stemmed from",
    "stemming from",
    "consequence",
    "consequently",
    "therefore",
    "hence",
    "so that",
    "introduced",
    "introduces",
    "to blame",
    "blame",
    "blamed",
    "culprit",
    "at fault",
    "fault of",
    "attributable",
    "attributed",
    "contributed to",
    "contributes to",
    "contribute to",
    "contributing to",
    "down to",
    "on account of",
    "source of",
    "origin of",
    "brought about",
    "brings about",
    "brought on",
    "provoked",
    "provokes",
    "induced",
    "induces",
    "forced",
    "forces",
    "produced",
    "produces",
    "affects",
    "affecting",
    "influenced",
    "influences",
    "impacted",
    "impacts",
    "slowed",
    "slows",
    "sped up",
];

/// Words of direction that say the same with what they change behind them: "the deploy increased latency".
const TRANSITIVE: &[&str] = &[
    "increase",
    "increased",
    "increases",
    "degraded",
    "degrades",
    "worsened",
    "worsens",
    "improved",
    "improves",
    "reduced",
    "reduces",
    "raised",
    "raises",
    "lowered",
    "lowers",
    "decreased",
    "decreases",
    "hurt",
    "hurts",
    "doubled",
];
/// Words behind those of direction that are not what they change.
pub(super) const BEHIND: &[&str] = &[
    "to", "by", "from", "after", "before", "in", "at", "over", "during", "and", "or", "with", "for", "on", "of",
    "against", "while", "when", "than", "between", "until", "compared", "again", "there", "then",
];

/// More or greater.
const GREATER: &[&str] = &[
    "high",
    "higher",
    "slower",
    "greater",
    "more",
    "above",
    "increased",
    "increase",
    "increases",
    "increasing",
    "rose",
    "rises",
    "rise",
    "rising",
    "grew",
    "grows",
    "growing",
    "up",
    "upward",
    "exceeds",
    "exceeded",
    "exceed",
    "larger",
    "bigger",
    "longer",
    "jumped",
    "jumps",
    "climbed",
    "climbs",
    "climbing",
    "soared",
    "soars",
    "surged",
    "surges",
    "doubled",
    "tripled",
    "spiked",
    "peaked",
    "elevated",
    "raised",
];
/// Less or smaller.
const LESS: &[&str] = &[
    "low",
    "lower",
    "faster",
    "quicker",
    "less",
    "smaller",
    "below",
    "decreased",
    "decrease",
    "decreases",
    "decreasing",
    "declined",
    "declines",
    "decline",
    "fell",
    "falls",
    "fall",
    "falling",
    "dropped",
    "drop",
    "drops",
    "dropping",
    "plunged",
    "plunges",
    "plummeted",
    "tumbled",
    "tumbles",
    "sank",
    "sinks",
    "shrank",
    "shrinks",
    "slumped",
    "slid",
    "dipped",
    "dips",
    "collapsed",
    "down",
    "downward",
    "shorter",
    "halved",
    "fewer",
    "reduced",
    "lowered",
];
/// Worse.
const WORSE: &[&str] = &[
    "worse",
    "degraded",
    "degrades",
    "worsened",
    "worsens",
    "slower",
    "sluggish",
    "regressed",
    "regression",
    "unhealthier",
    "deteriorated",
    "deteriorates",
    "suffers",
    "suffered",
];
/// Better.
const BETTER: &[&str] = &[
    "better",
    "improved",
    "improves",
    "improving",
    "faster",
    "quicker",
    "improvement",
    "recovered",
    "recovers",
    "healthier",
];
/// Verbs of direction that state something.
pub(super) const MOVING: &[&str] = &[
    "increased",
    "increases",
    "rose",
    "rises",
    "grew",
    "grows",
    "exceeds",
    "exceeded",
    "jumped",
    "climbed",
    "climbs",
    "soared",
    "surged",
    "spiked",
    "peaked",
    "doubled",
    "decreased",
    "decreases",
    "declined",
    "fell",
    "falls",
    "dropped",
    "drops",
    "plunged",
    "plummeted",
    "tumbled",
    "sank",
    "sinks",
    "shrank",
    "shrinks",
    "slumped",
    "slid",
    "dipped",
    "collapsed",
    "halved",
    "degraded",
    "degrades",
    "worsened",
    "worsens",
    "regressed",
    "deteriorated",
    "deteriorates",
    "suffers",
    "suffered",
    "improved",
    "improves",
    "recovered",
    "recovers",
];
/// Words that compare, and whose direction depends on what is compared.
const UNCLEAR: &[&str] = &[
    "outperform",
    "outperforms",
    "outperformed",
    "underperforms",
    "underperformed",
    "beats",
    "beat",
    "surpasses",
    "surpassed",
    "overtook",
    "overtakes",
    "trails",
    "rather than",
    "instead of",
    "unlike",
    "contrary",
    "opposite",
    "vice versa",
];
/// Words that say that something is expected.
const EXPECTED: &[&str] = &[
    "expect",
    "expects",
    "expected",
    "predict",
    "predicts",
    "predicted",
    "prediction",
    "predictions",
    "probability",
    "probable",
    "forecast",
];
/// Words that say that something has happened.
const HAPPENED: &[&str] =
    &["happened", "occurred", "observed", "seen", "showed", "came", "followed", "appeared", "started", "began", "hit"];
/// Words that deny a direction where the evidence has one.
const STILL: &[&str] = &[
    "stable",
    "unchanged",
    "steady",
    "constant",
    "flat",
    "same",
    "equal",
    "identical",
    "normal",
    "fine",
    "healthy",
    "comparable",
    "similar",
    "good",
    "bad",
    "best",
    "worst",
];

/// Numbers in letters, and shares: they cannot be traced to a digit.
const IN_LETTERS: &[&str] = &[
    "zero",
    "one",
    "once",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "hundreds",
    "thousand",
    "thousands",
    "million",
    "millions",
    "billion",
    "dozen",
    "dozens",
    "half",
    "halved",
    "third",
    "quarter",
    "twice",
    "thrice",
    "all",
    "every",
    "most",
    "majority",
    "minority",
    "several",
    "many",
    "few",
    "couple",
    "always",
    "entire",
    "whole",
];
/// What words of multiples begin with.
const MULTIPLES: &[&str] = &["doubl", "tripl", "quadrupl", "quintupl", "halv"];

/// Times that cannot be compared with those of the evidence, beside the names of the calendar.
const VAGUE: &[&str] = &[
    "am",
    "pm",
    "a.m",
    "p.m",
    "o'clock",
    "noon",
    "midnight",
    "today",
    "yesterday",
    "local time",
    "eastern time",
    "central time",
    "mountain time",
    "pacific time",
];
/// Words that deny.
const DENIALS: &[&str] = &[
    "no", "not", "none", "never", "neither", "nor", "without", "nobody", "nothing", "nowhere", "cannot", "lacks",
    "lacking", "absent", "hardly", "barely",
];

/// What no sentence of an answer has: orders, addresses, markup.
const REFUSED: [&str; 16] = [
    "http://",
    "https://",
    "www.",
    "```",
    "<script",
    "<img",
    "](",
    "sudo ",
    "rm -rf",
    "ignore previous",
    "ignore all",
    "system prompt",
    "kubectl",
    "curl ",
    "as an ai",
    "drop table",
];

/// Whether a text has a word or a sequence of words, at the borders of words.
pub(super) fn has(text: &str, words: &str) -> bool {
    places(text, words).next().is_some()
}

/// Where it has them.
pub(super) fn places<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(words).map(|(at, _)| at).filter(move |at| {
        !is_word(text[..*at].chars().next_back()) && !is_word(text[*at + words.len()..].chars().next())
    })
}

fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| has(text, word))
}

/// Whether a sentence, in lower case, says that something brought about something.
pub(super) fn is_causal(text: &str) -> bool {
    any(text, CAUSAL) || is_transitive(text)
}

/// Whether a word of direction has what it changes behind it.
fn is_transitive(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| {
        let behind = pair[1].trim_matches(|c: char| !c.is_alphanumeric());
        TRANSITIVE.contains(&pair[0].trim_start_matches(|c: char| !c.is_alphanumeric()))
            && behind.starts_with(char::is_alphabetic)
            && !BEHIND.contains(&behind)
    })
}

/// Whether it has a number in letters.
pub(super) fn has_number_in_letters(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    any(text, IN_LETTERS)
        || words.any(|word| {
            MULTIPLES.iter().any(|start| word.starts_with(start)) || (word.len() > 4 && word.ends_with("fold"))
        })
}

/// Whether it says when in a way that cannot be compared with UTC.
pub(super) fn is_vague_in_time(text: &str) -> bool {
    any(text, VAGUE) || calendar::names().any(|name| has(text, name))
}

/// Whether it has something that no sentence may have.
pub(super) fn is_refused(text: &str) -> bool {
    REFUSED.iter().any(|part| text.contains(part))
}

/// Whether it says that something is expected.
pub(super) fn says_expected(text: &str) -> bool {
    any(text, EXPECTED)
}

/// Whether it says that something has happened.
pub(super) fn says_happened(text: &str) -> bool {
    any(text, HAPPENED)
}

/// Whether it denies: what is denied cannot be compared with the evidence.
pub(super) fn denies(text: &str) -> bool {
    any(text, DENIALS) || text.contains("n't") || text.contains("n’t")
}

/// Whether it compares in words whose direction is not known.
pub(super) fn is_unclear(text: &str) -> bool {
    any(text, UNCLEAR)
}

/// Whether a word says greater, less, worse or better.
pub(super) fn is_direction(word: &str) -> bool {
    [GREATER, LESS, WORSE, BETTER].iter().any(|list| list.contains(&word))
}

/// Whether a word of direction is a verb that states it.
pub(super) fn is_verb_of_direction(word: &str) -> bool {
    MOVING.contains(&word)
}

/// Whether it says what will be.
pub(super) fn says_future(text: &str) -> bool {
    has(text, "will")
}

/// Whether it says that nothing stands out.
pub(super) fn says_still(text: &str) -> bool {
    any(text, STILL)
}

/// Whether it says greater; none where it says neither, or both.
pub(super) fn greater(text: &str) -> Option<bool> {
    one_of(any(text, GREATER), any(text, LESS))
}

/// Whether it says worse; none where it says neither, or both.
pub(super) fn worse(text: &str) -> Option<bool> {
    one_of(any(text, WORSE), any(text, BETTER))
}

/// Whether it says both ways.
pub(super) fn says_both(text: &str) -> bool {
    (any(text, GREATER) && any(text, LESS)) || (any(text, WORSE) && any(text, BETTER))
}

fn one_of(yes: bool, no: bool) -> Option<bool> {
    match (yes, no) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}
