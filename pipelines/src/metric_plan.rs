//! Metric plan: what metric pairs will take of the memory, refused before it is taken.
//!
//! A run knows the series of a tick before the engine does. What they will take follows from their number, the length of
//! their buckets and the look-back (`operators::metrics::memory`), and from how often an open bucket is received again; a
//! run over finite input plans with the rows that came instead, if these are fewer. Where the pairs of all of them cannot be kept ready for each minute, the engine looks at
//! them tile by tile, which takes longer and less memory. Beyond that the run ends with the number of series that would
//! fit.

use crate::config::ReefConfig;
use crate::memory::{Memory, Origin};
use crate::open::params;
use model::chunks::Metrics;
use model::time::{MINUTE_MS, SECOND_MS, TimeMs, format_duration_ms};
use operators::metrics::memory::{Amount, MetricMemory};

/// Coefficients that a worker computes in a second, tile by tile: half of the ten million of `docs/evaluation/metrics.md`
/// (one instant of 400 series from scratch), so that a stated time is rather too long.
const COEFFICIENTS_PER_SECOND: u64 = 5_000_000;
/// Instants whose pairs are all looked at again in a look: now, and the end of the last hour.
const INSTANTS: u64 = 2;
/// Looks take one part in so many of the time (`run/pace.rs`).
const LOOK_SHARE: i64 = 5;

/// The plan, and the series that a run has seen.
#[derive(Clone, Debug)]
pub struct MetricPlan {
    memory: MetricMemory,
    workers: usize,
    /// What the limit leaves; `None` where no limit is known.
    allowed_bytes: Option<u64>,
    limit_bytes: u64,
    is_configured: bool,
    /// Whether rows come without an end, so that every series grows as old as the look-back.
    is_endless: bool,
    /// What came of each series, by its number.
    known: Vec<Known>,
    /// The newest row.
    newest: Option<TimeMs>,
    /// What came.
    amount: Amount,
    /// What the series are once they are as old as the look-back.
    full: Amount,
    /// Whether the engine looks at pairs tile by tile.
    is_streamed: bool,
}

/// What came of a series.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Whether it has a place in the engine, which it keeps for good.
    is_placed: bool,
    /// Rows; none once the engine has forgotten them.
    rows: u32,
    last: TimeMs,
    /// Samples in the last bucket: more when it comes again and was open.
    count: Option<u64>,
    interval_seconds: Option<u32>,
}

/// There are more series than the memory has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the metric pairs of {series} series would take {} MiB, and {} leaves {} MiB of {} MiB to them: about {fits} series like \
     these fit. Everything up to the last commit is stored: raise {}, read fewer series, or shorten \
     correlation.metric_window and correlation.max_lag",
    .needed_bytes >> 20,
    if *.is_configured { "engine.memory_limit" } else { "this machine or container" },
    .allowed_bytes >> 20,
    .limit_bytes >> 20,
    if *.is_configured { "engine.memory_limit" } else { "the memory" }
)]
pub struct TooManySeries {
    /// Those seen.
    pub series: u64,
    /// What they would take.
    pub needed_bytes: u64,
    /// What there is for them.
    pub allowed_bytes: u64,
    /// What the program plans with.
    pub limit_bytes: u64,
    /// By `engine.memory_limit`.
    pub is_configured: bool,
    /// How many like these fit.
    pub fits: u64,
}

impl MetricPlan {
    /// The plan of a reef.
    pub fn of(config: &ReefConfig, memory: &Memory) -> MetricPlan {
        let workers = config.engine.workers;
        MetricPlan {
            memory: MetricMemory::new(params::from_config(config).metrics, workers, config.engine.hosts.len()),
            workers,
            allowed_bytes: params::metric_bytes(config, memory),
            limit_bytes: memory.limit_bytes,
            is_configured: memory.origin == Origin::Configured,
            is_endless: false,
            known: Vec::new(),
            newest: None,
            amount: Amount::default(),
            full: Amount::default(),
            is_streamed: false,
        }
    }

    /// Rows come without an end.
    pub(crate) fn set_endless(&mut self) {
        self.is_endless = true;
    }

