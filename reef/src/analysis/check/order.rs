//! Order: which of two sides of its evidence a sentence says came first.

use super::super::evidence::{Evidence, Fact};
use super::super::words::Words;
use super::words;
use crate::answers::names::same;

/// A name of a side, in characters of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    from: usize,
    to: usize,
    is_first: bool,
}

/// Two sides of an evidence.
struct Sides<'a> {
    first: Vec<&'a str>,
    second: Vec<&'a str>,
    /// Whether the first came first: none where the evidence has no order, or another check compares it.
    order: Option<bool>,
}

/// Words by which what is named first came later.
const BACKWARD: &[&str] = &["followed", "follows", "following", "after", "preceded by", "later than"];
/// Words by which either came first.
const ORDERING: &[&str] =
    &["followed", "follows", "following", "after", "before", "preceded", "precedes", "then", "later", "earlier"];
/// Words before the first and behind the last name that turn the order.
const TURNING: &[&str] = &["before", "prior", "ahead", "until", "first", "former", "latter", "reverse", "respectively"];

/// Whether the order that is said of the sides of each evidence follows from it; `lower` is in lower case.
pub(super) fn agrees(lower: &str, cited: &[&Evidence]) -> bool {
    cited.iter().flat_map(|one| &one.facts).filter_map(sides).all(|sides| {
        let said = mentions(lower, &sides);
        let chars: Vec<char> = lower.chars().collect();
        let has_both = said.iter().any(|one| one.is_first) && said.iter().any(|one| !one.is_first);
        let text = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
        let (Some(first), Some(last)) = (said.first(), said.last()) else { return true };
        if !has_both {
            return true;
        }
        let outside = [text(0, first.from), text(last.to, chars.len())];
        let is_turned = match sides.order {
            None => false,
            Some(true) => outside.iter().any(|part| has_any(part, TURNING)),
            // "after staging moves, production does"
            Some(false) => outside.iter().any(|part| has_any(part, TURNING) || has_any(part, ORDERING)),
        };
        !is_turned
            && said.windows(2).all(|pair| {
                let between = text(pair[0].to, pair[1].from);
                let is_same = pair[0].is_first == pair[1].is_first;
                is_same || is_in_order(&between, pair[0].is_first, sides.order)
            })
    })
}

fn has_any(text: &str, list: &[&str]) -> bool {
    list.iter().any(|word| words::has(text, word))
}

fn sides(fact: &Fact) -> Option<Sides<'_>> {
    match fact {
        Fact::Order { first, second, is_ordered } => Some(Sides {
            first: first.iter().map(String::as_str).collect(),
            second: second.iter().map(String::as_str).collect(),
            order: Some(*is_ordered),
        }),
        Fact::Direction { of, than, .. } if !than.is_empty() => {
            Some(Sides { first: vec![of.as_str()], second: vec![than.as_str()], order: None })
        }
        Fact::Pair { first, second, .. } if !first.0.is_empty() && !second.0.is_empty() => {
            Some(Sides { first: vec![first.0.as_str()], second: vec![second.0.as_str()], order: None })
        }
        _ => None,
    }
}

/// The names of both sides in the order of the text, the longest first where they overlap.
fn mentions(lower: &str, sides: &Sides<'_>) -> Vec<Said> {
    let forms = |names: &[&str], is_first: bool| {
        let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let others: Vec<String> = names.iter().filter_map(|name| same(name)).map(str::to_owned).collect();
        names.into_iter().chain(others).map(move |name| (name, is_first)).collect::<Vec<_>>()
    };
    let mut all = [forms(&sides.first, true), forms(&sides.second, false)].concat();
    all.sort_by(|a, b| b.0.chars().count().cmp(&a.0.chars().count()).then_with(|| a.cmp(b)));
    let (mut words, mut said) = (Words::of(lower), Vec::new());
    for (name, is_first) in all.into_iter().filter(|(name, _)| name.chars().any(char::is_alphanumeric)) {
        while let Some(from) = words.take(&name) {
            said.push(Said { from, to: from + name.chars().count(), is_first });
        }
    }
    said.sort_by_key(|one| one.from);
    said
}

/// Whether the words between say the order of the evidence.
fn is_in_order(between: &str, is_first_first: bool, order: Option<bool>) -> bool {
    match order {
        None => true,
        // it says of neither that it came first
        Some(false) => !has_any(between, ORDERING),
        Some(true) => is_first_first != has_any(&between.replace("followed by", " "), BACKWARD),
    }
}
