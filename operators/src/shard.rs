//! Assigns pairs to workers by a fixed hash, so that every machine and every run divide the work equally.

pub use model::series::fixed_hash;

/// One of `peers` equal parts of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// This part, `0..peers`.
    pub index: usize,
    /// How many parts there are.
    pub peers: usize,
}

impl Shard {
    /// The whole of the work.
    pub const WHOLE: Shard = Shard { index: 0, peers: 1 };

    /// Whether the pair with these source texts belongs to this part.
    pub fn owns(self, parts: &[&str]) -> bool {
        fixed_hash(parts) % self.peers as u64 == self.index as u64
    }
}
