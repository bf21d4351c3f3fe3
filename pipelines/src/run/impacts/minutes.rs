//! Minutes: in which minutes metric rows of a tick are, by colony and service.

use model::chunks::Metrics;
use model::series::SeriesId;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;
use std::ops::Range;

/// Minutes of a day, and words of 64 that hold a bit for each.
const DAY_MINUTES: i64 = DAY_MS / MINUTE_MS;
const DAY_WORDS: usize = (DAY_MINUTES as usize).div_ceil(64);

/// The minutes of one day.
type Day = [u64; DAY_WORDS];

/// Minutes in which rows of a colony's service are.
#[derive(Debug)]
pub(super) struct OfService {
    /// The colony.
    pub(super) colony_id: &'static str,
    /// The application that its rows state.
    pub(super) application_name: &'static str,
    /// The service.
    pub(super) service_id: &'static str,
    days: BTreeMap<i64, Day>,
}

impl OfService {
    fn note(&mut self, time: TimeMs) {
        let minute = time.0.div_euclid(MINUTE_MS);
        let bit = minute.rem_euclid(DAY_MINUTES) as usize;
        self.days.entry(minute.div_euclid(DAY_MINUTES)).or_insert([0; DAY_WORDS])[bit / 64] |= 1 << (bit % 64);
    }

    /// Whether a row is in a minute that the span reaches.
    pub(super) fn has(&self, span: &Range<TimeMs>) -> bool {
        let first = span.start.0.div_euclid(MINUTE_MS);
        let end = (span.end + (MINUTE_MS - 1)).0.div_euclid(MINUTE_MS);
        let days = self.days.range(first.div_euclid(DAY_MINUTES)..=end.div_euclid(DAY_MINUTES));
        days.into_iter().any(|(number, day)| {
            let midnight = number * DAY_MINUTES;
            let (from, to) = (first.max(midnight) - midnight, end.min(midnight + DAY_MINUTES) - midnight);
            (from..to).any(|bit| day[bit as usize / 64] >> (bit % 64) & 1 == 1)
        })
    }
}

/// The minutes of all rows.
pub(super) fn of_rows(metrics: &Metrics) -> Vec<OfService> {
    let mut found: Vec<OfService> = Vec::new();
    let mut places: BTreeMap<(&'static str, &'static str, &'static str), usize> = BTreeMap::new();
    // by the number of the series; one more than its place, 0 where it has none yet
    let mut of_series: Vec<usize> = Vec::new();
    for chunk in metrics.chunks() {
        for (series, time) in chunk.series().iter().zip(chunk.times()) {
            if of_series.len() <= series.index() {
                of_series.resize(series.index() + 1, 0);
            }
            if of_series[series.index()] == 0 {
                let names = series.series().names();
                let key = (names.colony_id, names.application_name, names.service_id);
                let place = *places.entry(key).or_insert(found.len());
                if place == found.len() {
                    let (colony_id, application_name, service_id) = key;
                    found.push(OfService { colony_id, application_name, service_id, days: BTreeMap::new() });
                }
                of_series[series.index()] = place + 1;
            }
            found[of_series[series.index()] - 1].note(*time);
        }
    }
    found
}

/// The newest row of each series.
pub(super) fn newest(metrics: &Metrics) -> Vec<(SeriesId, TimeMs)> {
    let mut found: Vec<(SeriesId, TimeMs)> = Vec::new();
    let mut of_series: Vec<usize> = Vec::new();
    for chunk in metrics.chunks() {
        for (series, time) in chunk.series().iter().zip(chunk.times()) {
            if of_series.len() <= series.index() {
                of_series.resize(series.index() + 1, 0);
            }
            match of_series[series.index()] {
                0 => {
                    found.push((*series, *time));
                    of_series[series.index()] = found.len();
                }
                place => found[place - 1].1 = found[place - 1].1.max(*time),
            }
        }
    }
    found
}

/// From the first to the last row; `None` without rows.
pub(super) fn reach(metrics: &Metrics) -> Option<(TimeMs, TimeMs)> {
    let times = || metrics.chunks().iter().flat_map(|chunk| chunk.times().iter().copied());
    times().min().zip(times().max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::metric::MetricPoint;
    use model::series::SeriesRef;

    fn at(service_id: &str, minute: i64, ms: i64) -> MetricPoint {
        let names = SeriesRef { colony_id: "shop", service_id, metric_name: "latency_ms", ..SeriesRef::default() };
        MetricPoint {
            series: SeriesId::of(names),
            timestamp: TimeMs(minute * MINUTE_MS + ms),
            ..MetricPoint::default()
        }
    }

    #[test]
    fn rows_are_found_in_the_minutes_that_a_span_reaches() {
        let metrics: Metrics = vec![at("api", 1_439, 0), at("db", 7, 1), at("api", 5, 59_999), at("api", 5, 0)].into();
        let found = of_rows(&metrics);
        let services: Vec<&str> = found.iter().map(|one| one.service_id).collect();
        assert_eq!(services, ["api", "db"]);
        let has = |from: i64, to: i64| found[0].has(&(TimeMs(from * MINUTE_MS)..TimeMs(to * MINUTE_MS)));
        assert!(has(5, 6) && has(0, 1_440) && has(1_439, 1_500) && has(1_000, 5_000));
        assert!(!has(0, 5) && !has(6, 1_439) && !has(1_440, 3_000) && !has(5, 5));
        let within = TimeMs(5 * MINUTE_MS + 1)..TimeMs(5 * MINUTE_MS + 2);
        assert!(found[0].has(&within), "whole minutes count");
        let newest: Vec<i64> = newest(&metrics).into_iter().map(|(_, time)| time.0 / MINUTE_MS).collect();
        assert_eq!(newest, [1_439, 7]);
        assert_eq!(reach(&metrics), Some((TimeMs(5 * MINUTE_MS), TimeMs(1_439 * MINUTE_MS))));
        assert_eq!(reach(&Metrics::default()), None);
    }
}
