//! Operators: timely/differential dataflow that turns rows into correlations. No IO, no clock, no configuration.
//!
//! | file | does |
//! |---|---|
//! | `ext` | makes an operator of a state machine that is stepped once per tick; the only file on timely's operator interface |
//! | `dataflow` | connects the operators and collects their output |
//! | `calls` | which services call which, and which pairs that links |
//! | `counts` | a few things with how often each is there |
//! | `dedupe` | one winner per event identity |
//! | `events/` | episodes, onsets, lag windows, background rates, e-values, verdicts |
//! | `metrics/` | alignment to the grid, lag scan, confidence, guards, verdicts |
//! | `predictions/` | what confirmed patterns expect when their source happens, and what became of it |
//! | `deployments/` | deploy events and versions seen become a timeline |
//! | `derived_events/` | spikes, saturation, shifts and growth of metrics become events |
//! | `impact/` | metrics before and after a deployment, and the verdict on it; pure functions |
//! | `shard` | which worker scans which pair |
//! | `heard` | up to when each colony was heard of |
//! | `tested` | how much an evaluation had to test |
//! | `reference/` | slow from-scratch references, for tests |

pub mod calls;
pub mod counts;
pub mod dataflow;
pub mod dedupe;
pub mod deployments;
pub mod derived_events;
pub mod events;
pub mod ext;
pub mod heard;
pub mod impact;
pub mod metrics;
pub mod predictions;
pub mod reference;
pub mod shard;
pub mod tested;
