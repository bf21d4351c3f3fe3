//! The impact of deployments: read from a store, judged, and written back as rows.
//!
//! The judgement itself is that of `operators/src/impact`. A run keeps the rows current (`run/impacts.rs`); an answer reads
//! them, or judges by itself where there are none. Both judge here.
//!
//! | file | owns |
//! |---|---|
//! | `line` | a deployment, as far as impacts depend on it |
//! | `colonies` | whose the colonies are, and up to when their metrics are known |
//! | `loaded` | the metrics around deployments, read at once |
//! | `linked` | services of which one calls the other |
//! | `watch` | the metrics around a deployment, judged |
//! | `related` | the events that followed a deployment |
//! | `rows` | an impact as rows, and back |

pub mod colonies;
pub mod line;
pub mod linked;
pub mod loaded;
pub mod related;
pub mod rows;
pub mod watch;

pub use colonies::{Colonies, Colony};
pub use line::Line;
pub use operators::impact::{Impact, MetricImpact, Verdict, ranks, verdict, windows};
