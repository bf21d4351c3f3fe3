//! Rows of one series by time, in one piece of memory a day.
//!
//! Rows come nearly in order and are gone through in order. A tree of single rows would take twice the memory, and longer
//! to go through.

use model::time::DAY_MS;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

/// Rows by time in ms, at most one at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct ByTime<T> {
    /// By day; each in the order of time, and none empty.
    days: BTreeMap<i64, VecDeque<(i64, T)>>,
}

impl<T> Default for ByTime<T> {
    fn default() -> ByTime<T> {
        ByTime { days: BTreeMap::new() }
    }
}

fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

impl<T> ByTime<T> {
    /// Puts a row at a time, in the place of one that is there.
    pub fn insert(&mut self, at_ms: i64, row: T) {
        let rows = self.day(at_ms);
        match rows.binary_search_by_key(&at_ms, |(at, _)| *at) {
            Ok(place) => rows[place].1 = row,
            Err(place) => rows.insert(place, (at_ms, row)),
        }
    }

    /// The row at a time, a default one if there is none.
    pub fn entry(&mut self, at_ms: i64) -> &mut T
    where
        T: Default,
    {
        let rows = self.day(at_ms);
        let place = match rows.binary_search_by_key(&at_ms, |(at, _)| *at) {
            Ok(place) => place,
            Err(place) => {
                rows.insert(place, (at_ms, T::default()));
                place
            }
        };
        &mut rows[place].1
    }

    fn day(&mut self, at_ms: i64) -> &mut VecDeque<(i64, T)> {
        let day = day_of(at_ms);
        if !self.days.contains_key(&day)
            && let Some((_, before)) = self.days.range_mut(..day).next_back()
        {
            // it will hardly grow any more
            before.shrink_to_fit();
        }
        self.days.entry(day).or_default()
    }

    /// Takes the row at a time away.
    pub fn remove(&mut self, at_ms: i64) -> Option<T> {
        let rows = self.days.get_mut(&day_of(at_ms))?;
        let place = rows.binary_search_by_key(&at_ms, |(at, _)| *at).ok()?;
        let (_, row) = rows.remove(place)?;
        if rows.is_empty() {
            self.days.remove(&day_of(at_ms));
        }
        Some(row)
    }

    /// Drops the rows before a time.
    pub fn forget_before(&mut self, at_ms: i64) {
        let day = day_of(at_ms);
        while let Some(first) = self.days.first_entry()
            && *first.key() < day
        {
            first.remove();
        }
        let Some(rows) = self.days.get_mut(&day) else { return };
        let gone = rows.partition_point(|(at, _)| *at < at_ms);
        rows.drain(..gone);
        if rows.is_empty() {
            self.days.remove(&day);
        }
    }

    /// The row at a time.
    pub fn get(&self, at_ms: i64) -> Option<&T> {
        let rows = self.days.get(&day_of(at_ms))?;
        let place = rows.binary_search_by_key(&at_ms, |(at, _)| *at).ok()?;
        Some(&rows[place].1)
    }

    /// The rows of these times, in order.
    ///
    /// ```
    /// use coral_operators::metrics::by_time::ByTime;
    /// let rows: ByTime<char> = [(7, 'b'), (3, 'a'), (90_000_000, 'c')].into_iter().collect();
    /// assert_eq!(rows.range(4..=90_000_000).collect::<Vec<_>>(), [(7, &'b'), (90_000_000, &'c')]);
    /// assert_eq!((rows.last_until(6), rows.len()), (Some((3, &'a')), 3));
    /// ```
    pub fn range(&self, times: RangeInclusive<i64>) -> impl Iterator<Item = (i64, &T)> {
        let (from, to) = times.into_inner();
        let days = self.days.range(day_of(from)..=day_of(to).max(day_of(from)));
        days.flat_map(move |(_, rows)| {
            let begin = rows.partition_point(|(at, _)| *at < from);
            let end = rows.partition_point(|(at, _)| *at <= to).max(begin);
            rows.range(begin..end).map(|(at, row)| (*at, row))
        })
    }

    /// The last row up to a time.
    pub fn last_until(&self, at_ms: i64) -> Option<(i64, &T)> {
        let mut days = self.days.range(..=day_of(at_ms)).rev();
        days.find_map(|(_, rows)| {
            let end = rows.partition_point(|(at, _)| *at <= at_ms);
            rows.get(end.checked_sub(1)?).map(|(at, row)| (*at, row))
        })
    }

    /// All rows, in the order of time.
    pub fn rows(&self) -> impl Iterator<Item = &T> {
        self.days.values().flatten().map(|(_, row)| row)
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.days.values().map(VecDeque::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }
}

impl<T> FromIterator<(i64, T)> for ByTime<T> {
    fn from_iter<I: IntoIterator<Item = (i64, T)>>(rows: I) -> ByTime<T> {
        let mut by_time = ByTime::default();
        rows.into_iter().for_each(|(at_ms, row)| by_time.insert(at_ms, row));
        by_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::Random;

    #[test]
    fn it_is_a_map_whatever_comes_and_goes_in_whatever_order() {
        for seed in 0..40 {
            let mut random = Random(seed);
            let (mut rows, mut map) = (ByTime::default(), BTreeMap::new());
            let step = [60_000, 7_000_000, DAY_MS / 2][random.below(3)];
            let time = |random: &mut Random| (random.below(400) as i64 - 100) * step;
            for number in 0..600 {
                let at = time(&mut random);
                match random.below(10) {
                    0..5 => {
                        rows.insert(at, number);
                        map.insert(at, number);
                    }
                    5 => {
                        *rows.entry(at) += 1;
                        *map.entry(at).or_default() += 1;
                    }
                    _ => assert_eq!(rows.remove(at), map.remove(&at)),
                }
                let (from, to) = (time(&mut random), time(&mut random));
                let expected: Vec<(i64, i32)> = map.iter().map(|(at, row)| (*at, *row)).collect();
                let within = expected.iter().copied().filter(|(at, _)| (from..=to).contains(at));
                assert!(rows.range(from..=to).map(|(at, row)| (at, *row)).eq(within), "seed {seed}");
                let last = expected.iter().copied().rfind(|(at, _)| *at <= to);
                assert_eq!(rows.last_until(to).map(|(at, row)| (at, *row)), last);
                assert_eq!(rows.get(from), map.get(&from));
                assert!(rows.rows().eq(map.values()));
                assert_eq!((rows.len(), rows.is_empty()), (map.len(), map.is_empty()));
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_what_is_before_the_time() {
        let minute = 60_000;
        let mut rows: ByTime<i64> = (0..4_000).map(|n| (n * minute, n)).collect();
        for n in (0..4_000).step_by(7) {
            rows.forget_before(n * minute);
            assert!(rows.rows().copied().eq(n..4_000), "{n}");
        }
        rows.forget_before(4_000 * minute);
        assert!(rows.is_empty());
    }
}
