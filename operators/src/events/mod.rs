//! Event patterns: which event types are followed by which others, at what lag, beyond chance (methods, section 2).
//!
//! | file | owns |
//! |---|---|
//! | `params` | limits of a search; how much history it needs |
//! | `episodes` | bursts of events become onsets |
//! | `span` | the instants of the walk over event time and the span observed at each |
//! | `windows` | the lag windows and which of them a lag falls into |
//! | `levels` | types of one service and of a whole colony; prior weights of pairs |
//! | `lags` | all lags of a pair, counted once |
//! | `ends` | one type as an end of pairs: units of evidence, rate, shifted onsets |
//! | `rate` | the rate of a type by the time of day |
//! | `background` | six estimates of how many targets a window holds by chance |
//! | `evidence` | evidence against chance in each window, unit by unit |
//! | `pair` | one pair of event types, exactly |
//! | `family` | which types make pairs, how many, and their weights, without comparing texts for each pair |
//! | `screen` | what rules out most pairs before the quick look |
//! | `glance` | a quick look that spares most pairs the full evaluation |
//! | `matching` | which source goes with which target |
//! | `shown` | the window in which occurrences are counted |
//! | `lag` | the lag of a pattern and its range |
//! | `types` | the onsets of one type, and their observed part |
//! | `after` | what came after a closed instant: the cases on which a pattern can be tried |
//! | `follow` | the same of all pairs and closed instants, updated incrementally |
//! | `row` | what a scan says about a pair or an instant |
//! | `sweep` | all pairs that are observed from one begin on, at one instant |
//! | `scan` | all pairs at all instants, updated incrementally |
//! | `ebh` | weighted q-values over all pairs tested |
//! | `reason` | the text why a pattern is not confirmed |
//! | `finding` | a scanned pair as a correlation with evidence |
//! | `verdict` | the walk over instants: candidate, confirmed, withdrawn |

pub mod after;
pub mod background;
pub mod ebh;
pub mod ends;
pub mod episodes;
pub mod evidence;
pub mod family;
pub mod finding;
pub mod follow;
pub mod glance;
pub mod lag;
pub mod lags;
pub mod levels;
pub mod matching;
pub mod pair;
pub mod params;
pub mod rate;
pub mod reason;
pub mod row;
pub mod scan;
pub mod screen;
pub mod shown;
pub mod span;
pub mod sweep;
pub mod types;
pub mod verdict;
pub mod windows;

#[cfg(test)]
pub(crate) mod tests;

pub use episodes::{Episodes, EventStamp, Onset};
pub use params::EventParams;
pub use row::{PairScan, ScanRow};
pub use scan::EventScan;
pub use verdict::{EventVerdict, Standing};
