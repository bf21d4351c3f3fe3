//! Generated pairs of series: every kind of trouble that a screen by integers could trip over.

use crate::{Path, Series};
use proptest::prelude::*;
use std::ops::Range;

/// The paths that a test compares: all of this machine, or the one that the variable forces.
pub fn paths() -> Vec<Path> {
    match std::env::var(crate::VARIABLE) {
        Ok(name) if !name.is_empty() => vec![Path::named(&name).unwrap()],
        _ => Path::all(),
    }
}

/// Several series over the same slots, oldest first, NaN where missing, and their window.
#[derive(Clone, Debug)]
pub struct History {
    pub window: usize,
    pub values: Vec<Vec<f64>>,
}

impl History {
    pub fn series(&self, path: Path) -> Vec<Series> {
        self.values.iter().map(|values| Series::new(path, values, self.window).unwrap()).collect()
    }

    /// As the engine asks for: four fifths of the window.
    pub fn points_min(&self) -> usize {
        (self.window * 4).div_ceil(5).max(8)
    }
}

/// A generator without surprises: the next of a sequence of uniform numbers in [-1, 1).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// How a series moves.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    White,
    /// AR(1) with this memory.
    Slow(f64),
    Walk,
    /// A cycle of this many slots with some noise.
    Cycle(usize),
    /// The common signal this many slots later, with noise of this size.
    Follows(usize, f64),
    /// Whole numbers of a few sizes: many equal values, exact ties.
    Steps,
    Still,
}

/// How a series is modified afterwards.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Missing from a slot on, for some slots.
    Gap(usize, usize),
    /// Every n-th slot missing.
    Holes(usize),
    /// Nothing before a slot: lag windows reach beyond the data.
    Begins(usize),
    /// One slot of this many times the ordinary size.
    Spike(usize, f64),
    /// Equal values from a slot on, for some slots.
    Constant(usize, usize),
    /// Another level from a slot on.
    Shift(usize, f64),
    /// Moved by this much, as a mean far from zero.
    Offset(f64),
    /// In other units.
    Scale(f64),
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        2 => Just(Shape::White),
        2 => prop_oneof![Just(0.5), Just(0.9), Just(0.99)].prop_map(Shape::Slow),
        1 => Just(Shape::Walk),
        1 => (4..200_usize).prop_map(Shape::Cycle),
        4 => (0..12_usize, prop_oneof![Just(0.0), Just(0.1), Just(0.5), Just(0.75), Just(2.0)])
            .prop_map(|(lag, noise)| Shape::Follows(lag, noise)),
        1 => Just(Shape::Steps),
        1 => Just(Shape::Still),
    ]
}

fn fault(slots: usize) -> impl Strategy<Value = Fault> {
    let some = move |share: usize| 1..(slots / share).max(2);
    prop_oneof![
        3 => (0..slots, some(6)).prop_map(|(from, length)| Fault::Gap(from, length)),
        2 => (5..40_usize).prop_map(Fault::Holes),
        1 => some(3).prop_map(Fault::Begins),
        3 => (0..slots, prop_oneof![Just(8.0), Just(100.0), Just(-1e4), Just(1e9)])
            .prop_map(|(at, size)| Fault::Spike(at, size)),
        2 => (0..slots, some(1)).prop_map(|(from, length)| Fault::Constant(from, length)),
        2 => (0..slots, prop_oneof![Just(3.0), Just(1e3), Just(-1e6)]).prop_map(|(at, by)| Fault::Shift(at, by)),
        2 => prop_oneof![Just(1e3), Just(-1e3), Just(1e6)].prop_map(Fault::Offset),
        1 => prop_oneof![Just(1e-200), Just(1e-3), Just(1e100)].prop_map(Fault::Scale),
    ]
}

fn values(shape: Shape, faults: &[Fault], seed: u64, common: &[f64], slots: usize) -> Vec<f64> {
    let mut noise = Noise(seed);
    let mut level = 0.0;
    let mut out: Vec<f64> = (0..slots)
        .map(|slot| {
            let fresh = noise.next();
            match shape {
                Shape::White => fresh,
                Shape::Slow(memory) => {
                    level = memory * level + fresh;
                    level
                }
                Shape::Walk => {
                    level += fresh;
                    level
                }
                Shape::Cycle(period) => (slot as f64 * std::f64::consts::TAU / period as f64).sin() + 0.1 * fresh,
                Shape::Follows(lag, size) => common[slot + 12 - lag] + size * fresh,
                Shape::Steps => (fresh * 3.0).round(),
                Shape::Still => 0.0,
            }
        })
        .collect();
    for fault in faults {
        let span = |from: usize, length: usize| -> Range<usize> { from.min(slots)..(from + length).min(slots) };
        match *fault {
            Fault::Gap(from, length) => out[span(from, length)].fill(f64::NAN),
            Fault::Holes(every) => out.iter_mut().step_by(every).for_each(|v| *v = f64::NAN),
            Fault::Begins(at) => out[..at.min(slots)].fill(f64::NAN),
            Fault::Spike(at, size) => out[at] += size,
            Fault::Constant(from, length) => {
                let value = out[from];
                out[span(from, length)].fill(value);
            }
            Fault::Shift(at, by) => out[at..].iter_mut().for_each(|v| *v += by),
            Fault::Offset(by) => out.iter_mut().for_each(|v| *v += by),
            Fault::Scale(by) => out.iter_mut().for_each(|v| *v *= by),
        }
    }
    out
}

/// A few series with a common signal in some of them. `windows`, `lags`: their sizes in slots.
pub fn history(windows: Range<usize>, lags: Range<usize>) -> impl Strategy<Value = History> {
    (windows, lags).prop_flat_map(|(window, lag_max)| {
        let slots = window + lag_max;
        let one = (shape(), prop::collection::vec(fault(slots), 0..3), any::<u64>());
        (prop::collection::vec(one, 2..7), any::<u64>()).prop_map(move |(list, seed)| {
            let mut noise = Noise(seed);
            let common: Vec<f64> = (0..slots + 12).map(|_| noise.next()).collect();
            let values = list.iter().map(|(shape, faults, seed)| values(*shape, faults, *seed, &common, slots));
            History { window, values: values.collect() }
        })
    })
}
