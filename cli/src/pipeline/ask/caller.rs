//! The client side: queries the process that runs the reef, or reads the store.

use super::question::{Answer, Question};
use super::{ANSWER_WAIT, CALLER_GRACE, socket_of};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::sockets::{is_absent, short};
use pipelines::config::{ReefConfig, StorageKind};
use pipelines::open::store;
use reef::Rules;
use sinks::SinkError;
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Sends the query and prints the response.
pub async fn ask(
    question: &Question,
    (config, path): (&ReefConfig, &Path),
    rules: Rules,
    output: &Output,
) -> Result<(), Failure> {
    let running = match &config.storage.kind {
        StorageKind::DuckDb { path } => ask_running(question, path).await?,
        StorageKind::ClickHouse { .. } => None,
    };
    let answer = match running {
        Some(answer) => answer,
        None => ask_store(question, config, rules).await.map_err(|error| store_failure(&error, path))?,
    };
    match answer {
        Answer::Found { document, page } => output.result(&document, |_| page),
        Answer::Unclear { ids } => Err(unclear(question, &ids, path)),
        Answer::Failed { message } => {
            Err(Failure::new(Exit::Failed, "not_answered", message).hint("ask again in a moment"))
        }
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

async fn ask_store(question: &Question, config: &ReefConfig, rules: Rules) -> Result<Answer, SinkError> {
    let reader = store::open_for_reading(config).await?;
    question.answer(reader.as_ref(), &store::describe(config), rules).await
}

fn store_failure(error: &SinkError, path: &Path) -> Failure {
    let failure = Failure::from_error(Exit::Failed, "store_failed", error);
    if error.hint.contains("another process has the file open") {
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
