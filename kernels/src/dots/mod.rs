//! The kernel: sums of products of 16-bit integers at every lag, in 32-bit integers, the same bits on every path.
//!
//! A word is two numbers, and a step adds the products of two words half by half. With `sources[u]` = (x[u], x[u + 1]) and
//! `targets[s]` = (y[2 s], y[2 s + 1]), steps two apart make the dot product of `y` with `x` from every lag on.
//!
//! The same sums slide along with a window of `W` slots. With `x`, `y` newest first, `sources[u]` = (x[u], x[u + W])
//! and `targets[s]` = (y[s], -y[s + W]), each step, one apart, adds the product of a slot and subtracts the product of
//! the slot that leaves the window; `b` steps move the sums of `b` slots ago to now. Nothing is ever rounded, so they
//! never drift.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use crate::path::{Kind, Path};

/// Lags that one tile computes together.
pub const TILE_LAGS: usize = 64;
/// Targets that one tile computes together.
pub const TILE_TARGETS: usize = 4;

/// Two 16-bit numbers, the first in the low half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Word {
    /// The first number.
    pub low: i16,
    /// The second number.
    pub high: i16,
}

impl Word {
    /// Both halves.
    pub fn new(low: i16, high: i16) -> Word {
        Word { low, high }
    }

    /// Both halves as one number, as they lie in memory on the machines with vector paths.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn bits(self) -> i32 {
        i32::from(self.high) << 16 | i32::from(self.low as u16)
    }
}

/// Words a source needs so that `lags` lags can be computed over `steps` steps, `stride` words apart.
pub fn source_words(lags: usize, steps: usize, stride: usize) -> usize {
    lags.next_multiple_of(TILE_LAGS) + steps.saturating_sub(1) * stride
}

/// Adds to `out[t * lags + l]`, for every target `t` and every lag `l`, the sum over the steps `s` of the products of both
/// halves of `source[l + STRIDE * s]` and `targets[t][s]`, modulo 2^32.
///
/// The sums are exact if the results fit into 32 bits; intermediate sums may overflow. Takes
/// `targets × lags × steps × 2` multiplications.
///
/// # Panics
/// When the targets differ in length, the source is shorter than [`source_words`], or `out` is not `targets × lags` long.
///
/// ```
/// use coral_kernels::dots::{Word, accumulate, source_words};
/// let x = [Word::new(1, 2), Word::new(3, 4)];
/// let mut source = vec![Word::default(); source_words(2, 1, 1)];
/// source[..2].copy_from_slice(&x);
/// let mut sums = [100, 0];
/// accumulate::<1>(coral_kernels::Path::PORTABLE, &source, &[&[Word::new(5, -6)]], 2, &mut sums);
/// assert_eq!(sums, [100 + 5 - 12, 15 - 24]);
/// ```
pub fn accumulate<const STRIDE: usize>(path: Path, source: &[Word], targets: &[&[Word]], lags: usize, out: &mut [i32]) {
    let Some(first) = targets.first() else { return };
    assert!(targets.iter().all(|words| words.len() == first.len()), "targets differ in length");
    assert!(source.len() >= source_words(lags, first.len(), STRIDE), "the source is too short for its lags");
    assert_eq!(out.len(), targets.len() * lags, "one sum for each target and lag");
    for (targets, out) in targets.chunks(TILE_TARGETS).zip(out.chunks_mut(TILE_TARGETS * lags)) {
        for from in (0..lags).step_by(TILE_LAGS) {
            let source = &source[from..];
            match *targets {
                [a, b, c, d] => add(out, lags, from, &tile::<4, STRIDE>(path, source, [a, b, c, d])),
                [a, b, c] => add(out, lags, from, &tile::<3, STRIDE>(path, source, [a, b, c])),
                [a, b] => add(out, lags, from, &tile::<2, STRIDE>(path, source, [a, b])),
                [a] => add(out, lags, from, &tile::<1, STRIDE>(path, source, [a])),
                _ => unreachable!("chunks have one to four targets"),
            }
        }
    }
}

/// Sums of one tile: 64 lags of up to four targets.
type Tile<const T: usize> = [[i32; TILE_LAGS]; T];

fn add<const T: usize>(out: &mut [i32], lags: usize, from: usize, tile: &Tile<T>) {
    for (row, sums) in out.chunks_mut(lags).zip(tile) {
        for (out, sum) in row[from..].iter_mut().zip(sums) {
            *out = out.wrapping_add(*sum);
        }
    }
}

#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the call of a function for a certain processor"))]
fn tile<const T: usize, const STRIDE: usize>(path: Path, source: &[Word], targets: [&[Word]; T]) -> Tile<T> {
    match path.0 {
        Kind::Portable => portable::tile::<T, STRIDE>(source, targets),
        // SAFETY: a `Path` of this kind is created only after the processor has reported `avx2`, the only feature that
        // the function needs beyond the build's own.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { avx2::tile::<T, STRIDE>(source, targets) },
        // SAFETY: as above, with `avx512f` and `avx512vnni`.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Vnni => unsafe { avx512::tile::<T, STRIDE>(source, targets) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("no such path is created on this architecture"),
    }
}

/// Multiplies and adds 16-bit numbers in registers alone, with as many sums as do not wait for each other: what the
/// multipliers of a path can do at most, for measurements. Returns how many multiplications that were, and a number that
/// depends on all of them.
///
/// ```
/// use coral_kernels::{Path, dots::peak};
/// let (once, twice) = (peak(Path::PORTABLE, 1, 7).0, peak(Path::PORTABLE, 2, 7).0);
/// assert!(once > 0 && twice == 2 * once);
/// ```
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the call of a function for a certain processor"))]
pub fn peak(path: Path, rounds: u32, factor: i32) -> (u64, i32) {
    match path.0 {
        Kind::Portable => portable::peak(rounds, factor),
        // SAFETY: as in `tile`.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { avx2::peak(rounds, factor) },
        // SAFETY: as in `tile`.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Vnni => unsafe { avx512::peak(rounds, factor) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("no such path is created on this architecture"),
    }
}

/// The `N` words from `at` on.
#[inline(always)]
fn near<const N: usize>(words: &[Word], at: usize) -> &[Word; N] {
    match words[at..].first_chunk() {
        Some(near) => near,
        None => unreachable!("`accumulate` has checked the length"),
    }
}
