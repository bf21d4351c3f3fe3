//! Counts: a few things with how often each is there. Nearly always it is one thing, and there are many counts: a map would
//! take eleven places for each.

/// Things in ascending order, each with its insertions less its retractions. One with a count of zero is not kept; one that
/// was retracted before it was inserted has a count below zero.
///
/// ```
/// use coral_operators::counts::Counts;
/// let mut counts = Counts::default();
/// counts.change("b", 1);
/// counts.change("a", -1);
/// assert_eq!(counts.iter().collect::<Vec<_>>(), [(&"a", -1), (&"b", 1)]);
/// counts.change("a", 1);
/// assert_eq!((counts.iter().count(), counts.first()), (1, Some(&"b")));
/// counts.forget_below(&"c");
/// assert!(counts.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Counts<T>(Vec<(T, i64)>);

impl<T> Default for Counts<T> {
    fn default() -> Counts<T> {
        Counts(Vec::new())
    }
}

impl<T: Ord> Counts<T> {
    /// Adds `diff` copies.
    pub fn change(&mut self, thing: T, diff: i64) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&thing)) {
            Ok(place) => {
                self.0[place].1 += diff;
                if self.0[place].1 == 0 {
                    self.0.remove(place);
                }
            }
            Err(_) if diff == 0 => {}
            Err(place) => {
                // room for exactly one: more come seldom
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (thing, diff));
            }
        }
    }

    /// Forgets what is smaller than `least`.
    pub fn forget_below(&mut self, least: &T) {
        let count = self.0.partition_point(|(thing, _)| thing < least);
        self.0.drain(..count);
    }
}

impl<T> Counts<T> {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest.
    pub fn first(&self) -> Option<&T> {
        self.0.first().map(|(thing, _)| thing)
    }

    /// All of them, rising, with how often each is there.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&T, i64)> {
        self.0.iter().map(|(thing, count)| (thing, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_takes_the_place_of_one() {
        let mut counts = Counts::default();
        counts.change([0_u64; 16], 1);
        assert_eq!(counts.0.capacity(), 1);
    }
}
