//! The outcome of a commit: which of its rows differ from the current copy and were not applied.
//!
//! The current copy of a row is a function of the set of copies ([`crate::resolve`]), so a correction that compares
//! lower loses, and so does an event whose id is reused. Neither may happen silently. A row with another version than
//! the current copy states itself which is newer: it is not counted.

use crate::stored::StoredRow;
use model::columns::MetricRow;
use model::event::Event;
use model::metric::MetricPoint;
use model::statistics::Statistics;

/// Counts of a commit; those of several commits are added. A repeated commit may count less, because its rows are
/// already stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that differ from the current copy, which has the same version and compares higher.
    pub not_taken: u64,
    /// Of these, metric buckets with fewer samples than the current copy, as in an earlier state of a bucket.
    pub fewer_samples: u64,
    /// Events whose id belongs to an event of another time, without another version: one of the two wins.
    pub reused_ids: u64,
}

impl Outcome {
    /// Adds the counts of another commit.
    pub fn add(&mut self, other: Outcome) {
        self.not_taken += other.not_taken;
        self.fewer_samples += other.fewer_samples;
        self.reused_ids += other.reused_ids;
    }

    /// Whether there is nothing to say.
    pub fn is_nothing(&self) -> bool {
        *self == Outcome::default()
    }
}

/// A row whose copies are compared.
pub(crate) trait Met {
    /// Counts the differences of `incoming` from `stands`, the copy stored before it.
    fn met(incoming: StoredRow<&Self>, stands: StoredRow<&Self>, outcome: &mut Outcome);
}

/// Whether a copy is discarded. A greater late copy is stored separately.
fn is_lost<T: Ord>(incoming: StoredRow<&T>, stands: StoredRow<&T>) -> bool {
    incoming < stands && (incoming.on_time || incoming.row <= stands.row)
}

impl Met for Event {
    fn met(incoming: StoredRow<&Event>, stands: StoredRow<&Event>, outcome: &mut Outcome) {
        let (new, old) = (incoming.row, stands.row);
        if new.version != old.version || new.withdrawn != old.withdrawn || new == old {
            return;
        }
        if new.timestamp != old.timestamp {
            outcome.reused_ids += 1;
        } else if is_lost(incoming, stands) {
            outcome.not_taken += 1;
        }
    }
}

impl Met for MetricPoint {
    fn met(incoming: StoredRow<&MetricPoint>, stands: StoredRow<&MetricPoint>, outcome: &mut Outcome) {
        let numbers = [incoming, stands].map(|held| Statistics::of(held.row));
        buckets_met(numbers, is_lost(incoming, stands), outcome);
    }
}

impl Met for MetricRow<'_> {
    fn met(incoming: StoredRow<&Self>, stands: StoredRow<&Self>, outcome: &mut Outcome) {
        let numbers = [incoming, stands].map(|held| *held.row.statistics());
        buckets_met(numbers, is_lost(incoming, stands), outcome);
    }
}

fn buckets_met([new, old]: [Statistics; 2], is_lost: bool, outcome: &mut Outcome) {
    if new.version() == old.version() && new.rank() != old.rank() && is_lost {
        outcome.not_taken += 1;
        outcome.fewer_samples += u64::from(new.count() < old.count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::rows::{bucket, event};
    use model::real::Real;

    fn met<T: Met>(incoming: (bool, &T), stands: (bool, &T)) -> (u64, u64, u64) {
        let mut outcome = Outcome::default();
        let held = |(on_time, row)| StoredRow { on_time, row };
        T::met(held(incoming), held(stands), &mut outcome);
        (outcome.not_taken, outcome.fewer_samples, outcome.reused_ids)
    }

    #[test]
    fn a_bucket_that_compares_lower_is_reported_and_a_version_settles_it() {
        let stands = bucket("api", 0);
        let lower = MetricPoint { mean: Some(Real(1.0)), ..stands };
        let higher = MetricPoint { mean: Some(Real(99.0)), ..stands };
        let fewer = MetricPoint { count: Some(3), ..stands };
        let earlier = MetricPoint { version: 0, ..lower };
        let corrected = MetricPoint { version: 1, ..stands };
        assert_eq!(met((true, &lower), (true, &stands)), (1, 0, 0));
        assert_eq!(met((true, &fewer), (true, &stands)), (1, 1, 0));
        assert_eq!(met((true, &higher), (true, &stands)), (0, 0, 0), "it is taken");
        assert_eq!(met((true, &stands), (true, &stands)), (0, 0, 0), "a repeat");
        assert_eq!(met((true, &earlier), (true, &corrected)), (0, 0, 0), "a corrected row is sent again");
        assert_eq!(met((false, &higher), (true, &stands)), (0, 0, 0), "a late one that says more is stored beside it");
        assert_eq!(met((false, &lower), (true, &stands)), (1, 0, 0));
    }

    #[test]
    fn an_id_with_another_time_is_reported_whichever_is_stored() {
        let (first, second) = (event("e", 0), event("e", 60_000));
        let mut other = first.clone();
        other.service_id = "a".to_owned();
        let mut newer = second.clone();
        newer.version = 1;
        assert_eq!(met((true, &second), (true, &first)), (0, 0, 1));
        assert_eq!(met((true, &first), (true, &second)), (0, 0, 1));
        assert_eq!(met((true, &newer), (true, &first)), (0, 0, 0), "an amendment says so");
        assert_eq!(met((true, &other), (true, &first)), (1, 0, 0), "the same time, and it compares lower");
        assert_eq!(met((true, &first), (true, &other)), (0, 0, 0), "it is taken");
        assert_eq!(met((true, &first), (true, &first)), (0, 0, 0));
    }
}
