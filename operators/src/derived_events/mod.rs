//! Derived events: what a metric shows by itself becomes an event, so that event patterns reach metrics.
//!
//! | file | owns |
//! |---|---|
//! | `kinds` | the kinds, and which of them a metric of this name may have |
//! | `robust` | medians and quantiles |
//! | `cells` | the samples of a series in cells of five minutes |
//! | `usual` | what is usual at this time of day, and how far a value is from it |
//! | `crossing` | a level with two thresholds |
//! | `shift` | a level that stays away from that of the day before |
//! | `growth` | memory that grows for hours |
//! | `walk` | all of them along one series, cell by cell |
//! | `event` | a derived event as a row |
//! | `state` | the operator: samples in, corrections of derived events out |
//! | `unreported` | the operator: derived events of a type that the service does not report itself go to patterns |
//!
//! Definitions, sources and blind spots are in docs/methods.md.

pub mod cells;
pub mod crossing;
pub mod event;
pub mod growth;
pub mod kinds;
pub mod robust;
pub mod shift;
pub mod state;
pub mod unreported;
pub mod usual;
pub mod walk;

#[cfg(test)]
mod tests;

pub use event::{DerivedEvent, TABLE};
pub use kinds::Kind;
pub use state::{DerivedEvents, Input};
pub use unreported::Unreported;
