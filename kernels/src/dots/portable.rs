//! The kernel in plain Rust, which the other paths must equal bit for bit.

use super::{TILE_LAGS, Tile, Word, near};

/// Neighbouring lags that are computed together.
const LANES: usize = 32;

/// See [`super::accumulate`].
pub(super) fn tile<const T: usize, const STRIDE: usize>(source: &[Word], targets: [&[Word]; T]) -> Tile<T> {
    let mut out = [[0; TILE_LAGS]; T];
    for (words, out) in targets.iter().zip(&mut out) {
        for (from, sums) in (0..TILE_LAGS).step_by(LANES).zip(out.as_chunks_mut().0) {
            for (step, word) in words.iter().enumerate() {
                add(near(source, from + STRIDE * step), *word, sums);
            }
        }
    }
    out
}

/// See [`super::peak`].
pub(super) fn peak(rounds: u32, factor: i32) -> (u64, i32) {
    let (mut sums, word) = ([0; LANES], Word::new(factor as i16, (factor >> 16) as i16));
    let near: [Word; LANES] = std::array::from_fn(|n| Word::new(n as i16, 1 - n as i16));
    for _ in 0..rounds {
        add(&near, word, &mut sums);
    }
    let all = sums.iter().fold(0, |all: i32, sum| all.wrapping_add(*sum));
    (u64::from(rounds) * (LANES * 2) as u64, all)
}

/// Adds the products of one step. Not inlined: as a separate function over memory the compiler vectorises it.
#[inline(never)]
fn add(x: &[Word; LANES], word: Word, sums: &mut [i32; LANES]) {
    let same = [word; LANES];
    for lane in 0..LANES {
        let low = i32::from(x[lane].low) * i32::from(same[lane].low);
        let high = i32::from(x[lane].high) * i32::from(same[lane].high);
        sums[lane] = sums[lane].wrapping_add(low.wrapping_add(high));
    }
}
