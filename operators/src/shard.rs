//! Which worker scans which pair: a fixed hash, so that every machine and every run divide the work alike.

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

/// FNV-1a over the parts, each followed by a zero byte; the same on every machine.
///
/// ```
/// use coral_operators::shard::fixed_hash;
/// assert_eq!(fixed_hash(&["a", "b"]), fixed_hash(&["a", "b"]));
/// assert_ne!(fixed_hash(&["ab", ""]), fixed_hash(&["a", "b"]));
/// ```
pub fn fixed_hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain(std::iter::once(0)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    // FNV's low bits alone are weak for a small modulus
    hash ^ (hash >> 32)
}
