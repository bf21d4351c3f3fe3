//! Unconfirmed: why a run has confirmed nothing of events or of metrics: no pair could be tested, none is beyond chance, or
//! what most candidates lack.

use crate::clock::Overtaken;
use model::pattern::{Correlation, PatternState, SignalKind};
use model::time::{TimeMs, format_duration_ms};
use operators::dataflow::Params;
use operators::metrics::MetricPairs;
use operators::tested::{Supply, Tested};
use sinks::{SinkError, Span, StoreReader};
use std::collections::BTreeMap;

/// Colonies that a pair needs.
const COLONIES_MIN: u64 = 2;

/// What is said of one kind of row.
struct Kind {
    signal: SignalKind,
    /// What pairs are made of, as one and as several.
    names: [&'static str; 2],
    /// What makes one usable.
    needs: String,
    /// Between which usable ones of several colonies there is a pair.
    pair: &'static str,
    /// What tested pairs without a candidate lack.
    lacks: String,
}

/// What a run knows of the kinds of which it confirms nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Silent {
    /// What of event types was tested; `None` where one of their patterns is confirmed.
    pub(super) events: Option<Tested>,
    /// The same of metric series.
    pub(super) metrics: Option<Tested>,
    /// Whether metrics have moved the now of events on, with the same exception.
    pub(super) overtaken: Option<Overtaken>,
}

/// Reported events that do not count because metrics have moved the now of events on.
#[derive(Clone, Copy, Debug)]
struct DroppedOut {
    /// Those that are still stored.
    rows: u64,
    /// The first time that counts.
    since: TimeMs,
    now: TimeMs,
}

impl DroppedOut {
    fn sentence(self) -> String {
        let DroppedOut { rows, since, now } = self;
        let events = match rows {
            0 => "all events".to_owned(),
            1 => "1 event".to_owned(),
            rows => format!("{rows} events"),
        };
        let (text, option) = ("the look-back of event patterns ends with the metrics", "correlation.derived_events");
        format!("{events} from before {since} left out: {text} ({option}), at {now}")
    }
}

/// The reasons.
pub(super) async fn of_run(params: &Params, silent: Silent, reader: &dyn StoreReader) -> Vec<String> {
    if silent == Silent::default() { Vec::new() } else { of_store(params, silent, read(params, silent, reader).await) }
}

/// The reasons with what the store was found to hold. The run is complete without them: none if the store does not
/// respond.
fn of_store(
    params: &Params,
    silent: Silent,
    found: Result<(Vec<Correlation>, Option<DroppedOut>), SinkError>,
) -> Vec<String> {
    match found {
        Ok((found, dropped_out)) => {
            let mut all = reasons(params, silent, &found);
            all.extend(dropped_out.map(DroppedOut::sentence));
            all
        }
        Err(error) => {
            tracing::warn!(%error, "the summary does not say why no pattern is confirmed");
            Vec::new()
        }
    }
}

/// What the store holds of patterns, and of events that do not count.
async fn read(
    params: &Params,
    silent: Silent,
    reader: &dyn StoreReader,
) -> Result<(Vec<Correlation>, Option<DroppedOut>), SinkError> {
    let found = reader.correlations().await?;
    let Some(Overtaken { reported_now, now }) = silent.overtaken else { return Ok((found, None)) };
    let (from, since) = (reported_now - params.events.horizon_ms, now - params.events.horizon_ms);
    // no event that was reported lies after its now, but metrics do
    let span = Span { from, to: Some(since.min(reported_now + 1)), with_late: false };
    let (rows, _) = reader.count_in(span).await?;
    // old ones may have been deleted since
    let is_known = rows > 0 || reported_now < since;
    Ok((found, is_known.then_some(DroppedOut { rows, since, now })))
}

