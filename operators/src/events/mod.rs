//! Event patterns: which event types are followed by which others, at what lag, beyond chance (methods, section 2).
//!
//! | file | owns |
//! |---|---|
//! | `params` | limits of a search; how much history it needs |
//! | `episodes` | bursts of events become onsets |
//! | `span` | the instants of the walk over event time and what is observed at each |
//! | `windows` | the lag windows and which of them a lag falls into |
//! | `background` | five estimates of how often a window is hit by chance |
//! | `evalue` | evidence against chance in one window |
//! | `matching` | which source goes with which target; lags |
//! | `pair` | one pair of event types, exactly |
//! | `bound` | an upper bound that spares most pairs the exact evaluation |
//! | `types` | the onsets of one type, and what is observed of them |
//! | `row` | what a scan says about a pair or an instant |
//! | `scan` | all pairs at all instants, kept up to date |
//! | `ebh` | q-values over all pairs tested |
//! | `finding` | a scanned pair as a correlation with evidence |
//! | `verdict` | the walk over instants: candidate, confirmed, withdrawn |

pub mod background;
pub mod bound;
pub mod ebh;
pub mod episodes;
pub mod evalue;
pub mod finding;
pub mod matching;
pub mod pair;
pub mod params;
pub mod row;
pub mod scan;
pub mod span;
pub mod types;
pub mod verdict;
pub mod windows;

#[cfg(test)]
mod tests;

pub use episodes::{Episodes, EventStamp, Onset};
pub use params::EventParams;
pub use row::{PairScan, ScanRow};
pub use scan::EventScan;
pub use verdict::EventVerdict;
