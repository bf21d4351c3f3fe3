//! The demand that a whole fleet shares, and which pairs it explains.
//!
//! When load rises, every service has more work at the same moment, and every series driven by work moves with it. Such
//! series correlate at lag 0 without depending on one another. The mode of a fleet is the mean of the standardised
//! demand series (see `kinds`) of the colonies that are *not* part of the pair. A pair is simultaneous when its lag is
//! at most one step or its range of lags holds 0: the peak of smooth series is flat, and noise moves its top by a few
//! steps. The mode explains a simultaneous pair in two cases:
//! 1. each end follows the mode at least as closely as the ends follow each other (then r given the mode is at most
//!    r / (1 + r) < 1/2);
//! 2. both ends are demand themselves, each follows the mode beyond chance, and no call links their services: more work at
//!    two services at once is what a shared load looks like, and their excess over the mode (users who do one thing do
//!    another) is demand as well. Where one service calls the other, that excess is what the call carries.

use super::series::Prepared;
use super::stats::{Acf, autocorrelation, effective_points, p_value, pearson};
use crate::calls::{Partners, are_linked};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest lag, in steps, that is still simultaneous.
const SIMULTANEOUS_STEPS: i64 = 1;
/// Colonies outside the pair that make a fleet.
const OTHERS_MIN: usize = 2;
/// |r| with the mode, and its p-value, from which a demand series follows it.
const FOLLOWS_R: f64 = 0.3;
const FOLLOWS_P: f64 = 0.001;

/// Sum and number of standardised values per slot.
type Sums = Vec<(f64, u32)>;

/// Modes that are kept for the next pair of the same colonies.
const MODES_MAX: usize = 256;

/// The mean of the standardised demand of some colonies.
#[derive(Debug)]
struct Mode {
    values: Vec<f64>,
    /// Over the target window.
    acf: Acf,
}

/// The demand series of all colonies on one grid. All are added before a pair is explained.
#[derive(Debug, Default)]
pub struct Fleet {
    colonies: BTreeMap<String, Sums>,
    /// By the two colonies that are left out; `None` when fewer than two others report demand.
    modes: RefCell<BTreeMap<[String; 2], Option<Arc<Mode>>>>,
}

/// One end of a pair.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Its colony.
    pub colony_id: &'a str,
    /// Its service, and the services that this is linked to.
    pub service: (&'a str, Option<&'a Partners>),
    /// Its values.
    pub series: &'a Prepared,
    /// Whether it is demand.
    pub demand: bool,
}

impl Fleet {
    /// Adds a demand series. Series must be added in a fixed order: sums of floats depend on it.
    pub fn add(&mut self, colony_id: &str, series: &Prepared) {
        let values = &series.judgement().clamped.level.values;
        let window = &values[values.len() - series.window..];
        let (n, sum) = window.iter().filter(|v| !v.is_nan()).fold((0.0, 0.0), |(n, sum), v| (n + 1.0, sum + v));
        let mean = sum / n;
        let square = window.iter().filter(|v| !v.is_nan()).fold(0.0, |sum, v| sum + (v - mean) * (v - mean));
        let sigma = (square / n).sqrt();
        if sigma.is_nan() || sigma <= 0.0 {
            return;
        }
        let sums = self.colonies.entry(colony_id.to_owned()).or_insert_with(|| vec![(0.0, 0); values.len()]);
        for (slot, value) in sums.iter_mut().zip(values).filter(|(_, v)| !v.is_nan()) {
            slot.0 += (value - mean) / sigma;
            slot.1 += 1;
        }
    }

    /// Drops what is kept for the next pair: it takes more than the demand itself.
    pub fn forget_modes(&mut self) {
        self.modes.get_mut().clear();
    }

    /// The mode without two colonies, over windows of so many slots.
    fn mode_without(&self, left_out: [&str; 2], window: usize) -> Option<Arc<Mode>> {
        let key = left_out.map(str::to_owned);
        if let Some(known) = self.modes.borrow().get(&key) {
            return known.clone();
        }
        let mode = self.values_without(left_out).map(|values| {
            let acf = autocorrelation(&values[values.len() - window..]);
            Arc::new(Mode { values, acf })
        });
        let mut modes = self.modes.borrow_mut();
        if modes.len() >= MODES_MAX {
            modes.clear();
        }
        modes.insert(key, mode.clone());
        mode
    }

    fn values_without(&self, left_out: [&str; 2]) -> Option<Vec<f64>> {
        let others: Vec<&Sums> =
            self.colonies.iter().filter(|(id, _)| !left_out.contains(&id.as_str())).map(|(_, sums)| sums).collect();
        if others.len() < OTHERS_MIN {
            return None;
        }
        let at = |slot: usize| {
            let (sum, n) = others.iter().fold((0.0, 0), |(sum, n), sums| (sum + sums[slot].0, n + sums[slot].1));
            if n == 0 { f64::NAN } else { sum / f64::from(n) }
        };
        Some((0..others[0].len()).map(at).collect())
    }

    /// Whether the shared load explains a relation between a source and a target that are simultaneous.
    pub fn explains(&self, source: End<'_>, target: End<'_>, lag: usize, clamped_r: f64) -> bool {
        let window = target.series.window;
        let Some(mode) = self.mode_without([source.colony_id, target.colony_id], window) else { return false };
        let follow = |end: &Prepared, lag: usize| {
            let values = &end.judgement().clamped.level;
            let (r, n) = pearson(end.window_of(&values.values, lag), end.window_of(&mode.values, lag))?;
            Some((r.abs(), p_value(r, effective_points(values.acf(), &mode.acf, window, n), 1)))
        };
        let (Some((source_r, source_p)), Some((target_r, target_p))) =
            (follow(source.series, lag), follow(target.series, 0))
        else {
            return false;
        };
        let carries = source_r.min(target_r) >= clamped_r.abs();
        let both_follow = source_r.min(target_r) >= FOLLOWS_R && source_p.max(target_p) <= FOLLOWS_P;
        let is_call = are_linked(source.service, target.service);
        carries || (source.demand && target.demand && both_follow && !is_call)
    }
}

/// Whether a lag of so many steps, with this range of lags around it, is simultaneous.
pub fn is_simultaneous(lag: i64, range: (i64, i64)) -> bool {
    lag.abs() <= SIMULTANEOUS_STEPS || (range.0..=range.1).contains(&0)
}
