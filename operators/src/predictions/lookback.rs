//! From which instant on predictions are kept current; those from before are final.

use crate::events::EventParams;
use crate::events::span::{instants, step_ms};
use model::time::{MINUTE_MS, TimeMs};

/// What the horizon has beside the days of a trial: the first step of the walk, the step before the oldest day that is
/// kept current, and the time in which the last source of a day is decided. Negative if the horizon is too short.
fn room_ms(params: &EventParams) -> i64 {
    let open_ms = i64::from(params.max_lag_min()) * MINUTE_MS + params.lateness_ms + params.interval_ms.max(1);
    params.horizon_ms - 2 * step_ms(params.horizon_ms) - open_ms
}

/// How far back the cases go by which a pattern is muted: half of the horizon, in whole steps of the walk, or less, so
/// that a prediction is decided before it is final.
///
/// ```
/// use coral_operators::events::EventParams;
/// use coral_operators::predictions::lookback::trial_ms;
/// use model::time::DAY_MS;
/// let of = |days: i64| trial_ms(&EventParams { horizon_ms: days * DAY_MS, ..EventParams::default() });
/// assert_eq!([3, 4, 5, 30].map(of), [0, DAY_MS, 2 * DAY_MS, 15 * DAY_MS]);
/// ```
pub fn trial_ms(params: &EventParams) -> i64 {
    (params.horizon_ms / 2).min(room_ms(params)).max(0).div_euclid(step_ms(params.horizon_ms))
        * step_ms(params.horizon_ms)
}

/// The first closed instant after which predictions are kept current, when `now` is the greatest event time.
///
/// It is that far after the first instant of the walk that every instant needed for a trial is in the walk, and the
/// instant before it too, whose cases may still have been open. So these predictions depend on rows and on now alone.
/// Sources of earlier instants are decided. A horizon in which they would not be has no such instant until now.
///
/// ```
/// use coral_operators::events::EventParams;
/// use coral_operators::predictions::current_since;
/// use model::time::{DAY_MS, TimeMs};
/// let now = TimeMs(100 * DAY_MS + 1);
/// let of = |days: i64| current_since(&EventParams { horizon_ms: days * DAY_MS, ..EventParams::default() }, now);
/// assert_eq!([30, 3].map(of), [TimeMs(87 * DAY_MS), TimeMs(99 * DAY_MS)]);
/// assert!(of(2) > now);
/// ```
pub fn current_since(params: &EventParams, now: TimeMs) -> TimeMs {
    let step = step_ms(params.horizon_ms);
    if room_ms(params) < 0 {
        return now.floor_to(step) + step;
    }
    let first = instants(params, now).first().copied().unwrap_or(now);
    first + trial_ms(params) + step
}
