//! Fast clocks: accepted rows that are ahead of the reader's clock, and their services. They move no other mark, but
//! their times are wrong, and so are the patterns based on them.

use model::rows::Rows;
use model::time::{MINUTE_MS, TimeMs, format_duration_ms};
use sources::InputReport;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum difference of two synchronised clocks.
const AHEAD_MS_MIN: i64 = 10 * MINUTE_MS;
/// The most services that are named in the log.
const NAMED_MAX: usize = 100;

/// Services whose fast clocks have been reported.
#[derive(Debug, Default)]
pub(crate) struct ClockSkew {
    named: BTreeSet<(String, String)>,
}

impl ClockSkew {
    /// Notes rows after `now`, the reader's clock; the log names each service once.
    pub(crate) fn observe(&mut self, rows: &Rows, now: TimeMs, report: &mut InputReport) {
        let mut ahead: BTreeMap<(&str, &str), (u64, TimeMs)> = BTreeMap::new();
        let events = rows.events.iter().map(|row| (&*row.colony_id, &*row.service_id, row.timestamp));
        let metrics = rows
            .metrics
            .iter()
            .map(|row| (&*row.series.series().key.colony_id, &*row.series.series().key.service_id, row.timestamp));
        for (colony_id, service_id, time) in events.chain(metrics).filter(|(_, _, time)| *time > now + AHEAD_MS_MIN) {
            let (rows, furthest) = ahead.entry((colony_id, service_id)).or_insert((0, time));
            *rows += 1;
            *furthest = time.max(*furthest);
        }
        for ((colony_id, service_id), (rows, furthest)) in ahead {
            let note =
                format!("{colony_id}/{service_id}: times ahead of this machine's clock; one of the two is wrong");
            (0..rows).for_each(|_| report.add_note(&note));
            let key = (colony_id.to_owned(), service_id.to_owned());
            if self.named.len() < NAMED_MAX && self.named.insert(key) {
                let ahead = format_duration_ms(furthest - now);
                tracing::warn!(
                    %colony_id, %service_id, %furthest, clock = %now,
                    "the clock of a service is {ahead} ahead of this machine's; its rows are accepted unchanged, and \
                     make no others late"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use model::event::Event;

    #[test]
    fn services_ahead_of_the_clock_are_named_and_others_are_not() {
        let now = TimeMs(1_700_000_000_000);
        let event = |service: &str, minutes: i64| Event {
            service_id: service.to_owned(),
            ..fixtures::event("shop", &format!("{service}{minutes}"), now + minutes * MINUTE_MS)
        };
        let events = vec![event("api", 0), event("web", 300), event("api", 10), event("web", 360)];
        let (mut fast, mut report) = (ClockSkew::default(), InputReport::default());
        fast.observe(&Rows { events, ..Rows::default() }, now, &mut report);
        let notes: Vec<(&String, &u64)> = report.notes.iter().collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].0.starts_with("shop/web: ") && *notes[0].1 == 2, "{notes:?}");
        assert_eq!(fast.named, BTreeSet::from([("shop".to_owned(), "web".to_owned())]));
    }
}
