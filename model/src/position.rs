//! Where a source resumes: one opaque position per partition, committed with the rows before it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Partition to position. A partition is a file, a colony or a Kafka topic/partition; what the position text means
/// is the source's own business (row number, resume token, offset). Only the source that wrote it reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions(pub BTreeMap<String, String>);

impl Positions {
    /// Takes over every partition of `newer`.
    pub fn advance(&mut self, newer: Positions) {
        self.0.extend(newer.0);
    }
}
