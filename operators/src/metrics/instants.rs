//! Which instants are evaluated, and what each of them is.

use super::params::WALK_MS;
use model::time::{DAY_MS, HOUR_MS, TimeMs};
use std::collections::BTreeSet;

/// What an instant is among those of an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The end of a day.
    #[default]
    Closed,
    /// The end of the last hour: findings are shown as of it while their verdict stays the same.
    LastHour,
    /// The present one.
    Current,
}

impl Role {
    /// Of an instant, when this is the present one.
    pub fn of(at: TimeMs, current: TimeMs) -> Role {
        if at == current {
            Role::Current
        } else if at == last_hour(current) {
            Role::LastHour
        } else {
            Role::Closed
        }
    }

    /// Whether findings can be as of it.
    pub fn is_shown(self) -> bool {
        self != Role::Closed
    }
}

/// The last milliseconds of the UTC days that ended in the last seven days, of the last hour, then the present one.
pub fn instants(current: TimeMs) -> BTreeSet<TimeMs> {
    let last_midnight = current.floor_to(DAY_MS);
    let closed = (0..=WALK_MS / DAY_MS).map(|day| last_midnight - day * DAY_MS - 1_i64);
    closed.filter(|at| *at >= current - WALK_MS).chain([last_hour(current), current]).collect()
}

/// The last millisecond of the UTC hour that is over at a present instant; that instant itself where it ends one.
///
/// ```
/// use coral_operators::metrics::instants::last_hour;
/// use model::time::{HOUR_MS, MINUTE_MS, TimeMs};
/// let end = TimeMs(7 * HOUR_MS - 1);
/// assert_eq!([end, end + MINUTE_MS, end + HOUR_MS].map(last_hour), [end, end, end + HOUR_MS]);
/// ```
pub fn last_hour(current: TimeMs) -> TimeMs {
    (current + 1_i64).floor_to(HOUR_MS) - 1_i64
}

/// Whether an instant ends a day.
pub fn ends_day(at: TimeMs) -> bool {
    let next = at + 1_i64;
    next == next.floor_to(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE_MS;

    #[test]
    fn the_last_hour_is_one_more_instant_unless_it_ends_a_day_or_is_the_present() {
        let midnight = TimeMs(20_000 * DAY_MS);
        let at = |minute: i64| midnight + minute * MINUTE_MS - 1_i64;
        let count = |minute: i64| instants(at(minute)).len();
        // seven days, the last hour, the present
        assert_eq!([count(1), count(60), count(61), count(120), count(1440), count(1441)], [8, 8, 9, 8, 8, 8]);
        let roles: Vec<Role> = instants(at(95)).into_iter().map(|instant| Role::of(instant, at(95))).collect();
        assert_eq!(roles[..7], [Role::Closed; 7]);
        assert_eq!(roles[7..], [Role::LastHour, Role::Current]);
        assert!(ends_day(at(0)) && !ends_day(at(60)));
        assert_eq!(Role::of(at(0), at(1)), Role::LastHour, "in the first hour it is the end of the day before");
    }
}