    /// How many series with buckets of this length are kept ready for each minute; `None` where no limit is known.
    pub fn fits(&self, interval_seconds: u32) -> Option<u64> {
        self.allowed_bytes.map(|allowed| self.memory.fits(allowed, Some(interval_seconds)))
    }

    /// How many fit at most, looked at tile by tile; `None` where no limit is known.
    pub fn fits_streamed(&self, interval_seconds: u32) -> Option<u64> {
        self.allowed_bytes.map(|allowed| self.memory.fits_streamed(allowed, Some(interval_seconds)))
    }

    /// Whether the engine looks at pairs tile by tile.
    pub(crate) fn is_streamed(&self) -> bool {
        self.is_streamed
    }

    /// About how often pairs of so many series are looked at tile by tile: a look takes a fifth of that.
    fn every_ms(&self, series: u64) -> i64 {
        let pairs = series.saturating_mul(series.saturating_sub(1)) / 2;
        let coefficients = pairs.saturating_mul(self.memory.lags(Some(60)) * INSTANTS);
        let seconds = coefficients / (COEFFICIENTS_PER_SECOND * self.memory.workers_of_all());
        i64::try_from(seconds).unwrap_or(i64::MAX / LOOK_SHARE / SECOND_MS) * SECOND_MS * LOOK_SHARE
    }

    /// The plan in a sentence; `None` where no limit is known.
    pub fn text(&self) -> Option<String> {
        let (minutes, quarters, allowed) = (self.fits(60)?, self.fits(900)?, self.allowed_bytes? >> 20);
        let most = self.fits_streamed(60)?;
        let workers = if self.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", self.workers) };
        Some(format!(
            "up to {minutes} series of one-minute buckets, or {quarters} of 15 minutes, over the whole look-back are looked \
             at each minute, more than these tile by tile, {most} of one minute about every {}: {allowed} MiB of {} MiB, \
             {workers}; a run with more is refused",
            self.every_text(most),
            self.limit_bytes >> 20
        ))
    }

    /// [`MetricPlan::every_ms`] in words, a minute at least: rows come by the minute.
    fn every_text(&self, series: u64) -> String {
        format_duration_ms(self.every_ms(series).max(MINUTE_MS) / MINUTE_MS * MINUTE_MS)
    }

    /// Counts rows that the engine is about to take.
    ///
    /// # Errors
    /// When their series do not fit.
    pub(crate) fn take(&mut self, metrics: &Metrics) -> Result<(), TooManySeries> {
        let (before, resent_before) = (self.full.usable, self.amount.resent);
        let named = metrics.chunks().iter().flat_map(|chunk| chunk.series().iter().zip(chunk.times()));
        let statistics = metrics.chunks().iter().flat_map(|chunk| chunk.statistics());
        for ((series, at), statistics) in named.zip(statistics) {
            let place = series.index();
            if place >= self.known.len() {
                self.known.resize(place + 1, Known::default());
            }
            let interval = series.interval_seconds;
            let known = &mut self.known[place];
            if known.rows > 0 && known.last == *at && known.count != statistics.count() {
                known.count = statistics.count();
                self.amount.resent += 1;
                continue;
            }
            if !known.is_placed {
                self.amount.series += 1;
            }
            if known.rows == 0 {
                self.full.usable += 1;
                self.full.prepared += self.memory.prepared_of(interval);
                self.full.rows += self.memory.rows_of(interval);
            }
            let (rows, last) = (known.rows.saturating_add(1), known.last.max(*at));
            let count = if *at == last { statistics.count() } else { known.count };
            *known = Known { is_placed: true, rows, last, count, interval_seconds: interval };
            if u64::from(rows) == self.memory.usable_from(interval) {
                self.amount.usable += 1;
                self.amount.prepared += self.memory.prepared_of(interval);
            }
            self.newest = self.newest.max(Some(*at));
        }
        let resent = self.amount.resent - resent_before;
        self.amount.rows += metrics.len() as u64 - resent;
        let has_more = self.full.usable > before || resent > 0 || (!self.is_endless && !metrics.is_empty());
        let checked = if has_more { self.check() } else { Ok(()) };
        self.note_way();
        checked
    }

