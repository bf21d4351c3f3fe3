//! Guarded: an answer whose panic ends only the answer; a panic hook asks whether the thread that panics is at one.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::{JoinError, JoinHandle};
use tokio_stream::Stream;

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is at the answer to a question of others. Its panic is theirs to hear of: a panic hook must not end
/// the process, which runs a reef.
pub fn is_guarded() -> bool {
    IS_GUARDED.get()
}

/// A future that answers a question of others. Its task ends with a panic of it, the process does not.
pub struct Guarded<F>(Pin<Box<F>>);

impl<F: Future> Guarded<F> {
    /// The same future, guarded.
    pub fn new(answer: F) -> Guarded<F> {
        Guarded(Box::pin(answer))
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _within = Within::enter();
        self.0.as_mut().poll(context)
    }
}

/// A guarded future as a task of its own, which is aborted when its caller no longer waits.
pub struct Call<T>(JoinHandle<T>);

impl<T: Send + 'static> Call<T> {
    /// Begins it.
    pub fn spawn(answer: impl Future<Output = T> + Send + 'static) -> Call<T> {
        Call(tokio::spawn(Guarded::new(answer)))
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A stream whose panic ends only the stream.
pub struct GuardedStream<S>(Pin<Box<S>>);

impl<S: Stream> GuardedStream<S> {
    /// The same stream, guarded.
    pub fn new(stream: S) -> GuardedStream<S> {
        GuardedStream(Box::pin(stream))
    }
}

impl<S: Stream> Stream for GuardedStream<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        within(|| self.0.as_mut().poll_next(context))
    }
}

/// The same for work on a thread that waits for it.
pub fn within<T>(work: impl FnOnce() -> T) -> T {
    let _within = Within::enter();
    work()
}

/// Writes the panic of `what` (`call`) to the log under an id, and returns what its caller reads of it.
pub fn fault(what: &str, error: &JoinError) -> String {
    // of each hasher's own random keys
    let fault = format!("fault-{:08x}", RandomState::new().hash_one(()) as u32);
    tracing::error!(%error, %fault, what, "an answer has panicked; everything else continues");
    format!("this {what} hit a fault in the reef ({fault}); its log has the details under this id")
}

/// One poll; ends also with a panic. Holds what was so before.
struct Within(bool);

impl Within {
    fn enter() -> Within {
        Within(IS_GUARDED.replace(true))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        IS_GUARDED.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::sync::oneshot;
    use tokio_stream::StreamExt;

    #[tokio::test]
    async fn each_fault_has_an_id_of_its_own() {
        let told = async || {
            let panicked = tokio::spawn(Guarded::new(async { assert!(!is_guarded(), "planted") })).await;
            fault("call", &panicked.unwrap_err())
        };
        let (one, other) = (told().await, told().await);
        assert!(one.starts_with("this call hit a fault in the reef (fault-") && one != other, "{one} {other}");
    }

    #[tokio::test]
    async fn a_call_ends_with_its_caller() {
        let (sender, ended) = oneshot::channel::<()>();
        let call = Call::spawn(async move {
            let _held = sender;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        drop(call);
        assert!(ended.await.is_err(), "what it holds is dropped");
        assert!(Call::spawn(async { is_guarded() }).await.unwrap());
        assert!(GuardedStream::new(tokio_stream::once(()).map(|()| is_guarded())).next().await.unwrap());
    }

    #[tokio::test]
    async fn a_thread_is_guarded_while_it_is_at_the_answer_and_at_no_other_time() {
        assert!(!is_guarded());
        assert!(Guarded::new(async { is_guarded() }).await);
        let panicked = tokio::spawn(Guarded::new(async { assert!(!is_guarded(), "planted") })).await;
        assert!(panicked.is_err_and(|error| error.is_panic()));
        assert!(!is_guarded(), "a panic ends it");
        // an answer that waits leaves the thread to other tasks
        let (send, receive) = oneshot::channel();
        let waiting = tokio::spawn(Guarded::new(async {
            receive.await.unwrap();
            is_guarded()
        }));
        tokio::task::yield_now().await;
        assert!(!is_guarded());
        send.send(()).unwrap();
        assert!(waiting.await.unwrap());
    }
}
