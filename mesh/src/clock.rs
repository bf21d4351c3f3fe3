//! The wall clock of the mesh, handed in, so that a test can expire a secret without waiting.

use model::time::TimeMs;
use std::fmt;
use std::sync::Arc;

/// What time it is. Lifetimes of secrets, revocations and addresses go by it; intervals go by tokio's clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> TimeMs + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Clock {
        Clock(Arc::new(TimeMs::now))
    }

    /// A clock that says what `now` says.
    pub fn from_fn(now: impl Fn() -> TimeMs + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> TimeMs {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