    fn check(&mut self) -> Result<(), TooManySeries> {
        let Some(allowed_bytes) = self.allowed_bytes else { return Ok(()) };
        if self.memory.bytes(self.planned()) > allowed_bytes {
            self.forget();
        }
        let (series, planned) = (self.amount.series, self.planned());
        let needed_bytes = self.memory.streamed_bytes(planned);
        if needed_bytes <= allowed_bytes {
            return Ok(());
        }
        let (limit_bytes, is_configured) = (self.limit_bytes, self.is_configured);
        let fits = self.memory.fits_like(allowed_bytes, planned);
        Err(TooManySeries { series, needed_bytes, allowed_bytes, limit_bytes, is_configured, fits })
    }

    /// Notes how the engine looks at the rows that it has, and says so when that changes.
    fn note_way(&mut self) {
        let Some(allowed_bytes) = self.allowed_bytes else { return };
        let series = self.amount.series;
        // the engine decides by its samples, of which each bucket has one
        let is_streamed = self.memory.bytes(Amount { resent: 0, ..self.present() }) > allowed_bytes;
        if is_streamed && !self.is_streamed {
            let every = self.every_text(series);
            tracing::info!(series, %every, "more metric series than are kept ready: pairs are looked at tile by tile");
        }
        self.is_streamed = is_streamed;
    }

    /// What is in the engine now.
    fn present(&self) -> Amount {
        self.amount.with_rows(self.amount.rows.min(self.full.rows))
    }

    fn planned(&self) -> Amount {
        let Amount { series, .. } = self.amount;
        match self.is_endless {
            true => Amount { series, resent: self.amount.with_rows(self.full.rows).resent, ..self.full },
            false => self.present(),
        }
    }

    /// Takes out the rows of series of which none is young enough to be kept.
    fn forget(&mut self) {
        let Some(newest) = self.newest else { return };
        let (horizon, before) = (newest - self.memory.keep_ms(), self.amount);
        let Amount { usable, prepared, rows, .. } = &mut self.amount;
        for known in self.known.iter_mut().filter(|known| known.rows > 0 && known.last < horizon) {
            let interval = known.interval_seconds;
            self.full.usable -= 1;
            self.full.prepared -= self.memory.prepared_of(interval);
            self.full.rows -= self.memory.rows_of(interval);
            if u64::from(known.rows) >= self.memory.usable_from(interval) {
                *usable -= 1;
                *prepared -= self.memory.prepared_of(interval);
            }
            *rows = rows.saturating_sub(u64::from(known.rows));
            known.rows = 0;
        }
        self.amount.resent = before.with_rows(self.amount.rows).resent;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Format, parse};
    use model::metric::MetricPoint;
    use model::series::SeriesRef;
    use model::time::MINUTE_MS;
    use std::ops::Range;
    use std::path::Path;

    fn plan(limit: &str) -> MetricPlan {
        let text = format!(
            "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nmetrics = [\"m.csv\"]\n[engine]\nworkers = 2\n\
             memory_limit = \"{limit}\"\n"
        );
        let config = parse(&text, Format::Toml, Path::new("reef.toml")).unwrap();
        MetricPlan::of(&config, &Memory::of(config.engine.memory_limit_bytes))
    }

    fn rows(series: Range<u64>, minutes: i64) -> Metrics {
        rows_of(series, 0..minutes)
    }

    fn rows_of(series: Range<u64>, minutes: Range<i64>) -> Metrics {
        let of = |number: u64| {
            let service_id = format!("planned-{number}");
            let series = SeriesRef {
                interval_seconds: Some(60),
                ..fixtures::series("shop-production", &service_id, "latency_ms")
            };
            minutes.clone().map(|minute| fixtures::point(series, TimeMs(minute * MINUTE_MS), 1.0)).collect::<Vec<_>>()
        };
        series.flat_map(of).collect()
    }

