//! Speed, progress and remaining time of a run, computed from its snapshots.

use pipelines::progress::Progress;
use std::collections::VecDeque;

/// The displayed speed is the average over this recent time.
const WINDOW_MS: u64 = 10_000;

/// Time left is not guessed from less than this.
const ETA_AFTER_MS: u64 = 2_000;

/// What a display shows beside the snapshot itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Rows read.
    pub rows: u64,
    /// Recent speed.
    pub rows_per_second: f64,
    /// Share of finite input that has been read, 0..=1. Never falls.
    pub done: Option<f64>,
    /// Time left until all finite input has been read. Never rises.
    pub left_ms: Option<u64>,
}

/// Turns snapshots into readings. It has no clock.
#[derive(Debug, Default)]
pub struct Meter {
    /// (elapsed, rows) of recent snapshots, oldest first.
    recent: VecDeque<(u64, u64)>,
    /// Elapsed time and input read at the first snapshot that knows: what a resumed run had behind it is not its speed.
    first_read: Option<(u64, u64)>,
    done: f64,
    left_ms: Option<u64>,
}

impl Meter {
    /// Adds a snapshot taken `elapsed_ms` after the start.
    pub fn read(&mut self, progress: &Progress, elapsed_ms: u64) -> Reading {
        let rows = progress.events + progress.metrics;
        Reading {
            rows,
            rows_per_second: self.speed(rows, elapsed_ms),
            done: self.share(progress),
            left_ms: self.left(progress, elapsed_ms),
        }
    }

    fn speed(&mut self, rows: u64, elapsed_ms: u64) -> f64 {
        self.recent.push_back((elapsed_ms, rows));
        while self.recent.len() > 2 && self.recent[1].0 + WINDOW_MS <= elapsed_ms {
            self.recent.pop_front();
        }
        let (from_ms, from_rows) = self.recent[0];
        per_second(rows.saturating_sub(from_rows), elapsed_ms.saturating_sub(from_ms))
    }

    fn share(&mut self, progress: &Progress) -> Option<f64> {
        let (read, in_all) = progress.input().filter(|(_, in_all)| *in_all > 0)?;
        self.done = self.done.max((read as f64 / in_all as f64).min(1.0));
        Some(self.done)
    }

    fn left(&mut self, progress: &Progress, elapsed_ms: u64) -> Option<u64> {
        let (read, in_all) = progress.input().filter(|(_, in_all)| *in_all > 0)?;
        let (from_ms, from_read) = *self.first_read.get_or_insert((elapsed_ms, read));
        let (took_ms, moved) = (elapsed_ms.saturating_sub(from_ms), read.saturating_sub(from_read));
        if took_ms < ETA_AFTER_MS || moved == 0 {
            return self.left_ms;
        }
        let guess = in_all.saturating_sub(read) as f64 * took_ms as f64 / moved as f64;
        let left_ms = self.left_ms.map_or(guess as u64, |before| before.min(guess as u64));
        self.left_ms = Some(left_ms);
        self.left_ms
    }
}

/// Rows per second; 0 before any time has passed.
pub fn per_second(rows: u64, elapsed_ms: u64) -> f64 {
    if elapsed_ms == 0 { 0.0 } else { rows as f64 * 1000.0 / elapsed_ms as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rows: u64, bytes: (u64, u64)) -> Progress {
        Progress { events: rows, bytes: Some(bytes), ..Progress::default() }
    }

    #[test]
    fn speed_is_that_of_recent_time() {
        let mut meter = Meter::default();
        meter.read(&at(0, (0, 100)), 0);
        assert_eq!(meter.read(&at(1_000, (1, 100)), 1_000).rows_per_second, 1_000.0);
        // nothing for a long time: the burst at the start is forgotten
        for seconds in 2..30 {
            meter.read(&at(1_000, (1, 100)), seconds * 1_000);
        }
        assert_eq!(meter.read(&at(1_000, (1, 100)), 30_000).rows_per_second, 0.0);
    }

    #[test]
    fn share_never_falls_and_time_left_never_rises() {
        let mut meter = Meter::default();
        let mut last = (0.0, u64::MAX);
        // speeds up, stalls, and reports fewer bytes than before
        for (elapsed_ms, read) in [(0, 0), (3_000, 10), (6_000, 50), (20_000, 51), (21_000, 40), (30_000, 90)] {
            let reading = meter.read(&at(read, (read, 100)), elapsed_ms);
            let now = (reading.done.unwrap_or(0.0), reading.left_ms.unwrap_or(u64::MAX));
            assert!(now.0 >= last.0 && now.1 <= last.1, "{last:?} -> {now:?} at {elapsed_ms}");
            last = now;
        }
        assert_eq!(last, (0.9, 3_333));
    }

    #[test]
    fn rows_of_a_recording_are_a_share_too() {
        let mut meter = Meter::default();
        let mut last = (0.0, u64::MAX);
        // the second of two passes is slower than the first
        for (elapsed_ms, read) in
            [(0, 0), (3_000, 500), (5_000, 1_000), (6_000, 1_000), (30_000, 1_500), (60_000, 2_000)]
        {
            let progress = Progress { rows: Some((read, 2_000)), ..Progress::default() };
            let reading = meter.read(&progress, elapsed_ms);
            let now = (reading.done.unwrap_or(0.0), reading.left_ms.unwrap_or(u64::MAX));
            assert!(now.0 >= last.0 && now.1 <= last.1, "{last:?} -> {now:?} at {elapsed_ms}");
            last = now;
        }
        assert_eq!(last, (1.0, 0));
    }

    #[test]
    fn a_resumed_run_does_not_count_old_bytes_as_speed() {
        let mut meter = Meter::default();
        meter.read(&at(0, (80, 100)), 0);
        // 10 bytes in 10 s, 10 bytes to go
        assert_eq!(meter.read(&at(0, (90, 100)), 10_000).left_ms, Some(10_000));
    }

    #[test]
    fn input_without_an_end_has_no_share() {
        let reading = Meter::default().read(&Progress::default(), 10_000);
        assert_eq!((reading.done, reading.left_ms), (None, None));
    }
}
