//! Published: converts changes of findings into rows to write and remove.

use model::derived::DerivedChange;
use model::pattern::{Finding, PatternState, SignalKind};
use operators::dataflow::Change;
use std::collections::{BTreeMap, BTreeSet};

/// The findings that the store holds, by correlation id.
///
/// After a restart the engine's first evaluation outputs all findings again: they are rewritten (which changes nothing
/// if they are equal), and others in the store are removed.
#[derive(Debug, Default)]
pub struct Published {
    states: BTreeMap<String, (SignalKind, PatternState)>,
    /// What an earlier run stored and this run has not yet confirmed or removed.
    inherited: Option<Vec<String>>,
}

/// Changes of the stored correlations in one tick.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// New or changed.
    pub findings: Vec<Finding>,
    /// Ids of those that are no more.
    pub removed: Vec<String>,
    /// Changes of derived tables, in order.
    pub derived: Vec<DerivedChange>,
}

impl Publication {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.removed.is_empty() && self.derived.is_empty()
    }

    /// Adds what a later evaluation changed: of a correlation that both name the later word counts.
    pub fn follow(&mut self, later: Publication) {
        if self.is_empty() {
            *self = later;
            return;
        }
        let ids: BTreeSet<String> =
            later.findings.iter().map(|finding| finding.correlation.key.correlation_id()).collect();
        self.findings.retain(|finding| {
            let id = finding.correlation.key.correlation_id();
            !ids.contains(&id) && !later.removed.contains(&id)
        });
        self.removed.retain(|id| !ids.contains(id) && !later.removed.contains(id));
        self.findings.extend(later.findings);
        self.removed.extend(later.removed);
        self.derived.extend(later.derived);
    }
}

impl Published {
    /// Starts from the ids stored by earlier runs.
    pub fn inherit(stored: Vec<String>) -> Published {
        Published { states: BTreeMap::new(), inherited: Some(stored) }
    }

    /// Applies the changes of a tick in which the engine evaluated.
    pub fn apply(&mut self, changes: Vec<Change<Finding>>) -> Publication {
        let mut newest: BTreeMap<String, Option<Finding>> = BTreeMap::new();
        for (finding, diff) in changes {
            let entry = newest.entry(finding.correlation.key.correlation_id()).or_default();
            if diff > 0 {
                *entry = Some(finding);
            }
        }
        let mut publication = Publication::default();
        for (id, finding) in newest {
            match finding {
                Some(finding) => {
                    let kind = finding.correlation.key.source.kind;
                    self.states.insert(id, (kind, finding.correlation.state));
                    publication.findings.push(finding);
                }
                None => {
                    self.states.remove(&id);
                    publication.removed.push(id);
                }
            }
        }
        let orphans = self.inherited.take().unwrap_or_default();
        publication.removed.extend(orphans.into_iter().filter(|id| !self.states.contains_key(id)));
        publication
    }

    /// How many patterns are in this state.
    pub fn count(&self, state: PatternState) -> u64 {
        self.states.values().filter(|(_, each)| *each == state).count() as u64
    }

    /// Whether a pattern of this kind of row is confirmed.
    pub fn confirms(&self, kind: SignalKind) -> bool {
        self.states.values().any(|each| *each == (kind, PatternState::Confirmed))
    }
}
