//! Which pairs need no new screening at the present instant: a bound on how far r can have moved since the last one.
//!
//! From minute to minute a window loses a slot and gains one. For each pair a few numbers of its last screening are kept
//! (`kernels::Footing`), for each series what has come and gone since any earlier slot. Together they bound |r| at every
//! lag; below the leave threshold the pair has no peak, and it has coefficients as before. The newest slots of a
//! screening count as gone and come again, because their samples are still arriving. A sample that changes an older
//! slot ends what was known of the pairs of its series.

use super::held::{Place, Seen};
use super::params::{MetricParams, STEPS_MS};
use super::series::Prepared;
use kernels::{Change, Footing, Pair};
use std::collections::BTreeMap;

/// Slots after which a pair is screened again in any case; a multiple of `AGES`.
const AGE_MAX: usize = 104;
/// Newest slots whose samples may still change.
const TAIL: usize = 4;
/// Series are in so many blocks, and each slot the pairs of two blocks are screened in any case: so not many of one age
/// come due together, and few series take part.
const BLOCKS: usize = 13;
/// Pairs of blocks, and slots until it is the turn of the same again.
const PERIOD: i64 = (BLOCKS * (BLOCKS + 1) / 2) as i64;
/// What came and went is summed up for ages that are multiples of this.
const AGES: usize = 8;
/// Least part of the mean square of a series that must be the spread of its windows, for a bound to be used.
const SPREAD_MIN: f32 = 1e-3;
/// Scales by which the centre may have moved, and by which the scale may have grown.
const FAR: f64 = 1e4;

/// A pair as it was last screened.
#[derive(Clone, Copy, Debug)]
struct Entry {
    footing: Footing,
    slot: i32,
}

/// Bytes that are kept of each pair, and of each series.
pub const PAIR_BYTES: u64 = size_of::<Entry>() as u64;
/// See `PAIR_BYTES`.
pub const SERIES_BYTES: u64 = ((AGE_MAX + 1) * (size_of::<Then>() + size_of::<Change>())) as u64;

/// Nothing is known.
const UNKNOWN: Entry =
    Entry { footing: Footing { reach: f32::INFINITY, spread: 0.0, offset: 0.0, points: 0 }, slot: i32::MIN };

/// A series at the slot of a screening.
#[derive(Clone, Copy, Debug)]
struct Then {
    slot: i64,
    centre: f64,
    scale: f64,
    /// At least the root of the sum of squares of its newest slots at any lag, about the centre and in scales.
    tail: f64,
}

/// What is known of a series on a grid.
#[derive(Debug)]
struct Own {
    interval: Option<u32>,
    /// By slot, of the last ones: see `ring`.
    then: Vec<Then>,
    /// By age of the screening: what has changed since.
    since: Vec<Change>,
}

/// What is known on one grid.
#[derive(Debug, Default)]
struct Grid {
    /// The slot of the last evaluation.
    slot: i64,
    /// The latest slot of any evaluation.
    latest: i64,
    /// By place.
    series: Vec<Option<Box<Own>>>,
    /// By pair of places, see `entry_of`.
    entries: Vec<Entry>,
}

/// What is known of all pairs, by the step of their grid.
#[derive(Debug, Default)]
pub struct Bounds {
    grids: BTreeMap<i64, Grid>,
    /// The earliest time of a change of each series since the last evaluation.
    changed: BTreeMap<Place, i64>,
}

fn entry_of(a: Place, b: Place) -> usize {
    let (low, high) = (a.min(b), a.max(b));
    high * high.saturating_sub(1) / 2 + low
}

/// In which slot of a period a pair is screened.
fn turn_of(a: Place, b: Place) -> i64 {
    let (a, b) = (a % BLOCKS, b % BLOCKS);
    let (low, high) = (a.min(b), a.max(b));
    (high * (high + 1) / 2 + low) as i64
}

impl Bounds {
    /// A sample of a series came or went.
    pub fn change(&mut self, place: Place, at_ms: i64) {
        let earliest = self.changed.entry(place).or_insert(at_ms);
        *earliest = at_ms.min(*earliest);
    }

