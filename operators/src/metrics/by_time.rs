//! Rows of one series by time: the day that changes in one piece of memory, those before it as columns.
//!
//! Rows come nearly in order and are gone through in order. A tree of single rows would take twice the memory, and longer
//! to go through.

use super::columns::{Pack, Times};
use model::time::DAY_MS;
use std::collections::{BTreeMap, VecDeque, vec_deque};
use std::ops::{Range, RangeInclusive};

/// Rows by time in ms, at most one at a time.
#[derive(Clone, Debug)]
pub struct ByTime<T: Pack> {
    /// None is empty.
    days: BTreeMap<i64, Day<T>>,
}

/// The rows of a day, in the order of time.
#[derive(Clone, Debug)]
enum Day<T: Pack> {
    Open(VecDeque<(i64, T)>),
    Packed(PackedDay<T>),
}

/// The rows of a day that is not expected to change.
#[derive(Clone, Debug)]
struct PackedDay<T: Pack> {
    times: Times,
    columns: T::Columns,
    /// So many of the first are forgotten.
    forgotten: usize,
}

/// Some rows of a day.
enum Between<'a, T: Pack> {
    Open(vec_deque::Iter<'a, (i64, T)>),
    Packed(&'a PackedDay<T>, Range<usize>),
}

impl<T: Pack> Iterator for Between<'_, T> {
    type Item = (i64, T);

    fn next(&mut self) -> Option<(i64, T)> {
        match self {
            Between::Open(rows) => rows.next().map(|(at, row)| (*at, row.clone())),
            Between::Packed(day, places) => places.next().map(|place| day.row(place)),
        }
    }
}

impl<T: Pack> PackedDay<T> {
    fn row(&self, place: usize) -> (i64, T) {
        (self.times.at(place), T::unpack(&self.columns, place))
    }

    /// Rows before a time, forgotten ones included.
    fn before(&self, at_ms: i64) -> usize {
        self.times.before(at_ms).max(self.forgotten)
    }
}

impl<T: Pack> Day<T> {
    /// The rows where they can be changed.
    fn open(&mut self) -> &mut VecDeque<(i64, T)> {
        if let Day::Packed(day) = self {
            let rows = (day.forgotten..day.times.len()).map(|place| day.row(place)).collect();
            *self = Day::Open(rows);
        }
        match self {
            Day::Open(rows) => rows,
            Day::Packed(_) => unreachable!("it was opened above"),
        }
    }

    /// It will hardly change any more.
    fn pack(&mut self) {
        let Day::Open(rows) = self else { return };
        match T::pack(rows.iter().map(|(_, row)| row)) {
            Some(columns) => {
                let times: Vec<i64> = rows.iter().map(|(at, _)| *at).collect();
                *self = Day::Packed(PackedDay { times: Times::pack(&times), columns, forgotten: 0 });
            }
            None => rows.shrink_to_fit(),
        }
    }

    fn between(&self, from: i64, to: i64) -> Between<'_, T> {
        match self {
            Day::Open(rows) => {
                let begin = rows.partition_point(|(at, _)| *at < from);
                let end = rows.partition_point(|(at, _)| *at <= to).max(begin);
                Between::Open(rows.range(begin..end))
            }
            Day::Packed(day) => Between::Packed(day, day.before(from)..day.before(to.saturating_add(1))),
        }
    }

    fn last_until(&self, at_ms: i64) -> Option<(i64, T)> {
        match self {
            Day::Open(rows) => {
                let end = rows.partition_point(|(at, _)| *at <= at_ms);
                rows.get(end.checked_sub(1)?).cloned()
            }
            Day::Packed(day) => {
                let last = day.times.before(at_ms.saturating_add(1)).checked_sub(1)?;
                (last >= day.forgotten).then(|| day.row(last))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Day::Open(rows) => rows.len(),
            Day::Packed(day) => day.times.len() - day.forgotten,
        }
    }

    fn forget_before(&mut self, at_ms: i64) {
        match self {
            Day::Open(rows) => {
                let gone = rows.partition_point(|(at, _)| *at < at_ms);
                rows.drain(..gone);
            }
            Day::Packed(day) => day.forgotten = day.before(at_ms),
        }
    }
}

impl<T: Pack> Default for ByTime<T> {
    fn default() -> ByTime<T> {
        ByTime { days: BTreeMap::new() }
    }
}

fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

