//! Tokens: numbers, durations, times, percentages and versions in a sentence, each with what it may mean.

use super::super::evidence::Quantity;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs};

/// Something in a sentence that has digits.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A number with its quantity, as far as it says one, and half a unit of its last digit.
    Number {
        /// In the unit of `Quantity`.
        value: f64,
        /// None for a plain number.
        quantity: Option<Quantity>,
        /// How far the true value may lie: half of the last digit.
        half: f64,
        /// The sign before it.
        sign: Sign,
    },
    /// `2024-11-13 10:30`, with the length of the unit that it is given to.
    Time(TimeMs, i64),
    /// `10:30`, milliseconds since midnight, with the length of the unit.
    Clock(i64, i64),
    /// `v1.4.1`, an id, a name with digits.
    Name(String),
}

/// What stands before a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nothing.
    None,
    /// `+`.
    Plus,
    /// `-`.
    Minus,
}

/// The tokens with digits of a text. A word that cannot be read is a name: it has to be known.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    placed(text).into_iter().map(|(_, token)| token).collect()
}

/// The same, each with the byte at which it begins.
pub(super) fn placed(text: &str) -> Vec<(usize, Token)> {
    let words: Vec<&str> = text.split_whitespace().map(trimmed).filter(|word| !word.is_empty()).collect();
    let (mut all, mut place) = (Vec::new(), 0);
    while place < words.len() {
        let mut tokens = Vec::new();
        let used = one(&words[place..], &mut tokens);
        // words are parts of the text
        let at = words[place].as_ptr() as usize - text.as_ptr() as usize;
        all.extend(tokens.into_iter().map(|token| (at, token)));
        place += used.max(1);
    }
    all
}

/// Without the punctuation around it; a sign and a currency stay.
fn trimmed(word: &str) -> &str {
    let opening = |c: char| "([{\"'`“‘*_".contains(c);
    let closing = |c: char| ".,;:!?)]}\"'`”’*_".contains(c);
    word.trim_start_matches(opening).trim_end_matches(closing)
}

/// Reads the token that begins here; returns how many words it takes.
fn one(words: &[&str], tokens: &mut Vec<Token>) -> usize {
    let word = words[0];
    if !word.chars().any(|c| c.is_numeric()) {
        return 1;
    }
    if let Some((token, used)) = time(words) {
        tokens.push(token);
        return used;
    }
    if let Some(ms) = duration(word) {
        tokens.push(ms);
        return 1;
    }
    if let Some((token, used)) = number(word, words) {
        tokens.push(token);
        return used;
    }
    // a range: both ends
    for separator in ['–', '—', '-', '/', '→'] {
        let parts: Vec<&str> = word.split(separator).collect();
        if let [from, to] = parts.as_slice()
            && let (Some((from, _)), Some((to, used))) = (number(from, &[from]), number(to, &replaced(words, to)))
        {
            // "10-20%" is a range of percentages
            let (from, to) = same_quantity(from, to);
            tokens.extend([from, to]);
            return used;
        }
    }
    tokens.push(Token::Name(word.to_owned()));
    1
}

fn replaced<'a>(words: &[&'a str], first: &'a str) -> Vec<&'a str> {
    let mut all = vec![first];
    all.extend(&words[1..]);
    all
}

fn same_quantity(from: Token, to: Token) -> (Token, Token) {
    match (from, to) {
        (
            Token::Number { value, quantity: None, half, sign },
            Token::Number { value: end, quantity: Some(quantity), half: of_end, sign: of_sign },
        ) => {
            // the unit of the end, whose size is in its half already
            let scale = if half == 0.0 { 1.0 } else { (of_end / half).max(f64::MIN_POSITIVE) };
            let from = Token::Number { value: value * scale, quantity: Some(quantity), half: half * scale, sign };
            (from, Token::Number { value: end, quantity: Some(quantity), half: of_end, sign: of_sign })
        }
        both => both,
    }
}