    #[test]
    fn endless_series_are_planned_with_the_whole_look_back_and_refused_with_the_number_that_fits() {
        let mut plan = plan("256MiB");
        plan.set_endless();
        let fits = plan.fits_streamed(60).unwrap();
        assert!((3..200).contains(&fits) && fits >= plan.fits(60).unwrap(), "{fits}");
        assert_eq!(plan.take(&rows(0..fits, 1)), Ok(()));
        // the same series again, and no series
        assert_eq!((plan.take(&rows(0..fits, 3)), plan.take(&Metrics::default())), (Ok(()), Ok(())));
        let refused = plan.take(&rows(fits..fits + 1, 1)).unwrap_err();
        assert_eq!((refused.series, refused.fits), (fits + 1, fits));
        let text = refused.to_string();
        assert!(text.contains(&format!("about {fits} series like these fit")), "{text}");
        assert!(text.contains("raise engine.memory_limit") && text.contains("of 256 MiB"), "{text}");
    }

    #[test]
    fn open_buckets_that_are_received_again_are_planned_with_all_their_states() {
        let mut plan = plan("256MiB");
        plan.set_endless();
        let fits = plan.fits_streamed(60).unwrap();
        let with_count = |count: u64| -> Metrics {
            rows(0..fits, 1).rows().map(|row| MetricPoint { count: Some(count), ..row.point() }).collect()
        };
        assert_eq!(plan.take(&with_count(1)), Ok(()));
        assert_eq!(plan.take(&with_count(1)), Ok(()), "the same row again is no other state");
        let refused = plan.take(&with_count(2)).unwrap_err();
        assert!(refused.series == fits && refused.fits < fits, "{refused:?}");
    }

    #[test]
    fn finite_input_is_planned_with_its_rows() {
        let mut plan = plan("256MiB");
        let fits = plan.fits_streamed(60).unwrap();
        assert_eq!(plan.take(&rows(0..2 * fits, 10)), Ok(()), "they are short");
        let refused = std::iter::repeat_with(|| plan.take(&rows(0..2 * fits, 1_000))).take(20).find_map(Result::err);
        let refused = refused.unwrap();
        assert!(refused.fits < refused.series && refused.needed_bytes > refused.allowed_bytes, "{refused:?}");
    }

    #[test]
    fn series_that_ended_before_the_look_back_make_room_for_others_until_they_come_back() {
        let mut plan = plan("256MiB");
        plan.set_endless();
        let count = plan.fits_streamed(60).unwrap() - 1;
        let later = 20 * 24 * 60;
        assert_eq!(plan.take(&rows(0..count, 1)), Ok(()));
        assert_eq!(plan.take(&rows_of(count..2 * count, later..later + 1)), Ok(()));
        let refused = plan.take(&rows_of(0..count, later + 1..later + 2)).unwrap_err();
        assert_eq!(refused.series, 2 * count);
    }

    #[test]
    fn the_plan_is_a_sentence_with_both_numbers() {
        let (small, large) = (plan("256MiB"), plan("4GiB"));
        let text = small.text().unwrap();
        let numbers = [small.fits(60).unwrap(), small.fits(900).unwrap()];
        assert!(text.starts_with(&format!("up to {} series of one-minute buckets, or {} of", numbers[0], numbers[1])));
        assert!(text.contains("2 workers") && numbers[1] > numbers[0], "{text}");
        let most = large.fits_streamed(60).unwrap();
        assert!(large.fits(60).unwrap() > 10 * numbers[0] && most >= large.fits(60).unwrap());
        // 400 series take 3.6 s at an instant, and half of that on two workers
        let measured_ms = 3_600 * INSTANTS as i64 / 2 * LOOK_SHARE;
        assert!(small.every_ms(400) >= measured_ms, "{} of {measured_ms}", small.every_ms(400));
        assert!(text.contains("tile by tile") && large.every_ms(4 * most) > 10 * large.every_ms(most), "{text}");
    }

    #[test]
    fn more_series_than_are_kept_ready_are_looked_at_tile_by_tile_before_any_is_refused() {
        // usable series with few rows: their pairs take more than their rows
        let mut plan = plan("256MiB");
        let mut series = 0;
        let refused = loop {
            let was_streamed = plan.is_streamed();
            if let Err(refused) = plan.take(&rows(series..series + 50, 1_200)) {
                break refused;
            }
            assert!(plan.is_streamed() || !was_streamed, "and stay so");
            series += 50;
        };
        assert!(plan.is_streamed() && refused.series > series, "{refused:?}");
    }
}
