//! Matches sources with targets: a maximum one-to-one matching.

/// Pairs `(source, target)` of positions whose lag lies inside `(start_ms, end_ms]`, as many as possible, each onset
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
        if free < targets.len() && targets[free] - source <= end_ms {
            pairs.push((position, free));
            free += 1;
        }
    }
    pairs
}
