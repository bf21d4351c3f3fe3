//! Rejects that wait for the next tick, and deletions of earlier ones.

use model::reject::{Reject, RejectReason, part_of_partition};

/// Maximum bytes of a location: it contains ids unchanged, and rows may be rejected for the length of an id.
const PLACE_BYTES_MAX: usize = 4 * 1024;

/// What a batch says of rows that were refused before: they are read again, or have been read on.
#[derive(Debug, Default)]
pub(crate) struct TakenBack {
    /// Partitions that were begun again.
    pub(crate) restarted: Vec<String>,
    /// Partitions that went back to rows after the reader's clock.
    pub(crate) rewound: Vec<String>,
    /// Places of single rows.
    pub(crate) settled: Vec<String>,
}

/// Changes of rejects in a tick: first deletions, then new ones.
#[derive(Debug, Default)]
pub(crate) struct PendingRejects {
    /// Sources and parts that were restarted.
    pub(crate) restarted: Vec<(String, String)>,
    /// Sources and parts that went back to rows after the reader's clock.
    pub(crate) rewound: Vec<(String, String)>,
    /// Sources and places of single rows.
    pub(crate) settled: Vec<(String, String)>,
    /// Rows refused.
    pub(crate) rejects: Vec<Reject>,
}

impl PendingRejects {
    /// Takes over what a batch of `source` says.
    pub(crate) fn take(&mut self, source: &str, taken_back: TakenBack, mut rejects: Vec<Reject>) {
        let TakenBack { restarted, mut rewound, settled } = taken_back;
        rewound.retain(|partition| !restarted.contains(partition));
        let rewound: Vec<&str> = rewound.iter().map(|partition| part_of_partition(source, partition)).collect();
        let settled = settled.into_iter().map(shortened).collect::<Vec<_>>();
        // rejects of this tick have not been written, and must not be
        if !restarted.is_empty() || !rewound.is_empty() || !settled.is_empty() {
            self.rejects.retain(|reject| {
                let is_again = reject.reason == RejectReason::FarFuture && rewound.contains(&reject.part());
                let is_restarted = restarted.iter().any(|part| part == reject.part());
                reject.source != source || !(is_restarted || is_again || settled.contains(&reject.place))
            });
        }
        self.rewound.extend(rewound.into_iter().map(|part| (source.to_owned(), part.to_owned())));
        self.restarted.extend(restarted.into_iter().map(|part| (source.to_owned(), part)));
        self.settled.extend(settled.into_iter().map(|place| (source.to_owned(), place)));
        rejects.iter_mut().for_each(|reject| reject.place = shortened(std::mem::take(&mut reject.place)));
        self.rejects.append(&mut rejects);
    }
}

/// Cuts a place that is too long out in its middle: both its part and its number stay.
fn shortened(mut place: String) -> String {
    if place.len() <= PLACE_BYTES_MAX {
        return place;
    }
    let (mut head, mut tail) = (PLACE_BYTES_MAX / 2, place.len() - PLACE_BYTES_MAX / 2);
    while !place.is_char_boundary(head) {
        head -= 1;
    }
    while !place.is_char_boundary(tail) {
        tail += 1;
    }
    place.replace_range(head..tail, " … ");
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::reject::RejectReason;
    use model::time::TimeMs;

    fn reject(source: &str, place: &str) -> Reject {
        Reject {
            source: source.to_owned(),
            place: place.to_owned(),
            colony_id: None,
            reason: RejectReason::BadValue,
            detail: String::new(),
            raw: String::new(),
            rejected_at: TimeMs(0),
        }
    }

    fn places(refused: &PendingRejects) -> Vec<&str> {
        refused.rejects.iter().map(|reject| reject.place.as_str()).collect()
    }

    #[test]
    fn what_starts_over_in_the_same_tick_retracts_its_rejects() {
        let mut refused = PendingRejects::default();
        let first = ["a.csv:1", "a.csv:2", "b.csv:1"].map(|place| reject("files", place));
        refused.take("files", TakenBack::default(), first.into());
        refused.take("kafka", TakenBack::default(), vec![reject("kafka", "a.csv:1")]);
        let again = TakenBack { restarted: vec!["a.csv".to_owned()], ..TakenBack::default() };
        refused.take("files", again, vec![reject("files", "a.csv:2")]);
        assert_eq!(places(&refused), ["b.csv:1", "a.csv:1", "a.csv:2"]);
        assert_eq!(refused.restarted, [("files".to_owned(), "a.csv".to_owned())]);
        let settled = TakenBack { settled: vec!["b.csv:1".to_owned()], ..TakenBack::default() };
        refused.take("files", settled, Vec::new());
        assert_eq!(places(&refused), ["a.csv:1", "a.csv:2"]);
        assert_eq!(refused.settled, [("files".to_owned(), "b.csv:1".to_owned())]);
    }

    #[test]
    fn what_was_refused_for_its_time_is_taken_back_where_it_is_read_again() {
        let mut refused = PendingRejects::default();
        let ahead = |place: &str| Reject { reason: RejectReason::FarFuture, ..reject("kafka:k", place) };
        refused.take("kafka:k", TakenBack::default(), vec![ahead("e/0@6"), reject("kafka:k", "e/0@7"), ahead("e/1@6")]);
        let rewound = |partition: &str| TakenBack { rewound: vec![partition.to_owned()], ..TakenBack::default() };
        refused.take("kafka:k", rewound("e/0"), Vec::new());
        assert_eq!(places(&refused), ["e/0@7", "e/1@6"]);
        assert_eq!(refused.rewound, [("kafka:k".to_owned(), "e/0".to_owned())]);
        refused.take("colony-events:c", rewound("c"), Vec::new());
        assert_eq!(refused.rewound[1], ("colony-events:c".to_owned(), String::new()), "its places name no part");
    }

    #[test]
    fn a_place_is_bounded_and_keeps_its_ends() {
        let mut refused = PendingRejects::default();
        let long = format!("StreamEvents {} after 7:15", "ü".repeat(100_000));
        refused.take("colony-events:c", TakenBack::default(), vec![reject("colony-events:c", &long)]);
        let place = &refused.rejects[0].place;
        assert!(place.len() <= PLACE_BYTES_MAX + 8, "{}", place.len());
        assert!(place.starts_with("StreamEvents ü") && place.ends_with("ü after 7:15"), "{place}");
    }
}
