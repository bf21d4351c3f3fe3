//! Event patterns against the published reference, against the slow oracle, and on real releases.
#![allow(clippy::unwrap_used)]

mod calls;
mod evaluation;
mod fleets;
mod golden;
mod growth;
mod laws;
mod levels;
pub(crate) mod releases;
pub(crate) mod support;
