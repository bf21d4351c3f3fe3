//! Sides: of two values that belong to two names, each is said of its own; of before and after, before comes first.

use super::super::evidence::{Evidence, Fact};
use super::numbers;
use super::tokens::{Token, placed};
use super::words;

/// Words between a value and the name that it is said of: `177 ms in staging`.
const OF: [&str; 5] = ["in", "of", "for", "on", "at"];
/// Words by which what was before is said after what is now.
const TURNING: [&str; 6] = ["from", "before", "was", "previously", "earlier", "formerly"];

/// A name or a value of a pair, in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    at: usize,
    is_name: bool,
    is_first: bool,
}

/// Whether each value is said of its name, for each pair of the evidence; `lower` is in lower case.
pub(super) fn agree(lower: &str, cited: &[&Evidence]) -> bool {
    let tokens = placed(lower);
    cited.iter().flat_map(|one| &one.facts).all(|fact| match fact {
        Fact::Pair { quantity, first, second } => {
            let is = |token: &Token, exact: f64| {
                matches!(token, Token::Number { .. }) && numbers::follows(token, &[&Fact::Number(*quantity, exact)])
            };
            // a number that is said of both belongs to either
            let values = tokens.iter().filter_map(|(at, token)| match (is(token, first.1), is(token, second.1)) {
                (true, false) => Some(Said { at: *at, is_name: false, is_first: true }),
                (false, true) => Some(Said { at: *at, is_name: false, is_first: false }),
                _ => None,
            });
            let mut said: Vec<Said> = values.collect();
            if said.is_empty() {
                return true;
            }
            let is_of_time = first.0.is_empty() && second.0.is_empty();
            if is_of_time {
                return is_before_first(lower, &said);
            }
            said.extend(names(lower, &first.0).into_iter().map(|at| Said { at, is_name: true, is_first: true }));
            said.extend(names(lower, &second.0).into_iter().map(|at| Said { at, is_name: true, is_first: false }));
            said.sort_by_key(|one| one.at);
            (0..said.len()).filter(|place| !said[*place].is_name).all(|place| is_own(lower, &said, place))
        }
        _ => true,
    })
}

/// Where a name begins, by its name or its usual other form.
fn names(lower: &str, name: &str) -> Vec<usize> {
    let name = name.to_lowercase();
    let forms = [Some(name.as_str()), crate::answers::names::same(&name)];
    let mut places: Vec<usize> = forms
        .into_iter()
        .flatten()
        .filter(|form| !form.is_empty())
        .flat_map(|form| words::places(lower, form))
        // the name of a colony has that of its environment
        .map(|at| lower[..at].rfind(char::is_whitespace).map_or(0, |space| space + 1))
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// Of before and after: both in this order, or what is after alone.
fn is_before_first(lower: &str, said: &[Said]) -> bool {
    let turns = |text: &str| TURNING.iter().any(|word| words::has(text, word));
    match said {
        [only] => !only.is_first && !turns(lower),
        [before, after] => before.is_first && !after.is_first && !turns(&lower[before.at..after.at]),
        _ => false,
    }
}

/// Whether the value at this place is said of its own name.
fn is_own(lower: &str, said: &[Said], place: usize) -> bool {
    let value = said[place];
    let next = said.get(place + 1);
    // "177 ms in staging"
    if let Some(next) = next.filter(|next| next.is_name) {
        let between = lower[value.at..next.at].trim_end();
        let last = between.split_whitespace().next_back().unwrap_or_default();
        if OF.contains(&last) {
            return next.is_first == value.is_first;
        }
    }
    let Some(before) = place.checked_sub(1).map(|before| said[before]) else { return false };
    // "production is slower than staging: 247 ms against 177 ms"
    let pair = [place, place.saturating_sub(1)].into_iter().find_map(|start| two_and_two(said, start));
    if let Some(in_order) = pair {
        return in_order;
    }
    // "staging 177 ms"; of a value behind two names it is not clear whose it is
    let own = |one: &Said| one.is_first == value.is_first;
    let is_only = said.iter().filter(|one| one.is_name).all(own);
    let is_behind_one = place < 2 || !said[place - 2].is_name || own(&said[place - 2]);
    before.is_name && own(&before) && is_behind_one || is_only && said.iter().any(|one| one.is_name)
}

/// Whether two values from here on are in the order of the two names before them; none where that is not the form.
fn two_and_two(said: &[Said], start: usize) -> Option<bool> {
    let [a, b, c, d] = said.get(start.checked_sub(2)?..start + 2)? else { return None };
    let is_form = a.is_name && b.is_name && !c.is_name && !d.is_name && a.is_first != b.is_first;
    (is_form && c.is_first != d.is_first).then_some(a.is_first == c.is_first)
}
