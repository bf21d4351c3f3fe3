//! Numbers of the published NumPy/SciPy reference (`testdata/generate_event_golden.py`), to 1e-9.

use super::support::close;
use crate::calls::{Call, Calls, are_linked};
use crate::events::ebh::q_values;
use crate::events::ends::Ends;
use crate::events::episodes::Onset;
use crate::events::family::Family;
use crate::events::levels::weight;
use crate::events::pair::{ONSETS_MIN, evaluate};
use crate::events::span::Span;
use crate::events::sweep::Sweep;
use crate::events::types::{Observed, TypeOnsets};
use crate::events::windows::Windows;
use crate::events::{PairScan, glance::Logs};
use crate::reference;
use crate::shard::Shard;
use model::event::EventTypeKey;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use model::topology::ServiceEdge;
use serde_json::Value;
use std::collections::BTreeMap;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../testdata/event_golden.json")).unwrap()
}

fn times(value: &Value, origin: i64) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|at| origin + at.as_i64().unwrap()).collect()
}

fn type_of(colony: &str, times: &[i64]) -> (EventTypeKey, TypeOnsets) {
    let key = EventTypeKey { colony_id: colony.into(), service_id: "web".into(), event_type: "alert".into() };
    let mut onsets = TypeOnsets::default();
    for at in times {
        let (event_id, application_name) = (format!("{colony}{at}"), colony.to_owned());
        let onset = Onset { key: key.clone(), at: TimeMs(*at), event_id, application_name, environment: String::new() };
        onsets.change(onset, 1);
    }
    onsets.settle();
    (key, onsets)
}

/// The row of a pair, as the scan gives it.
fn row(sources: &[i64], targets: &[i64], span: Span) -> PairScan {
    let windows = Windows::new(240);
    let ((source, of_source), (target, of_target)) = (type_of("a", sources), type_of("b", targets));
    let observed = [Observed::new(&source, &of_source, span, true), Observed::new(&target, &of_target, span, true)];
    let mut logs = Logs::default();
    let family = Family::new(&observed);
    let mut sweep = Sweep::new(&windows, &mut logs, Shard::WHOLE, span, (&observed, &family));
    sweep.remnant(&(source.clone(), target.clone())).unwrap()
}

#[test]
fn pairs_agree_with_the_published_reference() {
    let golden = golden();
    let pairs = golden["pairs"].as_array().unwrap();
    assert!(pairs.len() > 50);
    let (mut eligible, mut with_evidence) = (0, 0);
    let windows = Windows::new(240);
    for case in pairs {
        let name = case["name"].as_str().unwrap();
        let ends_of = |origin: i64| (times(&case["source_ms"], origin), times(&case["target_ms"], origin));
        let (sources, targets) = ends_of(0);
        let span_ms = case["span_ms"].as_i64().unwrap();
        let oracle = reference::event_pair::analyse(&sources, &targets, 0, span_ms, 240);
        let expected = &case["expected"];
        if expected.is_null() {
            assert!(sources.len().min(targets.len()) < ONSETS_MIN && oracle.is_none(), "{name} is not eligible");
            continue;
        }
        let oracle = oracle.unwrap();
        // the span may begin at any midnight
        for origin in [0, 19_000 * DAY_MS] {
            let (sources, targets) = ends_of(origin);
            let span = Span { origin: TimeMs(origin), instant: TimeMs(origin + span_ms) };
            eligible += 1;
            let ends = |times: &[i64]| Ends::new(times, span, 240);
            let found = evaluate(&windows, &ends(&sources), &ends(&targets), span.length_ms());
            let row = row(&sources, &targets, span);
            let detail = row.detail.as_ref().unwrap();
            let number = |field: &str| expected[field].as_f64().unwrap();
            let whole = |value: &Value| value.as_u64().unwrap();
            if !expected["log_e"].is_null() {
                with_evidence += 1;
                for value in [row.log_e.0, found.log_e, oracle.log_e] {
                    assert!(close(value, number("log_e")), "{name}: ln E {value} is not {}", number("log_e"));
                }
                assert!(oracle.glance >= 1.0, "{name}");
            } else {
                assert!(row.log_e.0 == f64::NEG_INFINITY, "{name}: {row:?}");
            }
            let window = (u64::from(found.window.start_min), u64::from(found.window.end_min));
            assert_eq!(window, (whole(&expected["window"][0]), whole(&expected["window"][1])), "{name}");
            assert_eq!(oracle.window_min, (window.0 as i64, window.1 as i64), "{name}");
            let shown = [row.frequency.window_min.0, row.frequency.window_min.1].map(u64::from);
            assert_eq!(shown, [whole(&expected["shown"][0]), whole(&expected["shown"][1])], "{name}");
            assert!(
                close(row.frequency.chance.0, number("chance")) && close(oracle.expected, found.expected),
                "{name}"
            );
            assert!(close(detail.score.0, number("score")), "{name}: {} is not {}", detail.score.0, number("score"));
            let counts = [u64::from(row.occurrences), u64::from(row.days), detail.source_count, detail.open_count];
            assert_eq!(counts, ["k", "days", "n", "open"].map(|field| whole(&expected[field])), "{name}");
            for (quartile, lag_s) in expected["lag"].as_array().unwrap().iter().zip(detail.lag_s) {
                let expected_ms = quartile.as_f64().unwrap() * MINUTE_MS as f64;
                assert!((expected_ms - f64::from(lag_s) * 1e3).abs() <= 501.0, "{name}: {lag_s} s, {expected_ms} ms");
            }
        }
    }
    assert!(eligible > 80 && with_evidence > 40, "{eligible} eligible, {with_evidence} with evidence");
}

