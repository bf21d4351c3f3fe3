//! Reports of a source in addition to rows and rejects: failed inputs, inputs without new rows, corrections of rows.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum number of distinct notes, and of distinct series; further ones are counted under [`OTHER`].
pub const ENTRIES_MAX: usize = 200;
/// Maximum number of failed inputs stored by name; all of them are counted.
pub const FAILED_NAMED_MAX: usize = 200;
/// Where entries beyond [`ENTRIES_MAX`] are counted.
pub const OTHER: &str = "(others)";

/// Why an input could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// It is not there.
    NotFound,
    /// Permissions forbid it.
    Permission,
    /// Opening or reading failed otherwise.
    Unreadable,
    /// Its content is wrong: another format, truncated, damaged, without the columns.
    Format,
}

/// An input that could not be read, or not to its end. The source continued with its other inputs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedInput {
    /// The input as the configuration names it, e.g. `m-2.parquet`.
    pub input: String,
    /// What kind of fault.
    pub class: FailureClass,
    /// The message, with the path.
    pub problem: String,
}

/// Summed over the batches of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputReport {
    /// Inputs that could not be read, at most [`FAILED_NAMED_MAX`] by name.
    pub failed: Vec<FailedInput>,
    /// How many there are in all.
    pub failed_inputs: u64,
    /// Files that have not changed since they were read.
    pub unchanged_files: u64,
    /// Corrections and omissions in accepted rows, and the number of rows.
    pub notes: BTreeMap<String, u64>,
    /// Refused rows by metric series (`colony/service/metric`).
    pub refused_by_series: BTreeMap<String, u64>,
}

impl InputReport {
    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        *self == InputReport::default()
    }

    /// Notes an input that could not be read.
    pub fn add_failed(&mut self, failed: FailedInput) {
        self.failed_inputs += 1;
        if self.failed.len() < FAILED_NAMED_MAX {
            self.failed.push(failed);
        }
    }

    /// Adds a note about an accepted row.
    pub fn add_note(&mut self, note: &str) {
        add(&mut self.notes, note, 1);
    }

    /// Notes a refused row of a metric series.
    pub fn add_refused(&mut self, series: &str) {
        add(&mut self.refused_by_series, series, 1);
    }

    /// Adds up.
    pub fn absorb(&mut self, other: InputReport) {
        let unnamed = other.failed_inputs - other.failed.len() as u64;
        other.failed.into_iter().for_each(|failed| self.add_failed(failed));
        self.failed_inputs += unnamed;
        self.unchanged_files += other.unchanged_files;
        for (note, rows) in other.notes {
            add(&mut self.notes, &note, rows);
        }
        for (series, rows) in other.refused_by_series {
            add(&mut self.refused_by_series, &series, rows);
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, rows: u64) {
    if let Some(count) = counts.get_mut(name) {
        *count += rows;
        return;
    }
    let name = if counts.len() < ENTRIES_MAX { name } else { OTHER };
    *counts.entry(name.to_owned()).or_default() += rows;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_add_up_within_their_bounds() {
        let mut all = InputReport::default();
        assert!(all.is_empty());
        for number in 0..FAILED_NAMED_MAX + 5 {
            let mut one = InputReport { unchanged_files: 2, ..InputReport::default() };
            let (class, problem) = (FailureClass::Format, "is cut off".to_owned());
            one.add_failed(FailedInput { input: format!("{number}.csv"), class, problem });
            one.add_note(&format!("note {number}"));
            one.add_note("severity \"P9\"");
            one.add_refused("shop/api/latency");
            all.absorb(one);
        }
        let rounds = FAILED_NAMED_MAX as u64 + 5;
        assert_eq!((all.failed.len(), all.failed_inputs, all.unchanged_files), (FAILED_NAMED_MAX, rounds, 2 * rounds));
        assert_eq!(all.notes["severity \"P9\""], rounds);
        assert_eq!(all.notes.values().sum::<u64>(), 2 * rounds);
        assert_eq!(all.notes.len(), ENTRIES_MAX + 1);
        assert_eq!(all.refused_by_series, BTreeMap::from([("shop/api/latency".to_owned(), rounds)]));
    }
}
