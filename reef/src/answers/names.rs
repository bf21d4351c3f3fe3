//! Names as people write them: any case, the beginning, usual short forms of environments; near names for a wrong one.

use super::refusal::Refusal;
use std::collections::BTreeSet;

/// Names of environments that mean the same.
const SAME: [[&str; 2]; 4] =
    [["production", "prod"], ["staging", "stage"], ["development", "dev"], ["testing", "test"]];
/// Most names that a message lists.
const NAMES_MAX: usize = 8;

/// The one of `known` that `given` names; `what` is its kind, for the message.
pub fn resolve(what: &str, given: &str, known: &BTreeSet<String>) -> Result<String, Refusal> {
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
}
