//! Rows of a day as columns: a fraction of the memory, for days that hardly change any more.
//!
//! Most days of a series are regular: one length of bucket, one application and environment, the same statistics in each
//! row. What is the same in all rows is kept once, whole numbers in as many bits as they need.

use model::series::SeriesId;

/// Rows that can be kept as columns.
pub trait Pack: Clone {
    /// The rows of a day without their times.
    type Columns: Clone + std::fmt::Debug;

    /// Rows as columns; `None` where they do not have the same shape.
    fn pack<'a>(rows: impl Iterator<Item = &'a Self> + Clone) -> Option<Self::Columns>
    where
        Self: 'a;

    /// The row at a place.
    fn unpack(columns: &Self::Columns, place: usize) -> Self;
}

/// Ascending times in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Times {
    /// With the same distance each.
    Even {
        /// The first one.
        first: i64,
        /// The distance, at least 1.
        step: i64,
        /// How many there are.
        count: usize,
    },
    /// With any distance.
    Each {
        /// The first one.
        first: i64,
        /// How long after the first each of them is.
        after: Vec<u32>,
    },
}

impl Times {
    /// Ascending times of one day, at least one.
    ///
    /// ```
    /// use coral_operators::metrics::columns::Times;
    /// let (even, odd) = (Times::pack(&[60, 120, 180]), Times::pack(&[60, 61, 180]));
    /// assert_eq!(even, Times::Even { first: 60, step: 60, count: 3 });
    /// for times in [even, odd] {
    ///     assert_eq!((times.len(), times.at(0), times.at(2)), (3, 60, 180));
    ///     assert_eq!((times.before(60), times.before(180), times.before(181)), (0, 2, 3));
    /// }
    /// ```
    pub fn pack(times: &[i64]) -> Times {
        let first = times.first().copied().unwrap_or(0);
        let step = times.get(1).map_or(1, |second| second - first);
        if times.windows(2).all(|pair| pair[1] - pair[0] == step) {
            return Times::Even { first, step, count: times.len() };
        }
        // a day has fewer milliseconds than 32 bits hold
        Times::Each { first, after: times.iter().map(|at| (at - first) as u32).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Times::Even { count, .. } => *count,
            Times::Each { after, .. } => after.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time at a place.
    pub fn at(&self, place: usize) -> i64 {
        match self {
            Times::Even { first, step, .. } => first + place as i64 * step,
            Times::Each { first, after } => first + i64::from(after[place]),
        }
    }

    /// How many are before a time.
    pub fn before(&self, at_ms: i64) -> usize {
        match self {
            Times::Even { first, .. } | Times::Each { first, .. } if at_ms <= *first => 0,
            Times::Even { first, step, count } => {
                usize::try_from((at_ms.saturating_sub(*first) - 1) / step + 1).unwrap_or(usize::MAX).min(*count)
            }
            Times::Each { first, after } => after.partition_point(|after| first + i64::from(*after) < at_ms),
        }
    }
}

/// Whole numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// All of them are this one.
    Same(u64),
    /// All of them fit into 32 bits.
    Small(Vec<u32>),
    /// Any numbers.
    Each(Vec<u64>),
}

impl Whole {
    /// Some numbers.
    pub fn pack(values: impl Iterator<Item = u64> + Clone) -> Whole {
        let first = values.clone().next().unwrap_or(0);
        if values.clone().all(|value| value == first) {
            return Whole::Same(first);
        }
        match values.clone().map(u32::try_from).collect() {
            Ok(small) => Whole::Small(small),
            Err(_) => Whole::Each(values.collect()),
        }
    }

    /// The number at a place.
    pub fn at(&self, place: usize) -> u64 {
        match self {
            Whole::Same(value) => *value,
            Whole::Small(values) => u64::from(values[place]),
            Whole::Each(values) => values[place],
        }
    }
}

/// With which names rows came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// All of them with these.
    Same(SeriesId),
    /// Each with its own.
    Each(Vec<SeriesId>),
}

impl Named {
    /// Some names.
    pub fn pack(series: impl Iterator<Item = SeriesId> + Clone) -> Named {
        let first = series.clone().next().unwrap_or_default();
        if series.clone().all(|one| one == first) { Named::Same(first) } else { Named::Each(series.collect()) }
    }

    /// The names at a place.
    pub fn at(&self, place: usize) -> SeriesId {
        match self {
            Named::Same(series) => *series,
            Named::Each(series) => series[place],
        }
    }
}

/// Values that all rows have, or none.
///
/// ```
/// use coral_operators::metrics::columns::all_or_none;
/// assert_eq!(all_or_none([Some(1), Some(2)].into_iter()), Some(Some(vec![1, 2])));
/// assert_eq!(all_or_none::<i32>([None, None].into_iter()), Some(None));
/// assert_eq!(all_or_none([Some(1), None].into_iter()), None);
/// ```
pub fn all_or_none<T>(values: impl Iterator<Item = Option<T>> + Clone) -> Option<Option<Vec<T>>> {
    if values.clone().all(|value| value.is_none()) {
        return Some(None);
    }
    values.collect::<Option<Vec<T>>>().map(Some)
}

impl Pack for u64 {
    type Columns = Whole;

    fn pack<'a>(rows: impl Iterator<Item = &'a u64> + Clone) -> Option<Whole> {
        Some(Whole::pack(rows.copied()))
    }

    fn unpack(columns: &Whole, place: usize) -> u64 {
        columns.at(place)
    }
}