#[test]
fn weights_are_those_of_the_published_reference() {
    let golden = golden();
    let mut seen = BTreeMap::new();
    for case in golden["weights"].as_array().unwrap() {
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let [source, target] = ["source", "target"].map(|end| texts(&case[end]));
        let mut calls = Calls::default();
        let call = |value: &Value| {
            let [colony_id, from_service, to_service]: [String; 3] = texts(value).try_into().unwrap();
            Call::of_edge(&ServiceEdge {
                colony_id,
                from_service,
                to_service,
                protocol: "http".into(),
                request_count: 1,
                seen_at: TimeMs(0),
            })
        };
        calls.apply(case["calls"].as_array().unwrap().iter().filter_map(call).map(|call| (call, 1)));
        calls.count_since(TimeMs(0));
        let end = |names: &[String]| (names[2].clone(), calls.partners(&names[0], &names[2]).cloned());
        let ((one, of_one), (other, of_other)) = (end(&source), end(&target));
        let is_linked = are_linked((&one, of_one.as_ref()), (&other, of_other.as_ref()));
        let found = weight((&source[1], &source[2]), (&target[1], &target[2]), is_linked);
        assert_eq!(u64::from(found), case["weight"].as_u64().unwrap(), "{case}");
        *seen.entry((found, is_linked)).or_insert(0) += 1;
    }
    let kinds = [(1, false), (3, false), (10, false), (10, true)];
    assert!(kinds.iter().all(|kind| seen.get(kind).is_some_and(|count| *count > 3)), "{seen:?}");
}

#[test]
fn q_values_declare_what_the_published_procedure_declares() {
    for case in golden()["declared"].as_array().unwrap() {
        let log_e: Vec<f64> = case["log_e"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let declared: Vec<bool> =
            case["declared"].as_array().unwrap().iter().map(|value| value.as_bool().unwrap()).collect();
        let weights: Vec<u64> =
            case["weights"].as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).collect();
        let log_e: Vec<f64> = log_e.iter().zip(&weights).map(|(log_e, weight)| log_e + (*weight as f64).ln()).collect();
        let weight_total: u64 = weights.iter().sum();
        let mut order: Vec<usize> = (0..log_e.len()).collect();
        order.sort_by(|a, b| log_e[*b].total_cmp(&log_e[*a]));
        let falling: Vec<f64> = order.iter().map(|index| log_e[*index]).collect();
        let q = q_values(&falling, weight_total);
        for (rank, index) in order.iter().enumerate() {
            assert_eq!(q[rank] <= 0.05, declared[*index]);
        }
        // omitting values below 1/a changes nothing at or below a
        let kept = falling.iter().take_while(|value| value.exp() >= 10.0).count();
        for (all, few) in q.iter().zip(q_values(&falling[..kept], weight_total)) {
            assert_eq!((*all <= 0.1).then_some(*all), (few <= 0.1).then_some(few));
        }
    }
}
