//! Passes: one or two runs of the loop over the same recorded rows, shown to the user as one.

use super::ledger::Entry;
use super::{Recording, ReplayError};
use crate::config::ReefConfig;
use crate::error::RunError;
use crate::instruments::Instruments;
use crate::progress::{Ended, Progress, RunSummary};
use crate::replay::in_range::{InRange, Tally};
use crate::replay::kafka::Fixed;
use crate::replay::stored::recorded_sources;
use crate::run::restore::calls;
use crate::run::retry::commit_with_retry;
use crate::run::{Controls, DriveOptions, RunOptions, drive_with};
use sinks::{Commit, StoreReader, StoreWriter};
use sources::Source;
use std::sync::Arc;

/// One pass over the rows.
pub struct Run<'a> {
    /// The settings.
    pub config: &'a ReefConfig,
    /// Where the rows come from.
    pub recording: Recording,
    /// Which rows, and from where on.
    pub entry: &'a Entry,
    /// What of the recording stays the same in every pass.
    pub fixed: &'a Fixed,
    /// Whether the target stores rows and positions.
    pub is_kept: bool,
}

/// What a pass did.
pub struct Passed {
    /// Whether all rows went through.
    pub ended: Ended,
    /// Rows of the recording in the range, if countable.
    pub rows_in_range: Option<u64>,
    /// Rows read that lie outside the range.
    pub rows_outside: u64,
    /// None when the range is empty: then there was no run.
    pub summary: Option<RunSummary>,
}

/// The passes of one command.
pub struct Passes {
    count: u64,
    options: RunOptions,
    counted: Counted,
}

/// What the passes so far have counted.
#[derive(Clone, Copy, Default)]
struct Counted {
    events: u64,
    metrics: u64,
    rows: u64,
}

impl Passes {
    /// `count` passes over the same rows.
    pub fn new(count: u64, options: RunOptions) -> Passes {
        Passes { count, options, counted: Counted::default() }
    }

    /// Runs the next pass into `target`. After all rows, the replay is marked as done in a target that stores
    /// positions.
    pub async fn run(
        &mut self,
        run: &Run<'_>,
        mut target: Box<dyn StoreWriter>,
        reader: Option<&Arc<dyn StoreReader>>,
    ) -> Result<(Passed, Box<dyn StoreWriter>), ReplayError> {
        let instruments = Instruments::of(&self.options.registry, &self.options.clock);
        let sources =
            recorded_sources(run.config, run.recording, reader, run.entry, run.fixed, &self.options.clock).await?;
        // where a resumed replay begins, and how much there is
        let counts: Option<Vec<(u64, u64)>> = sources.iter().map(|source| source.progress_rows()).collect();
        let rows = counts.map(|counts| counts.iter().fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1)));
        let rows_in_range = rows.map(|(_, in_all)| in_all);
        if rows_in_range == Some(0) {
            let passed = Passed { ended: Ended::InputFinished, rows_in_range, rows_outside: 0, summary: None };
            return Ok((passed, target));
        }
        if let Some(positions) = run.entry.begun().filter(|_| run.is_kept) {
            let positions = vec![(run.entry.name().to_owned(), positions)];
            let begun = Commit { committed_at: self.options.clock.now(), positions, ..Commit::default() };
            commit_with_retry(target.as_mut(), &begun, &self.options.shutdown, instruments.commit_retries()).await?;
        }
        let tally = Arc::new(Tally::default());
        let in_range = |inner| -> Box<dyn Source> {
            Box::new(InRange::new(inner, run.entry.clone(), run.fixed.moved(), Arc::clone(&tally)))
        };
        let calls = match reader {
            Some(reader) => calls(reader.as_ref()).await?,
            None => Vec::new(),
        };
        let summary;
        let sources = sources.into_iter().map(in_range).collect();
        let is_resumed = run.entry.is_resumed();
        let with = DriveOptions { is_recorded: true, is_resumed, calls, ..DriveOptions::default() };
        (summary, target) = self.shown(run.config, target, (sources, with), (rows, &tally)).await?;
        if run.is_kept && summary.ended == Ended::InputFinished {
            let positions = vec![(run.entry.name().to_owned(), run.entry.done())];
            let (tick, committed_at) = (summary.progress.ticks, self.options.clock.now());
            let done = Commit { tick, committed_at, positions, ..Commit::default() };
            commit_with_retry(target.as_mut(), &done, &self.options.shutdown, instruments.commit_retries()).await?;
        }
        let rows_outside = tally.outside();
        Ok((Passed { ended: summary.ended, rows_in_range, rows_outside, summary: Some(summary) }, target))
    }

    /// The loop, with its snapshots converted to those of the whole command.
    async fn shown(
        &mut self,
        config: &ReefConfig,
        target: Box<dyn StoreWriter>,
        (sources, with): (Vec<Box<dyn Source>>, DriveOptions),
        (rows, tally): (Option<(u64, u64)>, &Tally),
    ) -> Result<(RunSummary, Box<dyn StoreWriter>), RunError> {
        // each pass counts its own rows, in a registry of its own
        let (options, Controls { progress: mut snapshots, .. }) =
            RunOptions::new(self.options.clock.clone(), self.options.network.clone());
        let options = RunOptions { shutdown: self.options.shutdown.clone(), ..options };
        let show = async {
            // ends when the loop drops its sender
            while snapshots.changed().await.is_ok() {
                let mut snapshot = snapshots.borrow_and_update().clone();
                snapshot.rows = snapshot.rows.or(rows);
                snapshot.event_time = tally.reached().or(snapshot.event_time);
                self.options.progress.send_replace(of_whole(self.counted, snapshot, self.count));
            }
        };
        let (driven, ()) = tokio::join!(drive_with(config, target, sources, options, with), show);
        let (mut summary, target) = driven?;
        summary.progress.event_time = tally.reached().or(summary.progress.event_time);
        self.counted.events += summary.progress.events;
        self.counted.metrics += summary.progress.metrics;
        self.counted.rows += summary.progress.rows.map_or(0, |(done, _)| done);
        Ok((summary, target))
    }
}

