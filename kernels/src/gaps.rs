//! Sums over the slots in which both series of a pair are observed: those of the whole window less those of its gaps.
//!
//! For a run of missing slots of one series, a difference of two running sums of the other is subtracted at every lag.
//! The arithmetic is modulo 2^32, and every result fits.

use crate::series::Series;

/// Sums over common slots, one for each lag.
#[derive(Clone, Debug, Default)]
pub(crate) struct GapSums {
    pub count: Vec<i32>,
    pub source: Vec<i32>,
    pub source_squares: Vec<i32>,
    pub target: Vec<i32>,
    pub target_squares: Vec<i32>,
    /// The target's running sums, held still outside its window, `lags` entries longer at the front.
    padded: Vec<i32>,
}

/// Fills `out` for a source and a target.
#[inline(always)]
pub(crate) fn common_sums(source: &Series, target: &Series, out: &mut GapSums) {
    let (lags, window) = (source.lag_max() + 1, source.window);
    out.count.clone_from(&source.windows.count);
    out.source.clone_from(&source.windows.sum);
    out.source_squares.clone_from(&source.windows.squares);
    for (from, to) in target.gaps.iter().map(|(from, to)| (*from, (*to).min(window))).filter(|(from, to)| from < to) {
        for (sums, prefix) in [
            (&mut out.count, &source.prefix.count),
            (&mut out.source, &source.prefix.level),
            (&mut out.source_squares, &source.prefix.square),
        ] {
            take(sums, &prefix[to..to + lags], &prefix[from..from + lags]);
        }
    }
    for (sums, whole, prefix) in [
        (&mut out.target, target.windows.sum[0], &target.prefix.level),
        (&mut out.target_squares, target.windows.squares[0], &target.prefix.square),
    ] {
        sums.clear();
        sums.resize(lags, whole);
        if source.gaps.is_empty() {
            continue;
        }
        // entry `i` is the running sum at slot `i - (lags - 1)` of the target, within its window
        out.padded.clear();
        out.padded.resize(lags - 1, 0);
        out.padded.extend_from_slice(&prefix[..=window]);
        out.padded.resize(lags - 1 + source.values.len() + 1, prefix[window]);
        for (from, to) in &source.gaps {
            // a source slot `u` meets the target's slot `u - lag`
            let (upper, lower) = (&out.padded[*to..to + lags], &out.padded[*from..from + lags]);
            for (sum, (upper, lower)) in sums.iter_mut().zip(upper.iter().rev().zip(lower.iter().rev())) {
                *sum = sum.wrapping_sub(upper.wrapping_sub(*lower));
            }
        }
    }
}

#[inline(always)]
fn take(sums: &mut [i32], upper: &[i32], lower: &[i32]) {
    for (sum, (upper, lower)) in sums.iter_mut().zip(upper.iter().zip(lower)) {
        *sum = sum.wrapping_sub(upper.wrapping_sub(*lower));
    }
}
