//! Predictions against the slow reference, and by example.
#![allow(clippy::unwrap_used)]

mod examples;
mod property;
mod releases;
mod rows;