impl<T: Pack> ByTime<T> {
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
        if !self.days.contains_key(&day) {
            self.days.values_mut().for_each(Day::pack);
        }
        self.days.entry(day).or_insert_with(|| Day::Open(VecDeque::new())).open()
    }

    /// Takes the row at a time away.
    pub fn remove(&mut self, at_ms: i64) -> Option<T> {
        self.get(at_ms)?;
        let rows = self.days.get_mut(&day_of(at_ms))?.open();
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
        rows.forget_before(at_ms);
        if rows.len() == 0 {
            self.days.remove(&day);
        }
    }

    /// The row at a time.
    pub fn get(&self, at_ms: i64) -> Option<T> {
        let (at, row) = self.days.get(&day_of(at_ms))?.last_until(at_ms)?;
        (at == at_ms).then_some(row)
    }

    /// The rows of these times, in order.
    ///
    /// ```
    /// use coral_operators::metrics::by_time::ByTime;
    /// let rows: ByTime<u64> = [(7, 2), (3, 1), (90_000_000, 3)].into_iter().collect();
    /// assert_eq!(rows.range(4..=90_000_000).collect::<Vec<_>>(), [(7, 2), (90_000_000, 3)]);
    /// assert_eq!((rows.last_until(6), rows.len()), (Some((3, 1)), 3));
    /// ```
    pub fn range(&self, times: RangeInclusive<i64>) -> impl Iterator<Item = (i64, T)> {
        let (from, to) = times.into_inner();
        let days = self.days.range(day_of(from)..=day_of(to).max(day_of(from)));
        days.flat_map(move |(_, day)| day.between(from, to))
    }

    /// The last row up to a time.
    pub fn last_until(&self, at_ms: i64) -> Option<(i64, T)> {
        self.days.range(..=day_of(at_ms)).rev().find_map(|(_, day)| day.last_until(at_ms))
    }

    /// All rows, in the order of time.
    pub fn rows(&self) -> impl Iterator<Item = T> {
        self.days.values().flat_map(|day| day.between(i64::MIN, i64::MAX)).map(|(_, row)| row)
    }

    /// Whether the day of a time is kept as columns.
    #[cfg(test)]
    pub fn is_packed(&self, at_ms: i64) -> bool {
        matches!(self.days.get(&day_of(at_ms)), Some(Day::Packed(_)))
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.days.values().map(Day::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }
}

impl<T: Pack> FromIterator<(i64, T)> for ByTime<T> {
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

    /// A row of which a day that holds a multiple of 50 cannot be packed.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Number(i32);

    impl Pack for Number {
        type Columns = Vec<i32>;

        fn pack<'a>(rows: impl Iterator<Item = &'a Number> + Clone) -> Option<Vec<i32>> {
            rows.clone().all(|row| row.0 % 50 != 0).then(|| rows.map(|row| row.0).collect())
        }

        fn unpack(columns: &Vec<i32>, place: usize) -> Number {
            Number(columns[place])
        }
    }

    #[test]
    fn it_is_a_map_whatever_comes_and_goes_in_whatever_order() {
        let mut packed = 0;
        for seed in 0..40 {
            let mut random = Random(seed);
            let (mut rows, mut map) = (ByTime::default(), BTreeMap::new());
            let step = [60_000, 7_000_000, DAY_MS / 2][random.below(3)];
            let time = |random: &mut Random| (random.below(400) as i64 - 100) * step;
            for number in 0..600 {
                let at = time(&mut random);
                match random.below(11) {
                    0..5 => {
                        rows.insert(at, Number(number));
                        map.insert(at, Number(number));
                    }
                    5 => {
                        rows.entry(at).0 += 1;
                        map.entry(at).or_default().0 += 1;
                    }
                    6 if random.chance(0.05) => {
                        rows.forget_before(at - 200 * step);
                        map.retain(|time, _| *time >= at - 200 * step);
                    }
                    _ => assert_eq!(rows.remove(at), map.remove(&at)),
                }
                let (from, to) = (time(&mut random), time(&mut random));
                let expected: Vec<(i64, Number)> = map.iter().map(|(at, row)| (*at, *row)).collect();
                let within = expected.iter().copied().filter(|(at, _)| (from..=to).contains(at));
                assert!(rows.range(from..=to).eq(within), "seed {seed}");
                let last = expected.iter().copied().rfind(|(at, _)| *at <= to);
                assert_eq!(rows.last_until(to), last);
                assert_eq!(rows.get(from), map.get(&from).copied());
                assert!(rows.rows().eq(map.values().copied()));
                assert_eq!((rows.len(), rows.is_empty()), (map.len(), map.is_empty()));
                packed += rows.days.values().filter(|day| matches!(day, Day::Packed(_))).count();
            }
        }
        assert!(packed > 1_000, "{packed}");
    }

    #[test]
    fn what_is_forgotten_is_what_is_before_the_time() {
        let minute = 60_000;
        let mut rows: ByTime<u64> = (0..4_000).map(|n| (n * minute, n as u64)).collect();
        for n in (0..4_000).step_by(7) {
            rows.forget_before(n * minute);
            assert!(rows.rows().eq(n as u64..4_000), "{n}");
        }
        rows.forget_before(4_000 * minute);
        assert!(rows.is_empty());
    }

    #[test]
    fn a_day_is_packed_when_the_next_one_begins_and_opened_where_it_changes() {
        let minute = 60_000;
        let mut rows: ByTime<u64> = (0..1_441).map(|n| (n * minute, 7)).collect();
        let is_packed = |rows: &ByTime<u64>| matches!(rows.days[&0], Day::Packed(_));
        assert!(is_packed(&rows));
        assert_eq!((rows.remove(30), is_packed(&rows)), (None, true), "nothing is there");
        rows.insert(30, 9);
        assert!(!is_packed(&rows));
        assert_eq!(rows.get(30), Some(9));
        rows.insert(2 * 1_440 * minute, 7);
        assert!(is_packed(&rows));
        assert_eq!(rows.range(0..=minute).collect::<Vec<_>>(), [(0, 7), (30, 9), (minute, 7)]);
    }
}
