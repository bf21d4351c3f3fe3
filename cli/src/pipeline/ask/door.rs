//! The server side in a running reef: a Unix socket beside its store, which only the same user can open.

use super::question::{Answer, Question};
use super::{links, socket_of};
use crate::pipeline::rules::Known;
use crate::sockets::short;
use mesh::{LinkStatus, Network};
use pipelines::progress::Progress;
use pipelines::run::RunningReef;
use serde_json::{Value, json};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Longest question, in bytes.
const QUESTION_BYTES_MAX: u64 = 4_096;
/// Callers that are answered at the same time.
const CALLERS_MAX: usize = 8;
/// How long a caller may take to ask, and then to take the answer.
const CALLER_WAIT: Duration = Duration::from_secs(30);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Data needed for every response.
#[derive(Clone)]
pub struct Facts {
    /// What answers need beside the store.
    pub known: Known,
    /// The tunnels to colonies.
    pub network: Network,
    /// How long the store may take to answer; shorter than a caller waits, so that the caller hears why nothing came.
    pub answer_wait: Duration,
}

/// The socket; removed when dropped.
struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// What was made at the path: the next run may have made its own there by the time this one ends.
    made: Option<(u64, u64)>,
}

/// Device and number of what lies at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

impl Drop for Door {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Door {
    /// Opens the socket for this user only. The caller has the store locked, so an existing socket is left over.
    fn open(store: &Path) -> io::Result<Door> {
        let path = socket_of(store);
        // created in a private folder, so that it is never open to other users
        let mut private = path.as_os_str().to_owned();
        private.push(".new");
        let private = PathBuf::from(private);
        let _ = std::fs::remove_dir_all(&private);
        DirBuilder::new().mode(0o700).create(&private)?;
        let made = || -> io::Result<(UnixListener, Option<(u64, u64)>)> {
            let new = private.join("s");
            let (bound, _folder) = short(&new)?;
            let listener = UnixListener::bind(bound)?;
            std::fs::set_permissions(&new, Permissions::from_mode(0o600))?;
            let made = identity(&new);
            std::fs::rename(&new, &path)?;
            Ok((listener, made))
        };
        let made = made();
        let _ = std::fs::remove_dir_all(&private);
        let (listener, made) = made?;
        Ok(Door { listener, path, made })
    }
}

/// Answers until it is dropped, from the moment on that the run has its store. Each caller has a task with a reader of the
/// store, so that none can delay the run. A socket that cannot be opened costs the answers and not the run.
pub async fn answer_at(store: &Path, reef: RunningReef, facts: Facts) {
    // by then the store is open and locked
    if reef.reader().await.is_none() {
        return;
    }
    let door = match Door::open(store) {
        Ok(door) => door,
        Err(error) => {
            let path = socket_of(store);
            tracing::warn!(path = %path.display(), %error, "this run answers no queries: its socket cannot be opened");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(CALLERS_MAX));
    let mut callers = JoinSet::new();
    loop {
        tokio::select! {
            accepted = door.listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // no descriptors left, for example: the socket stays ready
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { continue };
                let (reef, facts) = (reef.clone(), facts.clone());
                callers.spawn(async move {
                    let _place = place;
                    // a caller that disconnects needs no response
                    let _ = serve(stream, &reef, &facts).await;
                });
            }
            Some(_) = callers.join_next() => {}
        }
    }
}

async fn serve(stream: UnixStream, reef: &RunningReef, facts: &Facts) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    let mut from = BufReader::new(from.take(QUESTION_BYTES_MAX));
    tokio::time::timeout(CALLER_WAIT, from.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) => ask(question, reef, facts).await,
        Err(error) => Answer::Failed { message: format!("the question is not understood: {error}") },
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    tokio::time::timeout(CALLER_WAIT, to.write_all(text.as_bytes())).await??;
    to.shutdown().await
}

async fn ask(question: Question, reef: &RunningReef, facts: &Facts) -> Answer {
    let Some(reader) = reef.reader().await else {
        return Answer::Failed { message: "the reef is ending; ask its store".to_owned() };
    };
    let answer = question.answer(reader.as_ref(), &facts.known);
    match tokio::time::timeout(facts.answer_wait, answer).await {
        Ok(Ok(Answer::Found { document, page })) => {
            let tunnels = facts.network.status().await;
            with_progress((document, page), &reef.progress().borrow(), &tunnels)
        }
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed { message: error.to_string() },
        Err(_) => {
            let waited = facts.answer_wait.as_secs();
            Answer::Failed { message: format!("the reef is busy: its store gave no answer within {waited} s") }
        }
    }
}

/// Adds the responding process, its progress and its tunnels to the response.
fn with_progress((mut document, page): (Value, String), progress: &Progress, tunnels: &[LinkStatus]) -> Answer {
    let pid = std::process::id();
    if let Value::Object(fields) = &mut document {
        fields
            .insert("running".to_owned(), json!({ "pid": pid, "progress": progress, "mesh": links::as_json(tunnels) }));
    }
    let to = progress.event_time.map_or(String::new(), |time| format!(", up to event time {time}"));
    let colonies = match progress.colonies {
        (_, 0) => String::new(),
        (answering, expected) => format!(", {answering} of {expected} colonies answering"),
    };
    let tunnels: String = links::as_lines(tunnels).iter().map(|line| format!("{line}\n")).collect();
    Answer::Found {
        document,
        page: format!("As the running reef has it (PID {pid}{to}{colonies}):\n{tunnels}\n{page}"),
    }
}
