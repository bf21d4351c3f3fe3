//! SIGINT, SIGTERM and SIGHUP: the first asks a command to finish, a later one ends the process at once.
//!
//! A supervisor, a shell and a process group may deliver one request twice, so signals within a second of the first one
//! are ignored. So is every later hang-up, because a closed terminal does not ask again.

use crate::exit::{Exit, Failure};
use crate::output::Output;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A signal this soon after the first one is the same request.
const SAME_WISH: Duration = Duration::from_secs(1);

/// The received signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// SIGINT or SIGTERM.
    ToStop,
    /// SIGHUP: the terminal was closed, or a reload is requested.
    HangUp,
}

/// The handlers.
struct Handlers {
    interrupt: Signal,
    terminate: Signal,
    /// Absent if it was ignored at the start (`nohup`).
    hang_up: Option<Signal>,
}

impl Handlers {
    fn install() -> Result<Handlers, Failure> {
        let install = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Failed, "signals", "cannot install signal handlers").caused_by(Some(&error))
            })
        };
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Handlers {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
            hang_up: if ignores_hang_up(&status) { None } else { Some(install(SignalKind::hangup())?) },
        })
    }

    /// The same; a hang-up counts even if it was ignored at the start.
    fn install_all() -> Result<Handlers, Failure> {
        let handlers = Handlers::install()?;
        let hang_up = signal(SignalKind::hangup()).map_err(|error| {
            Failure::new(Exit::Failed, "signals", "cannot install signal handlers").caused_by(Some(&error))
        })?;
        Ok(Handlers { hang_up: Some(hang_up), ..handlers })
    }

    async fn next(&mut self) -> Asked {
        let Handlers { interrupt, terminate, hang_up } = self;
        let hung_up = async {
            match hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Asked::ToStop,
            _ = terminate.recv() => Asked::ToStop,
            _ = hung_up => Asked::HangUp,
        }
    }
}

/// Whether a process with this `/proc/self/status` was started with SIGHUP ignored.
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (SignalKind::hangup().as_raw_value() - 1)) != 0
}

/// Installs the handlers; the receiver becomes `true` at the first signal. Call it before anything slow.
///
/// Must run inside a tokio runtime. `on_first` is called once, to report that draining has begun. A signal that ends
/// the process is reported on `output` as the command's failure.
pub fn watch_shutdown(output: &Output, on_first: impl Fn() + Send + 'static) -> Result<watch::Receiver<bool>, Failure> {
    with_handlers(Handlers::install()?, None::<fn()>, output, on_first)
}

/// The same for a process without a terminal: a hang-up is no request to stop, but calls `on_hang_up`.
pub fn watch_shutdown_and_hang_ups(
    output: &Output,
    on_first: impl Fn() + Send + 'static,
    on_hang_up: impl Fn() + Send + 'static,
) -> Result<watch::Receiver<bool>, Failure> {
    with_handlers(Handlers::install_all()?, Some(on_hang_up), output, on_first)
}

fn with_handlers(
    mut handlers: Handlers,
    on_hang_up: Option<impl Fn() + Send + 'static>,
    output: &Output,
    on_first: impl Fn() + Send + 'static,
) -> Result<watch::Receiver<bool>, Failure> {
    let (sender, receiver) = watch::channel(false);
    let output = output.clone();
    tokio::spawn(async move {
        while let (Asked::HangUp, Some(on_hang_up)) = (handlers.next().await, &on_hang_up) {
            on_hang_up();
        }
        on_first();
        // the command may be over already
        let _ = sender.send(true);
        let first = Instant::now();
        while !is_asked_again(handlers.next().await, first.elapsed()) {}
        output.failure(&interrupted());
        #[expect(clippy::disallowed_methods, reason = "a second signal ends the process here and now")]
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(receiver)
}

/// Whether a signal this long after the first one is a second request, to stop at once.
fn is_asked_again(asked: Asked, since_first: Duration) -> bool {
    asked == Asked::ToStop && since_first >= SAME_WISH
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted", "interrupted before it was over")
        .hint("committed rows are kept; start again to resume")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_sent_twice_counts_once_and_a_hang_up_ends_nothing_at_once() {
        let after = |asked, ms| is_asked_again(asked, Duration::from_millis(ms));
        assert!(!after(Asked::ToStop, 0) && !after(Asked::ToStop, 999));
        assert!(after(Asked::ToStop, 1_000) && after(Asked::ToStop, 3_600_000));
        assert!(!after(Asked::HangUp, 0) && !after(Asked::HangUp, 3_600_000));
    }

    #[test]
    fn nohup_is_recognised_by_the_mask_of_ignored_signals() {
        assert!(ignores_hang_up("Name:\tcoral\nSigIgn:\t0000000000000001\nSigCgt:\t0\n"));
        assert!(!ignores_hang_up("Name:\tcoral\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hang_up(""));
    }
}
