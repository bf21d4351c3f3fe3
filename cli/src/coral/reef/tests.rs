//! Commands of `coral reef`, each from its words to what it prints.
#![allow(clippy::unwrap_used)]

mod joining;
mod questions;
