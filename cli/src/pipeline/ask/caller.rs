//! The client side: queries the process that runs the reef, or reads the store.

use super::question::{Answer, Question, analyzed, selected};
use super::{ANSWER_WAIT, CALLER_GRACE, PIECES_MAX, socket_of};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::{rules, sql};
use crate::sockets::{is_absent, short};
use crate::waiting::Waiting;
use model::clock::SystemClock;
use pipelines::config::{ReefConfig, StorageKind};
use pipelines::open::store;
use reef::analysis::{Analyst, Piece};
use reef::answers::Refusal;
use reef::answers::refusal::RefusalKind;
use sinks::SinkError;
use sinks::error::FaultClass;
use std::io;
use std::path::Path;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Why a store that is read without its reef has no model.
const STOPPED: &str = "the reef is stopped: only a running one asks a language model";

/// How a statement may end without an answer.
const ENDS: [&str; 4] = ["fault", "statement_failed", "timed_out", "too_large"];

/// Sends the query and prints the response.
pub async fn ask(question: &Question, reef: (&ReefConfig, &Path), output: &Output) -> Result<(), Failure> {
    let waiting = Waiting::start("waiting for the answer", None, output);
    let (document, page) = answer(question, reef).await?;
    drop(waiting);
    output.result(&document, |_| page)
}

/// Sends the query: the response for programs and for people.
pub async fn answer(question: &Question, reef: (&ReefConfig, &Path)) -> Result<(serde_json::Value, String), Failure> {
    answer_in_pieces(question, reef, &mut |_| {}).await
}

/// The same; each piece of an answer that is being made is passed on.
pub async fn answer_in_pieces(
    question: &Question,
    reef: (&ReefConfig, &Path),
    pass_on: &mut (dyn FnMut(&Piece) + Send),
) -> Result<(serde_json::Value, String), Failure> {
    concluded(response_in_pieces(question, reef, pass_on).await?, question, reef.1)
}

/// The response of the process that answers beside this store, whatever the reef's file says; `None` when there is none.
pub async fn answer_of_running(
    question: &Question,
    store: &Path,
    pass_on: &mut (dyn FnMut(&Piece) + Send),
) -> Result<Option<(serde_json::Value, String)>, Failure> {
    let answer = ask_running(question, store, pass_on).await?;
    answer.map(|answer| concluded(answer, question, store)).transpose()
}

fn concluded(answer: Answer, question: &Question, path: &Path) -> Result<(serde_json::Value, String), Failure> {
    match answer {
        Answer::Found { document, page } => Ok((document, page)),
        Answer::Unclear { ids } => Err(unclear(question, &ids, path)),
        Answer::Refused { refusal } => Err(refused(&refusal)),
        Answer::Limited { message, retry_after_seconds } => {
            Err(Failure::new(Exit::Failed, "resource_exhausted", message)
                .hint(format!("ask again in {retry_after_seconds} s")))
        }
        Answer::Ended { code, message, hint } => {
            let code = ENDS.into_iter().find(|known| **known == code).unwrap_or("not_answered");
            Err(Failure::new(Exit::Failed, code, message).hint(hint))
        }
        Answer::Failed { message } => {
            Err(Failure::new(Exit::Failed, "not_answered", message).hint("ask again in a moment"))
        }
    }
}

/// Sends the query: the response as it comes.
pub async fn response(question: &Question, reef: (&ReefConfig, &Path)) -> Result<Answer, Failure> {
    response_in_pieces(question, reef, &mut |_| {}).await
}

async fn response_in_pieces(
    question: &Question,
    (config, path): (&ReefConfig, &Path),
    pass_on: &mut (dyn FnMut(&Piece) + Send),
) -> Result<Answer, Failure> {
    let running = match &config.storage.kind {
        StorageKind::DuckDb { path } => ask_running(question, path, pass_on).await?,
        StorageKind::ClickHouse { .. } => None,
    };
    match running {
        Some(answer) => Ok(answer),
        None => ask_store(question, config, pass_on).await.map_err(|error| store_failure(&error, path)),
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
async fn ask_running(
    question: &Question,
    store: &Path,
    pass_on: &mut (dyn FnMut(&Piece) + Send),
) -> Result<Option<Answer>, Failure> {
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
        let mut lines = BufReader::new(stream).lines();
        // pieces first, if any, then the answer
        loop {
            let line = lines.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match serde_json::from_str::<Piece>(&line) {
                Ok(piece) => pass_on(&piece),
                Err(_) => return Ok::<Answer, io::Error>(serde_json::from_str(&line)?),
            }
        }
    };
    let wait = ANSWER_WAIT + CALLER_GRACE;
    match tokio::time::timeout(wait, exchange).await {
        Ok(answer) => answer.map(Some).map_err(|error| failed(&error)),
        Err(_) => {
            Err(failed(&io::Error::new(io::ErrorKind::TimedOut, format!("nothing came within {} s", wait.as_secs()))))
        }
    }
}

async fn ask_store(
    question: &Question,
    config: &ReefConfig,
    pass_on: &mut (dyn FnMut(&Piece) + Send),
) -> Result<Answer, SinkError> {
    let since = Instant::now();
    let reader = store::open_for_reading(config).await?;
    let known = rules::known(config);
    if let Question::Sql { about } = question {
        return selected(&sql::beside_a_run(config), about, &reader, &known).await;
    }
    let Question::Analyze { about, streamed } = question else {
        return question.answer(&reader, &known).await;
    };
    let (pieces, mut made) = mpsc::channel(PIECES_MAX);
    // a model is asked by the process of the reef, which counts and records what it costs
    let analyst = Analyst::recording(&config.ai.journal_file, SystemClock::shared());
    let analyst = analyst.or_without(config.ai.llm.as_ref().map(|_| STOPPED.to_owned()));
    let answered = async {
        // the channel closes with this future
        let pieces = pieces;
        analyzed((&analyst, since), (about, *streamed), (reader.as_ref(), &known), Some(&pieces)).await
    };
    let passed_on = async {
        while let Some(piece) = made.recv().await {
            pass_on(&piece);
        }
    };
    tokio::join!(answered, passed_on).0
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::help_errors::CODES;
    use reef::sql::SqlQuestion;

    #[test]
    fn each_end_of_a_statement_keeps_its_code_and_is_explained() {
        let question = Question::Sql { about: SqlQuestion::default() };
        for end in ["fault", "statement_failed", "timed_out", "too_large"] {
            let answer =
                Answer::Ended { code: end.to_owned(), message: "why".to_owned(), hint: "what to do".to_owned() };
            let failure = concluded(answer, &question, Path::new("reef.toml")).unwrap_err();
            assert_eq!(failure.code, end);
            assert!(CODES.iter().any(|(code, ..)| *code == end), "{end}");
        }
    }
}
