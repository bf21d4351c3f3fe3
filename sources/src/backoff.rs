//! Pauses between attempts: they double up to a limit, with jitter, and start small again after a success.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Shortest and longest pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// After the first failure.
    pub first: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Default for BackoffConfig {
    fn default() -> BackoffConfig {
        BackoffConfig { first: Duration::from_millis(250), max: Duration::from_secs(30) }
    }
}

/// The state of one series of attempts.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    config: BackoffConfig,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// Pauses that differ from those of every other process.
    pub(crate) fn new(config: BackoffConfig) -> Backoff {
        Backoff::seeded(config, RandomState::new().build_hasher().finish())
    }

    /// Pauses that follow from `seed`.
    pub(crate) fn seeded(config: BackoffConfig, seed: u64) -> Backoff {
        Backoff { config, failures: 0, random: seed }
    }

    /// The pause after one more failure: between half of the full pause and all of it, so that colonies that were lost
    /// together are not dialled together.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let full = self.config.first.saturating_mul(1 << self.failures.min(20)).min(self.config.max);
        self.failures = self.failures.saturating_add(1);
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = f64::from((mixed >> 32) as u32) / f64::from(u32::MAX);
        full.mul_f64(0.5 + share / 2.0)
    }

    /// A success: the next pause is short again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_reset() {
        let config = BackoffConfig { first: Duration::from_millis(100), max: Duration::from_secs(2) };
        let mut backoff = Backoff::new(config);
        for full_ms in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
            let pause = backoff.next_pause().as_millis();
            assert!((full_ms / 2..=full_ms).contains(&pause), "{pause} of {full_ms}");
        }
        (0..100).for_each(|_| assert!(backoff.next_pause() <= config.max));
        backoff.reset();
        assert!(backoff.next_pause() <= config.first);
    }

    #[test]
    fn a_seed_gives_the_same_pauses_again_and_another_seed_others() {
        let pauses = |seed: u64| {
            let mut backoff = Backoff::seeded(BackoffConfig::default(), seed);
            [(); 8].map(|()| backoff.next_pause())
        };
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
    }
}
