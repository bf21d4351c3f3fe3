//! Values as integer levels, and the distance of each level from its value.

/// Longest window in slots: beyond it a level would have fewer than seven bits.
pub const WINDOW_MAX: usize = 131_072;

/// Squared distances are stored as whole multiples of this fraction of a squared level.
pub(crate) const ENERGY_UNIT: f64 = 1.0 / 65_536.0;

/// Greatest level for windows of `window` slots. `window × level²` stays below 2^31, so that a sum over a window is exact
/// in 32 bits: 1221 for a day of minutes, 4729 for a day of quarters of an hour.
///
/// ```
/// use coral_kernels::level_max;
/// assert_eq!((level_max(1440), level_max(96), level_max(1)), (1221, 4729, 32_767));
/// ```
pub fn level_max(window: usize) -> i16 {
    let room = i32::MAX as usize / window.max(1);
    room.isqrt().min(i16::MAX as usize) as i16
}

/// A series as integers, in the order of its values.
pub(crate) struct Quantised {
    /// 0 where missing.
    pub levels: Vec<i16>,
    /// At least (value − level)², both in steps, in [`ENERGY_UNIT`]s; 0 where missing.
    pub energies: Vec<u64>,
    /// The value of level 0, and the distance of two levels.
    pub centre: f64,
    pub step: f64,
}

/// Minimum and maximum of the observed values.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    // the minimum of a number and NaN is the number
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(*v), most.max(*v)))
}

/// Levels from `-max` to `max` between the minimum and the maximum; NaN is missing. Nothing is clamped: a spike makes
/// the step coarse, and the energies account for it.
///
/// `value = centre + step × (level + e)` with |e| ≤ 1/2 up to rounding; e² goes into the energy, rounded up.
pub(crate) fn quantise(values: &[f64], max: i16) -> Quantised {
    let (least, greatest) = range(values);
    // halves first: the range of two numbers may be beyond all numbers
    let centre = least / 2.0 + greatest / 2.0;
    let step = (greatest / 2.0 - least / 2.0) / f64::from(max);
    let (levels, energies) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
    let mut out = Quantised { levels, energies, centre, step };
    for value in values {
        // a step without its full precision says nothing: all levels are 0 then, and no bound comes from them
        let exact = if value.is_nan() || !step.is_normal() { 0.0 } else { (value - centre) / step };
        let level = exact.round().clamp(-f64::from(max), f64::from(max));
        let error = exact - level;
        out.levels.push(level as i16);
        // `exact` is off by at most 2^-51 × 32767, so its square by less than the one unit that is added
        let energy = (error * error / ENERGY_UNIT).ceil() as u64 + 1;
        out.energies.push(if value.is_nan() { 0 } else { energy });
    }
    out
}
