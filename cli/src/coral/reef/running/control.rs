//! Control of a running reef: the messages of its socket, which only its user can open, and their sender.

use crate::exit::{Exit, Failure};
use crate::sockets::{is_absent, short};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long a running reef may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// How it is.
    State,
    /// Drain and end.
    Stop,
    /// End at once, without draining.
    Abort,
    /// Read the configuration again.
    Reload,
    /// The same without putting it in force: what would change.
    Compare,
}

/// The response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// How it is.
    State {
        /// All of it.
        state: Box<RunState>,
    },
    /// It will end.
    Ending {
        /// The process.
        pid: u32,
    },
    /// What became of the new configuration.
    Reload {
        /// That.
        reload: Reload,
    },
    /// The request is none.
    NotUnderstood {
        /// Why.
        message: String,
    },
}

/// How a running reef is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// The reef.
    pub reef_id: String,
    /// The process.
    pub pid: u32,
    /// When the process started; RFC 3339.
    pub started_at: String,
    /// The configuration's file.
    pub config: PathBuf,
    /// The log of one in the background.
    pub log: Option<PathBuf>,
    /// `restoring`, `running` or `draining`.
    pub phase: String,
    /// Where its services listen.
    pub api: Option<String>,
    /// Where people look at it.
    #[serde(default)]
    pub dashboard: Option<String>,
    /// Its colonies.
    pub colonies: Vec<Link>,
    /// Number of the configuration in force: 1, and one more after each reload.
    pub generation: u64,
    /// Why the last reload was not applied, if it was not.
    pub reload_problem: Option<Vec<String>>,
}

/// A colony of a running reef.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The colony.
    pub colony_id: String,
    /// Whether it has responded to this run.
    pub connected: bool,
    /// Message of the last failure.
    pub error: String,
}

/// What became of a new configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Reload {
    /// It says the same.
    Unchanged,
    /// It cannot be used; the former one stays in force.
    Refused {
        /// What kind of reason it is; a process of an earlier version does not say.
        #[serde(default)]
        kind: Refusal,
        /// What is wrong.
        message: String,
        /// Every error in it.
        details: Vec<String>,
    },
    /// It is being put in force, or would be.
    Accepted {
        /// What differs.
        changed: Vec<Difference>,
        /// How many keys say the same.
        unchanged: usize,
        /// The number that it has once it is in force.
        generation: u64,
    },
}

/// Why a new configuration cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The file is wrong, or asks for what cannot change.
    #[default]
    Config,
    /// The file does not exist any more.
    Missing,
    /// A permission to read it is missing.
    Denied,
    /// The file may be right: the process ends, or takes another one.
    Busy,
}

impl Refusal {
    /// The kind of a failure to read the file.
    pub fn of(failure: &Failure) -> Refusal {
        match failure.exit {
            Exit::NotFound => Refusal::Missing,
            Exit::NotAuthorised => Refusal::Denied,
            _ => Refusal::Config,
        }
    }

    /// The exit code of a command to which it happens.
    pub fn exit(self) -> Exit {
        match self {
            Refusal::Config => Exit::Usage,
            Refusal::Missing => Exit::NotFound,
            Refusal::Denied => Exit::NotAuthorised,
            Refusal::Busy => Exit::Failed,
        }
    }
}

/// A key that says something else than before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The key, e.g. `correlation.max_lag`.
    pub key: String,
    /// Before; absent when it is new.
    pub from: Option<String>,
    /// Now; absent when it is no longer there.
    pub to: Option<String>,
}

/// Sends a request; `None` when no process listens at `socket`.
///
/// # Errors
/// When a process listens and does not answer.
pub async fn send(socket: &Path, request: Request) -> Result<Option<Reply>, Failure> {
    let failed = |error: &io::Error| {
        let message = format!("the running reef does not answer at {}", socket.display());
        Failure::new(Exit::Failed, "not_answered", message).caused_by(Some(error))
    };
    let (path, _folder) = match short(socket) {
        Ok(short) => short,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let exchange = async {
        let mut stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.write_all((serde_json::to_string(&request)? + "\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok::<Option<Reply>, io::Error>(Some(serde_json::from_str(&text)?))
    };
    match tokio::time::timeout(ANSWER_WAIT, exchange).await {
        Ok(reply) => reply.map_err(|error| failed(&error)),
        Err(_) => {
            let waited = format!("nothing came within {} s", ANSWER_WAIT.as_secs());
            Err(failed(&io::Error::new(io::ErrorKind::TimedOut, waited)))
        }
    }
}

/// The state of a running reef; `None` when it does not run, or was not started by `coral reef start`.
///
/// # Errors
/// As [`send`].
pub async fn state(socket: &Path) -> Result<Option<RunState>, Failure> {
    match send(socket, Request::State).await? {
        None => Ok(None),
        Some(Reply::State { state }) => Ok(Some(*state)),
        Some(other) => Err(unexpected(&other)),
    }
}

/// A reply that does not match the request.
pub fn unexpected(reply: &Reply) -> Failure {
    let detail = match reply {
        Reply::NotUnderstood { message } => message.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    Failure::new(Exit::Failed, "not_answered", "the running reef gave an unexpected answer")
        .detail(detail)
        .hint("it may be of another version: stop and start it")
}
