//! Which finding is published: that of the end of the last hour as long as now says the same, else that of now.
//!
//! The figures of a pattern move with every minute; what is said of it does not. A finding is a row of the store, and each
//! of its changes a revision there. So its figures are those of a closed instant, and a minute in which no verdict differs
//! from the one of the last hour changes no row. The rule looks at the rows alone: a live run, a replay and a run over
//! files that end with the same rows publish the same findings.

use model::pattern::{Finding, PatternKey};
use std::collections::BTreeMap;

/// What a walk says of a pattern at its latest instant.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) finding: Finding,
    /// Whether the pair could be computed there.
    pub(super) is_seen: bool,
    /// Whether |r| is as great as it must be there.
    pub(super) is_present: bool,
}

impl Told {
    /// Whether the verdict is the same: state, explanation, lag, and what keeps it from being more.
    fn says_the_same_as(&self, other: &Told) -> bool {
        let (one, its) = (&self.finding.correlation, &other.finding.correlation);
        (one.state, &one.explained_by, one.lag_seconds) == (its.state, &its.explained_by, its.lag_seconds)
            && (self.is_seen, self.is_present) == (other.is_seen, other.is_present)
    }
}

/// The findings of now, each as of `then` where that says the same. Application and environment are always those of now.
pub(super) fn published(
    mut then: BTreeMap<PatternKey, Told>,
    now: BTreeMap<PatternKey, Told>,
) -> BTreeMap<PatternKey, Finding> {
    let one = |(key, now): (PatternKey, Told)| {
        let finding = match then.remove(&key) {
            Some(then) if then.says_the_same_as(&now) => named_as(then.finding, now.finding),
            _ => now.finding,
        };
        (key, finding)
    };
    now.into_iter().map(one).collect()
}

/// A finding with the names that another one has for the same colonies.
fn named_as(mut finding: Finding, other: Finding) -> Finding {
    let (row, names) = (&mut finding.correlation, other.correlation);
    row.source_application = names.source_application;
    row.source_environment = names.source_environment;
    row.target_application = names.target_application;
    row.target_environment = names.target_environment;
    finding
}
