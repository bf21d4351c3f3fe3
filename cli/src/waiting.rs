//! Waiting: shows that a command works while it has nothing to print yet.
//!
//! On a terminal a moving line appears within a tenth of a second, and is gone before anything else is printed. Elsewhere
//! there is a plain line once a second has passed, and then one every ten.

use crate::output::Output;
use crate::screen;
use indicatif::{ProgressBar, ProgressStyle};
use model::time::format_duration_ms;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When something is shown first, and how often after that.
#[derive(Clone, Copy, Debug)]
struct Pace {
    first: Duration,
    every: Duration,
}

const FRAMES: Pace = Pace { first: Duration::from_millis(60), every: Duration::from_millis(100) };
const LINES: Pace = Pace { first: Duration::from_secs(1), every: Duration::from_secs(10) };

/// A command that waits, until it is dropped. Nothing may be printed on stdout meanwhile.
#[must_use = "it ends when it is dropped"]
pub struct Waiting(Option<(SyncSender<()>, JoinHandle<()>)>);

/// What is waited for, and the longest that it may take.
struct Line {
    doing: &'static str,
    at_most: Option<Duration>,
}

impl Waiting {
    /// Says that the command is `doing` something (`waiting for the answer`), which ends after `at_most`, if that is known.
    pub fn start(doing: &'static str, at_most: Option<Duration>, output: &Output) -> Waiting {
        if !output.is_attended() {
            return Waiting(None);
        }
        let pace = if output.animated() { FRAMES } else { LINES };
        Waiting::paced(Line { doing, at_most }, pace, output)
    }

    fn paced(line: Line, pace: Pace, output: &Output) -> Waiting {
        let (end, ended) = sync_channel::<()>(0);
        let output = output.clone();
        let show = move || {
            let (began, mut bar) = (Instant::now(), None);
            let mut wait = pace.first;
            // the sender is dropped at the end
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = pace.every;
                let text = line.text(began.elapsed());
                if output.animated() {
                    let bar: &mut ProgressBar = bar.get_or_insert_with(spinner);
                    bar.set_message(text);
                    bar.tick();
                } else {
                    output.message(&text);
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        };
        // without a thread nothing is shown; the command does not depend on it
        let thread = std::thread::Builder::new().name("waiting".to_owned()).spawn(show);
        Waiting(thread.ok().map(|thread| (end, thread)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            // its last frame must be gone before the command prints
            let _ = thread.join();
        }
    }
}

impl Line {
    fn text(&self, elapsed: Duration) -> String {
        let shown = |time: Duration| format_duration_ms(i64::try_from(time.as_secs()).unwrap_or(0) * 1_000);
        let at_most = self.at_most.map(|most| format!(", at most {}", shown(most))).unwrap_or_default();
        match elapsed.as_secs() {
            0 => format!("{}{at_most}", self.doing),
            _ => format!("{} · {}{at_most}", self.doing, shown(elapsed)),
        }
    }
}

fn spinner() -> ProgressBar {
    let bar = screen::show(ProgressBar::new_spinner());
    let style = ProgressStyle::with_template("{spinner} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_until_the_wait_ends() {
        let (output, captured) = Output::captured(true);
        let pace = Pace { first: Duration::ZERO, every: Duration::from_millis(1) };
        let waiting = Waiting::paced(Line { doing: "waiting for the answer", at_most: None }, pace, &output);
        let began = Instant::now();
        while captured.stderr().lines().count() < 3 {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is shown");
            std::thread::yield_now();
        }
        drop(waiting);
        let told = captured.stderr();
        assert!(told.starts_with("waiting for the answer\n"), "{told}");
        assert_eq!(captured.stdout(), "");
    }

    #[test]
    fn a_command_that_nobody_waits_for_says_nothing() {
        let (output, captured) = Output::captured(false);
        drop(Waiting::start("waiting for the answer", None, &output));
        assert_eq!(captured.stderr(), "");
    }

    #[test]
    fn a_line_says_how_long_it_takes_and_how_long_it_may() {
        let line = |at_most: Option<u64>| Line { doing: "waiting", at_most: at_most.map(Duration::from_secs) };
        assert_eq!(line(None).text(Duration::from_millis(999)), "waiting");
        assert_eq!(line(None).text(Duration::from_millis(12_900)), "waiting · 12s");
        assert_eq!(line(Some(300)).text(Duration::from_secs(61)), "waiting · 1m1s, at most 5m");
    }
}
