//! Random series: for any order, steps, late and retracted samples and workers the events equal those of the reference.

use super::{Events, noise, sample};
use crate::derived_events::state::HISTORY_MS;
use crate::derived_events::{DerivedEvent, DerivedEvents};
use crate::ext::Change;
use crate::metrics::block::Sample;
use crate::reference;
use model::time::{DAY_MS, HOUR_MS};
use proptest::prelude::*;

const METRICS: [&str; 4] = ["http_latency_ms", "error_rate", "db.pool.utilization", "memory_rss_mb"];
const QUARTERS: i64 = 5 * 96;

/// A stretch of one series that is different: `(metric, from, quarters, kind)`.
type Odd = (usize, i64, i64, u8);

fn value(metric: usize, quarter: i64, odd: &[Odd]) -> Option<f64> {
    let usual = match metric {
        0 => 100.0 + 20.0 * noise(quarter),
        1 => 0.004 + 0.004 * noise(quarter),
        2 => 0.6 + 0.1 * noise(quarter),
        _ => 500.0 + 20.0 * noise(quarter),
    };
    let mut value = usual;
    for (_, from, quarters, kind) in odd.iter().filter(|(of, ..)| *of == metric) {
        if (*from..from + quarters).contains(&quarter) {
            value = match kind {
                0 => return None,
                1 => value * 1.6,
                2 => value * 4.0,
                _ => value * (1.0 + 0.05 * (quarter - from) as f64),
            };
        }
    }
    Some(value)
}

/// All samples, in order.
fn history(odd: &[Odd]) -> Vec<Sample> {
    let of_quarter = |quarter: i64| {
        (0..METRICS.len())
            .filter_map(move |metric| Some(sample(METRICS[metric], quarter, value(metric, quarter, odd)?)))
    };
    (0..QUARTERS).flat_map(of_quarter).collect()
}

/// The events after feeding `changes` in ticks to so many workers, as the dataflow divides them.
fn fed(changes: &[Change<Sample>], tick: usize, workers: u64) -> Vec<DerivedEvent> {
    let mut operators: Vec<DerivedEvents> = (0..workers).map(|_| DerivedEvents::default()).collect();
    let mut events = Events::default();
    for (number, tick) in changes.chunks(tick.max(1)).enumerate() {
        for (worker, operator) in (0..workers).zip(&mut operators) {
            operator.apply(tick.iter().filter(|(one, _)| one.series.owner_hash() % workers == worker).copied());
            if number % 3 == 1 {
                events.apply(operator.evaluate());
            }
        }
    }
    operators.iter_mut().for_each(|operator| events.apply(operator.evaluate()));
    events.events()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn derived_events_are_those_of_the_reference(
        odd in prop::collection::vec((0..METRICS.len(), 96..QUARTERS, 1..60_i64, 0..4_u8), 1..9),
        late in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20),
        shuffle in any::<u64>(),
        tick in 100..700_usize,
    ) {
        let all = history(&odd);
        let expected = reference::derived_events::events(&all.iter().map(|sample| (*sample, 1)).collect::<Vec<_>>());
        // some come late, and some were wrong at first
        let mut changes: Vec<Change<Sample>> = all.iter().map(|sample| (*sample, 1)).collect();
        for place in late {
            let change = changes.remove(place.index(changes.len()));
            changes.push(change);
        }
        for (place, until) in wrong {
            let place = place.index(changes.len());
            let false_one = Sample { value: (changes[place].0.value.0 * 9.0).into(), ..changes[place].0 };
            changes.insert(place, (false_one, 1));
            let until = place + 1 + until.index(changes.len() - place);
            changes.insert(until, (false_one, -1));
        }
        prop_assert_eq!(&fed(&changes, changes.len(), 1), &expected);
        prop_assert_eq!(&fed(&changes, tick, 1), &expected);
        let mut shuffled = changes.clone();
        shuffled.sort_by_key(|(one, diff)| (one.at.0 as u64 ^ shuffle).wrapping_mul(shuffle | 1) ^ *diff as u64);
        prop_assert_eq!(&fed(&shuffled, tick, 3), &expected);
        let nothing: Vec<Change<Sample>> =
            changes.iter().copied().chain(shuffled.iter().map(|(one, diff)| (*one, -diff))).collect();
        prop_assert_eq!(fed(&nothing, tick, 1), Vec::new());
    }
}

/// A run that forgets what is old finds what one finds that keeps everything.
#[test]
fn forgetting_what_is_old_changes_nothing() {
    let odd: Vec<Odd> = (0..40).map(|n| ((n % 4) as usize, 400 + n * 37, 5 + n % 30, 1 + (n % 3) as u8)).collect();
    let (mut whole, mut brief) = (DerivedEvents::default(), DerivedEvents::default());
    let (mut all, mut kept) = (Events::default(), Events::default());
    for hour in 0..24 * 20 {
        let of_hour: Vec<Change<Sample>> = (hour * 4..hour * 4 + 4)
            .flat_map(|quarter| (0..4).map(move |m| (m, quarter)))
            .filter_map(|(m, quarter)| Some((sample(METRICS[m], quarter, value(m, quarter, &odd)?), 1)))
            .collect();
        whole.apply(of_hour.clone());
        brief.apply(of_hour);
        if hour % 5 == 0 {
            kept.apply(brief.evaluate());
            brief.forget(super::START + hour * HOUR_MS, HISTORY_MS + DAY_MS);
        }
    }
    all.apply(whole.evaluate());
    kept.apply(brief.evaluate());
    assert!(all.events().len() > 10, "{}", all.events().len());
    assert_eq!(kept.told(), all.told());
}