/// A sentence for each of these kinds of row of which there is any.
fn reasons(params: &Params, silent: Silent, found: &[Correlation]) -> Vec<String> {
    let of_events = Kind {
        signal: SignalKind::Event,
        names: ["event type", "event types"],
        needs: format!("3 occurrences within {}", format_duration_ms(params.events.horizon_ms)),
        pair: "of different colonies at the same time",
        lacks: "none beyond chance: no event type is followed by another often enough".to_owned(),
    };
    let of_metrics = Kind {
        signal: SignalKind::Metric,
        names: ["metric series", "metric series"],
        needs: format!("values that change, in 80 % of the last {}", format_duration_ms(params.metrics.window_ms)),
        pair: match params.metrics.pairs {
            MetricPairs::All => "of different colonies at the same time",
            MetricPairs::SameMetric => {
                "of the same metric (correlation.metric_pairs) and of different colonies at the same time"
            }
        },
        lacks: format!("no |r| reaches {} (correlation.metric_threshold)", params.metrics.threshold),
    };
    let kinds = [(of_events, silent.events), (of_metrics, silent.metrics)];
    kinds.iter().filter_map(|(kind, tested)| Some(reason(kind, (*tested)?, found))).collect()
}

fn reason(kind: &Kind, Tested { pairs, supply }: Tested, found: &[Correlation]) -> String {
    let several = kind.names[1];
    if pairs == 0 {
        return format!("no pair of {several} could be tested: {}", shortage(kind, supply));
    }
    let looked_at = match pairs {
        1 => format!("1 pair of {several} tested"),
        pairs => format!("{pairs} pairs of {several} tested"),
    };
    let of_state = move |state: PatternState| {
        found.iter().filter(move |row| row.key.source.kind == kind.signal && row.state == state)
    };
    let all: Vec<&Correlation> = of_state(PatternState::Candidate).collect();
    let own: Vec<&Correlation> = all.iter().copied().filter(|row| has_own_reason(row)).collect();
    let candidates = if own.is_empty() { all } else { own };
    let Some((reason, count)) = commonest(&candidates) else {
        return match of_state(PatternState::Withdrawn).count() {
            0 => format!("{looked_at}, {}", kind.lacks),
            withdrawn => format!("{looked_at}, none is a candidate now; {withdrawn} withdrawn"),
        };
    };
    match (candidates.len(), count) {
        (1, _) => format!("{looked_at}; the one candidate is not confirmed: {reason}"),
        (all, same) => format!("{looked_at}; of {all} candidates {same} are not confirmed for this reason: {reason}"),
    }
}

/// Whether a candidate says by itself why it is not confirmed: it is not the other direction of another pattern, and does
/// not follow from one.
fn has_own_reason(row: &Correlation) -> bool {
    let is_mirror = row.explained_by.as_deref().is_some_and(|cause| cause.starts_with("mirror:"));
    row.part_of.is_none() && !is_mirror
}

/// Why there is no pair.
fn shortage(kind: &Kind, Supply { seen, usable, colonies }: Supply) -> String {
    let [one, several] = kind.names;
    let all = format!("{seen} {}", if seen == 1 { one } else { several });
    match usable {
        _ if seen == 0 => format!("there is no {one} in the look-back"),
        0 => format!("of {all} none has {}", kind.needs),
        usable if colonies < COLONIES_MIN => {
            format!("a pair is between two colonies, and of {all} the {usable} with {} are of one", kind.needs)
        }
        usable => format!("of {all} {usable} have {}, but no two {}", kind.needs, kind.pair),
    }
}

