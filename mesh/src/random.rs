//! Random bytes of the operating system.

use ring::rand::{SecureRandom, SystemRandom};

/// Fills an array with random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // it fails only if the kernel has no randomness at all, and then no key is secure
    assert!(SystemRandom::new().fill(&mut bytes).is_ok(), "the operating system gives no random bytes");
    bytes
}
