//! Which rejects are stored and how the others are counted: the same in every store.
//!
//! A reject is identified by `(source, place)`, so reading the input again adds nothing; a new fault replaces the old
//! one. Of one part of a source (a file, a partition) and one reason the first [`KEPT_MAX`] are stored; the others are
//! only counted. A wrong column name rejects every row of a file, and ten thousand of them are sufficient.

use model::reject::{Reject, RejectReason, number_of, part_of, place_before};
use std::collections::{BTreeMap, HashMap};

/// Maximum number of stored rows per part and reason.
pub const KEPT_MAX: u64 = 10_000;

/// A source and a part of it, as its positions name it.
pub type Part = (String, String);

/// A part and a reason.
pub(crate) type Group = (String, String, String);

/// Rejects that are counted but not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    /// How many.
    pub rows: u64,
    /// The last counted location: rows read again up to it are not counted twice.
    pub counted_to: String,
}

/// The stored state of a commit's rejects and their groups.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// By source and place.
    pub(crate) rejects: HashMap<(String, String), Reject>,
    /// Stored rows.
    pub(crate) kept: HashMap<Group, u64>,
    pub(crate) omitted: HashMap<Group, Omitted>,
}

/// What a commit changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes<'a> {
    /// No longer true, by source and place; some are written again.
    pub(crate) removed: Vec<(String, String)>,
    /// Written now.
    pub(crate) written: Vec<&'a Reject>,
    /// The numbers of groups that have changed.
    pub(crate) omitted: BTreeMap<Group, Omitted>,
}

/// The rejects of a commit, each location once: the last fault wins.
pub(crate) fn each_once<'a>(rejects: impl IntoIterator<Item = &'a Reject>) -> Vec<&'a Reject> {
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let mut once: Vec<&Reject> = Vec::new();
    for reject in rejects {
        match places.get(&(reject.source.as_str(), reject.place.as_str())) {
            Some(place) => once[*place] = reject,
            None => {
                places.insert((&reject.source, &reject.place), once.len());
                once.push(reject);
            }
        }
    }
    once
}

/// The group of a refused row.
pub(crate) fn group(reject: &Reject) -> Group {
    (reject.source.clone(), reject.part().to_owned(), reject.reason.as_str().to_owned())
}

/// The changes to write for `rejects`, which have each location once.
pub(crate) fn changes<'a>(rejects: &[&'a Reject], mut stored: Stored, kept_max: u64) -> Changes<'a> {
    let mut changes = Changes::default();
    let mut beyond: BTreeMap<Group, Vec<&Reject>> = BTreeMap::new();
    for reject in rejects.iter().copied() {
        let group = group(reject);
        if let Some(before) = stored.rejects.get(&(reject.source.clone(), reject.place.clone())) {
            if is_same(before, reject) {
                continue;
            }
            changes.removed.push((reject.source.clone(), reject.place.clone()));
            let kept = stored.kept.entry(self::group(before)).or_default();
            *kept = kept.saturating_sub(1);
        }
        let kept = stored.kept.entry(group.clone()).or_default();
        // retention makes room for new ones; those that are counted stay so
        let is_counted = stored.omitted.get(&group).is_some_and(|omitted| {
            let counted_to = number_of(&omitted.counted_to);
            reject.number().zip(counted_to).is_some_and(|(number, counted_to)| number <= counted_to)
        });
        if *kept < kept_max && !is_counted {
            *kept += 1;
            changes.written.push(reject);
        } else {
            beyond.entry(group).or_default().push(reject);
        }
    }
    for (group, rejects) in beyond {
        let before = stored.omitted.remove(&group).unwrap_or_default();
        let after = counted(&before, &rejects);
        if after != before {
            changes.omitted.insert(group, after);
        }
    }
    changes
}

/// Whether a row is rejected again with the same fault, at any time.
fn is_same(before: &Reject, reject: &Reject) -> bool {
    (before.reason, &before.detail, &before.raw, &before.colony_id)
        == (reject.reason, &reject.detail, &reject.raw, &reject.colony_id)
}

/// The number after `rejects` of one group: those beyond the last place that is counted. Where places have no numbers,
/// only the very same commit is known again.
fn counted(before: &Omitted, rejects: &[&Reject]) -> Omitted {
    let last = rejects.iter().max_by_key(|reject| number_of(&reject.place)).map(|reject| reject.place.clone());
    let Some(last) = last else { return before.clone() };
    let is_numbered = rejects.iter().all(|reject| reject.number().is_some());
    let new = match (is_numbered, number_of(&before.counted_to)) {
        (true, Some(to)) => rejects.iter().filter(|reject| reject.number().is_some_and(|number| number > to)).count(),
        (false, _) if before.counted_to == last => 0,
        _ => rejects.len(),
    };
    match new {
        0 => before.clone(),
        new => Omitted { rows: before.rows + new as u64, counted_to: last },
    }
}

