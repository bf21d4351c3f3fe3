//! The client side: queries the process that runs the reef, or reads the store.

use super::question::{Answer, Question};
use super::{ANSWER_WAIT, CALLER_GRACE, socket_of};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::rules;
use crate::sockets::{is_absent, short};
use pipelines::config::{ReefConfig, StorageKind};
use pipelines::open::store;
use reef::answers::Refusal;
use reef::answers::refusal::RefusalKind;
use sinks::SinkError;
use sinks::error::FaultClass;
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Sends the query and prints the response.
pub async fn ask(question: &Question, reef: (&ReefConfig, &Path), output: &Output) -> Result<(), Failure> {
    let (document, page) = answer(question, reef).await?;
    output.result(&document, |_| page)
}

/// Sends the query: the response for programs and for people.
pub async fn answer(question: &Question, reef: (&ReefConfig, &Path)) -> Result<(serde_json::Value, String), Failure> {
    match response(question, reef).await? {
        Answer::Found { document, page } => Ok((document, page)),
        Answer::Unclear { ids } => Err(unclear(question, &ids, reef.1)),
        Answer::Refused { refusal } => Err(refused(&refusal)),
        Answer::Failed { message } => {
            Err(Failure::new(Exit::Failed, "not_answered", message).hint("ask again in a moment"))
        }
    }
}

/// Sends the query: the response as it comes.
pub async fn response(question: &Question, (config, path): (&ReefConfig, &Path)) -> Result<Answer, Failure> {
    let running = match &config.storage.kind {
        StorageKind::DuckDb { path } => ask_running(question, path).await?,
        StorageKind::ClickHouse { .. } => None,
    };
    match running {
        Some(answer) => Ok(answer),
        None => ask_store(question, config).await.map_err(|error| store_failure(&error, path)),
    }
}

/// Whether a process has the store open and listens beside it.
pub async fn is_answered(config: &ReefConfig) -> bool {
    let StorageKind::DuckDb { path } = &config.storage.kind else { return false };
    match short(&socket_of(path)) {
        Ok((path, _folder)) => UnixStream::connect(path).await.is_ok(),
        Err(_) => false,
    }
}

/// Asks the process that has the store open; `None` when there is none.
async fn ask_running(question: &Question, store: &Path) -> Result<Option<Answer>, Failure> {
    let socket = socket_of(store);
    let failed = |error: &io::Error| {
        let message = format!("the running reef does not answer at {}", socket.display());
        Failure::new(Exit::Failed, "not_answered", message).caused_by(Some(error))
    };
    let (path, _folder) = match short(&socket) {
        Ok(short) => short,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        // never created, or left over by a killed process
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let exchange = async {
        let line = serde_json::to_string(question)? + "\n";
        stream.write_all(line.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok::<Answer, io::Error>(serde_json::from_str(&text)?)
    };
    let wait = ANSWER_WAIT + CALLER_GRACE;
    match tokio::time::timeout(wait, exchange).await {
        Ok(answer) => answer.map(Some).map_err(|error| failed(&error)),
        Err(_) => {
            Err(failed(&io::Error::new(io::ErrorKind::TimedOut, format!("nothing came within {} s", wait.as_secs()))))
        }
    }
}

async fn ask_store(question: &Question, config: &ReefConfig) -> Result<Answer, SinkError> {
    let reader = store::open_for_reading(config).await?;
    question.answer(reader.as_ref(), &rules::known(config)).await
}

fn store_failure(error: &SinkError, path: &Path) -> Failure {
    let failure = Failure::from_error(Exit::Failed, "store_failed", error);
    if error.class == FaultClass::Busy {
        return Failure { code: "store_busy", ..failure }
            .hint("it is not a reef that answers queries, or one that is starting or stopping: try again in a moment");
    }
    if error.hint.contains("does not exist") {
        return Failure { code: "store_missing", exit: Exit::NotFound, ..failure }
            .hint(format!("run the reef first: coral-pipeline run {}", path.display()));
    }
    failure
}

fn unclear(question: &Question, ids: &[String], path: &Path) -> Failure {
    let Question::Show { id } = question else {
        return Failure::new(Exit::Failed, "internal", "the response does not match the request");
    };
    let all = format!("coral-pipeline report {} --all", path.display());
    match ids {
        [] => Failure::new(Exit::NotFound, "pattern_unknown", format!("there is no pattern {id}"))
            .hint("its id may have changed with the settings, or it was a candidate that no longer exists")
            .docs(all),
        ids => Failure::new(Exit::Usage, "pattern_ambiguous", format!("several patterns begin with {id}"))
            .hint(format!("give more of the id: {}", ids.join(", ")))
            .docs(all),
    }
}

fn refused(refusal: &Refusal) -> Failure {
    let (exit, code) = match refusal.kind {
        RefusalKind::NotFound => (Exit::NotFound, "not_found"),
        RefusalKind::Ambiguous => (Exit::Usage, "ambiguous"),
        RefusalKind::Invalid => (Exit::Usage, "invalid_argument"),
    };
    Failure::new(exit, code, refusal.message.clone()).hint(refusal.hint.clone())
}
