//! Random bytes of the operating system.

use ring::rand::{SecureRandom, SystemRandom};

/// Fills an array with random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // it can fail only on a machine whose kernel has no randomness at all, where no key is worth anything
    assert!(SystemRandom::new().fill(&mut bytes).is_ok(), "the operating system gives no random bytes");
    bytes
}