    /// Moves on to an instant: `seen` are all series that can be seen from it, of `count` places.
    pub fn advance(&mut self, seen: &[Seen], count: usize, at_ms: i64) {
        let changed = std::mem::take(&mut self.changed);
        for step_ms in STEPS_MS {
            let has_it = seen.iter().any(|series| series.on.contains_key(&step_ms));
            if !has_it && !self.grids.contains_key(&step_ms) {
                continue;
            }
            let grid = self.grids.entry(step_ms).or_default();
            grid.series.resize_with(count, || None);
            grid.entries.resize(entry_of(count, 0), UNKNOWN);
            for (place, at_ms) in &changed {
                grid.forget_since(*place, at_ms.div_euclid(step_ms) + TAIL as i64);
            }
            grid.slot = at_ms.div_euclid(step_ms);
            grid.latest = grid.latest.max(grid.slot);
            for series in seen {
                if let Some(prepared) = series.on.get(&step_ms) {
                    grid.see(series, prepared);
                }
            }
        }
    }

    /// Whether a pair must be screened: it may have a peak, nothing is known of it, or it is its turn.
    pub fn asks(&self, step_ms: i64, a: Place, b: Place, params: &MetricParams) -> bool {
        let Some(grid) = self.grids.get(&step_ms) else { return true };
        let entry = &grid.entries[entry_of(a, b)];
        let age = grid.slot - i64::from(entry.slot);
        let (Some(Some(one)), Some(Some(other))) = (grid.series.get(a), grid.series.get(b)) else { return true };
        let of = |own: &Own| own.since.get(usize::try_from(age).unwrap_or(usize::MAX)).copied();
        let (Some(first), Some(second)) = (of(one), of(other)) else { return true };
        if age > 0 && turn_of(a, b) == grid.slot.rem_euclid(PERIOD) {
            return true;
        }
        let points_min = MetricParams::points_needed(params.window_slots(step_ms));
        let reach = entry.footing.after(first, second, age as u32 + TAIL as u32, points_min as u32);
        // far more than its rounding below, so that no tie is lost
        f64::from(reach) >= params.leave() - 1e-6
    }

    /// Keeps what a screening of now says of a pair.
    pub fn keep(&mut self, step_ms: i64, (a, x): (Place, &Prepared), (b, y): (Place, &Prepared), pair: &Pair<'_>) {
        let Some(grid) = self.grids.get_mut(&step_ms) else { return };
        let now = |place: Place| grid.series.get(place)?.as_ref().map(|own| own.then[own.ring(grid.slot)]);
        let (Some(of_a), Some(of_b)) = (now(a), now(b)) else { return };
        // scales in the units of the values that the kernels have, and how far their zero is from the centre
        let (scale_a, scale_b) = (of_a.scale / x.reach, of_b.scale / y.reach);
        let moved = ((x.mean - of_a.centre) / of_a.scale).abs().max(((y.mean - of_b.centre) / of_b.scale).abs());
        let footing = pair
            .footing([scale_a, scale_b])
            .map(|footing| Footing { offset: footing.offset + (moved * (1.0 + 1e-6)) as f32, ..footing });
        let footing = footing.filter(|footing| footing.spread >= SPREAD_MIN * x.window as f32);
        let slot = i32::try_from(grid.slot).unwrap_or(i32::MIN);
        grid.entries[entry_of(a, b)] = footing.map_or(UNKNOWN, |footing| Entry { footing, slot });
    }
}

impl Grid {
    /// Ends what screenings at or after `slot` said of the pairs of a series.
    fn forget_since(&mut self, place: Place, slot: i64) {
        if slot > self.latest {
            return;
        }
        for other in (0..self.series.len()).filter(|other| *other != place) {
            let entry = &mut self.entries[entry_of(place, other)];
            if i64::from(entry.slot) >= slot {
                *entry = UNKNOWN;
            }
        }
    }

    fn see(&mut self, seen: &Seen, prepared: &Prepared) {
        let place = seen.place;
        if self.series[place].as_ref().is_none_or(|own| own.interval != seen.interval) {
            self.forget_since(place, i64::MIN);
            self.series[place] = Some(Box::new(Own::new(seen.interval, prepared)));
        }
        if let Some(own) = &mut self.series[place] {
            own.see(prepared, self.slot);
        }
    }
}

