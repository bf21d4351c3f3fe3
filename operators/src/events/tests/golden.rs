//! Numbers of the published NumPy/SciPy reference (`testdata/generate_event_golden.py`), to 1e-9.

use super::support::close;
use crate::events::background::TargetRate;
use crate::events::ebh::q_values;
use crate::events::evalue::LogFactorials;
use crate::events::pair::PairScorer;
use crate::events::span::Span;
use crate::reference;
use model::time::{DAY_MS, TimeMs};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../testdata/event_golden.json")).unwrap()
}

fn times(value: &Value, origin: i64) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|at| origin + at.as_i64().unwrap()).collect()
}

#[test]
fn pairs_agree_with_the_published_reference() {
    let golden = golden();
    let pairs = golden["pairs"].as_array().unwrap();
    assert!(pairs.len() > 45);
    let mut eligible = 0;
    // the span may begin at any midnight
    for origin in [0, 19_000 * DAY_MS] {
        let mut scorer = PairScorer::new(240);
        for case in pairs {
            let name = case["name"].as_str().unwrap();
            let (sources, targets) = (times(&case["source_ms"], origin), times(&case["target_ms"], origin));
            let instant = origin + case["span_ms"].as_i64().unwrap();
            let span = Span { origin: TimeMs(origin), instant: TimeMs(instant) };
            let rate = TargetRate::learn(&targets, span, 240);
            let found = scorer.evaluate(&sources, &targets, &rate, span);
            let oracle = reference::events::analyse(&sources, &targets, origin, instant, 240);
            let expected = &case["expected"];
            if expected.is_null() {
                assert!(found.is_none() && oracle.is_none(), "{name} is not eligible");
                continue;
            }
            eligible += 1;
            let (found, oracle) = (found.unwrap(), oracle.unwrap());
            let window = (found.window.start_min, found.window.end_min);
            let number = |field: &str| expected[field].as_f64().unwrap();
            let whole = |value: &Value| value.as_u64().unwrap();
            assert_eq!(found.source_count as u64, whole(&expected["n"]), "{name}");
            assert_eq!(found.hits as u64, whole(&expected["k"]), "{name}");
            assert_eq!(u64::from(window.0), whole(&expected["window"][0]), "{name}");
            assert_eq!(u64::from(window.1), whole(&expected["window"][1]), "{name}");
            let fields = [("log_e", found.log_e), ("p0", found.chance), ("score", found.score)];
            for (field, value) in fields {
                assert!(close(value, number(field)), "{name}: {field} {value} is not {}", number(field));
            }
            let fields = [("log_e", oracle.log_e), ("p0", oracle.chance), ("score", oracle.score)];
            for (field, value) in fields {
                assert!(close(value, number(field)), "{name}, oracle: {field} {value} is not {}", number(field));
            }
            assert_eq!((oracle.n, oracle.k), (found.source_count, found.hits), "{name}");
            assert_eq!(oracle.window_min, (i64::from(window.0), i64::from(window.1)), "{name}");
        }
    }
    assert!(eligible > 70);
}

#[test]
fn e_values_of_one_window_agree_with_scipy() {
    let golden = golden();
    let cases = golden["log_e"].as_array().unwrap();
    assert!(cases.len() > 150);
    let mut table = LogFactorials::default();
    for case in cases {
        let (n, k) = (case["n"].as_u64().unwrap() as usize, case["k"].as_u64().unwrap() as usize);
        let (p0, expected) = (case["p0"].as_f64().unwrap(), case["log_e"].as_f64().unwrap());
        let found = table.log_e(n, k, p0);
        assert!(close(found, expected), "n {n}, k {k}, p0 {p0}: {found} is not {expected}");
    }
}

#[test]
fn q_values_declare_what_the_published_procedure_declares() {
    for case in golden()["declared"].as_array().unwrap() {
        let log_e: Vec<f64> = case["log_e"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let declared: Vec<bool> =
            case["declared"].as_array().unwrap().iter().map(|value| value.as_bool().unwrap()).collect();
        let mut order: Vec<usize> = (0..log_e.len()).collect();
        order.sort_by(|a, b| log_e[*b].total_cmp(&log_e[*a]));
        let falling: Vec<f64> = order.iter().map(|index| log_e[*index]).collect();
        let q = q_values(&falling, log_e.len() as u64);
        for (rank, index) in order.iter().enumerate() {
            assert_eq!(q[rank] <= 0.05, declared[*index]);
        }
        // leaving out what is below 1/a changes nothing at or below a
        let kept = falling.iter().take_while(|value| value.exp() >= 10.0).count();
        for (all, few) in q.iter().zip(q_values(&falling[..kept], log_e.len() as u64)) {
            assert_eq!((*all <= 0.1).then_some(*all), (few <= 0.1).then_some(few));
        }
    }
}
