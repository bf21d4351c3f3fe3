//! The kernel in plain Rust, which the other paths must equal bit for bit.

use super::{TILE_LAGS, Tile, Word, near};

/// Neighbouring lags whose sums stay in registers.
const LANES: usize = 8;

/// See [`super::accumulate`].
pub(super) fn tile<const T: usize, const STRIDE: usize>(source: &[Word], targets: [&[Word]; T]) -> Tile<T> {
    let mut out = [[0; TILE_LAGS]; T];
    for (words, out) in targets.iter().zip(&mut out) {
        for (from, out) in (0..TILE_LAGS).step_by(LANES).zip(out.as_chunks_mut::<LANES>().0) {
            let mut sums = [0_i32; LANES];
            for (step, word) in words.iter().enumerate() {
                let near: &[Word; LANES] = near(source, from + STRIDE * step);
                let (low, high) = (word.low(), word.high());
                for (sum, x) in sums.iter_mut().zip(near) {
                    let products = (x.low() * low).wrapping_add(x.high() * high);
                    *sum = sum.wrapping_add(products);
                }
            }
            *out = sums;
        }
    }
    out
}
