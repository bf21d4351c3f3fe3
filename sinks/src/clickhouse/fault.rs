//! Classification of ClickHouse's errors for a run, with hints for the user.

use crate::error::{FaultClass, SinkError};
use crate::schema::DERIVED;
use clickhouse::error::Error;
use model::error::one_line;

/// The underlying error.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failed statement: what the caller must do, what the user can do, and the cause.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) class: FaultClass,
    pub(super) hint: String,
    pub(super) cause: Cause,
}

const LOGIN: &str = "the server refuses the user or the password: check storage.connection.user, and the variable that \
                     storage.connection.password_env names";
const RIGHTS: &str = "the user lacks a right: GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, ALTER on the database, \
                      DROP TABLE on its table predictions, and SELECT on system.tables, system.databases";
const FULL: &str = "the server's disk is full; the commit is repeated as a whole once there is room: free some space \
                    and run again";
const BUSY: &str = "the server is busy or short of memory; the same commit is tried again";
const KEEPER: &str = "the server's Keeper or a replica does not respond; the commit is retried";

/// ClickHouse's code, what the caller must do about it, and what the user can do.
const KNOWN: &[(u32, FaultClass, &str)] = &[
    (516, FaultClass::Stop, LOGIN),
    (193, FaultClass::Stop, LOGIN),
    (192, FaultClass::Stop, LOGIN),
    (497, FaultClass::Stop, RIGHTS),
    (
        81,
        FaultClass::Stop,
        "the database does not exist: create it (CREATE DATABASE), or correct storage.connection.database",
    ),
    (
        60,
        FaultClass::Stop,
        "a table is missing, dropped by someone else; a restart does not make it, since the schema counts as complete: \
         restore the table from a backup, or use another database and read the sources again",
    ),
    (
        16,
        FaultClass::Stop,
        "a table has other columns than this program's schema: `coral-pipeline migrate`, or another database",
    ),
    (
        47,
        FaultClass::Stop,
        "a table has other columns than this program's schema: `coral-pipeline migrate`, or another database",
    ),
    (164, FaultClass::Stop, "the user may only read: give storage.connection.user a profile without readonly"),
    (
        242,
        FaultClass::Stop,
        "the table is read-only, which a replica without its Keeper is: repair the replica and run again",
    ),
    (201, FaultClass::Stop, "the user's quota is used up: raise it, or wait for its next interval, and run again"),
    (243, FaultClass::Stop, FULL),
    (75, FaultClass::Stop, FULL),
    (74, FaultClass::Stop, "the server cannot read its disk; its log says more"),
    (
        225,
        FaultClass::Stop,
        "replicated tables need a Keeper, and the server has none: configure it, or leave storage.connection.cluster out",
    ),
    (
        701,
        FaultClass::Stop,
        "the server knows no such cluster: correct storage.connection.cluster (SELECT cluster FROM system.clusters)",
    ),
    (159, FaultClass::Retry, BUSY),
    (160, FaultClass::Retry, BUSY),
    (202, FaultClass::Retry, BUSY),
    (203, FaultClass::Retry, BUSY),
    (209, FaultClass::Retry, BUSY),
    (210, FaultClass::Retry, BUSY),
    (236, FaultClass::Retry, BUSY),
    (241, FaultClass::Retry, BUSY),
    (394, FaultClass::Retry, BUSY),
    (439, FaultClass::Retry, BUSY),
    (
        252,
        FaultClass::Retry,
        "the server has too many parts to merge; the same commit is tried again: a longer engine.tick_interval makes fewer",
    ),
    (279, FaultClass::Retry, KEEPER),
    (285, FaultClass::Retry, KEEPER),
    (286, FaultClass::Retry, KEEPER),
    (289, FaultClass::Retry, KEEPER),
    (319, FaultClass::Retry, KEEPER),
    (999, FaultClass::Retry, KEEPER),
    (69, FaultClass::Reject, VALUE),
    (117, FaultClass::Reject, VALUE),
    (131, FaultClass::Reject, VALUE),
    (321, FaultClass::Reject, VALUE),
    (349, FaultClass::Reject, VALUE),
    (395, FaultClass::Reject, VALUE),
    (469, FaultClass::Reject, VALUE),
];
const VALUE: &str = "the server refuses a value";
/// Code 60 of a table that is created from its description ([`DERIVED`]).
const DERIVED_MISSING: &str = "a table of derived rows is missing, dropped by someone else: start the reef again, or \
                               `coral-pipeline migrate`; the table is created, and the next run computes its rows from \
                               the stored ones";

impl Fault {
    /// A fault of our own: invalid data, or one of our limits.
    pub(super) fn stop(hint: impl Into<String>, cause: impl Into<Cause>) -> Fault {
        Fault { class: FaultClass::Stop, hint: hint.into(), cause: cause.into() }
    }

    /// No response within the time limit.
    pub(super) fn timed_out(seconds: u64) -> Fault {
        Fault {
            class: FaultClass::Retry,
            hint: format!("no response within {seconds} s; the statement is retried"),
            cause: Box::new(Error::TimedOut),
        }
    }

    /// The error for a caller of the store.
    pub(super) fn during(self, doing: impl Into<String>, store: &str) -> SinkError {
        SinkError {
            class: self.class,
            doing: doing.into(),
            store: store.to_owned(),
            hint: self.hint,
            cause: Some(self.cause),
        }
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Fault {
        Fault::stop("the data was not written by this program", cause)
    }
}

impl From<arrow::error::ArrowError> for Fault {
    fn from(cause: arrow::error::ArrowError) -> Fault {
        Fault::stop("rows could not be encoded", cause)
    }
}

/// Classifies an error as retry, reject or stop. Unknown errors stop the run: a row is never blamed for a fault of the
/// store.
impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let (class, hint) = match &error {
            Error::BadResponse(text) => explain(text),
            Error::Network(cause) => (FaultClass::Retry, network(&one_line(cause.as_ref())).to_owned()),
            Error::TimedOut => (FaultClass::Retry, "no response in time; the statement is retried".to_owned()),
            _ => (FaultClass::Stop, "the server's response does not match the request".to_owned()),
        };
        Fault { class, hint, cause: Box::new(error) }
    }
}

