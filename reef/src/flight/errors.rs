//! Errors: why a call fails, as gRPC says it, and what to do.

use crate::access::{Denied, DeniedKind};
use crate::guarded::fault;
use crate::sql::{Cut, SqlError};
use model::error::one_line;
use std::fmt::Display;
use tokio::task::JoinError;
use tonic::{Code, Status};

/// Longest message, in characters: it travels in a header, which some clients limit to 8 KiB.
const MESSAGE_MAX: usize = 600;
const SEND_A_TOKEN: &str = "send one of role readonly or more: as password of any user, or as Authorization: Bearer \
                            coral_…; coral reef token create --role readonly makes one";

fn status(code: Code, message: &str) -> Status {
    match message.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => Status::new(code, format!("{}…", &message[..end])),
        None => Status::new(code, message),
    }
}

/// A statement that has no answer.
pub(super) fn of_sql(error: SqlError) -> Status {
    let message = |hint: &str| format!("{error}; {hint}");
    match &error {
        SqlError::Refused { .. } | SqlError::Failed { .. } => {
            status(Code::InvalidArgument, &format!("sql: {}", message(error.hint())))
        }
        SqlError::Fault { message } => status(Code::Internal, message),
        SqlError::Busy => status(Code::ResourceExhausted, &message("run it again in a moment")),
        SqlError::TimedOut { .. } => {
            status(Code::DeadlineExceeded, &message("narrow the time range or the colonies in WHERE"))
        }
        SqlError::Memory => status(Code::ResourceExhausted, &message(error.hint())),
        SqlError::AnswerTooLarge { .. } => {
            status(Code::ResourceExhausted, &message("select fewer columns, or write a LIMIT"))
        }
        SqlError::Store(cause) => {
            tracing::warn!(error = one_line(cause), "a call got no answer: the store could not be read");
            status(Code::Unavailable, "the store could not be read (the reef's log has the reason); try again")
        }
    }
}

/// A stream of rows that is not whole.
pub(super) fn of_cut(cut: Cut) -> Status {
    match cut {
        Cut::Statement(error) => of_sql(error),
        Cut::Rows { .. } => {
            let hint = "write a LIMIT, narrow the time range in WHERE, or ask for groups of rows";
            status(Code::ResourceExhausted, &format!("{cut}; {hint}"))
        }
        Cut::Missing { ref notes } => {
            let messages: Vec<&str> = notes.iter().map(|note| note.message.as_str()).collect();
            let hint = "narrow the statement to what there is, or run it again";
            status(Code::Unavailable, &format!("{cut}: {}; {hint}", messages.join("; ")))
        }
        Cut::Cancelled => status(Code::Cancelled, &cut.to_string()),
    }
}

/// A caller that may not.
pub(super) fn of_access(denied: &Denied) -> Status {
    match denied.kind {
        DeniedKind::Unauthenticated => status(Code::Unauthenticated, &format!("{}; {SEND_A_TOKEN}", denied.message)),
        DeniedKind::Forbidden => status(Code::PermissionDenied, &format!("{}; {}", denied.message, denied.hint)),
        DeniedKind::Unavailable => status(Code::Unavailable, &format!("{}; {}", denied.message, denied.hint)),
    }
}

/// A caller of whom nothing is known.
pub(super) fn unknown(message: &str) -> Status {
    of_access(&Denied { kind: DeniedKind::Unauthenticated, message: message.to_owned(), hint: "" })
}

/// A request that is not one.
pub(super) fn invalid(message: impl Display) -> Status {
    status(Code::InvalidArgument, &message.to_string())
}

/// A call of the protocol that is not served.
pub(super) fn not_served(message: impl Display) -> Status {
    status(Code::Unimplemented, &message.to_string())
}

/// A call that would change something.
pub(super) fn read_only() -> Status {
    status(Code::PermissionDenied, "nothing can be changed from here; write a SELECT")
}

/// A handle or a statement that is not there.
pub(super) fn not_found(message: impl Display) -> Status {
    status(Code::NotFound, &message.to_string())
}

/// Rows that cannot be sent.
pub(super) fn not_sent(error: impl Display) -> Status {
    status(Code::Internal, &format!("the rows cannot be sent: {error}"))
}

/// A run that is over.
pub(super) fn closed() -> Status {
    status(Code::Unavailable, "the store is closed: the run has ended")
}

/// A run that has only begun.
pub(super) fn opening() -> Status {
    status(Code::Unavailable, "the store is being opened; run it again, or wait for /readyz")
}

/// A call whose answer does not begin.
pub(super) fn late() -> Status {
    status(Code::DeadlineExceeded, "the call took too long to begin; send all of it at once")
}

/// A bug: the process continues, its log has the details.
pub(super) fn of_panic(error: &JoinError) -> Status {
    status(Code::Internal, &fault("call", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = invalid("ü".repeat(5_000));
        assert_eq!(long.message().chars().count(), MESSAGE_MAX + 1);
        assert!(long.message().ends_with('…'), "{long}");
        assert_eq!(invalid("short").message(), "short");
    }

    #[tokio::test]
    async fn a_fault_has_an_id() {
        let call = tokio::spawn(std::future::pending::<()>());
        call.abort();
        let Err(error) = call.await else { panic!("it was ended") };
        let status = of_panic(&error);
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().starts_with("this call hit a fault in the reef (fault-"), "{status}");
    }
}
