//! SIGINT and SIGTERM: the first asks a command to finish, the second ends the process at once.

use crate::exit::{Exit, Failure};
use crate::output::Output;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Installs the handlers; the receiver turns `true` at the first signal. To be called before anything slow.
///
/// Must run inside a tokio runtime. `on_first` is called once, to tell the user that draining has begun; a second signal is
/// told on `output` as the command's failure.
pub fn watch_shutdown(output: &Output, on_first: impl Fn() + Send + 'static) -> Result<watch::Receiver<bool>, Failure> {
    let install = |kind| {
        signal(kind).map_err(|error| {
            Failure::new(Exit::Failed, "signals", "cannot install signal handlers").caused_by(Some(&error))
        })
    };
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut terminate = install(SignalKind::terminate())?;
    let (sender, receiver) = watch::channel(false);
    let output = output.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        on_first();
        // the command may be over already
        let _ = sender.send(true);
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        output.failure(&interrupted());
        #[expect(clippy::disallowed_methods, reason = "the second signal ends the process here and now")]
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(receiver)
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted", "interrupted before it was over")
        .hint("what was committed is kept; start again to go on from there")
}
