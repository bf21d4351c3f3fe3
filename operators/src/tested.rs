//! Tested: how much an evaluation had to test, and why that may be nothing.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What there is of one kind: event types, or series of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Supply {
    /// Those with any row in the look-back.
    pub seen: u64,
    /// Of these, those with enough rows to be an end of a pair.
    pub usable: u64,
    /// Colonies that have one of these.
    pub colonies: u64,
}

impl Supply {
    /// Of those seen: their colony, and whether they are usable.
    pub fn of<'a>(seen: impl Iterator<Item = (&'a str, bool)>) -> Supply {
        let mut supply = Supply::default();
        let mut colonies = BTreeSet::new();
        for (colony_id, is_usable) in seen {
            supply.seen += 1;
            if is_usable {
                supply.usable += 1;
                colonies.insert(colony_id);
            }
        }
        supply.colonies = colonies.len() as u64;
        supply
    }
}

/// What an evaluation tested of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tested {
    /// Pairs: ordered ones of event types now, those of series at the instant with most.
    pub pairs: u64,
    /// What there is now.
    pub supply: Supply,
}
