//! The window in which occurrences are counted: the best window, or a wider one around it where most of what that adds is
//! no chance.
//!
//! The best window is where the evidence is greatest, and that is often a little narrower than the relation: of five
//! occurrences within three minutes it may hold four. What has happened is shown whole. The evidence stays that of all
//! windows together, so counting in a wider one changes no e-value.

use crate::events::matching::match_one_to_one;
use crate::events::windows::Window;
use model::time::MINUTE_MS;

/// The wider window exceeds the best one by half of its width on each side, and by this at least.
const PAD_MIN: u32 = 2;
/// What the wider window adds must be more than this many times what chance adds (a little above two: rounding decides
/// nothing where they are equal).
const CHANCE_TIMES: f64 = 2.0 + 1e-9;

/// Where occurrences are counted, and which.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Lags above this, in minutes.
    pub start_min: u32,
    /// Lags up to this.
    pub end_min: u32,
    /// Targets expected by chance per source.
    pub expected: f64,
    /// Positions of sources and their targets.
    pub matches: Vec<(usize, usize)>,
}

impl Shown {
    /// Around the best window of a pair, which holds `expected` targets per source by chance. Times must rise.
    ///
    /// ```
    /// use coral_operators::events::{shown::Shown, windows::Windows};
    /// let windows = Windows::new(240);
    /// let best = *windows.all.iter().find(|window| (window.start_min, window.end_min) == (133, 135)).unwrap();
    /// let (day, minute) = (86_400_000, 60_000);
    /// // once a day; the last one comes after 136 minutes
    /// let sources = [0, day, 2 * day, 3 * day];
    /// let targets = [134, 135, 134, 136].map(|lag| lag * minute);
    /// let targets: Vec<i64> = sources.iter().zip(targets).map(|(at, lag)| at + lag).collect();
    /// assert_eq!(Shown::around(&sources, &targets, best, 0.004, 240).matches.len(), 4);
    /// // where chance fills the sides, they do not count
    /// assert_eq!(Shown::around(&sources, &targets, best, 0.4, 240).matches.len(), 3);
    /// ```
    pub fn around(sources: &[i64], targets: &[i64], best: Window, expected: f64, max_lag_min: u32) -> Shown {
        let within = |start_min: u32, end_min: u32| {
            let ms = |minutes: u32| i64::from(minutes) * MINUTE_MS;
            let expected = expected * (f64::from(end_min - start_min) / f64::from(best.width_min()));
            let matches = match_one_to_one(sources, targets, ms(start_min), ms(end_min));
            Shown { start_min, end_min, expected, matches }
        };
        let pad = (best.width_min() / 2).max(PAD_MIN);
        let narrow = within(best.start_min, best.end_min);
        let wide = within(best.start_min.saturating_sub(pad), (best.end_min + pad).min(max_lag_min));
        let added = wide.matches.len() as f64 - narrow.matches.len() as f64;
        let by_chance = sources.len() as f64 * (wide.expected - narrow.expected);
        if added > CHANCE_TIMES * by_chance { wide } else { narrow }
    }

    /// Start in milliseconds.
    pub fn start_ms(&self) -> i64 {
        i64::from(self.start_min) * MINUTE_MS
    }

    /// End in milliseconds.
    pub fn end_ms(&self) -> i64 {
        i64::from(self.end_min) * MINUTE_MS
    }

    /// Probability of at least one target by chance.
    pub fn chance(&self) -> f64 {
        1.0 - libm::exp(-self.expected)
    }
}