/// `2024-11-13`, `2024-11-13T10:30:00Z`, `2024-11-13 10:30:00 UTC`, `2024-11-13 at 10:30`, `10:30 on 2024-11-13`, `10:30`,
/// and how many words it takes.
fn time(words: &[&str]) -> Option<(Token, usize)> {
    let word = words[0];
    let next = |place: usize| words.get(place).copied().unwrap_or("");
    let is_join = |place: usize| ["at", "on", "of", "utc"].contains(&next(place).to_lowercase().as_str());
    // how many words join a date and a time of day: none, "at", "UTC on"
    let joins = (1..=3).take_while(|place| *place == 1 || is_join(place - 1));
    if let Some((ms, unit)) = clock(word) {
        let date = joins.clone().find_map(|place| Some((day(next(place))?, place)));
        return Some(match date {
            Some((day, place)) => (Token::Time(day + ms, unit), place + 1),
            None => (Token::Clock(ms, unit), 1),
        });
    }
    if let Some(time) = TimeMs::parse_rfc3339(&word.to_uppercase()) {
        let unit = if word.contains('.') { 1 } else { SECOND_MS };
        return Some((Token::Time(time, unit), 1));
    }
    if let Some(day) = day(word) {
        let clock = joins.clone().find_map(|place| Some((clock(next(place))?, place)));
        return Some(match clock {
            Some(((ms, unit), place)) => (Token::Time(day + ms, unit), place + 1),
            None => (Token::Time(day, DAY_MS), 1),
        });
    }
    let upper = word.to_uppercase();
    let (date, rest) = upper.split_once('T')?;
    let (ms, unit) = clock(rest)?;
    Some((Token::Time(day(date)? + ms, unit), 1))
}

/// The begin of `2024-11-13`.
fn day(word: &str) -> Option<TimeMs> {
    TimeMs::parse_rfc3339(&format!("{word}T00:00:00Z"))
}

/// Milliseconds since midnight, and the unit to which it is given.
fn clock(word: &str) -> Option<(i64, i64)> {
    let word = word.trim_end_matches(['Z', 'z']);
    let parts: Vec<&str> = word.split(':').collect();
    let number = |part: &str, below: i64| {
        let is_plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|number| is_plain && *number < below)
    };
    match parts.as_slice() {
        [hour, minute] => Some((number(hour, 24)? * HOUR_MS + number(minute, 60)? * MINUTE_MS, MINUTE_MS)),
        [hour, minute, second] => {
            let ms = number(hour, 24)? * HOUR_MS + number(minute, 60)? * MINUTE_MS;
            Some((ms + number(second, 60)? * SECOND_MS, SECOND_MS))
        }
        _ => None,
    }
}

/// `2h15m`, `1d4h`: two units at least; one is a number with a unit.
fn duration(word: &str) -> Option<Token> {
    let (mut total, mut parts, mut last, mut rest) = (0.0, 0, 0.0, word);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let letters = rest[digits..].len() - rest[digits..].trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let number: f64 = rest[..digits].parse().ok()?;
        last = unit_ms(&rest[digits..digits + letters])?;
        total += number * last;
        parts += 1;
        rest = &rest[digits + letters..];
    }
    (parts > 1).then_some(Token::Number {
        value: total,
        quantity: Some(Quantity::Milliseconds),
        half: last / 2.0,
        sign: Sign::None,
    })
}

/// Whether a word is a unit of time.
pub(super) fn is_time_unit(word: &str) -> bool {
    unit_ms(word).is_some()
}

fn unit_ms(unit: &str) -> Option<f64> {
    let ms = match unit.to_ascii_lowercase().as_str() {
        "ms" | "msec" | "millis" | "milliseconds" | "millisecond" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND_MS,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE_MS,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR_MS,
        "d" | "day" | "days" => DAY_MS,
        "week" | "weeks" => 7 * DAY_MS,
        _ => return None,
    };
    Some(ms as f64)
}

