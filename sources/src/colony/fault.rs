//! Why an exchange with a colony failed, and what its health is then.

use model::topology::{REVOKED, UNREACHABLE};

/// Why an exchange failed.
#[derive(Debug)]
pub(crate) enum LinkFault {
    /// It may be temporary; the text says what happened. The endpoint may also be corrected remotely, so even a wrong
    /// colony is retried, and never stops the run for the others.
    Passing(String),
    /// The colony has revoked this reef.
    Revoked(String),
    /// The response is larger than a message may be: request less.
    TooLarge(String),
    /// The response does not name its colony.
    Nameless,
}

impl LinkFault {
    /// What the colony's health is after it.
    pub(crate) fn health(&self) -> &'static str {
        match self {
            LinkFault::Revoked(_) => REVOKED,
            LinkFault::Passing(_) | LinkFault::TooLarge(_) | LinkFault::Nameless => UNREACHABLE,
        }
    }
}
