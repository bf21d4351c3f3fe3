//! Clock: where "now" comes from. Whoever needs the time of day is handed a clock; only [`SystemClock`] reads the machine's.
//!
//! Waiting is not its business: pauses and limits go by `tokio::time` and `std::time::Instant`, which never jump.

use crate::time::TimeMs;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Tells the time of day.
pub trait Clock: Debug + Send + Sync {
    /// Now, UTC. May go back and jump ahead: an operator or a time service may set the machine's clock.
    fn now(&self) -> TimeMs;
}

/// A clock that several parts of a program share.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of this machine. Made in `main` and in tests; everything below is handed one.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The clock of this machine, to be handed on.
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

/// A clock that stands still until it is set: for tests in which time matters.
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
    /// A clock that says `now`.
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
