//! Which range is requested next: passes over a time range in slices that fit a message.

use model::time::TimeMs;

/// One pass over `[cursor, end)`. Slices halve when a response is too large and double after each that fits, so that
/// empty years need one request and dense hours as many as required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    cursor: TimeMs,
    end: TimeMs,
    width_ms: i64,
}

impl Pass {
    /// A pass that starts by asking for everything at once.
    pub(crate) fn new(from: TimeMs, end: TimeMs) -> Pass {
        Pass { cursor: from, end, width_ms: (end - from).max(1) }
    }

    /// The slice to ask for: half-open, never empty unless the pass is.
    pub(crate) fn slice(&self) -> (TimeMs, TimeMs) {
        (self.cursor, (self.cursor + self.width_ms).min(self.end))
    }

    /// The response was too large. `false` if a slice cannot be smaller.
    pub(crate) fn halve(&mut self) -> bool {
        let (from, to) = self.slice();
        self.width_ms = ((to - from) / 2).max(1);
        to - from > 1
    }

    /// The slice has been received. `true` when the pass is over.
    pub(crate) fn advance(&mut self) -> bool {
        self.cursor = self.slice().1;
        self.width_ms = self.width_ms.saturating_mul(2);
        self.cursor >= self.end
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// For any message limit, the slices of a pass tile its range, and each one fits.
        #[test]
        fn slices_tile_the_range(rows in prop::collection::vec(0i64..100_000, 0..60), rows_max in 1usize..8) {
            let mut rows = rows;
            rows.sort_unstable();
            rows.dedup();
            let count = |from: TimeMs, to: TimeMs| rows.iter().filter(|row| (from.0..to.0).contains(row)).count();
            let mut pass = Pass::new(TimeMs(0), TimeMs(100_000));
            let (mut reached, mut received, mut questions) = (TimeMs(0), 0, 0);
            loop {
                let (from, to) = pass.slice();
                prop_assert_eq!(from, reached);
                prop_assert!(to > from);
                questions += 1;
                if count(from, to) > rows_max {
                    prop_assert!(pass.halve());
                    continue;
                }
                received += count(from, to);
                reached = to;
                if pass.advance() {
                    break;
                }
            }
            prop_assert_eq!(reached, TimeMs(100_000));
            prop_assert_eq!(received, rows.len());
            prop_assert!(questions <= 20 + 20 * rows.len(), "{questions} questions for {} rows", rows.len());
        }
    }

    #[test]
    fn a_slice_of_one_millisecond_cannot_be_smaller() {
        let mut pass = Pass::new(TimeMs(5), TimeMs(6));
        assert!(!pass.halve());
        assert_eq!(pass.slice(), (TimeMs(5), TimeMs(6)));
    }
}
