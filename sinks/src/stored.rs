//! Stored: a row as a store shows it, and the two copies of a row that are stored at most.

/// A row as a store shows it. The greatest copy of a row is current:
///
/// 1. an on-time copy wins over a late one, for any content: correlated rows stay current, and a rebuilt window equals
///    the lost one;
/// 2. then the row's own order decides: `(version, content)` of an event, [`MetricPoint::rank`](model::metric::MetricPoint::rank) of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredRow<T> {
    /// Within the allowed lateness.
    pub on_time: bool,
    /// The row.
    pub row: T,
}

/// The copies of a row that are stored: the current one, and a late one that says more than it (a newer version, a
/// withdrawal, a fuller bucket), until a backfill or a replay makes that one count.
///
/// Both are a function of the set of copies: the greatest on-time copy, otherwise the greatest late one; and the
/// greatest late one, if it is greater by the row's own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCopies<T> {
    /// Shown to readers; in the table of its kind.
    pub current: StoredRow<T>,
    /// In the table of late copies.
    pub late: Option<T>,
}

impl<T: Ord> StoredCopies<T> {
    /// Adds another copy.
    pub fn take(&mut self, copy: StoredRow<T>) {
        let smaller = if copy > self.current { std::mem::replace(&mut self.current, copy) } else { copy };
        let late = (!smaller.on_time).then_some(smaller.row);
        self.late = self.late.take().into_iter().chain(late).max().filter(|row| *row > self.current.row);
    }

    /// The same, borrowed.
    pub(crate) fn each_ref(&self) -> StoredCopies<&T> {
        StoredCopies { current: self.current.each_ref(), late: self.late.as_ref() }
    }

    /// The same after the copies that are stored.
    pub(crate) fn after(mut self, current: Option<StoredRow<T>>, late: Option<T>) -> StoredCopies<T> {
        let late = late.map(|row| StoredRow { on_time: false, row });
        current.into_iter().chain(late).for_each(|copy| self.take(copy));
        self
    }
}

impl<T> StoredRow<T> {
    /// The same, borrowed.
    pub(crate) fn each_ref(&self) -> StoredRow<&T> {
        StoredRow { on_time: self.on_time, row: &self.row }
    }
}
