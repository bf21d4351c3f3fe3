//! Medians and quantiles of slices. The order of the values does not matter, so results do not depend on it.

/// The median; `None` of nothing.
///
/// ```
/// use coral_operators::derived_events::robust::median;
/// assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
/// assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
/// assert_eq!(median(&mut []), None);
/// ```
pub fn median(values: &mut [f64]) -> Option<f64> {
    let (half, is_odd) = (values.len() / 2, values.len() % 2 == 1);
    if values.is_empty() {
        return None;
    }
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    if is_odd {
        return Some(middle);
    }
    let before = below.iter().copied().max_by(f64::total_cmp)?;
    Some(before + (middle - before) / 2.0)
}

/// The median of values that rise; there is at least one.
pub fn median_of_rising(rising: &[f64]) -> f64 {
    let (low, high) = (rising[(rising.len() - 1) / 2], rising[rising.len() / 2]);
    low + (high - low) / 2.0
}

/// The distance from `centre` within which so many of ten of the rising values are, without interpolation.
///
/// ```
/// use coral_operators::derived_events::robust::tenths_around;
/// assert_eq!(tenths_around(&[1.0, 2.0, 3.0, 4.0, 9.0], 3.0, 9), 2.0);
/// assert_eq!(tenths_around(&[1.0, 2.0, 3.0, 4.0, 9.0], 3.0, 10), 6.0);
/// ```
pub fn tenths_around(rising: &[f64], centre: f64, tenths: usize) -> f64 {
    // the farthest ones are at both ends
    let (mut first, mut last) = (0, rising.len() - 1);
    for _ in (rising.len() - 1) * tenths / 10..rising.len() - 1 {
        if centre - rising[first] > rising[last] - centre { first += 1 } else { last -= 1 }
    }
    (centre - rising[first]).max(rising[last] - centre)
}

/// The median, and the median distance from it, 1.4826 times: for a normal distribution its standard deviation.
pub fn centre_and_spread(values: &mut [f64]) -> Option<(f64, f64)> {
    let centre = median(values)?;
    values.iter_mut().for_each(|value| *value = (*value - centre).abs());
    Some((centre, 1.4826 * median(values)?))
}
