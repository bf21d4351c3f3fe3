//! The engine of metric pairs in plain f64, without integers, bounds or caches: what the real one is compared with.
//!
//! | file | owns |
//! |---|---|
//! | `lags` | r of a pair at every lag, and its peaks |
//! | `scan` | every pair at every instant |
//!
//! What is measured of a pair at one lag is shared with `metrics`; `reference::metrics` derives that as well, slowly.

pub mod lags;
mod scan;

pub use scan::PlainScan;
