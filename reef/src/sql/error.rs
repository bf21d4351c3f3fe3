//! Errors: why a statement has no answer, whose fault that is, and what to do.

use crate::guarded::fault;
use datafusion::error::DataFusionError;
use model::error::one_line;
use sinks::SinkError;
use std::error::Error;
use std::time::Duration;
use tokio::task::JoinError;

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement is not one that is answered.
    #[error("{message}")]
    Refused {
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// A value of a row does not fit what the statement does with it.
    #[error("the statement failed: {message}")]
    Failed {
        /// How.
        message: String,
    },
    /// A bug; its log has the details.
    #[error("{message}")]
    Fault {
        /// The id under which the log has them.
        message: String,
    },
    /// Others have the turns.
    #[error("too many statements at once")]
    Busy,
    /// It took too long.
    #[error("the statement was ended after {}", shown(*.after))]
    TimedOut {
        /// Its limit.
        after: Duration,
    },
    /// It needs too much memory.
    #[error("the statement needs more memory than the limit allows")]
    Memory,
    /// Its answer is too large.
    #[error("the answer has more than {bytes_max} bytes")]
    AnswerTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[source] SinkError),
}

impl SqlError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            SqlError::Refused { hint, .. } => hint,
            SqlError::Failed { .. } => "exclude such values, or use TRY_CAST, NULLIF or CASE",
            SqlError::Fault { .. } => "write it in another way, and report the fault",
            SqlError::Busy => "ask again in a moment",
            SqlError::TimedOut { .. } => {
                "narrow the time range or the colonies in WHERE, or raise the time limit, up to 30 s"
            }
            SqlError::Memory => {
                "narrow the statement: fewer rows, groups or long texts in joins and windows, or a sort with LIMIT"
            }
            SqlError::AnswerTooLarge { .. } => "select fewer columns, or lower the limit of rows",
            SqlError::Store(_) => "look at the store: coral reef doctor",
        }
    }

    /// Of a statement that has panicked.
    pub(super) fn panicked(error: &JoinError) -> SqlError {
        SqlError::Fault { message: fault("statement", error) }
    }

    /// A refusal.
    pub(super) fn refused(message: impl Into<String>, hint: &'static str) -> SqlError {
        SqlError::Refused { message: message.into(), hint }
    }
}

fn shown(after: Duration) -> String {
    match after.subsec_millis() {
        0 => format!("{} s", after.as_secs()),
        _ => format!("{} ms", after.as_millis()),
    }
}

/// Rows that cannot be written, or are none.
pub(super) fn not_written(error: impl std::fmt::Display) -> SqlError {
    SqlError::Failed { message: format!("its rows have no such form: {error}") }
}

/// How deep a cause is looked for.
const CAUSES_MAX: usize = 32;

/// What an error of the engine means. Before a statement runs, it is the statement's; while it runs, it is that of a
/// row, except where the plan itself cannot be run.
pub(super) fn explained(error: DataFusionError, is_running: bool) -> SqlError {
    let error = match taken_out(error) {
        Ok(store) => return SqlError::Store(store),
        Err(error) => error,
    };
    let root = error.find_root();
    if matches!(root, DataFusionError::ResourcesExhausted(_)) {
        return SqlError::Memory;
    }
    let text = match root {
        DataFusionError::SQL(error, _) => error.to_string(),
        other => other.strip_backtrace(),
    };
    let message = text.lines().next().unwrap_or_default().trim();
    let message = KINDS.iter().fold(message, |text, kind| text.strip_prefix(kind).unwrap_or(text));
    let is_of_plan = matches!(
        root,
        DataFusionError::Plan(_) | DataFusionError::NotImplemented(_) | DataFusionError::SchemaError(..)
    );
    match is_running && !is_of_plan {
        true => SqlError::Failed { message: message.to_owned() },
        false => SqlError::refused(message, "SELECT * FROM information_schema.columns lists tables and columns"),
    }
}

/// What the engine writes before its messages.
const KINDS: [&str; 6] = [
    "Error during planning: ",
    "Schema error: ",
    "sql parser error: ",
    "This feature is not implemented: ",
    "Execution error: ",
    "Arrow error: ",
];

/// The store's error in it, if that is the cause.
fn taken_out(error: DataFusionError) -> Result<SinkError, DataFusionError> {
    let mut cause: &(dyn Error + 'static) = &error;
    for _ in 0..CAUSES_MAX {
        if cause.is::<SinkError>() {
            break;
        }
        match cause.source() {
            Some(next) => cause = next,
            None => return Err(error),
        }
    }
    let Some(found) = cause.downcast_ref::<SinkError>() else { return Err(error) };
    Ok(SinkError {
        class: found.class,
        doing: found.doing.clone(),
        store: found.store.clone(),
        hint: found.hint.clone(),
        cause: found.cause.as_ref().map(|cause| one_line(cause.as_ref()).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::error::ArrowError;
    use sinks::error::FaultClass;

    #[test]
    fn a_plan_that_cannot_be_run_is_the_statements_also_while_it_runs() {
        let of_row = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        assert!(matches!(explained(of_row, true), SqlError::Failed { .. }));
        for of_plan in [DataFusionError::NotImplemented("x".to_owned()), DataFusionError::Plan("x".to_owned())] {
            let explained = explained(of_plan.context("planning"), true);
            assert!(matches!(&explained, SqlError::Refused { message, .. } if message == "x"), "{explained:?}");
        }
    }

    #[test]
    fn an_error_of_the_store_keeps_all_its_causes() {
        let inner = failed("cannot read", "the disk is full".into());
        let outer = failed("cannot answer", Box::new(inner));
        match explained(DataFusionError::External(Box::new(outer)), true) {
            SqlError::Store(error) => assert!(one_line(&error).ends_with(": the disk is full"), "{error:?}"),
            other => panic!("{other:?}"),
        }
    }

    fn failed(doing: &str, cause: Box<dyn Error + Send + Sync>) -> SinkError {
        let (store, hint) = ("a store".to_owned(), "see its log".to_owned());
        SinkError { class: FaultClass::Stop, doing: doing.to_owned(), store, hint, cause: Some(cause) }
    }
}
