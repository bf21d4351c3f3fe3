//! Classification of DuckDB's errors for a run, with hints for the user.

use crate::error::{FaultClass, SinkError};

/// The underlying error.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What DuckDB says, what the caller must do about it, and what the user can do.
const KNOWN: &[(&str, FaultClass, &str)] = &[
    (
        "set lock on file",
        FaultClass::Busy,
        "another process has the file open, and DuckDB lets one process at a time have it: end that process, or work \
         on a copy of the file",
    ),
    (
        "not a valid DuckDB database file",
        FaultClass::Stop,
        "the file is not a DuckDB database: name another path, or move the file away",
    ),
    (
        "newer version of DuckDB",
        FaultClass::Stop,
        "a newer DuckDB wrote the file: use the program that wrote it, or a newer one",
    ),
    ("database does not exist", FaultClass::Stop, "the file does not exist: check storage.path, or run the reef first"),
    ("tables of an older version", FaultClass::Stop, "upgrade its tables first: coral-pipeline migrate <reef.toml>"),
    (
        "no tables of a reef",
        FaultClass::Stop,
        "check storage.path: it must name a file of the reef's own, which its run creates and fills",
    ),
    ("belongs to the reef", FaultClass::Stop, "check storage.path and reef_id: each reef needs its own store"),
    (
        "Corrupt database file",
        FaultClass::Stop,
        "the file is damaged: put a copy of it in its place, or move it and the .wal beside it away; a run then makes a \
         new one and reads its sources from their start",
    ),
    (
        "No space left on device",
        FaultClass::Stop,
        "the disk is full; nothing of this commit was written: free some space and run again",
    ),
    (
        "Disk quota exceeded",
        FaultClass::Stop,
        "the disk quota is used up; nothing of this commit was written: free some space and run again",
    ),
    (
        "Permission denied",
        FaultClass::Stop,
        "the file or its folder may not be written by this user: change its owner or name another path",
    ),
    ("Read-only file system", FaultClass::Stop, "the file system is read-only: name another path"),
    ("Is a directory", FaultClass::Stop, "the path is a folder: name a file in it"),
    (
        "Out of Memory",
        FaultClass::Stop,
        "DuckDB's memory limit is too small for this commit; nothing of it was written: raise the limit",
    ),
    ("Conflict", FaultClass::Retry, "two transactions met; nothing of this commit was written: try again"),
];

/// Classifies `cause` as retry, reject, busy or stop. Unknown errors stop the run: a row is never blamed for a fault of the
/// store.
pub(super) fn explain(store: &str, doing: &str, cause: Cause) -> SinkError {
    let cause = in_words(cause);
    let text = cause.to_string();
    if is_damaged_log(&text) {
        return SinkError {
            class: FaultClass::Stop,
            doing: doing.to_owned(),
            store: store.to_owned(),
            hint: damaged_log(store),
            cause: Some(cause),
        };
    }
    let known = KNOWN.iter().find(|(words, ..)| text.to_lowercase().contains(&words.to_lowercase()));
    let (class, hint) = match known {
        Some((_, class, hint)) => (*class, *hint),
        None => (FaultClass::Stop, "the store's own message follows"),
    };
    let hint = match holder(&text) {
        Some(holder) if text.contains("set lock on file") => format!("{hint} (held by {holder})"),
        _ => hint.to_owned(),
    };
    SinkError { class, doing: doing.to_owned(), store: store.to_owned(), hint, cause: Some(cause) }
}

/// DuckDB's C interface has one code for every error, "Unknown error code"; only its text can be used.
fn in_words(cause: Cause) -> Cause {
    match cause.downcast::<duckdb::Error>() {
        Ok(error) => match *error {
            duckdb::Error::DuckDBFailure(_, Some(text)) => text.into(),
            other => Box::new(other),
        },
        Err(cause) => cause,
    }
}

/// Whether the log of commits that are not in the file yet cannot be read.
fn is_damaged_log(text: &str) -> bool {
    let text = text.to_lowercase();
    ["corrupt wal", "replaying wal", "wal file", "read wal"].iter().any(|words| text.contains(words))
        && !text.contains("set lock on file")
        && !text.contains("no space left")
        && !text.contains("permission denied")
}

/// The log is beside the file. It has rows and positions, so that both revert consistently without it.
fn damaged_log(store: &str) -> String {
    let path = store.strip_prefix("DuckDB ").unwrap_or(store);
    format!(
        "the log {path}.wal is damaged: move it away and run again. The store is then as of its last checkpoint; files and \
         topics are read on from there, and only what live colonies and topics no longer hold is lost. Keep the log until \
         the rows are back"
    )
}

/// The holder of the lock, from DuckDB's message: `Conflicting lock is held in /usr/bin/duckdb (PID 123)`.
fn holder(text: &str) -> Option<&str> {
    let rest = &text[text.find("lock is held in ")? + "lock is held in ".len()..];
    let end = rest.find(')').map_or(rest.len(), |close| close + 1);
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn explained(text: &str) -> SinkError {
        explain("DuckDB reef.duckdb", "cannot open the store", text.into())
    }

    #[test]
    fn a_locked_file_names_its_holder() {
        let error = explained(
            "IO Error: Could not set lock on file \"/x/reef.duckdb\": Conflicting lock is held in /usr/bin/duckdb \
             (PID 4711). See also https://duckdb.org/docs/connect/concurrency",
        );
        assert_eq!(error.class, FaultClass::Busy);
        assert!(error.hint.contains("held by /usr/bin/duckdb (PID 4711)"), "{}", error.hint);
    }

    #[test]
    fn a_full_disk_stops_and_never_blames_a_row() {
        let error = explained("IO Error: Could not write file \"reef.duckdb.wal\": No space left on device");
        assert_eq!(error.class, FaultClass::Stop);
        assert!(error.to_string().contains("free some space"));
    }

    #[test]
    fn a_damaged_log_is_named_with_what_to_move_and_what_that_costs() {
        for text in [
            "IO Error: Corrupt WAL file: entry at byte position 4096 computed checksum 1 does not match stored checksum 2",
            "INTERNAL Error: Failure while replaying WAL file \"/x/reef.duckdb.wal\": Serialization Error",
        ] {
            let hint = explained(text).hint;
            assert!(hint.contains("reef.duckdb.wal is damaged: move it away"), "{hint}");
            assert!(hint.contains("last checkpoint"), "{hint}");
        }
        let full = explained("IO Error: Could not write to WAL file \"reef.duckdb.wal\": No space left on device");
        assert!(full.hint.contains("free some space"), "{}", full.hint);
    }

    #[test]
    fn the_one_code_that_every_error_has_is_not_shown() {
        let failure = duckdb::Connection::open_in_memory().unwrap().execute_batch("FROM nowhere").unwrap_err();
        let error = explain("DuckDB reef.duckdb", "cannot commit", failure.into());
        let mut shown = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(one) = cause {
            shown.push_str(&format!("\n{one}"));
            cause = one.source();
        }
        assert!(shown.contains("nowhere") && !shown.contains("Unknown error code"), "{shown}");
    }

    #[test]
    fn what_is_not_known_stops() {
        assert_eq!(
            explained("Catalog Error: Table with name federated_events does not exist!").class,
            FaultClass::Stop
        );
    }

    #[test]
    fn a_conflict_is_tried_again() {
        assert_eq!(explained("TransactionContext Error: Conflict on update!").class, FaultClass::Retry);
    }
}
