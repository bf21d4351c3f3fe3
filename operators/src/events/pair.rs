//! One pair of event types, exactly: the e-value over all windows, and the best window (methods, steps 1 to 6).

use crate::events::background::{TargetRate, chance_levels, count_hits};
use crate::events::evalue::LogFactorials;
use crate::events::span::Span;
use crate::events::windows::{HitCounter, Window, Windows};
use libm::{exp, log};

/// Fewest eligible sources and fewest targets of an eligible pair.
pub const ONSETS_MIN: usize = 3;

/// What the onsets of a pair say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairResult {
    /// Logarithm of the e-value, averaged over windows by their prior.
    pub log_e: f64,
    /// Eligible sources.
    pub source_count: usize,
    /// Of these, followed by a target in the best window.
    pub hits: usize,
    /// The window with the greatest share in the e-value.
    pub window: Window,
    /// Chance level in it.
    pub chance: f64,
    /// Certainty factor in it, 0..1: share of sources beyond chance that are followed by a target.
    pub score: f64,
}

/// Tables and buffers for evaluating pairs with the same windows.
#[derive(Clone, Debug)]
pub struct PairScorer {
    /// The windows.
    pub windows: Windows,
    log_factorials: LogFactorials,
    forward: HitCounter,
    shifted: HitCounter,
}

impl PairScorer {
    /// For lags up to `max_lag_min` minutes.
    pub fn new(max_lag_min: u32) -> PairScorer {
        let windows = Windows::new(max_lag_min);
        let (forward, shifted) = (HitCounter::new(&windows), HitCounter::new(&windows));
        PairScorer { windows, log_factorials: LogFactorials::default(), forward, shifted }
    }

    /// The logarithm of the e-value of one window.
    pub fn log_e(&mut self, source_count: usize, hits: usize, chance: f64) -> f64 {
        self.log_factorials.log_e(source_count, hits, chance)
    }

    /// Evaluates a pair from the onsets in `span`, rising; `None` when it is not eligible.
    ///
    /// ```
    /// use coral_operators::events::{background::TargetRate, pair::PairScorer, span::Span};
    /// use model::time::{DAY_MS, TimeMs};
    /// let span = Span { origin: TimeMs(0), instant: TimeMs(30 * DAY_MS) };
    /// // every 35 hours, followed after 17 minutes
    /// let sources: Vec<i64> = (1..20).map(|i| i * 35 * 3_600_000).collect();
    /// let targets: Vec<i64> = sources.iter().map(|at| at + 17 * 60_000).collect();
    /// let mut scorer = PairScorer::new(240);
    /// let rate = TargetRate::learn(&targets, span, 240);
    /// let result = scorer.evaluate(&sources, &targets, &rate, span).unwrap();
    /// assert_eq!((result.source_count, result.hits), (19, 19));
    /// assert!(result.window.start_min < 17 && result.window.end_min > 17 && result.log_e > 10.0);
    /// ```
    pub fn evaluate(&mut self, sources: &[i64], targets: &[i64], rate: &TargetRate, span: Span) -> Option<PairResult> {
        let eligible = span.eligible(sources, self.windows.max_lag_ms());
        if eligible.len() < ONSETS_MIN || targets.len() < ONSETS_MIN {
            return None;
        }
        let n = eligible.len();
        self.forward.clear();
        count_hits(&self.windows, eligible, 0, targets, &mut self.forward);
        let chances = chance_levels(&self.windows, eligible, targets, rate, span, &mut self.shifted);

        let mut log_shares = Vec::with_capacity(chances.len());
        let mut best = (0, f64::NEG_INFINITY);
        for (index, window) in self.windows.all.iter().enumerate() {
            let hits = self.forward.counts[index] as usize;
            let log_e = self.log_factorials.log_e(n, hits, chances[index]);
            let log_share = log_e + log(self.windows.widths[window.width].prior);
            if log_share > best.1 {
                best = (index, log_share);
            }
            log_shares.push(log_share);
        }
        let sum: f64 = log_shares.iter().map(|log_share| exp(log_share - best.1)).sum();
        let (hits, chance) = (self.forward.counts[best.0] as usize, chances[best.0]);
        let score = ((hits as f64 / n as f64 - chance) / (1.0 - chance)).max(0.0);
        let window = self.windows.all[best.0];
        Some(PairResult { log_e: best.1 + log(sum), source_count: n, hits, window, chance, score })
    }
}
