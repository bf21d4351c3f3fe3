//! Random numbers that are the same on every machine: splitmix64 (Steele, Lea, Flood 2014) and arithmetic that IEEE 754
//! defines exactly (the four operations and the square root); no logarithm, no sine.

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream called `label` of a seed: streams do not disturb one another when one of them draws more.
    pub(crate) fn of(seed: u64, label: &str) -> Rng {
        // FNV-1a
        let hash = label
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mut rng = Rng(seed ^ hash);
        rng.next_u64();
        rng
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Close to a standard normal: the sum of twelve uniforms less six (mean 0, variance 1, within +-6).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// Whole milliseconds in [0, bound).
    pub(crate) fn below_ms(&mut self, bound_ms: i64) -> i64 {
        (self.uniform() * bound_ms as f64) as i64
    }
}
