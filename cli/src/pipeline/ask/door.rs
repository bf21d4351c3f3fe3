//! The server side in a running reef: a Unix socket beside its store, which only the same user can open.

use super::question::{Answer, Question, analyzed, selected};
use super::{PIECES_MAX, links, since_start, socket_of};
use crate::pipeline::rules::Known;
use crate::sockets::PrivateSocket;
use mesh::{LinkStatus, Network};
use pipelines::progress::{Phase, Progress};
use pipelines::run::RunningReef;
use reef::analysis::{Analyst, AnalyzeQuestion};
use reef::answers::status::RunFacts;
use reef::api::Doors;
use reef::guarded::{Guarded, fault};
use reef::sql::{SqlEngine, SqlQuestion};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

/// Longest question, in bytes: it may name many colonies, or be a statement whose text is escaped.
const QUESTION_BYTES_MAX: u64 = 1 << 20;
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
    /// Where the services of the run are.
    pub doors: Option<Doors>,
    /// How long the store may take to answer; shorter than a caller waits, so that the caller hears why nothing came.
    pub answer_wait: Duration,
    /// Who answers questions in words.
    pub analyst: Arc<Analyst>,
    /// Who answers questions in SQL.
    pub sql: SqlEngine,
}

/// Answers until it is dropped, from the moment on that the run has its store. Each caller has a task with a reader of the
/// store, so that none can delay the run. A socket that cannot be opened costs the answers and not the run.
pub async fn answer_at(store: &Path, reef: RunningReef, facts: Facts) {
    // by then the store is open and locked: a socket that is there is left over
    if reef.reader().await.is_none() {
        return;
    }
    let door = match PrivateSocket::open(&socket_of(store)) {
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
                    // a caller that disconnects needs no response
                    let _ = Guarded::new(serve(stream, place, &reef, &facts)).await;
                });
            }
            Some(_) = callers.join_next() => {}
        }
    }
}

/// Answers a caller, who has a place. A question in words gives it back: a model would keep it, and the analyst has a limit
/// of its own.
async fn serve(stream: UnixStream, place: OwnedSemaphorePermit, reef: &RunningReef, facts: &Facts) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    let mut from = BufReader::new(from.take(QUESTION_BYTES_MAX));
    tokio::time::timeout(CALLER_WAIT, from.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(Question::Analyze { about, streamed }) => {
            drop(place);
            let answer = analyze((&about, streamed), reef, facts, &mut to).await?;
            return written(&answer, to).await;
        }
        Ok(Question::Sql { about }) => tokio::select! {
            answer = select(&about, reef, facts) => answer,
            // a caller that has gone: its statement ends
            () = gone(&mut from) => return Ok(()),
        },
        Ok(question) => asked(question, reef, facts).await,
        Err(error) => Answer::Failed { message: format!("the question is not understood: {error}") },
    };
    written(&answer, to).await
}

/// Writes the answer, which ends the call.
async fn written(answer: &Answer, mut to: OwnedWriteHalf) -> io::Result<()> {
    let mut text = serde_json::to_string(answer)?;
    text.push('\n');
    tokio::time::timeout(CALLER_WAIT, to.write_all(text.as_bytes())).await??;
    to.shutdown().await
}

/// Waits until the caller closes its side, which it does only when it ends.
async fn gone(from: &mut (impl AsyncReadExt + Unpin)) {
    let mut byte = [0];
    while from.read(&mut byte).await.is_ok_and(|count| count > 0) {}
}

async fn select(about: &SqlQuestion, reef: &RunningReef, facts: &Facts) -> Answer {
    let Some(reader) = reef.reader().await else {
        return Answer::Failed { message: "the reef is ending; ask its store".to_owned() };
    };
    match tokio::time::timeout(facts.answer_wait, selected(&facts.sql, about, &reader, &facts.known)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed { message: error.to_string() },
        Err(_) => Answer::Failed { message: busy(facts) },
    }
}

