//! The kernel with 256-bit instructions: `vpmaddwd` and an addition for eight lags.

#![expect(unsafe_code, reason = "loads and stores of vectors")]

use super::{TILE_LAGS, Tile, Word, near};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_storeu_si256,
};

/// 32-bit numbers of a vector.
const LANES: usize = 8;
/// Vectors of lags: with four targets 8 sums, 2 loads, a word and a product, of 16 registers.
const VECTORS: usize = 2;
const NEAR: usize = LANES * VECTORS;

/// See [`super::accumulate`].
#[target_feature(enable = "avx2")]
pub(super) fn tile<const T: usize, const STRIDE: usize>(source: &[Word], targets: [&[Word]; T]) -> Tile<T> {
    let mut out = [[0; TILE_LAGS]; T];
    for from in (0..TILE_LAGS).step_by(NEAR) {
        let mut sums = [[_mm256_setzero_si256(); VECTORS]; T];
        for step in 0..targets[0].len() {
            let near: &[Word; NEAR] = near(source, from + STRIDE * step);
            let mut x = [_mm256_setzero_si256(); VECTORS];
            for (x, words) in x.iter_mut().zip(near.as_chunks().0) {
                *x = load(words);
            }
            for (sums, words) in sums.iter_mut().zip(targets) {
                let word = _mm256_set1_epi32(words[step].bits());
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, word));
                }
            }
        }
        for (sums, out) in sums.into_iter().zip(&mut out) {
            for (sum, out) in sums.into_iter().zip(out[from..].as_chunks_mut().0) {
                store(sum, out);
            }
        }
    }
    out
}

/// See [`super::peak`].
#[target_feature(enable = "avx2")]
pub(super) fn peak(rounds: u32, factor: i32) -> (u64, i32) {
    /// Sums that do not wait for each other.
    const SUMS: usize = 14;
    let factor = _mm256_set1_epi32(factor);
    let mut sums: [__m256i; SUMS] = std::array::from_fn(|n| _mm256_set1_epi32(n as i32));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(*sum, factor));
        }
    }
    let mut out = [[0; LANES]; SUMS];
    sums.into_iter().zip(&mut out).for_each(|(sum, out)| store(sum, out));
    let all = out.as_flattened().iter().fold(0, |all: i32, sum| all.wrapping_add(*sum));
    (u64::from(rounds) * (SUMS * LANES * 2) as u64, all)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[Word; LANES]) -> __m256i {
    // SAFETY: the reference covers 32 bytes, the load asks for no alignment, and every bit pattern is a vector.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(sum: __m256i, out: &mut [i32; LANES]) {
    // SAFETY: the reference covers 32 bytes and is the only one, the store asks for no alignment, and every bit pattern
    // is eight numbers.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sum) }
}
