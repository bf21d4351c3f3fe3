//! Lagged correlations of many series: integers screen, with a proven bound, and f64 decides.
//!
//! Pure functions over slices, without dependencies, clocks, threads or IO. `kernels/README.md` defines what they
//! compute, the units, and the bounds with their proof.
//!
//! | module | owns |
//! |---|---|
//! | `path` | which instructions are used, chosen once |
//! | [`dots`] | the kernel: sums of products of 16-bit integers at every lag |
//! | `quantise` | values as levels, and how far each is from its value |
//! | `series` | one series prepared for comparison with any other |
//! | `gaps` | sums over the slots in which both of a pair are observed |
//! | `estimate` | r from integers, with how far it can be off |
//! | `drift` | how far r can have moved since a pair was screened |
//! | `moments` | means and sums of squares of windows |
//! | [`exact`] | r in f64 |
//! | `pairs` | all pairs of two sets of series |
//! | `wide` | plain Rust compiled for the instructions of a path |

pub mod dots;
mod drift;
mod estimate;
pub mod exact;
mod gaps;
mod moments;
mod pairs;
mod path;
mod quantise;
mod series;
mod wide;

/// The examples of the page are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Page;

#[cfg(test)]
mod tests;

pub use drift::{Change, Footing};
pub use estimate::{Cut, Estimates, MARGIN};
pub use pairs::{Best, Cell, Pair, Side, TIE, each_pair};
pub use path::{NoPath, Path, VARIABLE};
pub use quantise::{WINDOW_MAX, level_max};
pub use series::{Refused, Series};
