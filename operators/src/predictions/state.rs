//! The operator: standings of patterns at closed instants in, corrections of predictions out.

use super::lookback::{current_since, trial_ms};
use super::row::{pattern_day, prediction};
use super::trial::{Tried, muted, tried};
use crate::events::row::{Frequency, PairAfter};
use crate::events::{EventParams, EventVerdict, Standing};
use crate::ext::Change;
use model::derived::{DerivedRow, Value};
use model::event::EventTypeKey;
use model::time::TimeMs;
use std::collections::BTreeMap;

type PairKey = (EventTypeKey, EventTypeKey);

/// The instant that a row belongs to, its table and its key.
type Place = (TimeMs, String, Vec<Value>);

/// The predictions of the time that is kept current.
///
/// Memory: the rows after [`current_since`]. Earlier ones are forgotten and stay as they are.
///
/// ```
/// use coral_operators::events::{EventParams, EventVerdict};
/// use coral_operators::predictions::Predictions;
/// use model::time::TimeMs;
/// let mut verdict = EventVerdict::new(EventParams::default());
/// let mut predictions = Predictions::new(EventParams::default());
/// // nothing is confirmed, nothing is predicted
/// assert!(predictions.evaluate(&mut verdict, TimeMs(0)).is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Predictions {
    params: EventParams,
    /// Rows from here on are kept current. It never moves back: what was final once stays so.
    since: TimeMs,
    rows: BTreeMap<PairKey, BTreeMap<Place, DerivedRow>>,
}

impl Predictions {
    /// Without rows.
    pub fn new(params: EventParams) -> Predictions {
        Predictions { params, since: TimeMs(i64::MIN), rows: BTreeMap::new() }
    }

    /// Takes what is different in a verdict, and returns what changed, sorted. Only patterns that have changed are looked
    /// at, from the first closed instant on at which they have.
    pub fn evaluate(&mut self, verdict: &mut EventVerdict, now: TimeMs) -> Vec<Change<DerivedRow>> {
        self.forget_before(current_since(&self.params, now));
        let mut changes = Vec::new();
        for (pattern, first) in verdict.take_restood() {
            let since = first.max(self.since);
            let days: Vec<Standing<'_>> = verdict.standing(&pattern).collect();
            let fresh = self.rows_of(&days, since);
            let mut own = self.rows.remove(&pattern).unwrap_or_default();
            let before = own.split_off(&(since, String::new(), Vec::new()));
            let gone = before.iter().filter(|(place, row)| fresh.get(*place) != Some(*row));
            changes.extend(gone.map(|(_, row)| (row.clone(), -1)));
            let new = fresh.iter().filter(|(place, row)| before.get(*place) != Some(*row));
            changes.extend(new.map(|(_, row)| (row.clone(), 1)));
            own.extend(fresh);
            if !own.is_empty() {
                self.rows.insert(pattern, own);
            }
        }
        changes.sort_unstable();
        changes
    }

    /// Rows of earlier instants are final.
    fn forget_before(&mut self, since: TimeMs) {
        if since <= self.since {
            return;
        }
        self.since = since;
        self.rows.retain(|_, rows| {
            *rows = rows.split_off(&(since, String::new(), Vec::new()));
            !rows.is_empty()
        });
    }

    /// The rows of one pattern from `since` on, given its days by time.
    fn rows_of(&self, days: &[Standing<'_>], since: TimeMs) -> BTreeMap<Place, DerivedRow> {
        let (trial_ms, lateness_ms) = (trial_ms(&self.params), self.params.lateness_ms);
        let mut rows = BTreeMap::new();
        for (place, Standing { frequency, after }) in days.iter().enumerate() {
            if after.instant < since {
                continue;
            }
            let earlier = days[..place].iter().filter(|day| day.after.instant >= after.instant - trial_ms);
            let cases: Vec<Tried> =
                earlier.flat_map(|day| decided(day.after, day.frequency, lateness_ms, after.instant)).collect();
            let muted = muted(frequency, &cases);
            let mut add = |row: DerivedRow| drop(rows.insert((after.instant, row.table.clone(), row.key.clone()), row));
            add(pattern_day(after, frequency, muted));
            if muted.is_none() {
                after.cases.iter().for_each(|case| add(prediction(after, frequency, case, lateness_ms)));
            }
        }
        rows
    }
}

/// The cases of a day that were decided by `instant`.
fn decided<'a>(
    after: &'a PairAfter,
    frequency: &'a Frequency,
    lateness_ms: i64,
    instant: TimeMs,
) -> impl Iterator<Item = Tried> + 'a {
    after.cases.iter().filter_map(move |case| tried(case, frequency, lateness_ms, instant))
}
