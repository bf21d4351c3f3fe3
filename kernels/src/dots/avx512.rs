//! The kernel with 512-bit instructions: one `vpdpwssd` for two products at each of sixteen lags.

#![expect(unsafe_code, reason = "loads and stores of vectors")]

use super::{TILE_LAGS, Tile, Word, near};
use std::arch::x86_64::{
    __m512i, _mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

/// 32-bit numbers of a vector.
const LANES: usize = 16;
/// Vectors of lags: with four targets 16 sums, 4 loads and a word, of 32 registers.
const VECTORS: usize = TILE_LAGS / LANES;

/// See [`super::accumulate`].
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn tile<const T: usize, const STRIDE: usize>(source: &[Word], targets: [&[Word]; T]) -> Tile<T> {
    let mut sums = [[_mm512_setzero_si512(); VECTORS]; T];
    for step in 0..targets[0].len() {
        let near: &[Word; TILE_LAGS] = near(source, STRIDE * step);
        let mut x = [_mm512_setzero_si512(); VECTORS];
        for (x, words) in x.iter_mut().zip(near.as_chunks().0) {
            *x = load(words);
        }
        for (sums, words) in sums.iter_mut().zip(targets) {
            let word = _mm512_set1_epi32(words[step].bits());
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = _mm512_dpwssd_epi32(*sum, x, word);
            }
        }
    }
    let mut out = [[0; TILE_LAGS]; T];
    for (sums, out) in sums.into_iter().zip(&mut out) {
        for (sum, out) in sums.into_iter().zip(out.as_chunks_mut().0) {
            store(sum, out);
        }
    }
    out
}

/// See [`super::peak`].
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn peak(rounds: u32, factor: i32) -> (u64, i32) {
    /// Sums that do not wait for each other.
    const SUMS: usize = 16;
    let factor = _mm512_set1_epi32(factor);
    let mut sums: [__m512i; SUMS] = std::array::from_fn(|n| _mm512_set1_epi32(n as i32));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpwssd_epi32(*sum, *sum, factor);
        }
    }
    let all = sums.into_iter().fold(0, |all: i32, sum| all.wrapping_add(_mm512_reduce_add_epi32(sum)));
    (u64::from(rounds) * (SUMS * LANES * 2) as u64, all)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[Word; LANES]) -> __m512i {
    // SAFETY: the reference covers 64 bytes, the load asks for no alignment, and every bit pattern is a vector.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(sum: __m512i, out: &mut [i32; LANES]) {
    // SAFETY: the reference covers 64 bytes and is the only one, the store asks for no alignment, and every bit pattern
    // is sixteen numbers.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) }
}
