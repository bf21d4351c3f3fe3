//! Shows the progress of a run: a redrawn line on a terminal, otherwise an occasional plain line.

use super::meter::{Meter, Reading};
use super::progress_line::progress_line;
use crate::output::Output;
use crate::screen;
use indicatif::{ProgressBar, ProgressStyle};
use pipelines::progress::{Phase, Progress};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two plain lines when something has changed.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Between two plain lines when nothing has.
const IDLE_LINE_EVERY: Duration = Duration::from_secs(600);

/// Between two frames on a terminal.
const FRAME_EVERY: Duration = Duration::from_millis(200);

/// Steps of a bar that is full.
const BAR_STEPS: u64 = 1_000;

/// Shows snapshots until the sender is dropped.
pub async fn show(mut progress: watch::Receiver<Progress>, output: Output) {
    let started = Instant::now();
    let mut view = View::new(output);
    let mut meter = Meter::default();
    let mut clock = tokio::time::interval(view.every());
    let mut phase = None;
    loop {
        let ended = tokio::select! {
            _ = clock.tick() => false,
            changed = progress.changed() => changed.is_err(),
        };
        let snapshot = progress.borrow_and_update().clone();
        let elapsed = started.elapsed();
        let reading = meter.read(&snapshot, u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        let is_news = phase.replace(snapshot.phase) != Some(snapshot.phase) || ended;
        view.draw(&snapshot, &reading, elapsed, is_news);
        if ended {
            return view.close();
        }
    }
}

enum View {
    /// One line that is redrawn.
    Moving { bar: ProgressBar, output: Output, last: Option<Duration> },
    /// Plain lines.
    Lines { output: Output, state: LineState },
}

/// The state shown by the last plain line.
#[derive(Default)]
struct LineState {
    last: Option<(Duration, Progress)>,
}

impl LineState {
    /// Whether `progress` is worth a line now. A tick without rows is no change: an idle reef evaluates too.
    fn is_due(&mut self, progress: &Progress, elapsed: Duration, is_news: bool) -> bool {
        let now = Progress { ticks: 0, ..progress.clone() };
        let is_due = match &self.last {
            None => true,
            Some((at, before)) => {
                let every = if *before != now { LINE_EVERY } else { IDLE_LINE_EVERY };
                // a timer may fire a little early
                let is_time = elapsed + LINE_EVERY / 10 >= *at + every;
                is_time || (is_news && *before != now)
            }
        };
        if is_due {
            self.last = Some((elapsed, now));
        }
        is_due
    }
}

impl View {
    fn new(output: Output) -> View {
        if !output.animated() {
            return View::Lines { output, state: LineState::default() };
        }
        let bar = screen::show(ProgressBar::new(BAR_STEPS));
        bar.set_style(spinner());
        View::Moving { bar, output, last: None }
    }

    fn every(&self) -> Duration {
        match self {
            View::Moving { .. } => FRAME_EVERY,
            View::Lines { .. } => LINE_EVERY,
        }
    }

    /// Draws when it is time to, or when there is news.
    fn draw(&mut self, progress: &Progress, reading: &Reading, elapsed: Duration, is_news: bool) {
        match self {
            View::Lines { output, state } => {
                if state.is_due(progress, elapsed, is_news) {
                    output.message(&progress_line(progress, reading, output.message_style()));
                }
            }
            View::Moving { bar, output, last } => {
                let is_time = last.is_none_or(|last| elapsed + FRAME_EVERY / 10 >= last + FRAME_EVERY);
                if !is_time && !is_news {
                    return;
                }
                *last = Some(elapsed);
                if let (Some(done), Phase::Running) = (reading.done, progress.phase) {
                    bar.set_style(filling());
                    bar.set_position((done * BAR_STEPS as f64) as u64);
                }
                bar.tick();
                bar.set_message(progress_line(progress, reading, output.message_style()));
            }
        }
    }

    fn close(self) {
        if let View::Moving { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn filling() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {bar:10} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_terminal_there_are_plain_lines_at_every_phase_and_at_the_end() {
        let (output, captured) = Output::captured(false);
        let (sender, receiver) = watch::channel(Progress::default());
        let shown = tokio::spawn(show(receiver, output));
        // a receiver may miss a snapshot, never the last one
        let _ = sender.send(Progress { phase: Phase::Running, events: 5, ..Progress::default() });
        let _ = sender.send(Progress { phase: Phase::Draining, events: 7, rejects: 1, ..Progress::default() });
        drop(sender);
        assert!(shown.await.is_ok());
        let text = captured.stderr();
        assert!(text.lines().count() >= 1, "{text}");
        assert!(text.contains("draining · patterns 0 confirmed, 0 candidates · rejects 1 · 7 rows"), "{text}");
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text:?}");
        assert_eq!(captured.stdout(), "");
    }

    #[test]
    fn a_line_comes_when_something_has_changed_and_else_every_ten_minutes() {
        let mut state = LineState::default();
        let at = |seconds: u64| Duration::from_secs(seconds);
        let idle = |ticks: u64| Progress { phase: Phase::Running, events: 5, ticks, ..Progress::default() };
        assert!(state.is_due(&Progress::default(), at(0), true));
        assert!(!state.is_due(&Progress::default(), at(1), true), "the end says nothing twice");
        assert!(state.is_due(&idle(0), at(1), true), "a new phase");
        let lines = (1..=90).filter(|round| state.is_due(&idle(*round), at(1 + round * 10), false)).count();
        assert_eq!(lines, 1, "fifteen idle minutes");
        let busy = |round: u64| Progress { events: round, ..idle(round) };
        let lines = (91..=100).filter(|round| state.is_due(&busy(*round), at(1 + round * 10), false)).count();
        assert_eq!(lines, 10);
        assert!(!state.is_due(&busy(101), at(1_003), false), "not more often than every ten seconds");
    }
}
