//! One sentence checked.

use super::super::evidence::{Claim, Evidence, Fact};
use super::tokens::{Token, is_time_unit, tokens};
use super::{Sentence, known, names, numbers, order, orders, sides, words};
use crate::printable::is_harmful;

/// Longest sentence, in characters.
const CHARACTERS_MAX: usize = 400;

/// Why a sentence is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// It is empty, too long, or has control characters.
    Form,
    /// It has an address, markup, or an order.
    Content,
    /// It cites nothing.
    Uncited,
    /// It cites what is not there.
    UnknownEvidence,
    /// A number, time, duration or percentage does not follow.
    Number,
    /// A number is written in letters.
    NumberInLetters,
    /// A name or version is not in the evidence.
    Name,
    /// A value is said of the other side.
    Sides,
    /// It says the opposite of the evidence, or cannot be compared with it.
    Direction,
    /// It says that one thing brought about another.
    Causal,
    /// It has a word that neither its evidence nor the list of known words has.
    Word,
    /// It was said before.
    Repeated,
    /// There are more sentences than are read.
    TooMany,
}

impl Dropped {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Dropped::Form => "form",
            Dropped::Content => "content",
            Dropped::Uncited => "uncited",
            Dropped::UnknownEvidence => "unknown_evidence",
            Dropped::Number => "number",
            Dropped::NumberInLetters => "number_in_letters",
            Dropped::Name => "name",
            Dropped::Sides => "sides",
            Dropped::Direction => "direction",
            Dropped::Causal => "causal",
            Dropped::Word => "word",
            Dropped::Repeated => "repeated",
            Dropped::TooMany => "too_many",
        }
    }
}

/// Whether a sentence follows from the evidence that it cites; `of_store` are the names of the store.
///
/// # Errors
/// The first reason why not.
pub fn check(sentence: &Sentence, evidence: &[&Evidence], of_store: &[String]) -> Result<(), Dropped> {
    let text = sentence.text.trim();
    let length = text.chars().count();
    if length == 0 || length > CHARACTERS_MAX || text.chars().any(is_harmful) || !is_readable(text) {
        return Err(Dropped::Form);
    }
    let lower = text.to_lowercase();
    if words::is_refused(&lower) || orders::is_order(&lower) {
        return Err(Dropped::Content);
    }
    if sentence.evidence.is_empty() {
        return Err(Dropped::Uncited);
    }
    let find = |id: &String| evidence.iter().find(|one| one.id.eq_ignore_ascii_case(id.trim())).copied();
    let cited: Option<Vec<&Evidence>> = sentence.evidence.iter().map(find).collect();
    let Some(cited) = cited else { return Err(Dropped::UnknownEvidence) };
    if words::has_number_in_letters(&lower) {
        return Err(Dropped::NumberInLetters);
    }
    // the template says what the engine claims; which thing is blamed for which cannot be checked in words
    if words::is_causal(&lower) {
        return Err(Dropped::Causal);
    }
    if words::denies(&lower) || words::is_unclear(&lower) {
        return Err(Dropped::Direction);
    }
    if words::is_vague_in_time(&lower) {
        return Err(Dropped::Number);
    }
    named(text, &cited, of_store)?;
    counted(text, &cited)?;
    if !sides::agree(&lower, &cited) {
        return Err(Dropped::Sides);
    }
    if !order::agrees(&lower, &cited) || !is_expected(&lower, &cited) {
        return Err(Dropped::Direction);
    }
    directed(&lower, &cited)?;
    // a word of no list could name anything, blame anything, or be an order
    if known::are_known(&lower, &cited) { Ok(()) } else { Err(Dropped::Word) }
}

/// Whether what is expected is said to be, and not to have happened; with other evidence, that may have. Nothing else is said
/// to come.
fn is_expected(lower: &str, cited: &[&Evidence]) -> bool {
    let is_prediction = |one: &&Evidence| one.claim == Claim::Expected;
    if !cited.iter().any(is_prediction) {
        return !words::says_future(lower);
    }
    words::says_expected(lower) && !(cited.iter().all(is_prediction) && words::says_happened(lower))
}

/// Latin letters, digits and usual signs: digits of other scripts and look-alike letters are not read.
fn is_readable(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii() || "–—−→←≈±×µ°“”‘’…·".contains(c))
}

