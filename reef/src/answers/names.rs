//! Names as people write them: any case, the beginning, usual short forms of environments; near names for a wrong one.

use super::refusal::Refusal;
use std::collections::BTreeSet;

/// Names of environments that mean the same.
const SAME: [[&str; 2]; 4] =
    [["production", "prod"], ["staging", "stage"], ["development", "dev"], ["testing", "test"]];
/// Most names that a message lists.
const NAMES_MAX: usize = 8;
/// Most names of a list in a question.
pub const LIST_MAX: usize = 200;
/// Longest name in a question that is compared with known ones and repeated in a message.
pub const NAME_BYTES_MAX: usize = 256;

/// Fails for a name that is too long.
pub fn check(name: &str) -> Result<(), Refusal> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let message = format!("a name of {} bytes is too long", name.len());
    Err(Refusal::invalid(message, format!("give at most {NAME_BYTES_MAX} bytes")))
}

/// Fails for a list of names that is too long, at `field`.
pub fn check_count(names: &[String], field: &str) -> Result<(), Refusal> {
    if names.len() <= LIST_MAX {
        return Ok(());
    }
    let message = format!("{} names are too many", names.len());
    Err(Refusal::invalid(message, format!("give at most {LIST_MAX}, or none for all")).at(field))
}

/// The same, also for a list with a name that is too long.
pub fn check_list(names: &[String], field: &str) -> Result<(), Refusal> {
    check_count(names, field)?;
    let at = |(place, name): (usize, &String)| check(name).map_err(|refusal| refusal.at(&format!("{field}[{place}]")));
    names.iter().enumerate().try_for_each(at)
}

/// The other usual form of an environment's name: `prod` for `production`.
pub fn same(name: &str) -> Option<&'static str> {
    let pair = SAME.iter().find(|pair| pair.contains(&name))?;
    pair.iter().find(|form| **form != name).copied()
}

/// The one of `known` that `given` names; `what` is its kind, for the message.
pub fn resolve(what: &str, given: &str, known: &BTreeSet<String>) -> Result<String, Refusal> {
    if known.contains(given) {
        return Ok(given.to_owned());
    }
    check(given)?;
    let wanted = given.trim().to_lowercase();
    let is_wanted = |name: &&String| name.to_lowercase() == wanted;
    if let Some(name) = known.iter().find(is_wanted) {
        return Ok(name.clone());
    }
    let means = |name: &&String| {
        SAME.iter().any(|pair| pair.contains(&wanted.as_str()) && pair.contains(&name.to_lowercase().as_str()))
    };
    if let Some(name) = known.iter().find(means) {
        return Ok(name.clone());
    }
    let begins: Vec<&String> = known.iter().filter(|name| name.to_lowercase().starts_with(&wanted)).collect();
    match begins.as_slice() {
        [one] if !wanted.is_empty() => Ok((*one).clone()),
        [] => Err(Refusal::not_found(format!("there is no {what} {given:?}"), near_hint(what, &wanted, known))),
        several => Err(Refusal::ambiguous(
            format!("several {what}s begin with {given:?}"),
            format!("one of: {}", listed(several.iter().map(|name| name.as_str()))),
        )),
    }
}

/// What to try instead of an unknown name.
pub fn near_hint(what: &str, wanted: &str, known: &BTreeSet<String>) -> String {
    let mut near: Vec<(usize, &String)> = known
        .iter()
        .filter(|_| wanted.len() <= NAME_BYTES_MAX)
        .map(|name| (distance(&name.to_lowercase(), wanted), name))
        .filter(|(distance, name)| *distance <= 1 + wanted.chars().count() / 3 || name.to_lowercase().contains(wanted))
        .collect();
    near.sort();
    match (near.first(), known.is_empty()) {
        (Some((_, nearest)), _) if near.len() == 1 => format!("did you mean {nearest:?}?"),
        (Some(_), _) => format!("did you mean one of: {}?", listed(near.iter().map(|(_, name)| name.as_str()))),
        (None, true) => format!("the store knows no {what} yet"),
        (None, false) => format!("known: {}", listed(known.iter().map(String::as_str))),
    }
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let mut text = names.take(NAMES_MAX).collect::<Vec<_>>().join(", ");
    if count > NAMES_MAX {
        text.push_str(&format!(" and {} more", count - NAMES_MAX));
    }
    text
}

/// Least number of characters to insert, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::answers::refusal::RefusalKind;

    #[test]
    fn names_are_found_as_people_write_them() {
        let known: BTreeSet<String> = ["production", "staging", "stable"].map(str::to_owned).into();
        for (given, name) in
            [("Production", "production"), ("prod", "production"), ("stage", "staging"), ("stag", "staging")]
        {
            assert_eq!(resolve("environment", given, &known).unwrap(), name);
        }
        let ambiguous = resolve("environment", "sta", &known).unwrap_err();
        assert_eq!((ambiguous.kind, ambiguous.hint.as_str()), (RefusalKind::Ambiguous, "one of: stable, staging"));
        let typo = resolve("environment", "prodction", &known).unwrap_err();
        assert_eq!(typo.hint, "did you mean \"production\"?");
        let other = resolve("environment", "qa", &known).unwrap_err();
        assert_eq!((other.kind, other.hint.as_str()), (RefusalKind::NotFound, "known: production, stable, staging"));
    }

    #[test]
    fn a_long_name_is_not_repeated_and_a_stored_one_is_found() {
        let stored = "x".repeat(1_000);
        let known: BTreeSet<String> = [stored.clone(), "Api".to_owned(), "api".to_owned()].into();
        assert_eq!(resolve("service", &stored, &known).unwrap(), stored);
        assert_eq!(resolve("service", "api", &known).unwrap(), "api", "not the first one of another case");
        let long = resolve("service", &"y".repeat(250_000), &known).unwrap_err();
        assert_eq!((long.kind, long.message.as_str()), (RefusalKind::Invalid, "a name of 250000 bytes is too long"));
        assert_eq!(near_hint("field", &"y".repeat(250_000), &["a".to_owned()].into()), "known: a");
        assert!(check_list(&vec!["a".to_owned(); 200], "names").is_ok());
        let many = check_list(&vec!["a".to_owned(); 201], "names").unwrap_err();
        assert_eq!((many.message.as_str(), many.field.as_deref()), ("201 names are too many", Some("names")));
        let one = check_list(&["a".to_owned(), "b".repeat(257)], "names").unwrap_err();
        assert_eq!((one.kind, one.field.as_deref()), (RefusalKind::Invalid, Some("names[1]")));
    }
}
