//! The world of a simulation: the rows that come into being, and when each reaches its colony.

use crate::determinism::{START, rows};
use fixtures::random::Random;
use model::event::Event;
use model::metric::MetricPoint;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// The colonies that rows belong to.
pub const COLONIES: [&str; 3] = ["mail-production", "pay-production", "shop-production"];
/// When the last row has arrived.
pub const END: TimeMs = TimeMs(START.0 + 18 * DAY_MS + 8 * HOUR_MS);
/// The longest time that a row is in transit to its colony. With a wrong clock it stays within the allowed lateness of
/// six hours.
const DELAY_MS_MAX: u64 = 2 * HOUR_MS as u64;
const WRONG_CLOCK_MS_MAX: u64 = 3 * HOUR_MS as u64;

/// A row that an agent hands to its colony.
#[derive(Clone, Debug)]
pub enum Row {
    Event(Event),
    Metric(MetricPoint),
}

impl Row {
    fn colony_id(&self) -> &str {
        match self {
            Row::Event(event) => &event.colony_id,
            Row::Metric(point) => &point.series.key.colony_id,
        }
    }
}

/// Rows by colony, each with its time of arrival, in order.
pub type Arrivals = BTreeMap<&'static str, Vec<(TimeMs, Row)>>;

/// A row and the true time at which it came into being.
type Born = (TimeMs, Row);

/// Every copy of every row of a seed.
pub fn rows_of(seed: u64) -> Vec<Born> {
    let (events, metrics) = rows(seed);
    let mut random = Random(seed ^ 0x0f_ab1e);
    let mut born: Vec<Born> = Vec::new();
    // one service of one colony has a wrong clock for some days
    let wrong_service = (random.below(2) == 0).then(|| events[random.below(events.len() as u64) as usize].clone());
    let skew_ms = random.below(2 * WRONG_CLOCK_MS_MAX) as i64 - WRONG_CLOCK_MS_MAX as i64;
    let wrong_from = START + random.below(12 * DAY_MS as u64) as i64;
    for event in events {
        let at = event.timestamp;
        let is_wrong = wrong_service.as_ref().is_some_and(|wrong| {
            (&wrong.colony_id, &wrong.service_id) == (&event.colony_id, &event.service_id)
                && (wrong_from..wrong_from + 4 * DAY_MS).contains(&at)
        });
        let event = Event { timestamp: at + if is_wrong { skew_ms } else { 0 }, ..event };
        let later = |version: u64, shift_ms: i64| Event {
            version,
            timestamp: event.timestamp + shift_ms,
            description: format!("version {version}"),
            ..event.clone()
        };
        let shift_ms = random.below(2 * HOUR_MS as u64) as i64 - HOUR_MS;
        match random.below(12) {
            0 => born.push((at + MINUTE_MS, Row::Event(later(1, shift_ms)))),
            1 => born.push((at + MINUTE_MS, Row::Event(Event { withdrawn: true, ..later(0, 0) }))),
            2 => {
                born.push((at + MINUTE_MS, Row::Event(Event { withdrawn: true, ..later(1, shift_ms) })));
                born.push((at + 2 * MINUTE_MS, Row::Event(later(2, shift_ms / 2))));
            }
            _ => {}
        }
        born.push((at, Row::Event(event)));
    }
    // buckets are handed over when they are closed, and before that as far as they have come
    let closed_at = |point: &MetricPoint| point.timestamp + 5 * MINUTE_MS;
    let buckets = metrics.into_iter();
    born.extend(buckets.map(|point| {
        let is_open = point.count == Some(4);
        (closed_at(&point) - if is_open { MINUTE_MS } else { 0 }, Row::Metric(point))
    }));
    born.sort_by_key(|(at, _)| *at);
    born
}

/// Every row reaches its colony as it comes into being.
pub fn in_order(born: &[Born]) -> Arrivals {
    by_colony(born.to_vec())
}

/// Events are in transit for a while and some come twice; buckets come in order, some twice in a row.
pub fn disturbed(born: &[Born], random: &mut Random) -> Arrivals {
    let mut arrivals = Vec::new();
    for (at, row) in born {
        let copies = 1 + u64::from(random.below(6) == 0);
        for _ in 0..copies {
            let delay_ms = match row {
                Row::Event(_) => random.below(DELAY_MS_MAX) as i64,
                Row::Metric(_) => 0,
            };
            arrivals.push((*at + delay_ms, row.clone()));
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    by_colony(arrivals)
}

fn by_colony(arrivals: Vec<Born>) -> Arrivals {
    let mut of_colonies: Arrivals = COLONIES.iter().map(|colony| (*colony, Vec::new())).collect();
    for arrival in arrivals {
        if let Some(rows) = of_colonies.get_mut(arrival.1.colony_id()) {
            rows.push(arrival);
        }
    }
    of_colonies
}
