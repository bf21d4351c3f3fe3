//! The vocabulary of coral-pipeline: plain values with no IO, no async, no dataflow, and no wire or table format.
//!
//! | file | owns |
//! |---|---|
//! | `time` | event time in milliseconds, durations such as `4h`, RFC 3339 text |
//! | `instant` | an instant in any common format |
//! | `clock` | where "now" comes from: the machine's clock, or one that a test sets |
//! | `real` | a float with a total order, so that rows can be compared and hashed |
//! | `colony` | application and environment of a colony id |
//! | `error` | an error and its causes on one line |
//! | `event`, `metric`, `topology` | the rows that colonies report |
//! | `series` | what a metric series is; the number that each has in this process |
//! | `statistics`, `columns`, `chunks` | metric rows as columns, in chunks that are shared and not copied |
//! | `version` | versions of services: where events name them, and their order |
//! | `meaning` | unit of a metric and whether more of it is better, by its name |
//! | `check` | which rows are acceptable; the reason when one is not |
//! | `reject` | a rejected row, counted and kept |
//! | `position` | where a source resumes, per partition |
//! | `rows` | rows of every kind side by side; the key of an hourly summary |
//! | `instruments` | counters, gauges and durations of a process, and their registry |
//! | `exposition` | a strict reader of the text that instruments are shown as, for tests |
//! | `secret` | text that is never printed |
//! | `derived` | changes of what operators compute beside correlations |
//! | `pattern` | a correlation: its key, its numbers, its evidence |

pub mod check;
pub mod chunks;
pub mod clock;
pub mod colony;
pub mod columns;
pub mod derived;
pub mod error;
pub mod event;
#[cfg(any(test, feature = "exposition"))]
pub mod exposition;
pub mod instant;
pub mod instruments;
pub mod meaning;
pub mod metric;
pub mod pattern;
pub mod position;
pub mod real;
pub mod reject;
pub mod rows;
pub mod secret;
pub mod series;
pub mod statistics;
pub mod time;
pub mod topology;
pub mod version;
