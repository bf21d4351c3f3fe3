//! Reads: what a statement has read, table by table, and what of it was left to the side that has the rows.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was read of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The table, as a statement names it.
    pub table: String,
    /// What was left to it: columns, conditions, a limit.
    pub pushed: String,
    /// Rows that it sent.
    pub rows: u64,
}

/// Something to know about an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// For programs: `limit_reached`, `colony_missing`, …
    pub code: String,
    /// For people.
    pub message: String,
    /// The colony that it is about; empty if it is about none.
    #[serde(default)]
    pub colony_id: String,
}

/// Counts of one statement. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    until: Option<Instant>,
    reads: Vec<(String, String, Arc<AtomicU64>)>,
    notes: Vec<Note>,
}

impl Counted {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of a statement that may take so long from now on.
    pub(super) fn within(limit: Duration) -> Counted {
        Counted(Arc::new(Mutex::new(Kept { until: Instant::now().checked_add(limit), ..Kept::default() })))
    }

    /// How much of its time is left, where that is limited.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.kept().until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// A read that begins; rows are added to the count.
    pub(super) fn begin(&self, table: &str, pushed: &str) -> Arc<AtomicU64> {
        let rows = Arc::new(AtomicU64::new(0));
        self.kept().reads.push((table.to_owned(), pushed.to_owned(), Arc::clone(&rows)));
        rows
    }

    /// Something to know.
    pub(super) fn note(&self, code: &str, message: String, colony_id: &str) {
        let note = Note { code: code.to_owned(), message, colony_id: colony_id.to_owned() };
        let mut kept = self.kept();
        if !kept.notes.contains(&note) {
            kept.notes.push(note);
        }
    }

    /// What has been read, and what is to be known, each in order.
    pub(super) fn so_far(&self) -> (Vec<Read>, Vec<Note>) {
        let kept = self.kept();
        let read = |(table, pushed, rows): &(String, String, Arc<AtomicU64>)| Read {
            table: table.clone(),
            pushed: pushed.clone(),
            rows: rows.load(Ordering::Relaxed),
        };
        let mut reads: Vec<Read> = kept.reads.iter().map(read).collect();
        reads.sort_by(|a, b| (&a.table, &a.pushed).cmp(&(&b.table, &b.pushed)));
        let mut notes = kept.notes.clone();
        notes.sort();
        (reads, notes)
    }
}
