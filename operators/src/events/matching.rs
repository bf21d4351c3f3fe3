//! Which source goes with which target: a maximum one-to-one matching, and the lags it gives.

/// Pairs `(source, target)` of positions whose lag lies inside `(start_ms, end_ms)`, as many as possible, each onset
/// used once. Times must rise.
///
/// Giving each source the earliest target still free is optimal because all lag intervals have the same length: a
/// target too early for this source is too early for every later one.
///
/// ```
/// use coral_operators::events::matching::match_one_to_one;
/// let pairs = match_one_to_one(&[0, 10, 20], &[12, 14, 100], 0, 30);
/// assert_eq!(pairs, [(0, 0), (1, 1)]);
/// ```
pub fn match_one_to_one(sources: &[i64], targets: &[i64], start_ms: i64, end_ms: i64) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut free = 0;
    for (position, source) in sources.iter().enumerate() {
        while free < targets.len() && targets[free] - source <= start_ms {
            free += 1;
        }
        if free < targets.len() && targets[free] - source < end_ms {
            pairs.push((position, free));
            free += 1;
        }
    }
    pairs
}

/// First quartile, median and third quartile of lags in whole seconds; `None` without lags.
///
/// Between two lags it interpolates linearly (NumPy's default), in quarters of a millisecond, and rounds once.
///
/// ```
/// use coral_operators::events::matching::lag_quartiles_s;
/// assert_eq!(lag_quartiles_s(vec![4_000, 1_000, 2_000, 3_000]), Some([2, 3, 3]));
/// assert_eq!(lag_quartiles_s(vec![]), None);
/// ```
pub fn lag_quartiles_s(mut lags_ms: Vec<i64>) -> Option<[i32; 3]> {
    lags_ms.sort_unstable();
    let last = lags_ms.len().checked_sub(1)?;
    let quartile = |quarter: usize| {
        let (index, rest) = (last * quarter / 4, (last * quarter % 4) as i64);
        let upper = lags_ms[(index + 1).min(last)];
        let quarter_ms = 4 * lags_ms[index] + rest * (upper - lags_ms[index]);
        i32::try_from((quarter_ms + 2_000).div_euclid(4_000)).unwrap_or(i32::MAX)
    };
    Some([quartile(1), quartile(2), quartile(3)])
}
