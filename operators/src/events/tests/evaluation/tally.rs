//! Counts of what was found.

use super::rules::Pair;
use std::collections::BTreeSet;

/// Pairs that were reported, the right ones among them, and those that were planted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub found: u64,
    pub right: u64,
    pub planted: u64,
}

impl Found {
    pub fn add(&mut self, found: &BTreeSet<Pair>, truth: &BTreeSet<Pair>) {
        self.found += found.len() as u64;
        self.right += found.intersection(truth).count() as u64;
        self.planted += truth.len() as u64;
    }
}
