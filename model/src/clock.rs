//! Clock: where "now" comes from. Code that needs the current time takes a clock; only [`SystemClock`] reads the
//! machine's.
//!
//! It is not for waiting: pauses and timeouts use `tokio::time` and `std::time::Instant`, which never jump.

use crate::time::TimeMs;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A source of the current time.
pub trait Clock: Debug + Send + Sync {
    /// Now, UTC. May jump in both directions: an administrator or a time service can set the machine's clock.
    fn now(&self) -> TimeMs;
}

/// A clock that several parts of a program share.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of this machine. Created in `main` and in tests, and passed to everything else.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The clock of this machine, ready to share.
    pub fn shared() -> SharedClock {
        Arc::new(SystemClock)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> TimeMs {
        TimeMs(chrono::Utc::now().timestamp_millis())
    }
}

/// A clock that changes only when it is set, for tests.
///
/// ```
/// use coral_model::clock::{Clock, ManualClock};
/// use coral_model::time::{HOUR_MS, TimeMs};
/// let clock = ManualClock::at(TimeMs(0));
/// let handed_on: coral_model::clock::SharedClock = clock.clone();
/// clock.advance(HOUR_MS);
/// assert_eq!(handed_on.now(), TimeMs(HOUR_MS));
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that returns `now`.
    pub fn at(now: TimeMs) -> Arc<ManualClock> {
        Arc::new(ManualClock(AtomicI64::new(now.0)))
    }

    /// Sets the clock, ahead or back.
    pub fn set(&self, now: TimeMs) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves the clock by `ms` milliseconds.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> TimeMs {
        TimeMs(self.0.load(Ordering::SeqCst))
    }
}
