//! Request of a replay: task, range of event time, recording and target.

use crate::config::ReefConfig;
use model::time::TimeMs;
use std::fmt;
use std::path::PathBuf;

/// A range of event time: `from <= timestamp < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeRange {
    /// First time.
    pub from: TimeMs,
    /// First time beyond.
    pub to: TimeMs,
}

impl TimeRange {
    /// Whether it includes this time.
    pub fn holds(&self, time: TimeMs) -> bool {
        self.from <= time && time < self.to
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

/// The task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Recorded rows run through the engine again.
    Replay,
    /// Stored rows are correlated and summed up again where they are.
    Backfill,
}

impl Task {
    /// The name in positions and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Replay => "replay",
            Task::Backfill => "backfill",
        }
    }
}

/// Where recorded rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// The reef's own store.
    Stored,
    /// The reef's Kafka topics.
    Kafka,
}

impl Recording {
    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Recording::Stored => "stored",
            Recording::Kafka => "kafka",
        }
    }
}

/// A time, and how the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedTime {
    /// The time.
    pub time: TimeMs,
    /// As it is recognised in the next call: `now`, `24h`, or RFC 3339.
    pub text: String,
}

/// The request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Replay or backfill.
    pub task: Task,
    /// Which rows.
    pub range: TimeRange,
    /// The range in the user's words (from, to), as in [`RequestedTime::text`].
    pub words: (String, String),
    /// Where they come from.
    pub recording: Recording,
    /// Another DuckDB file to write; the live store is then only read.
    pub into: Option<PathBuf>,
    /// Other settings to compare with those of the reef; nothing live is then changed.
    pub what_if: Option<ReefConfig>,
}

impl Request {
    /// The arguments of the call, by which an unfinished replay is found.
    pub fn asked(&self) -> String {
        format!("{} {}..{}", self.recording.as_str(), self.words.0, self.words.1)
    }
}