/// The answer to a question; of one that panics, what its caller has to know.
async fn asked(question: Question, reef: &RunningReef, facts: &Facts) -> Answer {
    let (reef, facts) = (reef.clone(), facts.clone());
    // dropped with the caller, which ends it
    let mut answers = JoinSet::new();
    answers.spawn(Guarded::new(async move { ask(question, &reef, &facts).await }));
    match answers.join_next().await {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => Answer::Failed { message: fault("question", &error) },
        None => Answer::Failed { message: "the question was not begun".to_owned() },
    }
}

async fn ask(question: Question, reef: &RunningReef, facts: &Facts) -> Answer {
    let Some(reader) = reef.reader().await else {
        return Answer::Failed { message: "the reef is ending; ask its store".to_owned() };
    };
    let (is_status, is_plain) = (question.is_status(), matches!(question, Question::Plain { .. }));
    let question = question.answered_by(run_facts(&reef.progress().borrow(), facts));
    let answer = question.answer(&reader, &facts.known);
    match tokio::time::timeout(facts.answer_wait, answer).await {
        Ok(Ok(Answer::Found { document, page })) if !is_plain => {
            let tunnels = facts.network.status().await;
            let intro = !is_status;
            with_progress((document, page), intro, &reef.progress().borrow(), &tunnels)
        }
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed { message: error.to_string() },
        Err(_) => Answer::Failed { message: busy(facts) },
    }
}

/// Writes the pieces of an analysis, each on its line; returns the answer.
async fn analyze(
    question: (&AnalyzeQuestion, bool),
    reef: &RunningReef,
    facts: &Facts,
    to: &mut OwnedWriteHalf,
) -> io::Result<Answer> {
    let since = Instant::now();
    let Some(reader) = reef.reader().await else {
        return Ok(Answer::Failed { message: "the reef is ending; ask its store".to_owned() });
    };
    let (pieces, mut made) = mpsc::channel(PIECES_MAX);
    let answered = async {
        // the channel closes with this future
        let pieces = pieces;
        let answer =
            analyzed((facts.analyst.as_ref(), since), question, (reader.as_ref(), &facts.known), Some(&pieces));
        tokio::time::timeout(facts.answer_wait.saturating_sub(since.elapsed()), answer).await
    };
    let passed_on = async {
        while let Some(piece) = made.recv().await {
            let line = serde_json::to_string(&piece)? + "\n";
            tokio::time::timeout(CALLER_WAIT, to.write_all(line.as_bytes())).await??;
        }
        Ok::<(), io::Error>(())
    };
    // a caller that has gone costs no more tokens
    let (answer, ()) = tokio::try_join!(async { Ok::<_, io::Error>(answered.await) }, passed_on)?;
    Ok(match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed { message: error.to_string() },
        Err(_) => Answer::Failed { message: busy(facts) },
    })
}

fn busy(facts: &Facts) -> String {
    format!("the reef is busy: its store gave no answer within {} s", facts.answer_wait.as_secs())
}

/// What the run says of itself in its status.
fn run_facts(progress: &Progress, facts: &Facts) -> RunFacts {
    let state = match progress.phase {
        Phase::Restoring => "restoring",
        Phase::Running => "running",
        Phase::Draining => "draining",
    };
    RunFacts {
        state: state.to_owned(),
        uptime_seconds: since_start().as_secs(),
        api_url: facts.doors.as_ref().map(|doors| format!("http://{}", doors.api)),
        dashboard_url: facts.doors.as_ref().and_then(|doors| doors.dashboard.clone()),
    }
}

/// Adds the responding process, its progress and its tunnels to the response; `intro` says it for people too.
fn with_progress(
    (mut document, page): (Value, String),
    intro: bool,
    progress: &Progress,
    tunnels: &[LinkStatus],
) -> Answer {
    let pid = std::process::id();
    if let Value::Object(fields) = &mut document {
        fields
            .insert("running".to_owned(), json!({ "pid": pid, "progress": progress, "mesh": links::as_json(tunnels) }));
    }
    if !intro {
        return Answer::Found { document, page };
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
