//! Linked: services of a colony of which one calls the other; a deployment of one may show in the metrics of the other.

use model::topology::ServiceEdge;
use sinks::{SinkError, StoreReader};
use std::collections::BTreeSet;

/// Pairs of linked services, by colony.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked(BTreeSet<(String, String, String)>);

impl Linked {
    /// Those of all stored calls.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(reader: &dyn StoreReader) -> Result<Linked, SinkError> {
        let mut linked = Linked::default();
        for call in reader.calls().await? {
            linked.add(&call.latest);
        }
        Ok(linked)
    }

    /// Adds those of a call; whether they are new.
    pub fn add(&mut self, call: &ServiceEdge) -> bool {
        let ServiceEdge { colony_id, from_service, to_service, .. } = call;
        from_service != to_service && self.0.insert(pair(colony_id, from_service, to_service))
    }

    /// Whether one of two services of a colony calls the other.
    pub fn are_linked(&self, colony_id: &str, one: &str, other: &str) -> bool {
        self.0.contains(&pair(colony_id, one, other))
    }
}

fn pair(colony_id: &str, one: &str, other: &str) -> (String, String, String) {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    (colony_id.to_owned(), first.to_owned(), second.to_owned())
}