/// The reason that most candidates have, as the strongest of these says it, and how many have it. Reasons that differ in
/// numbers alone are the same; of what explains a candidate the kind counts, not the name.
fn commonest(candidates: &[&Correlation]) -> Option<(String, usize)> {
    let mut groups: BTreeMap<String, Vec<&Correlation>> = BTreeMap::new();
    for row in candidates {
        let text = row.reason.as_deref().unwrap_or_default();
        let first = text.split(';').next().unwrap_or_default();
        let without_numbers = || first.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>();
        let key = match row.explained_by.as_deref() {
            Some(cause) if cause.ends_with(":shared_load") => cause.to_owned(),
            Some(cause) => cause.split(':').next().unwrap_or_default().to_owned(),
            None => without_numbers(),
        };
        groups.entry(key).or_default().push(row);
    }
    let largest = groups.into_values().max_by_key(Vec::len)?;
    let strongest = largest.iter().min_by(|a, b| a.q_value.cmp(&b.q_value).then_with(|| a.key.cmp(&b.key)))?;
    Some((strongest.reason.clone().unwrap_or_else(|| "not enough evidence".to_owned()), largest.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::real::Real;
    use operators::events::EventParams;
    use operators::metrics::MetricParams;
    use sinks::compliance::rows::finding;
    use sinks::error::FaultClass;

    fn said(pairs: u64, (seen, usable, colonies): (u64, u64, u64), found: &[Correlation]) -> String {
        let params = Params { events: EventParams::default(), metrics: MetricParams::default(), derived_events: false };
        let tested = Tested { pairs, supply: Supply { seen, usable, colonies } };
        let mut all = reasons(&params, Silent { events: Some(tested), ..Silent::default() }, found);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn candidate(name: &str, q_value: f64, reason: &str, explained_by: Option<&str>) -> Correlation {
        Correlation {
            state: PatternState::Candidate,
            q_value: Real(q_value),
            reason: Some(reason.to_owned()),
            explained_by: explained_by.map(str::to_owned),
            part_of: None,
            ..finding(name, 0.5, &[]).correlation
        }
    }

    #[test]
    fn without_a_pair_it_says_what_is_missing() {
        let none = "no pair of event types could be tested: ";
        let cases = [
            ((0, 0, 0), "there is no event type in the look-back"),
            ((1, 0, 0), "of 1 event type none has 3 occurrences within 30d"),
            ((9, 0, 0), "of 9 event types none has 3 occurrences within 30d"),
            (
                (9, 2, 1),
                "a pair is between two colonies, and of 9 event types the 2 with 3 occurrences within 30d are of one",
            ),
            (
                (9, 2, 2),
                "of 9 event types 2 have 3 occurrences within 30d, but no two of different colonies at the same time",
            ),
        ];
        for (supply, missing) in cases {
            assert_eq!(said(0, supply, &[]), format!("{none}{missing}"));
        }
        let params = Params { events: EventParams::default(), metrics: MetricParams::default(), derived_events: false };
        assert!(reasons(&params, Silent::default(), &[]).is_empty(), "no row, no reason");
        let metrics = reasons(&params, Silent { metrics: Some(Tested::default()), ..Silent::default() }, &[]);
        assert_eq!(metrics, ["no pair of metric series could be tested: there is no metric series in the look-back"]);
    }

    #[test]
    fn a_store_that_does_not_respond_costs_the_reasons_only() {
        let params = Params { events: EventParams::default(), metrics: MetricParams::default(), derived_events: false };
        let silent = Silent { events: Some(Tested::default()), ..Silent::default() };
        let (doing, store, hint) = ("cannot read correlations".to_owned(), "a store".to_owned(), "wait".to_owned());
        let away = SinkError { class: FaultClass::Retry, doing, store, hint, cause: None };
        assert!(of_store(&params, silent, Err(away)).is_empty());
        assert_eq!(of_store(&params, silent, Ok((Vec::new(), None))), reasons(&params, silent, &[]));
    }

    #[test]
    fn events_that_drop_out_are_counted_and_so_is_what_moved_the_look_back() {
        let params = Params { events: EventParams::default(), metrics: MetricParams::default(), derived_events: true };
        let said = |rows: u64| {
            let dropped_out = DroppedOut { rows, since: TimeMs(86_400_000), now: TimeMs(31 * 86_400_000) };
            of_store(&params, Silent::default(), Ok((Vec::new(), Some(dropped_out)))).remove(0)
        };
        let rest = "from before 1970-01-02T00:00:00.000Z left out: the look-back of event patterns ends with the metrics \
                    (correlation.derived_events), at 1970-02-01T00:00:00.000Z";
        assert_eq!(said(0), format!("all events {rest}"));
        assert_eq!(said(1), format!("1 event {rest}"));
        assert_eq!(said(12), format!("12 events {rest}"));
    }

    #[test]
    fn with_pairs_it_says_what_most_candidates_lack() {
        let far = (9, 9, 3);
        assert_eq!(
            said(56, far, &[]),
            "56 pairs of event types tested, none beyond chance: no event type is followed by another often enough"
        );
        let one = candidate("deploy", 0.3, "about 3 more occurrences needed at this rate; 1 case is still open", None);
        assert_eq!(
            said(1, far, std::slice::from_ref(&one)),
            "1 pair of event types tested; the one candidate is not confirmed: about 3 more occurrences needed at this \
             rate; 1 case is still open"
        );
        let found = [
            candidate("a", 0.2, "2 occurrences of the 3 needed", None),
            candidate("b", 0.9, "about 12 more occurrences needed at this rate", None),
            one,
            // these say it of another
            candidate("c", 0.1, "the other direction is stronger", Some("mirror:c-1")),
            Correlation { part_of: Some("c-2".to_owned()), ..candidate("d", 0.1, "follows from", None) },
            Correlation { state: PatternState::Confirmed, ..candidate("e", 0.1, "", None) },
            // the summary counts these separately
            Correlation {
                state: PatternState::Withdrawn,
                ..candidate("f", 0.1, "2 occurrences of the 3 needed", None)
            },
        ];
        assert_eq!(
            said(56, far, &found),
            "56 pairs of event types tested; of 3 candidates 2 are not confirmed for this reason: about 3 more \
             occurrences needed at this rate; 1 case is still open"
        );
        let caused = ["x/y/z", "u/v/w"].map(|cause| {
            candidate(cause, 0.4, &format!("both follow {cause}"), Some(&format!("common_cause:{cause}")))
        });
        let all: Vec<Correlation> = caused.into_iter().chain(found[..1].iter().cloned()).collect();
        assert!(said(9, far, &all).ends_with("of 3 candidates 2 are not confirmed for this reason: both follow u/v/w"));
    }

    #[test]
    fn of_metrics_it_names_the_options_that_leave_pairs_out() {
        let params = |pairs| Params {
            events: EventParams::default(),
            metrics: MetricParams { threshold: 0.85, pairs, ..MetricParams::default() },
            derived_events: false,
        };
        let supply = Supply { seen: 9, usable: 4, colonies: 2 };
        let said = |pairs, tested, found: &[Correlation]| {
            let metrics = Some(Tested { pairs: tested, supply });
            reasons(&params(pairs), Silent { metrics, ..Silent::default() }, found).remove(0)
        };
        assert!(said(MetricPairs::All, 0, &[]).ends_with(", but no two of different colonies at the same time"));
        assert!(said(MetricPairs::SameMetric, 0, &[]).ends_with(
            ", but no two of the same metric (correlation.metric_pairs) and of different colonies at the same time"
        ));
        let low = "7 pairs of metric series tested, no |r| reaches 0.85 (correlation.metric_threshold)";
        assert_eq!(said(MetricPairs::All, 7, &[]), low);
        let mut gone = Correlation { state: PatternState::Withdrawn, ..candidate("m", 0.3, "too weak", None) };
        assert_eq!(said(MetricPairs::All, 7, std::slice::from_ref(&gone)), low, "that one is of events");
        gone.key.source.kind = SignalKind::Metric;
        let found = std::slice::from_ref(&gone);
        let none = "7 pairs of metric series tested, none is a candidate now; 1 withdrawn";
        assert_eq!(said(MetricPairs::All, 7, found), none);
        let mut mirror = candidate("n", 0.3, "the other direction is stronger", Some("mirror:m-1"));
        mirror.key.source.kind = SignalKind::Metric;
        let told = said(MetricPairs::All, 7, &[gone, mirror]);
        assert!(told.ends_with("; the one candidate is not confirmed: the other direction is stronger"), "{told}");
    }
}
