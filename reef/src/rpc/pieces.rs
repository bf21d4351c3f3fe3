//! Pieces of a streamed analysis: what has been done, text, then one last piece with everything, also where it fails.

use super::convert::analysis::analysed;
use super::{errors, wire};
use crate::analysis::{Admitted, Analysis, AnalysisError, Analyst, Asked, Piece};
use crate::answers::Scope;
use crate::guarded::{Guarded, fault};
use buffa::MessageField;
use connectrpc::{ConnectError, ServiceStream};
use sinks::StoreReader;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::Stream;

/// Pieces that may wait for a slow caller.
const WAITING_MAX: usize = 8;

type Sent = Result<wire::AnalysisChunk, ConnectError>;

/// A stream, and the task that fills it; the task ends with the stream.
struct Filled {
    received: mpsc::Receiver<Sent>,
    task: JoinHandle<()>,
}

impl Stream for Filled {
    type Item = Sent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Sent>> {
        self.received.poll_recv(context)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The pieces of an analysis.
pub(super) fn stream(
    analyst: Arc<Analyst>,
    asked: (Admitted, Asked),
    (reader, scope): (Arc<dyn StoreReader>, Scope),
) -> ServiceStream<wire::AnalysisChunk> {
    let (sender, received) = mpsc::channel(WAITING_MAX);
    let task = tokio::spawn(async move {
        // dropped with the stream, which aborts it
        let mut answers = JoinSet::new();
        let pieces = sender.clone();
        answers.spawn(Guarded::new(async move { fill(&analyst, asked, (reader.as_ref(), &scope), &pieces).await }));
        let last = match answers.join_next().await {
            Some(Ok(last)) => last,
            Some(Err(error)) => failed(&fault("question", &error)),
            None => failed("the question was not begun"),
        };
        let _ = sender.send(Ok(last)).await;
    });
    Box::pin(Filled { received, task })
}

/// Sends the pieces; returns the last one.
async fn fill(
    analyst: &Analyst,
    (admitted, asked): (Admitted, Asked),
    from: (&dyn StoreReader, &Scope),
    sender: &mpsc::Sender<Sent>,
) -> wire::AnalysisChunk {
    let (pieces, mut made) = mpsc::channel(WAITING_MAX);
    let answered = async {
        // the channel closes with this future, so that the other one ends
        let pieces = pieces;
        analyst.answer(admitted, &asked, from, Some(&pieces)).await
    };
    let passed_on = async {
        while let Some(piece) = made.recv().await {
            let _ = sender.send(Ok(chunk(piece))).await;
        }
    };
    let (answer, ()) = tokio::join!(answered, passed_on);
    last(answer)
}

fn chunk(piece: Piece) -> wire::AnalysisChunk {
    match piece {
        Piece::Status(status) => wire::AnalysisChunk { status, ..Default::default() },
        Piece::Text(content) => wire::AnalysisChunk { content, ..Default::default() },
    }
}

/// The last piece: everything, or why there is nothing.
fn last(answer: Result<Analysis, AnalysisError>) -> wire::AnalysisChunk {
    match answer {
        Ok(analysis) => wire::AnalysisChunk {
            complete: true,
            r#final: MessageField::some(analysed(analysis)),
            status: "done".to_owned(),
            ..Default::default()
        },
        Err(error) => failed(&errors::of_analysis(error).message.unwrap_or_default()),
    }
}

/// The last piece of an analysis that has no answer.
fn failed(message: &str) -> wire::AnalysisChunk {
    let answer = wire::AnalyzeResponse { answer: format!("No answer: {message}"), ..Default::default() };
    wire::AnalysisChunk {
        complete: true,
        r#final: MessageField::some(answer),
        status: format!("failed: {message}"),
        ..Default::default()
    }
}
