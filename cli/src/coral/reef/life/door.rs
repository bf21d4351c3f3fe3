//! The control socket of a running reef: requests of its user, answered one line each.

use super::super::running::control::{Refusal, Reload, Reply, Request};
use super::present::Present;
use crate::exit::Exit;
use crate::sockets::PrivateSocket;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Longest request, in bytes.
const REQUEST_BYTES_MAX: u64 = 4_096;
/// Callers that are answered at the same time.
const CALLERS_MAX: usize = 8;
/// How long a caller may take to ask, and then to take the answer.
const CALLER_WAIT: Duration = Duration::from_secs(10);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a caller wants of the run.
pub enum Wish {
    /// Drain and end.
    Stop,
    /// Read the configuration again; the result goes to the caller, if there is one.
    Reload(Option<oneshot::Sender<Reload>>),
    /// Read the configuration, and only say what a reload would do.
    Compare(oneshot::Sender<Reload>),
}

/// Answers until it is dropped.
pub async fn answer(socket: PrivateSocket, present: Present, wishes: mpsc::Sender<Wish>) {
    let mut callers = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.listener.accept(), if callers.len() < CALLERS_MAX => {
                let Ok((stream, _)) = accepted else {
                    // no descriptors left, for example: the socket stays ready
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let (present, wishes) = (present.clone(), wishes.clone());
                callers.spawn(async move {
                    // a caller that disconnects needs no response
                    let _ = serve(stream, &present, &wishes).await;
                });
            }
            Some(_) = callers.join_next(), if !callers.is_empty() => {}
        }
    }
}

async fn serve(stream: UnixStream, present: &Present, wishes: &mpsc::Sender<Wish>) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    let mut from = BufReader::new(from.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(CALLER_WAIT, from.read_line(&mut line)).await??;
    let request = serde_json::from_str::<Request>(&line);
    let reply = match &request {
        Ok(Request::State) => Reply::State { state: Box::new(present.state().await) },
        Ok(Request::Stop) => {
            let _ = wishes.send(Wish::Stop).await;
            Reply::Ending { pid: present.pid() }
        }
        Ok(Request::Abort) => Reply::Ending { pid: present.pid() },
        Ok(Request::Reload) => reload(wishes, |caller| Wish::Reload(Some(caller))).await,
        Ok(Request::Compare) => reload(wishes, Wish::Compare).await,
        Err(error) => Reply::NotUnderstood { message: format!("the request is not understood: {error}") },
    };
    let text = serde_json::to_string(&reply)? + "\n";
    tokio::time::timeout(CALLER_WAIT, to.write_all(text.as_bytes())).await??;
    to.shutdown().await?;
    if matches!(request, Ok(Request::Abort)) {
        #[expect(clippy::disallowed_methods, reason = "asked to end here and now, as by a second signal")]
        std::process::exit(Exit::Interrupted.code().into());
    }
    Ok(())
}

async fn reload(wishes: &mpsc::Sender<Wish>, wish: impl FnOnce(oneshot::Sender<Reload>) -> Wish) -> Reply {
    let (send, outcome) = oneshot::channel();
    let ending =
        || Reload::Refused { kind: Refusal::Busy, message: "the reef is ending".to_owned(), details: Vec::new() };
    if wishes.send(wish(send)).await.is_err() {
        return Reply::Reload { reload: ending() };
    }
    Reply::Reload { reload: outcome.await.unwrap_or_else(|_| ending()) }
}
