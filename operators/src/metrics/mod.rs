//! Metric pairs: alignment, lag scan, confidence, guards, verdicts.
//!
//! | file | owns |
//! |---|---|
//! | `params` | what a user can set, and the bounds that follow from it |
//! | `memory` | what is taken of memory, known before it is taken |
//! | `align` | one winner per bucket, and the number of it that is correlated |
//! | `block` | rows and samples between workers |
//! | `columns` | rows of a closed day as columns |
//! | `by_time` | rows of a series by time: the open day as rows, closed ones as columns |
//! | `grid` | native intervals, slots, downsampling |
//! | `stats` | Pearson's r, autocorrelation, effective sample size, p-values, robust scale |
//! | `series` | a series at one instant: centred, clamped, without its daily profile |
//! | `held` | the samples of every series, and the series as seen from an instant |
//! | `pair` | where r of a pair has its peaks, and what is measured at one lag |
//! | `load` | the demand that a whole fleet shares |
//! | `kinds` | what a metric's name says about it |
//! | `tracked` | the lags at which a pair is followed through all instants |
//! | `row` | what a scan emits |
//! | `screen` | which pairs have peaks at an instant: integers rule out nearly all of them |
//! | `bounds` | which pairs need no new screening at the present instant |
//! | `instants` | which instants are evaluated, and what each of them is |
//! | `instant` | what is known at one instant |
//! | `follow` | what is measured of the followed pairs at an instant |
//! | `scan` | which instants are evaluated, and what is recomputed when a sample changes |
//! | `evidence` | e-values that grow from window to window |
//! | `relation` | one direction of a pair as all windows up to an instant say together |
//! | `fdr` | q-values over all pairs tested |
//! | `causes` | directions and third series that explain a relation |
//! | `reason` | the text why a pair is not confirmed, or none was tested |
//! | `finding` | a relation as a correlation with evidence |
//! | `shown` | which finding is published: that of the last hour or that of now |
//! | `walk` | the walk over instants with hysteresis |
//! | `verdict` | from the rows of all shards to published findings |
//!
//! The relation that is published is Pearson's r of the raw values. Whether it is believed is decided on values
//! that are clamped at six robust sigmas and without their daily profile where one is known, and on their differences,
//! over all windows that do not overlap: see `pair` and `evidence`.

pub mod align;
pub mod block;
mod bounds;
pub mod by_time;
mod causes;
pub mod columns;
pub mod evidence;
pub mod fdr;
mod finding;
mod follow;
pub mod grid;
mod held;
mod instant;
pub mod instants;
pub mod kinds;
pub mod load;
pub mod memory;
pub mod pair;
pub mod params;
mod reason;
pub mod relation;
pub mod row;
pub mod scan;
mod screen;
pub mod series;
mod shown;
pub mod stats;
pub mod tracked;
pub mod verdict;
mod walk;

#[cfg(test)]
mod tests;

pub use align::Align;
pub use block::{MetricBlock, Sample, Samples};
pub use params::{MetricPairs, MetricParams};
pub use row::MetricScanRow;
pub use scan::MetricScan;
pub use verdict::MetricVerdict;
