//! Sources: async producers of rows, rejects and positions. Independent of the dataflow.
//!
//! The contract of every source (checked by `compliance`):
//! 1. **Parse, validate, build, run** are four steps; `validate` does no IO and spawns nothing.
//! 2. A batch's `positions` say where to resume *after* it. Building the source again from a committed position
//!    delivers exactly the rows after that position, or repeats some of them; it never skips one.
//! 3. A row that cannot be decoded becomes a [`Reject`] with its reason, and the source continues.
//! 4. A temporary fault (connection refused, stream broken) is retried with backoff inside the source and reported as a
//!    [`ColonyStatus`](model::topology::ColonyStatus) row, or through [`Source::outage`] if it is not a colony. A
//!    permanently unreadable input is named in [`Batch::report`], and the others are read. `Err` means that the run
//!    must stop.
//! 5. `next_batch` is cancel-safe: dropping it loses nothing, because positions advance only with a returned batch.
//! 6. A source that asks for it learns which of its positions are stored ([`Source::committed`]).
//! 7. A finite source returns `None` after its last batch, every time. It promises nothing about order, so none of its
//!    rows is ever late. A live source's rows are judged by [`lateness::LatenessGate`], but not its [`Arrival::Backlog`].
//!
//! | module | owns |
//! |---|---|
//! | `files` | finite: parquet, CSV, NDJSON |
//! | `colony` | live: summaries pulled from a colony, events streamed by it |
//! | `kafka` | topics of metrics and events, followed (live) or read to an end (finite); publishing to them |
//! | `record` | one row as named cells, and the rules by which it becomes a checked row |
//! | `backoff` | pauses between tries |
//! | `context` | what a live source needs of the world: clock, network, jitter |
//! | `lateness` | which rows of live sources are late |
//! | `generator` | seeded fleets with planted relations, as values and as files |
//! | `compliance` | the harness that every source passes |
//! | `guard` | panics of libraries on broken input |
//! | `share` | which part of a source a process reads |
//! | `report` | what a source reports beside rows and rejects |
//! | `error` | faults that stop a run |

use async_trait::async_trait;
use model::position::Positions;
use model::reject::Reject;
use model::rows::Rows;
use serde::{Deserialize, Serialize};

pub mod backoff;
pub mod colony;
#[cfg(any(test, feature = "compliance"))]
pub mod compliance;
mod context;
pub mod error;
pub mod files;
pub mod generator;
pub mod guard;
pub mod kafka;
pub mod lateness;
mod record;
pub mod report;
pub mod share;

pub use context::SourceContext;
pub use error::SourceError;
pub use record::RowKind;
pub use report::{FailedInput, FailureClass, InputReport};

/// When the rows of a batch were written, as far as their source knows. It decides whether a row can be late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrival {
    /// Live rows: a row far behind the others is late.
    #[default]
    Live,
    /// Backlog: rows that existed before the source first read to the end of its input in this process. They come in
    /// any order, and are late only if an earlier process had already caught up.
    Backlog,
    /// The source went back, and its whole history is read again: none of it is late.
    Again,
}

/// What a source delivers at once. Bounded by the source: at most a few thousand rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Decoded, checked rows.
    pub rows: Rows,
    /// Refused rows.
    pub rejects: Vec<Reject>,
    /// Where to resume after this batch: the partitions that moved.
    pub positions: Positions,
    /// Partitions that are read again from their start because their content has changed: their earlier rejects are
    /// deleted, and reported again if they still apply.
    pub restarted: Vec<String>,
    /// Places of single rejects that no longer hold: a record that had no end yet has been read on.
    pub settled: Vec<String>,
    /// Failed inputs, unchanged inputs, repairs.
    pub report: InputReport,
    /// Whether the rows can be late.
    pub arrival: Arrival,
    /// Partitions that were rewound to rows that had been ahead of the reader's clock; these are read again.
    pub rewound: Vec<String>,
}

impl Batch {
    /// Whether the batch changes the store, or is only a report.
    pub fn is_to_be_committed(&self) -> bool {
        let Batch { rows, rejects, positions, restarted, settled, report: _, arrival: _, rewound } = self;
        !rows.is_empty()
            || !rejects.is_empty()
            || !positions.0.is_empty()
            || !restarted.is_empty()
            || !settled.is_empty()
            || !rewound.is_empty()
    }
}

/// A producer of batches.
#[async_trait]
pub trait Source: Send {
    /// Stable name; the key under which its positions are stored, e.g. `files` or `colony-events:<colony_id>`.
    fn name(&self) -> &str;

    /// Whether the input has an end.
    fn is_finite(&self) -> bool;

    /// The next batch; `None` when a finite source has delivered everything.
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError>;

    /// Whether [`Source::committed`] is to be called. It may then drop a `next_batch` that is waiting, and call it again.
    fn is_acknowledged(&self) -> bool {
        false
    }

    /// Everything up to these positions is stored, for good: its sender may be answered. They are those of all
    /// batches so far whose commit has succeeded, never of one that has failed or is in progress. A source that is
    /// built from a position knows that everything before it is stored. Must not wait.
    fn committed(&mut self, _positions: &Positions) {}

    /// Bytes read of a finite source and bytes in total, for progress; `None` if unknown.
    fn progress_bytes(&self) -> Option<(u64, u64)> {
        None
    }

    /// The same in rows (or records), for input that is counted and not measured.
    fn progress_rows(&self) -> Option<(u64, u64)> {
        None
    }

    /// Why the source cannot read at the moment, for people; `None` while it can. A source that loses or regains its
    /// input delivers a batch, if need be an empty one, so that the change is seen.
    fn outage(&self) -> Option<String> {
        None
    }
}