/// Unit words behind a number: the quantity, the factor, and how many words they take.
fn unit(words: &[&str]) -> Option<(Quantity, f64, usize)> {
    let word = *words.first()?;
    if let Some(ms) = unit_ms(word) {
        return Some((Quantity::Milliseconds, ms, 1));
    }
    let second = words.get(1).map(|word| word.to_ascii_lowercase());
    let found = match (word.to_ascii_lowercase().as_str(), second.as_deref()) {
        ("percent" | "%" | "pct", _) => (Quantity::Percent, 1.0, 1),
        ("req/s" | "rps" | "requests/s" | "requests/second" | "qps", _) => (Quantity::RequestsPerSecond, 1.0, 1),
        ("requests", Some("per")) => (Quantity::RequestsPerSecond, 1.0, 3),
        ("b" | "bytes", _) => (Quantity::Bytes, 1.0, 1),
        ("kb", _) => (Quantity::Bytes, 1e3, 1),
        ("mb", _) => (Quantity::Bytes, 1e6, 1),
        ("gb", _) => (Quantity::Bytes, 1e9, 1),
        ("time" | "times" | "x" | "×", _) => (Quantity::Plain, 1.0, 1),
        _ => return None,
    };
    Some(found)
}

/// A number with a unit, in the same word or behind it.
fn number(word: &str, words: &[&str]) -> Option<(Token, usize)> {
    let sign = match word.chars().next() {
        Some('+') => Sign::Plus,
        Some('-' | '−') => Sign::Minus,
        _ => Sign::None,
    };
    // one sign: of several it is not clear which one counts
    let signed = word.strip_prefix(['+', '-', '−', '~', '≈']).unwrap_or(word);
    let digits: usize =
        signed.len() - signed.trim_start_matches(|c: char| c.is_ascii_digit() || ",.".contains(c)).len();
    let (text, suffix) = signed.split_at(digits);
    let (value, half) = plain(text)?;
    let of = |quantity: Option<Quantity>, factor: f64| Token::Number {
        value: value * factor,
        quantity,
        half: half * factor,
        sign,
    };
    if suffix.is_empty() {
        return Some(match unit(words.get(1..).unwrap_or_default()) {
            Some((quantity, factor, used)) => (of(Some(quantity), factor), 1 + used),
            None => match shared_unit(words) {
                Some((quantity, factor)) => (of(Some(quantity), factor), 1),
                None => (of(None, 1.0), 1),
            },
        });
    }
    let (quantity, factor, _) = unit(&[suffix])?;
    Some((of(Some(quantity), factor), 1))
}

/// The unit of `180 to 207 ms`, which is said once.
fn shared_unit(words: &[&str]) -> Option<(Quantity, f64)> {
    let joins = ["to", "against", "and", "vs", "versus", "or", "→", "->", "–", "-"];
    let (join, end) = (words.get(1)?, *words.get(2)?);
    if !joins.contains(&join.to_lowercase().as_str()) {
        return None;
    }
    let signed = end.trim_start_matches(['+', '-', '~', '≈', '±']);
    let rest = signed.trim_start_matches(|c: char| c.is_ascii_digit() || ",.".contains(c));
    let found = match rest {
        "" => unit(words.get(3..).unwrap_or_default())?,
        suffix if rest.len() < signed.len() => unit(&[suffix])?,
        _ => return None,
    };
    Some((found.0, found.1))
}

/// `1,200`, `0.03`; the value, and half a unit of the last digit.
fn plain(text: &str) -> Option<(f64, f64)> {
    let is_grouped = text.contains(',');
    if is_grouped {
        let whole = text.split('.').next().unwrap_or_default();
        let groups: Vec<&str> = whole.split(',').collect();
        let are_right =
            groups[0].len() <= 3 && !groups[0].is_empty() && groups[1..].iter().all(|group| group.len() == 3);
        if !are_right {
            return None;
        }
    }
    let bare = text.replace(',', "");
    let value: f64 = bare.parse().ok()?;
    let decimals = bare.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    // "about 1,200": of a large whole number the zeros at its end may be rounded ones
    let zeros = bare.len() - bare.trim_end_matches('0').len();
    let rounded = if decimals == 0 && value >= 1_000.0 && zeros >= 2 { zeros } else { 0 };
    let last = i32::try_from(rounded).ok()? - i32::try_from(decimals).ok()?;
    Some((value, 0.5 * 10_f64.powi(last)))
}