/// A snapshot of one pass as a snapshot of all of them: each pass reads the same rows.
fn of_whole(counted: Counted, mut snapshot: Progress, count: u64) -> Progress {
    snapshot.events += counted.events;
    snapshot.metrics += counted.metrics;
    snapshot.rows = snapshot.rows.map(|(done, in_all)| (counted.rows + done, in_all * count));
    snapshot
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Format, parse};
    use async_trait::async_trait;
    use mesh::Network;
    use model::clock::SystemClock;
    use model::rows::Rows;
    use sinks::compliance::rows::event;
    use sinks::memory::MemoryStore;
    use sources::{Batch, SourceError};
    use std::path::Path;

    /// Counts that are complete from the start: rows were deleted since the resumed call.
    struct Miscounted {
        batches_left: i64,
    }

    #[async_trait]
    impl Source for Miscounted {
        fn name(&self) -> &str {
            "miscounted"
        }
        fn is_finite(&self) -> bool {
            true
        }
        async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
            if self.batches_left == 0 {
                return Ok(None);
            }
            self.batches_left -= 1;
            let rows =
                Rows { events: vec![event(&self.batches_left.to_string(), self.batches_left)], ..Rows::default() };
            Ok(Some(Batch { rows, ..Batch::default() }))
        }
        fn progress_rows(&self) -> Option<(u64, u64)> {
            Some((1, 1))
        }
    }

    /// One pass over so many batches, stopped at its first rows if `stops`.
    async fn ended(batches: i64, stops: bool) -> Ended {
        let text = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n[engine]\nworkers = 1\n";
        let config = parse(text, Format::Toml, Path::new("reef.toml")).unwrap();
        let (options, Controls { progress: mut seen, stop }) = RunOptions::new(SystemClock::shared(), Network::plain());
        let passes = Passes::new(1, options);
        let sources: Vec<Box<dyn Source>> = vec![Box::new(Miscounted { batches_left: batches })];
        let tally = Tally::default();
        let stopping = async {
            while seen.changed().await.is_ok() && !*stop.borrow() {
                let has_rows = seen.borrow_and_update().events > 0;
                stop.send_replace(stops && has_rows);
            }
        };
        let pass = async {
            // dropped at the end, with what it sends snapshots to
            let mut passes = passes;
            let recorded = (sources, DriveOptions { is_recorded: true, ..DriveOptions::default() });
            passes.shown(&config, Box::new(MemoryStore::new()), recorded, (Some((1, 1)), &tally)).await
        };
        let (shown, ()) = tokio::join!(pass, stopping);
        shown.unwrap().0.ended
    }

    #[tokio::test]
    async fn a_pass_is_at_its_end_when_its_input_is_whatever_was_counted() {
        assert_eq!(ended(1_000, true).await, Ended::Stopped, "the counts say that all is done");
        assert_eq!(ended(3, false).await, Ended::InputFinished);
    }

    #[test]
    fn two_passes_count_as_one_that_reads_twice_as_much() {
        let at = |done: u64| Progress { events: done, rows: Some((done, 100)), ..Progress::default() };
        let mut shares = Vec::new();
        let mut counted = Counted::default();
        for pass in 0..2 {
            shares.extend([0, 40, 100].map(|done| of_whole(counted, at(done), 2)));
            counted = Counted { events: 100, metrics: 0, rows: 100 };
            assert_eq!(shares.len(), 3 * (pass + 1));
        }
        let rows: Vec<Option<(u64, u64)>> = shares.iter().map(|snapshot| snapshot.rows).collect();
        assert_eq!(rows, [(0, 200), (40, 200), (100, 200), (100, 200), (140, 200), (200, 200)].map(Some));
        assert!(shares.windows(2).all(|pair| pair[0].events <= pair[1].events), "counts only rise");
    }
}
