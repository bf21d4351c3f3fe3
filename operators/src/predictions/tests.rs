//! Predictions against the slow reference, and by example.
#![allow(clippy::unwrap_used)]

mod examples;
mod growth;
mod property;
mod releases;
mod rows;
