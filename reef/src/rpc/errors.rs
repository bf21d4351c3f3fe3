//! Errors: why a method gives no answer, as each protocol says it.

use super::json::Wrong;
use crate::access::{Denied, DeniedKind};
use crate::analysis::AnalysisError;
use crate::answers::refusal::RefusalKind;
use crate::answers::{AnswerError, Refusal};
use crate::guarded::fault;
use crate::sql::SqlError;
use axum::http::{HeaderValue, header};
use connectrpc::{ConnectError, ErrorCode};
use model::error::one_line;
use tokio::task::JoinError;

/// An answer that there is not.
pub(super) fn of_answer(error: AnswerError) -> ConnectError {
    match error {
        AnswerError::Refused(refusal) => of_refusal(&refusal),
        AnswerError::Store(error) => {
            tracing::warn!(error = one_line(&error), "a call got no answer: the store could not be read");
            ConnectError::unavailable("the store could not be read (the reef's log has the reason); try again")
        }
    }
}

/// A question that cannot be answered as it is: `field: what is wrong; what to ask instead`.
pub(super) fn of_refusal(refusal: &Refusal) -> ConnectError {
    let code = match refusal.kind {
        RefusalKind::NotFound => ErrorCode::NotFound,
        RefusalKind::Ambiguous | RefusalKind::Invalid => ErrorCode::InvalidArgument,
    };
    let field = refusal.field.as_ref().map_or(String::new(), |field| format!("{field}: "));
    ConnectError::new(code, format!("{field}{}; {}", refusal.message, refusal.hint))
}

/// A request that is not one.
pub(super) fn of_request(wrong: &Wrong) -> ConnectError {
    ConnectError::invalid_argument(wrong.to_string())
}

/// A caller that may not.
pub(super) fn of_access(denied: &Denied) -> ConnectError {
    let message = format!("{}; {}", denied.message, denied.hint);
    match denied.kind {
        DeniedKind::Unauthenticated => {
            let mut error = ConnectError::unauthenticated(message);
            error.response_headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            error
        }
        DeniedKind::Forbidden => ConnectError::permission_denied(message),
        DeniedKind::Unavailable => ConnectError::unavailable(message),
    }
}

/// A run that is over.
pub(super) fn closed() -> ConnectError {
    ConnectError::unavailable("the store is closed: the run has ended")
}

/// A run that has only begun.
pub(super) fn opening() -> ConnectError {
    ConnectError::unavailable("the store is being opened; ask again, or wait for /readyz")
}

/// Too many calls or streams at once.
pub(super) fn busy(what: &str) -> ConnectError {
    let mut error = ConnectError::resource_exhausted(format!("too many {what} at once; try again"));
    error.response_headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    error
}

/// A bug: the process goes on, its log has the details.
pub(super) fn of_panic(error: &JoinError) -> ConnectError {
    ConnectError::internal(fault("call", error))
}

/// A question in words that has no answer.
pub(super) fn of_analysis(error: AnalysisError) -> ConnectError {
    match error {
        AnalysisError::Answer(error) => of_answer(error),
        AnalysisError::Limited { message, retry_after } => {
            let mut error = ConnectError::resource_exhausted(message);
            let seconds = HeaderValue::from(retry_after.as_secs().max(1));
            error.response_headers_mut().insert(header::RETRY_AFTER, seconds);
            error
        }
    }
}

/// A statement without an answer.
pub(super) fn of_sql(error: SqlError) -> ConnectError {
    let message = format!("{error}; {}", error.hint());
    match error {
        SqlError::Refused { .. } | SqlError::Failed { .. } => ConnectError::invalid_argument(format!("sql: {message}")),
        SqlError::Fault { message } => ConnectError::internal(message),
        SqlError::Busy => busy("statements"),
        SqlError::TimedOut { .. } => ConnectError::new(ErrorCode::DeadlineExceeded, message),
        SqlError::Memory | SqlError::AnswerTooLarge { .. } => ConnectError::resource_exhausted(message),
        SqlError::Store(error) => of_answer(AnswerError::Store(error)),
    }
}