/// A response other than 200.
fn explain(text: &str) -> (FaultClass, String) {
    if text.contains("is for clickhouse-client program") || text.contains("HTTP/1.1 400") {
        let hint = "the port speaks the native protocol, and this program HTTP: set storage.connection.port = 8123 (9000 \
                    and 9440 are native, 8123 is HTTP, 8443 HTTPS)";
        return (FaultClass::Stop, hint.to_owned());
    }
    match code(text) {
        Some(60) if missing_table(text).is_some_and(is_derived) => (FaultClass::Stop, DERIVED_MISSING.to_owned()),
        Some(code) => match KNOWN.iter().find(|(known, ..)| *known == code) {
            Some((_, class, hint)) => (*class, (*hint).to_owned()),
            None => (FaultClass::Stop, "the server's own message follows".to_owned()),
        },
        // a proxy, or a server that is shutting down, responds without a code
        None => (
            FaultClass::Retry,
            "the response is not ClickHouse's: a proxy, or a server that is \
                                     starting"
                .to_owned(),
        ),
    }
}

/// The table that a response with code 60 does not know, without its database.
fn missing_table(text: &str) -> Option<&str> {
    let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    let rest = after("identifier '").or_else(|| after("Table "))?;
    let name = rest.split(|c: char| c == '\'' || c.is_whitespace()).next()?;
    name.rsplit('.').next().map(|name| name.trim_matches('`'))
}

fn is_derived(name: &str) -> bool {
    DERIVED.iter().any(|derived| derived.table.name == name)
}

/// `Code: 60. DB::Exception: …` → 60.
pub(super) fn code(text: &str) -> Option<u32> {
    let rest = &text[text.find("Code: ")? + "Code: ".len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

fn network(text: &str) -> &'static str {
    let text = text.to_lowercase();
    if text.contains("refused") {
        "nothing listens there: start the server, or correct storage.connection.host and port (8123 is HTTP, 8443 HTTPS; \
         9000 is the native protocol)"
    } else if text.contains("lookup") || text.contains("resolve") {
        "the host has no address: correct storage.connection.host"
    } else if text.contains("certificate") || text.contains("tls") || text.contains("invalidcontenttype") {
        "TLS failed: port 8443 is HTTPS, 8123 plain HTTP; the server's certificate must be signed by a known authority"
    } else if text.contains("invalid http version") || text.contains("parse") {
        "the server there does not speak HTTP: 8123 is ClickHouse's HTTP port, 9000 and 9440 are native"
    } else {
        "the connection broke; the same statement is tried again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> FaultClass {
        Fault::from(Error::BadResponse(text.to_owned())).class
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for code in [241, 252, 999, 202, 159] {
            assert_eq!(class(&format!("Code: {code}. DB::Exception: x.")), FaultClass::Retry, "{code}");
        }
        for text in ["<html>502 Bad Gateway</html>", "503 Service Unavailable"] {
            assert_eq!(class(text), FaultClass::Retry, "{text}");
        }
    }

    #[test]
    fn a_fault_of_the_store_never_blames_a_row() {
        for code in [60, 81, 516, 193, 164, 242, 201, 243, 497, 16, 53, 6, 27, 4711] {
            assert_eq!(class(&format!("Code: {code}. DB::Exception: x.")), FaultClass::Stop, "{code}");
        }
    }

    #[test]
    fn a_missing_table_of_derived_rows_is_not_one_to_restore_from_a_backup() {
        let hint = |text: &str| Fault::from(Error::BadResponse(text.to_owned())).hint;
        for text in [
            "Code: 60. DB::Exception: Table reef.deployment_timeline does not exist. (UNKNOWN_TABLE)",
            "Code: 60. DB::Exception: Table reef.`deployment_timeline` does not exist. Maybe you meant reef.predictions?",
            "Code: 60. DB::Exception: Unknown table expression identifier 'deployment_timeline' in scope SELECT 1",
            "Code: 60. DB::Exception: Unknown table expression identifier 'reef.deployment_timeline' in scope SELECT 1",
        ] {
            assert!(hint(text).contains("coral-pipeline migrate"), "{text}: {}", hint(text));
            assert_eq!(class(text), FaultClass::Stop, "{text}");
        }
        for text in [
            "Code: 60. DB::Exception: Table reef.federated_events does not exist. Maybe you meant reef.deployment_timeline?",
            "Code: 60. DB::Exception: Unknown table expression identifier 'federated_events' in scope SELECT 1 FROM \
             federated_events JOIN deployment_timeline",
            "Code: 60. DB::Exception: x.",
        ] {
            assert!(hint(text).contains("restore the table from a backup"), "{text}: {}", hint(text));
        }
    }

    #[test]
    fn a_value_blames_its_row() {
        assert_eq!(class("Code: 469. DB::Exception: Constraint `c` is violated"), FaultClass::Reject);
    }

    #[test]
    fn the_native_port_is_named() {
        let text = "Port 9000 is for clickhouse-client program\r\nYou must use port 8123 for HTTP.\r\n";
        let fault = Fault::from(Error::BadResponse(text.to_owned()));
        assert_eq!(fault.class, FaultClass::Stop);
        assert!(fault.hint.contains("8123 is HTTP"), "{}", fault.hint);
    }
}
