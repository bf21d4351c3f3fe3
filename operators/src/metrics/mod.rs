//! Metric pairs: alignment, lag scan, confidence, guards, verdicts.
//!
//! | file | owns |
//! |---|---|
//! | `params` | what a user can set, and the bounds that follow from it |
//! | `align` | one winner per bucket, and the number of it that is correlated |
//! | `block` | rows and samples between workers |
//! | `grid` | native intervals, slots, downsampling |
//! | `stats` | Pearson's r, autocorrelation, effective sample size, p-values, robust scale |
//! | `series` | a series at one instant: centred, clamped, without its daily profile |
//! | `lags` | r at every signed lag of a pair |
//! | `pair` | the best lag of a pair, its mirror, its p-value, the guards |
//! | `load` | the demand that a whole fleet shares |
//! | `kinds` | what a metric's name says about it |
//! | `row` | what a scan emits |
//! | `scan` | which instants are evaluated, and what is recomputed when a sample changes |
//! | `fdr` | Benjamini-Hochberg |
//! | `reason` | the text why a pair is not confirmed |
//! | `verdict` | the walk with hysteresis, common causes, findings |
//!
//! The relation that is published is Pearson's r of the raw values. Whether it is believed is decided on values
//! that are clamped at six robust sigmas, without their daily profile where one is known, and differenced where
//! they drift: see `pair`.

pub mod align;
pub mod block;
pub mod fdr;
pub mod grid;
pub mod kinds;
pub mod lags;
pub mod load;
pub mod pair;
pub mod params;
mod reason;
pub mod row;
pub mod scan;
pub mod series;
pub mod stats;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use align::Align;
pub use block::{MetricBlock, Sample, Samples};
pub use params::{MetricPairs, MetricParams};
pub use row::MetricScanRow;
pub use scan::MetricScan;
pub use verdict::MetricVerdict;
