//! Panics: a panic in any thread or task ends the process with a message and exit code 1.
//!
//! Most are reported by the code that joins the thread or task. This is the safety net: a panic that is not joined, or
//! that leaves other threads waiting, still ends the process after a grace period. A panic on broken input, or at the
//! answer to a question, ends that alone.

use crate::exit::{Exit, Failure};
use crate::output::Output;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Grace period in which the command can end itself, with a better message.
const GRACE: Duration = Duration::from_secs(10);

/// From now on a panic ends the process, at the latest after the grace period.
pub fn end_on_panic(output: Output) {
    let tell_first = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if sources::guard::is_guarded() {
            // a library's panic on broken input: it is caught there, and becomes a fault of that input
            return;
        }
        tell_first(panic);
        if reef::guarded::is_guarded() {
            // an answer to a question: who has asked hears of it, and the run continues
            return;
        }
        let output = output.clone();
        after(GRACE, move || {
            output.failure(&unexpected());
            #[expect(clippy::disallowed_methods, reason = "something hangs after a panic: there is no other way out")]
            std::process::exit(Exit::Failed.code().into());
        });
    }));
}

fn unexpected() -> Failure {
    Failure::new(Exit::Failed, "internal", "internal error: a background thread panicked")
        .detail("the panic message is above, on standard error")
        .hint("everything up to the last commit is stored; start again to resume, and report the message")
}

/// Calls `end` after `grace`, on its own thread. If the thread cannot be started, calls it at once.
fn after(grace: Duration, end: impl FnOnce() + Send + 'static) {
    let wait = move || {
        let (_nobody_sends, never) = sync_channel::<()>(1);
        let _ = never.recv_timeout(grace);
        end();
    };
    let _ = std::thread::Builder::new().name("after-panic".to_owned()).spawn(wait);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_end_comes_after_the_grace_without_anybody_waiting() {
        let (ended, end) = sync_channel(1);
        after(Duration::from_millis(1), move || ended.send(unexpected()).unwrap());
        let failure = end.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!((failure.exit, failure.code), (Exit::Failed, "internal"));
    }
}