impl Own {
    fn new(interval: Option<u32>, prepared: &Prepared) -> Own {
        // coarse grids have few slots before those of window and lag
        let room = prepared.slots_before().saturating_sub(TAIL) / AGES * AGES;
        let ages = AGE_MAX.min(room) + 1;
        let never = Then { slot: i64::MIN, centre: 0.0, scale: 0.0, tail: 0.0 };
        Own { interval, then: vec![never; ages], since: vec![Change::default(); ages] }
    }

    fn ring(&self, slot: i64) -> usize {
        slot.rem_euclid(self.then.len() as i64) as usize
    }

    fn see(&mut self, prepared: &Prepared, slot: i64) {
        let (lags, window) = (prepared.lag_max() + 1, prepared.window);
        let observed = || prepared.raw.iter().filter(|v| !v.is_nan());
        let (n, square) = observed().fold((0_usize, 0.0), |(n, square), v| (n + 1, square + v * v));
        let unit = (square / n as f64).sqrt();
        let (centre, scale) = (prepared.mean, unit * prepared.reach);
        // squares of the slots that can have left a window, and of those that can have come, added up
        let ages = self.then.len() - 1;
        let length = lags + ages + TAIL;
        let squares = |end: usize| {
            let mut sum = 0.0;
            let mut sums = vec![0.0];
            for slot in 0..length {
                // counted from the end of the values
                let from_end = end + length - slot;
                let value = prepared.at_end(from_end) / unit;
                sum += if value.is_nan() { 0.0 } else { value * value };
                sums.push(sum);
            }
            sums
        };
        let (gone, come) = (squares(window), squares(0));
        let most = |sums: &[f64], length: usize| {
            let ends = sums[sums.len() - lags..].iter();
            let begins = sums[sums.len() - lags - length..].iter();
            let most = ends.zip(begins).map(|(end, begin)| end - begin).fold(0.0, |a, b| if b > a { b } else { a });
            (most * (1.0 + 1e-9) + 1e-9).sqrt()
        };
        let place = self.ring(slot);
        let now = &mut self.then[place];
        if now.slot == slot {
            // pairs were screened at this slot before: their centre and scale stay
            let moved = (TAIL as f64).sqrt() * (centre - now.centre).abs() / now.scale;
            now.tail = now.tail.max(most(&come, TAIL) * scale / now.scale + moved);
        } else {
            *now = Then { slot, centre, scale, tail: most(&come, TAIL) };
        }
        let (mut most_gone, mut most_come) = (0.0, 0.0);
        for age in 0..=ages {
            let rounded = age.next_multiple_of(AGES);
            if age % AGES == 1 || age == 0 {
                (most_gone, most_come) = (most(&gone, rounded), most(&come, rounded + TAIL));
            }
            let then = self.then[self.ring(slot - age as i64)];
            let (grown, moved) = (scale / then.scale, (centre - then.centre).abs() / then.scale);
            self.since[age] = if then.slot == slot - age as i64 && grown < FAR && moved < FAR {
                let shift = |slots: usize| (slots as f64).sqrt() * moved;
                let left = (most_gone * grown + shift(age)).hypot(then.tail);
                let arrived = most_come * grown + shift(age + TAIL);
                Change { gone: (left * (1.0 + 1e-6)) as f32, come: (arrived * (1.0 + 1e-6)) as f32 }
            } else {
                Change { gone: f32::INFINITY, come: f32::INFINITY }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_has_its_turn_before_it_is_too_old_and_a_turn_is_of_few_series() {
        assert!(PERIOD <= AGE_MAX as i64);
        let count = 130;
        let mut turns: BTreeMap<i64, Vec<(Place, Place)>> = BTreeMap::new();
        for (a, b) in (0..count).flat_map(|a| (0..a).map(move |b| (a, b))) {
            assert_eq!(turn_of(a, b), turn_of(b, a));
            turns.entry(turn_of(a, b)).or_default().push((a, b));
        }
        assert_eq!(turns.len() as i64, PERIOD);
        for (turn, pairs) in &turns {
            assert!((0..PERIOD).contains(turn));
            let series: std::collections::BTreeSet<Place> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
            assert!(series.len() <= 2 * count / BLOCKS, "{} series", series.len());
            assert!(pairs.len() <= (count / BLOCKS).pow(2), "{} pairs", pairs.len());
        }
    }
}
