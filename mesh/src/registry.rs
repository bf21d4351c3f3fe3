//! Who may be a peer of a colony: secrets, reefs with their addresses, revocations; stored in one private file.

mod range;
mod state;
mod store;

pub use range::Range;
pub use state::{Grant, Reef, Refusal, RevokedSecret, State};
pub use store::Registry;

#[cfg(test)]
mod tests;
