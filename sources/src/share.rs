//! Share: the partitions of a source that one of several processes reads.

/// The part of a source's partitions that one process reads. Every partition belongs to exactly one share.
///
/// ```
/// use coral_sources::share::Share;
/// let (first, second) = (Share { index: 0, of: 2 }, Share { index: 1, of: 2 });
/// assert!(first.takes(4) && !second.takes(4));
/// assert!(second.takes(7) && !first.takes(7));
/// assert!((0..9).all(|partition| Share::WHOLE.takes(partition)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// This process, `0..of`.
    pub index: u32,
    /// How many processes read.
    pub of: u32,
}

impl Share {
    /// Everything: there is one process.
    pub const WHOLE: Share = Share { index: 0, of: 1 };

    /// Whether this share reads the partition.
    pub fn takes(self, partition: i32) -> bool {
        i64::from(partition).rem_euclid(i64::from(self.of)) == i64::from(self.index)
    }

    /// Whether this share also reads sources without partitions: files and colonies.
    pub fn takes_the_undivided(self) -> bool {
        self.index == 0
    }
}
