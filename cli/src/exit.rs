//! Exit codes, and [`Failure`]: the error, its causes, and a hint.

use serde::Serialize;
use std::error::Error;

/// How a command ended, for shells and scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Tried and failed.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage = 2,
    /// A file, colony or reef that was named does not exist.
    NotFound = 3,
    /// Refused by the peer, or by file permissions.
    NotAuthorised = 4,
    /// Completeness was required and some colony is missing.
    Incomplete = 5,
    /// A promotion gate holds.
    Hold = 10,
    /// A promotion gate has too little to learn from.
    NotEnoughData = 11,
    /// Stopped by a signal before its input was read, or by a second signal before it had drained.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, as `help exit-codes` prints it.
    pub const TABLE: [(Exit, &'static str); 9] = [
        (Exit::Ok, "done"),
        (Exit::Failed, "failed, or every row that was read was rejected; the message says why"),
        (Exit::Usage, "wrong command line or configuration; nothing was tried"),
        (Exit::NotFound, "a named file, colony or reef does not exist"),
        (Exit::NotAuthorised, "refused: a permission of a file or folder is missing, or the secret is wrong"),
        (Exit::Incomplete, "completeness was required and some colony is missing"),
        (Exit::Hold, "coral reef gate: the version should not go to the next environment yet"),
        (Exit::NotEnoughData, "coral reef gate: too little is known to say so"),
        (
            Exit::Interrupted,
            "interrupted: finite input, a replay or a backfill before its end; or a second Ctrl-C before the drain \
             ended",
        ),
    ];

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// A command that did not succeed: shown as text on stderr, or as `{"error": …}` on stdout with `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Exit code.
    #[serde(skip)]
    pub exit: Exit,
    /// Stable name for scripts, e.g. `config_invalid`.
    pub code: &'static str,
    /// What failed, with the object it failed on.
    pub message: String,
    /// Why, outermost first; one line each. For a configuration: every error in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Which command shows more.
    pub docs: Option<String>,
    /// Additional data for programs, e.g. a checklist. Not shown as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_json::Value>,
    /// The answer has been written and says everything: only the exit code is left.
    #[serde(skip)]
    pub is_answered: bool,
}

impl Failure {
    /// A failure without cause or hint.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Failure {
        let (message, details) = (message.into(), Vec::new());
        Failure { exit, code, message, details, hint: None, docs: None, report: None, is_answered: false }
    }

    /// The exit code of an answer that has been written.
    pub fn answered(exit: Exit) -> Failure {
        Failure { is_answered: true, ..Failure::new(exit, "answered", "the answer has been written") }
    }

    /// A failure from `error`: its text is the message, its sources are the details. A missing permission among them
    /// overrides `exit`.
    pub fn from_error(exit: Exit, code: &'static str, error: &(dyn Error + 'static)) -> Failure {
        let exit = if is_refusal(error) { Exit::NotAuthorised } else { exit };
        Failure::new(exit, code, error.to_string()).caused_by(error.source())
    }

    /// Adds a cause and its own causes. A cause whose text is already in its parent's is omitted. A missing permission
    /// decides the exit code.
    pub fn caused_by(mut self, mut cause: Option<&(dyn Error + 'static)>) -> Failure {
        while let Some(error) = cause {
            if is_refusal(error) {
                self.exit = Exit::NotAuthorised;
            }
            let text = error.to_string();
            let last = self.details.last().unwrap_or(&self.message);
            if !last.contains(&text) {
                self.details.push(text);
            }
            cause = error.source();
        }
        self
    }

    /// Adds one line of detail.
    pub fn detail(mut self, line: impl Into<String>) -> Failure {
        self.details.push(line.into());
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds data for programs.
    pub fn report(mut self, report: serde_json::Value) -> Failure {
        self.report = Some(report);
        self
    }

    /// Names the command that shows more.
    pub fn docs(mut self, command: impl Into<String>) -> Failure {
        self.docs = Some(command.into());
        self
    }
}

/// Texts of stores that mean a refusal: DuckDB's for the operating system, ours for a ClickHouse server's login and
/// rights.
const REFUSALS: [&str; 3] = ["Permission denied", "refuses the user or the password", "the user lacks a right"];

/// Whether access was refused for a missing permission or a wrong password.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
        None => tells_refusal(&error.to_string()),
    }
}

/// The same of a message.
pub(crate) fn tells_refusal(text: &str) -> bool {
    REFUSALS.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_the_message_once_each() {
        let error = Outer(std::io::Error::other("disk is full"));
        let failure = Failure::from_error(Exit::Failed, "store", &error);
        assert_eq!(failure.message, "cannot open the store");
        assert_eq!(failure.details, ["disk is full"]);
        let repeated = Failure::new(Exit::Failed, "x", "a: disk is full").caused_by(error.source());
        assert!(repeated.details.is_empty());
    }

    #[test]
    fn a_missing_permission_has_its_own_code_wherever_it_turns_up() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let exit = |error: &(dyn Error + 'static)| Failure::from_error(Exit::Failed, "x", error).exit;
        assert_eq!(exit(&denied()), Exit::NotAuthorised);
        assert_eq!(exit(&Outer(denied())), Exit::NotAuthorised);
        assert_eq!(Failure::new(Exit::Usage, "x", "y").caused_by(Some(&denied())).exit, Exit::NotAuthorised);
        assert_eq!(exit(&Outer(std::io::Error::other("disk is full"))), Exit::Failed);
        let text: Box<dyn Error> = "IO Error: Cannot open file \"r.duckdb\": Permission denied".into();
        assert_eq!(exit(text.as_ref()), Exit::NotAuthorised);
    }

    #[test]
    fn every_code_is_in_the_table_once() {
        let codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 10, 11, 130]);
    }

    #[test]
    fn json_has_message_hint_and_docs_even_when_absent() {
        let json = serde_json::to_value(Failure::new(Exit::Usage, "usage", "no such command")).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"code": "usage", "message": "no such command", "hint": null, "docs": null})
        );
    }
}
