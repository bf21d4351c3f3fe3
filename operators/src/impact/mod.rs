//! The impact of a deployment on the metrics of its service: before and after, beyond chance, and what that means.
//!
//! | file | owns |
//! |---|---|
//! | `ranks` | a rank test that allows for autocorrelation, an effect size, the shift with its interval |
//! | `windows` | before and after: which buckets count, and what the clock time and a sibling explain |
//! | `verdict` | from metrics to success, degraded, failed or pending |
//!
//! The formulas are those of docs/methods.md: the Mann-Whitney test with the effective number of points, Cliff's delta,
//! the Hodges-Lehmann shift, looks after 5, 15, 30 and 60 minutes.

pub mod ranks;
pub mod verdict;
pub mod windows;

#[cfg(test)]
mod tests;

pub use verdict::{Impact, MetricImpact, Verdict};
