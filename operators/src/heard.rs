//! Up to when each colony was heard of, by its metrics: so that a target that did not come is told from one that
//! could not have been seen.

use crate::ext::Change;
use model::chunks::Metrics;
use model::time::{MINUTE_MS, TimeMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Times are rounded down to this.
const STEP_MS: i64 = 5 * MINUTE_MS;

/// A colony was heard of. It is never retracted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Heard {
    /// The colony.
    pub colony_id: String,
    /// When, to five minutes.
    pub at: TimeMs,
}

impl Heard {
    /// Of a colony whose newest metric on time is from `newest`, as its rows themselves would tell it.
    ///
    /// ```
    /// use coral_operators::heard::Heard;
    /// use model::time::{MINUTE_MS, TimeMs};
    /// assert_eq!(Heard::of("a", TimeMs(13 * MINUTE_MS)).at, TimeMs(10 * MINUTE_MS));
    /// ```
    pub fn of(colony_id: &str, newest: TimeMs) -> Heard {
        Heard { colony_id: colony_id.to_owned(), at: newest.floor_to(STEP_MS) }
    }
}

/// Notes in metric rows which colonies are heard of.
#[derive(Debug, Default)]
pub struct Listener {
    /// Last step of each series, by its number; 0 where it is unknown.
    series: Vec<TimeMs>,
    colonies: BTreeMap<&'static str, TimeMs>,
}

impl Listener {
    /// What is new in some rows of `metrics`, colony by colony.
    pub fn note(&mut self, metrics: &Metrics, rows: Range<usize>) -> Vec<Heard> {
        let mut news: BTreeMap<&'static str, TimeMs> = BTreeMap::new();
        let mut begin = 0;
        for chunk in metrics.chunks() {
            let end = begin + chunk.len();
            let own = rows.start.clamp(begin, end) - begin..rows.end.clamp(begin, end) - begin;
            begin = end;
            for (series, at) in chunk.series()[own.clone()].iter().zip(&chunk.times()[own]) {
                if self.series.len() <= series.index() {
                    self.series.resize(series.index() + 1, TimeMs::default());
                }
                let last = &mut self.series[series.index()];
                if *at - *last >= STEP_MS {
                    *last = at.floor_to(STEP_MS);
                    let newest = news.entry(&series.series().key.colony_id).or_default();
                    *newest = (*newest).max(*last);
                }
            }
        }
        let known = &mut self.colonies;
        news.retain(|colony_id, at| {
            let last = known.entry(*colony_id).or_default();
            let is_new = *at > *last;
            *last = (*last).max(*at);
            is_new
        });
        news.into_iter().map(|(colony_id, at)| Heard { colony_id: colony_id.to_owned(), at }).collect()
    }
}

/// Up to when each colony was heard of.
///
/// ```
/// use coral_operators::heard::{Heard, HeardOf};
/// use model::time::{DAY_MS, TimeMs};
/// let at = |day: i64| TimeMs(day * DAY_MS);
/// let mut heard = HeardOf::default();
/// heard.apply(vec![(Heard { colony_id: "a".into(), at: at(20) }, 1), (Heard { colony_id: "a".into(), at: at(19) }, 1)]);
/// assert_eq!(heard.all(at(21)).collect::<Vec<_>>(), [("a", at(20))]);
/// // nothing from after that time is known
/// assert_eq!(heard.all(at(10)).collect::<Vec<_>>(), [("a", at(10))]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct HeardOf {
    colonies: BTreeMap<String, TimeMs>,
}

impl HeardOf {
    /// Applies what is new.
    pub fn apply(&mut self, changes: Vec<Change<Heard>>) {
        for (Heard { colony_id, at }, _) in changes.into_iter().filter(|(_, diff)| *diff > 0) {
            self.colonies.entry(colony_id).and_modify(|last| *last = at.max(*last)).or_insert(at);
        }
    }

    /// When each colony was heard of last, as known at `until`.
    pub fn all(&self, until: TimeMs) -> impl Iterator<Item = (&str, TimeMs)> {
        self.colonies.iter().map(move |(colony_id, at)| (colony_id.as_str(), until.min(*at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::metric::MetricPoint;
    use model::series::{SeriesId, SeriesRef};

    #[test]
    fn a_colony_is_heard_of_once_per_step_whatever_its_series() {
        let point = |colony_id: &str, metric_name: &str, minute: i64| MetricPoint {
            series: SeriesId::of(SeriesRef { colony_id, service_id: "s", metric_name, ..SeriesRef::default() }),
            timestamp: TimeMs(minute * MINUTE_MS),
            ..MetricPoint::default()
        };
        let metrics: Metrics = vec![point("a", "m", 12), point("b", "m", 9), point("a", "n", 16)].into();
        let heard =
            |colony_id: &str, minute: i64| Heard { colony_id: colony_id.to_owned(), at: TimeMs(minute * MINUTE_MS) };
        let mut listener = Listener::default();
        assert_eq!(listener.note(&metrics, 0..2), [heard("a", 10), heard("b", 5)]);
        assert_eq!(listener.note(&metrics, 0..3), [heard("a", 15)]);
        assert_eq!(listener.note(&metrics, 0..3), []);
    }
}