/// Names and versions.
fn named(text: &str, cited: &[&Evidence], known: &[String]) -> Result<(), Dropped> {
    let names = names::of(cited);
    if names::unknown(text, &names, known).is_some() {
        return Err(Dropped::Name);
    }
    for token in tokens(text) {
        if let Token::Name(word) = token
            && !names::is_known(&word, &names)
        {
            return Err(Dropped::Name);
        }
    }
    let of_words = |word: &str| {
        let inside = word.trim_matches(|c: char| !c.is_alphanumeric());
        names::looks_like_name(word) && !inside.chars().any(|c| c.is_ascii_digit()) && !is_usual(inside)
    };
    let missing = text.split_whitespace().find(|word| {
        let inside = word.trim_matches(|c: char| !c.is_alphanumeric());
        of_words(word) && !names::is_known(inside, &names)
    });
    if missing.is_some() { Err(Dropped::Name) } else { Ok(()) }
}

/// Usual words with a sign inside.
fn is_usual(word: &str) -> bool {
    ["e.g", "i.e", "and/or", "req/s", "state-of-the-art", "vs"].contains(&word.to_lowercase().as_str())
}

/// Numbers, durations, times, percentages.
fn counted(text: &str, cited: &[&Evidence]) -> Result<(), Dropped> {
    let facts: Vec<&Fact> = cited.iter().flat_map(|one| &one.facts).collect();
    let names = names::of(cited);
    let is_true = |token: &Token| match token {
        Token::Name(_) => true,
        token => numbers::follows(token, &facts),
    };
    if !are_units_known(text, cited) {
        return Err(Dropped::Number);
    }
    // a name of the evidence may have digits of its own, which are no numbers
    let bare = without_names(text, &names);
    if tokens(&bare).iter().all(is_true) { Ok(()) } else { Err(Dropped::Number) }
}

/// Whether a unit that another word parts from its number is one of the evidence: `8 common hours`.
fn are_units_known(text: &str, cited: &[&Evidence]) -> bool {
    let lower = text.to_lowercase();
    let trimmed = |word: &'_ str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let words: Vec<String> = lower.split_whitespace().map(trimmed).collect();
    words.windows(3).all(|three| {
        let is_number = !three[0].is_empty() && three[0].chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
        let is_between = three[1].len() > 3 && three[1].chars().all(char::is_alphabetic) && !is_time_unit(&three[1]);
        if !is_number || !is_between || !is_time_unit(&three[2]) {
            return true;
        }
        let said = format!("{} {}", three[1], three[2]);
        cited.iter().any(|one| words::has(&one.description.to_lowercase(), &said))
    })
}

/// The text without the names of the evidence that have digits.
fn without_names(text: &str, names: &[String]) -> String {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.retain(|word| {
        let inside = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_number = inside.chars().all(|c| c.is_ascii_digit() || ".,%".contains(c));
        is_number || !names::is_known(inside, names)
    });
    words.join(" ")
}

/// Words of direction against the signs of the evidence.
fn directed(lower: &str, cited: &[&Evidence]) -> Result<(), Dropped> {
    let directions: Vec<(&str, &str, bool, Option<bool>)> = cited
        .iter()
        .flat_map(|one| &one.facts)
        .filter_map(|fact| match fact {
            Fact::Direction { of, than, greater, worse } => Some((of.as_str(), than.as_str(), *greater, *worse)),
            _ => None,
        })
        .collect();
    // a state or a metric may be called like a direction
    let bare = names::of(cited).iter().fold(lower.to_owned(), |text, name| text.replace(name.as_str(), " "));
    if words::says_both(&bare) || (!directions.is_empty() && words::says_still(&bare)) {
        return Err(Dropped::Direction);
    }
    let (greater, worse) = (words::greater(&bare), words::worse(&bare));
    if greater.is_none() && worse.is_none() {
        return Ok(());
    }
    // what has no direction cannot be compared
    if directions.is_empty() {
        return Err(Dropped::Direction);
    }
    let agrees = |(of, than, is_greater, is_worse): &(&str, &str, bool, Option<bool>)| {
        let turned = is_turned(lower, of, than);
        let fits_greater = greater.is_none_or(|said| said == (*is_greater != turned));
        let fits_worse = match (worse, is_worse) {
            (None, _) => true,
            (Some(said), Some(is_worse)) => said == (*is_worse != turned),
            // "slower" and "faster" say greater and less as well
            (Some(_), None) => greater.is_some(),
        };
        fits_greater && fits_worse
    };
    // a sentence about several of them has to agree with all
    if directions.iter().all(agrees) { Ok(()) } else { Err(Dropped::Direction) }
}

/// Whether the other side is named first: "staging is faster than production".
fn is_turned(lower: &str, of: &str, than: &str) -> bool {
    if than.is_empty() {
        return false;
    }
    let place = |name: &str| {
        let name = name.to_lowercase();
        let forms = [Some(name.as_str()), crate::answers::names::same(&name)];
        forms.into_iter().flatten().filter_map(|form| lower.find(form)).min()
    };
    match (place(of), place(than)) {
        (Some(of), Some(than)) => than < of,
        (None, Some(_)) => true,
        _ => false,
    }
}
