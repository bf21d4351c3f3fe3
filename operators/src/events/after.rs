//! What came after a closed instant: the sources of a pair until the next one, and whether the target followed each.
//!
//! These are the cases on which a pattern can be tried: its window is that of the instant, and no onset after the instant
//! has contributed to it. One case at a time: while a source waits for its target, further sources open none.
//!
//! Sources before the instant are not followed back. Instead nothing opens before the last of them would have had its
//! time, so that the cases of a day need the onsets of a bounded past.

use crate::events::row::{Case, Outcome};
use crate::events::types::TypeOnsets;
use model::time::{MINUTE_MS, TimeMs};

/// The time after an instant, and up to when it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The instant.
    pub from: TimeMs,
    /// The next one.
    pub until: TimeMs,
    /// Onsets from here on are not known.
    pub known_until: TimeMs,
    /// The newest event.
    pub now: TimeMs,
    /// How late an event may arrive.
    pub lateness_ms: i64,
}

/// The cases of a pair in a period, and the number of targets in it.
///
/// The onsets must be settled. `window_min` is the window at the instant; `carried_ms` is how long after a source before it a case
/// may have been open; `heard` is when the target's colony was heard of last.
///
/// ```
/// use coral_operators::events::Onset;
/// use coral_operators::events::after::{Period, cases};
/// use coral_operators::events::{row::Outcome, types::TypeOnsets};
/// use model::{event::EventTypeKey, time::TimeMs};
/// let onsets = |colony: &str, minutes: &[i64]| {
///     let mut onsets = TypeOnsets::default();
///     for minute in minutes {
///         let onset = Onset {
///             key: EventTypeKey { colony_id: colony.into(), service_id: "s".into(), event_type: "e".into() },
///             at: TimeMs(minute * 60_000),
///             event_id: format!("{colony}{minute}"),
///             application_name: colony.into(),
///             environment: "production".into(),
///         };
///         onsets.change(onset, 1);
///     }
///     onsets.settle();
///     onsets
/// };
/// let minute = |minute: i64| TimeMs(minute * 60_000);
/// let period =
///     Period { from: minute(0), until: minute(1440), known_until: minute(600), now: minute(599), lateness_ms: 0 };
/// let (sources, targets) = (onsets("a", &[0, 5, 100, 580]), onsets("b", &[12]));
/// let (cases, count) = cases(&sources, &targets, (10, 20), 0, Some(minute(300)), period);
/// // the source at 5 comes while the one at 0 waits
/// assert_eq!(cases.iter().map(|case| case.source_at.0 / 60_000).collect::<Vec<_>>(), [0, 100, 580]);
/// assert_eq!(cases[0].outcome, Outcome::Hit { at: minute(12), event_id: "b12".into() });
/// assert_eq!((&cases[1].outcome, &cases[2].outcome, count), (&Outcome::Miss, &Outcome::Open, 1));
/// ```
pub fn cases(
    sources: &TypeOnsets,
    targets: &TypeOnsets,
    window_min: (u32, u32),
    carried_ms: i64,
    heard: Option<TimeMs>,
    period: Period,
) -> (Vec<Case>, u64) {
    let before = |times: &[i64], limit: TimeMs| times.partition_point(|at| *at < limit.0);
    let known = |onsets: &'_ TypeOnsets| before(onsets.times(), period.known_until);
    let (source_times, target_times) = (&sources.times()[..known(sources)], &targets.times()[..known(targets)]);
    let within = |times: &[i64]| before(times, period.from)..before(times, period.until);
    let (own, of_targets) = (within(source_times), within(target_times));
    let (start_ms, end_ms) = (i64::from(window_min.0) * MINUTE_MS, i64::from(window_min.1) * MINUTE_MS);
    let event_id = |onsets: &TypeOnsets, at: i64| onsets.at(at).map(|onset| onset.event_id.clone()).unwrap_or_default();
    let mut busy_until = source_times[..own.start].last().map(|at| TimeMs(at + end_ms.max(carried_ms)));
    let mut cases = Vec::new();
    for &at in &source_times[own] {
        let source_at = TimeMs(at);
        if busy_until.is_some_and(|until| source_at < until) {
            continue;
        }
        let ends_at = source_at + end_ms;
        let next = target_times.partition_point(|target| target - at <= start_ms);
        let outcome = match target_times.get(next).filter(|target| **target <= ends_at.0) {
            Some(target) => Outcome::Hit { at: TimeMs(*target), event_id: event_id(targets, *target) },
            None if period.now < ends_at + period.lateness_ms => Outcome::Open,
            None if heard.is_some_and(|at| at >= ends_at) => Outcome::Miss,
            None => Outcome::Void,
        };
        busy_until = Some(if let Outcome::Hit { at, .. } = outcome { at } else { ends_at });
        cases.push(Case { source_at, source_event_id: event_id(sources, at), outcome });
    }
    (cases, of_targets.len() as u64)
}
