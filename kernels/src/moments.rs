//! Means and sums of squares of windows, added in one fixed order for any vector width.

use crate::wide::Work;

/// A sum of squares about the mean this small beside the sum of squares is rounding: the series does not move.
const RELATIVE_VARIANCE_MIN: f64 = 1e-12;

/// Whether a sum of squares about the mean, out of a sum of squares `raw`, is more than rounding.
#[inline]
pub fn varies(about_mean: f64, raw: f64) -> bool {
    about_mean > RELATIVE_VARIANCE_MIN * raw
}

/// Sums kept side by side, so that vectors of any width add in the same order.
const LANES: usize = 8;

/// The sum over all slots of what `at` makes of the values there. The slices are of one length.
///
/// One sum at a time: that is a shape which the compiler makes vectors of.
#[inline(always)]
pub(crate) fn sum<const S: usize>(slices: [&[f64]; S], at: impl Fn([f64; S]) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let blocks = slices.map(|values| values.as_chunks::<LANES>().0);
    for index in 0..blocks[0].len() {
        let block = blocks.map(|blocks| &blocks[index]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += at(block.map(|block| block[lane]));
        }
    }
    let rests = slices.map(|values| values.as_chunks::<LANES>().1);
    for (lane, sum) in lanes.iter_mut().enumerate().take(rests[0].len()) {
        *sum += at(rests.map(|rest| rest[lane]));
    }
    lanes.iter().sum()
}

/// Mean of a window without a gap, and the sum of squares about it; 0 where the sum is no more than rounding.
#[inline(always)]
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let mean = sum([values], |[v]| v) / values.len() as f64;
    let about = sum([values], |[v]| (v - mean) * (v - mean));
    let raw = sum([values], |[v]| v * v);
    (mean, if varies(about, raw) { about } else { 0.0 })
}

/// [`moments`] with the instructions of a path.
pub(crate) struct Moments<'a>(pub &'a [f64]);

impl Work for Moments<'_> {
    type Out = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        moments(self.0)
    }
}