/// The numbers after single rejects no longer hold. A place that was settled is the last one of its part, so the group that
/// counts up to it has counted it; a repeat finds another last place and changes nothing.
pub(crate) fn without_settled(
    settled: &[(String, String)],
    omitted: &HashMap<Group, Omitted>,
) -> BTreeMap<Group, Omitted> {
    let mut changed: BTreeMap<Group, Omitted> = BTreeMap::new();
    for (source, place) in settled {
        let part = part_of(source, place);
        let counted = omitted.iter().find(|((of, in_part, _), omitted)| {
            of == source && in_part == part && omitted.counted_to == *place && omitted.rows > 0
        });
        if let (Some((group, omitted)), Some(counted_to)) = (counted, place_before(place)) {
            changed.insert(group.clone(), Omitted { rows: omitted.rows - 1, counted_to });
        }
    }
    changed
}

/// The parts that settled places belong to.
pub(crate) fn parts_of(settled: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut parts: Vec<(&str, &str)> =
        settled.iter().map(|(source, place)| (&**source, part_of(source, place))).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// The reason of this stored name.
pub(crate) fn read_reason(name: &str) -> Result<RejectReason, String> {
    RejectReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == name)
        .ok_or_else(|| format!("column reason of rejects has {name:?}, which this program does not know"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::time::TimeMs;

    fn reject(place: &str, reason: RejectReason) -> Reject {
        Reject {
            source: "files".to_owned(),
            place: place.to_owned(),
            colony_id: None,
            reason,
            detail: format!("{} is wrong", reason.as_str()),
            raw: "{".to_owned(),
            rejected_at: TimeMs(1),
        }
    }

    fn lines(numbers: std::ops::RangeInclusive<u64>) -> Vec<Reject> {
        numbers.map(|line| reject(&format!("e.ndjson:{line}"), RejectReason::BadValue)).collect()
    }

    /// A store of nothing else; commits go into it.
    #[derive(Default)]
    struct Table {
        rejects: BTreeMap<(String, String), Reject>,
        omitted: BTreeMap<Group, Omitted>,
    }

    impl Table {
        fn commit(&mut self, rejects: &[Reject], kept_max: u64) {
            let once = each_once(rejects);
            let mut kept: HashMap<Group, u64> = HashMap::new();
            self.rejects.values().for_each(|reject| *kept.entry(group(reject)).or_default() += 1);
            let stored = Stored {
                rejects: self.rejects.clone().into_iter().collect(),
                kept,
                omitted: self.omitted.clone().into_iter().collect(),
            };
            let changes = changes(&once, stored, kept_max);
            for key in &changes.removed {
                self.rejects.remove(key);
            }
            for reject in changes.written {
                self.rejects.insert((reject.source.clone(), reject.place.clone()), reject.clone());
            }
            self.omitted.extend(changes.omitted);
        }

        fn numbers(&self) -> (usize, u64) {
            (self.rejects.len(), self.omitted.values().map(|omitted| omitted.rows).sum())
        }
    }

    #[test]
    fn the_first_are_kept_and_the_others_counted_once_however_they_come_again() {
        let mut table = Table::default();
        table.commit(&lines(1..=7), 5);
        assert_eq!(table.numbers(), (5, 2));
        table.commit(&lines(1..=7), 5);
        assert_eq!(table.numbers(), (5, 2), "the same commit again");
        table.commit(&lines(4..=9), 5);
        assert_eq!(table.numbers(), (5, 4), "read again from another place");
        table.commit(&lines(10..=10), 5);
        assert_eq!(table.numbers(), (5, 5));
    }

    #[test]
    fn new_ones_are_kept_again_where_retention_has_made_room() {
        let mut table = Table::default();
        table.commit(&lines(1..=7), 5);
        table.rejects.clear();
        table.commit(&lines(6..=7), 5);
        assert_eq!(table.numbers(), (0, 2), "these are counted already");
        table.commit(&lines(8..=9), 5);
        assert_eq!(table.numbers(), (2, 2));
    }

    #[test]
    fn each_reason_and_each_part_has_its_own_number() {
        let mut table = Table::default();
        table.commit(&lines(1..=3), 2);
        let other = [reject("e.ndjson:4", RejectReason::FarFuture), reject("f.ndjson:4", RejectReason::BadValue)];
        table.commit(&other, 2);
        assert_eq!(table.numbers(), (4, 1));
    }

    #[test]
    fn what_is_wrong_now_takes_the_place_of_what_was() {
        let mut table = Table::default();
        table.commit(&lines(1..=2), 5);
        let mut again = reject("e.ndjson:2", RejectReason::MissingField);
        again.rejected_at = TimeMs(9);
        table.commit(std::slice::from_ref(&again), 5);
        let mut same = reject("e.ndjson:1", RejectReason::BadValue);
        same.rejected_at = TimeMs(9);
        table.commit(&[same], 5);
        assert_eq!(table.rejects.values().cloned().collect::<Vec<_>>(), [lines(1..=1)[0].clone(), again]);
    }

    #[test]
    fn places_without_numbers_are_counted_and_a_repeat_is_not() {
        let of = |names: &[&str]| -> Vec<Reject> {
            let named = |name: &&str| Reject {
                source: "colony-summaries:c".to_owned(),
                ..reject(&format!("GetSummary metric {name} x"), RejectReason::BadValue)
            };
            names.iter().map(named).collect()
        };
        let mut table = Table::default();
        table.commit(&of(&["a", "b", "c", "d"]), 2);
        table.commit(&of(&["a", "b", "c", "d"]), 2);
        assert_eq!(table.numbers(), (2, 2));
    }
}
