//! Event patterns against the published reference, against the slow oracle, and on real releases.
#![allow(clippy::unwrap_used)]

mod calls;
mod fleets;
mod golden;
mod laws;
mod releases;
mod support;
