//! Files of metrics and events into a colony: straight into the database of a stopped one, through the ingest service
//! of a running one.
//!
//! | file | owns |
//! |---|---|
//! | `read` | chunks of a file, read on a thread of its own |
//! | `target` | where rows go |
//!
//! A file may have the rows of many colonies; those of others are skipped and counted. Importing a file again changes
//! nothing.

mod read;
mod target;

pub use target::Target;

use crate::ask::AskError;
use crate::error::StoreError;
use model::clock::SharedClock;
use model::colony::ColonyIdentity;
use model::reject::{Reject, RejectReason};
use read::Message;
use sources::RowKind;
use sources::SourceError;
use sources::files::kind_of;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Maximum number of rejected rows of a file that are listed individually.
const REJECTS_SHOWN_MAX: usize = 10;
/// The most ids of other colonies that are remembered.
const OTHERS_SHOWN_MAX: usize = 10;

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file could not be read.
    #[error("cannot import {path}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: SourceError,
    },
    /// The database refused.
    #[error("cannot import into the database")]
    Store(#[source] StoreError),
    /// The running colony could not be reached, or refused.
    #[error("cannot import into the running colony")]
    Running(#[source] AskError),
    /// The files hold no row of this colony.
    #[error("the files hold no row of colony {colony_id}; they hold rows of: {}", if found.is_empty() { "no colony".to_owned() } else { found.join(", ") })]
    NothingForColony {
        /// The colony.
        colony_id: String,
        /// Whose rows there are, at most ten.
        found: Vec<String>,
    },
}

/// What became of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Which file.
    pub path: PathBuf,
    /// Rows of this colony that are stored now.
    pub accepted: u64,
    /// Of these, events that were stored before.
    pub already_stored: u64,
    /// Rows of other colonies.
    pub passed_over: u64,
    /// Refused rows by reason.
    pub rejects: BTreeMap<RejectReason, u64>,
    /// Messages of the first ones.
    pub first_rejects: Vec<String>,
    /// What was put right or left out in rows of this file, whosever they are, and in how many.
    pub notes: BTreeMap<String, u64>,
}

/// Progress of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// The file being read.
    pub path: PathBuf,
    /// Rows stored of it so far.
    pub accepted: u64,
    /// Bytes of it done.
    pub bytes_done: u64,
    /// Its bytes in all.
    pub bytes_in_all: u64,
}

/// Imports `files` in the order given. Stops at the first file that cannot be read. Rows stored before stay, and
/// importing them again changes nothing.
pub async fn import(
    files: &[PathBuf],
    colony: &ColonyIdentity,
    target: &mut Target,
    clock: &SharedClock,
    mut on_progress: impl FnMut(&ImportProgress),
) -> Result<Vec<FileReport>, ImportError> {
    let mut reports = Vec::new();
    let mut others = BTreeSet::new();
    for path in files {
        reports.push(import_file((path, clock), colony, target, &mut others, &mut on_progress).await?);
    }
    let rows: u64 = reports.iter().map(|report| report.accepted + report.rejects.values().sum::<u64>()).sum();
    if rows == 0 {
        return Err(ImportError::NothingForColony {
            colony_id: colony.colony_id.clone(),
            found: others.into_iter().take(OTHERS_SHOWN_MAX).collect(),
        });
    }
    Ok(reports)
}

async fn import_file(
    (path, clock): (&Path, &SharedClock),
    colony: &ColonyIdentity,
    target: &mut Target,
    others: &mut BTreeSet<String>,
    on_progress: &mut impl FnMut(&ImportProgress),
) -> Result<FileReport, ImportError> {
    let failed = |cause| ImportError::File { path: path.to_owned(), cause };
    let kind: RowKind = kind_of(path, clock).map_err(failed)?;
    let mut messages = read::start(path, kind, colony.colony_id.clone(), clock.clone()).map_err(failed)?;
    let mut report = FileReport { path: path.to_owned(), ..FileReport::default() };
    while let Some(message) = messages.recv().await {
        let Message { chunk, passed_over, other_colonies, bytes_in_all } = message.map_err(failed)?;
        report.passed_over += passed_over;
        others.extend(other_colonies);
        others.retain({
            let mut kept = 0;
            move |_| {
                kept += 1;
                kept <= OTHERS_SHOWN_MAX
            }
        });
        let bytes_done = chunk.bytes_done();
        for reject in &chunk.rejects {
            refuse(&mut report, reject.reason, describe(reject));
        }
        for (note, rows) in chunk.report.notes {
            *report.notes.entry(note).or_default() += rows;
        }
        let written = target.write(chunk.rows).await?;
        report.accepted += written.accepted;
        report.already_stored += written.already_stored;
        for (reason, detail) in written.refused {
            refuse(&mut report, reason, format!("{}: {detail}", path.display()));
        }
        on_progress(&ImportProgress { path: path.to_owned(), accepted: report.accepted, bytes_done, bytes_in_all });
    }
    Ok(report)
}

fn refuse(report: &mut FileReport, reason: RejectReason, text: String) {
    *report.rejects.entry(reason).or_default() += 1;
    if report.first_rejects.len() < REJECTS_SHOWN_MAX {
        report.first_rejects.push(text);
    }
}

fn describe(reject: &Reject) -> String {
    format!("{}: {}: {}", reject.place, reject.reason.as_str(), reject.detail)
}
