//! Real recordings with known truth: tides that travel up a river delta, and a shop whose services share one load.
//! The recordings lie beside the repository; without them these tests say so and pass.

use super::*;
use model::pattern::PatternState;
use model::time::{DAY_MS, HOUR_MS};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::path::PathBuf;

fn recording(scenario: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(scenario);
    if path.join("metrics.parquet").exists() {
        return Some(path);
    }
    #[allow(clippy::print_stderr)]
    {
        eprintln!("SKIPPED: no recording at {}", path.display());
    }
    None
}

fn read(row: &Row) -> MetricPoint {
    let fields: BTreeMap<&str, &Field> = row.get_column_iter().map(|(name, field)| (name.as_str(), field)).collect();
    let text = |name: &str| match fields[name] {
        Field::Str(text) => text.clone(),
        other => panic!("{name} is {other}"),
    };
    let number = |name: &str| match fields[name] {
        Field::Double(value) => Some(Real(*value)),
        Field::Null => None,
        other => panic!("{name} is {other}"),
    };
    let names =
        [text("colony_id"), text("application_name"), text("environment"), text("service_id"), text("metric_name")];
    let [colony_id, application_name, environment, service_id, metric_name] = names.each_ref().map(String::as_str);
    let names = SeriesRef { colony_id, application_name, environment, service_id, metric_name, interval_seconds: None };
    MetricPoint {
        series: SeriesId::of(names),
        timestamp: match fields["timestamp"] {
            Field::TimestampMillis(ms) => TimeMs(*ms),
            other => panic!("timestamp is {other}"),
        },
        version: 0,
        count: match fields["count"] {
            Field::Long(n) => Some(*n as u64),
            _ => None,
        },
        mean: number("mean"),
        p50: number("p50"),
        p95: number("p95"),
        p99: number("p99"),
        max: number("max"),
    }
}

fn points(scenario: &str) -> Option<(PathBuf, Vec<MetricPoint>)> {
    let folder = recording(scenario)?;
    let file = std::fs::File::open(folder.join("metrics.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let points = reader.get_row_iter(None).unwrap().map(|row| read(&row.unwrap())).collect();
    Some((folder, points))
}

#[test]
fn the_tide_is_found_at_its_pace_and_the_half_tide_trap_is_not_preferred() {
    let Some((folder, points)) = points("delta") else { return };
    let run = run(points, MetricParams::default());
    let found = run.findings();
    assert_eq!(run.tested(), 242);
    let stage: Vec<_> = found
        .iter()
        .map(|f| &f.correlation)
        .filter(|c| c.key.source.name == "stage_ft" && c.key.target.name == "stage_ft")
        .filter(|c| c.state != PatternState::Withdrawn)
        .collect();
    let is_mirror =
        |c: &model::pattern::Correlation| c.explained_by.as_deref().is_some_and(|e| e.starts_with("mirror:"));

    let golden = include_str!("../../testdata/metric_delta_golden.csv");
    let mut mirrors = 0;
    for line in golden.lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let number = |i: usize| columns[i].parse::<f64>().unwrap();
        let row = |source: &str, target: &str| {
            stage.iter().find(|c| (&*c.key.source.colony_id, &*c.key.target.colony_id) == (source, target))
        };
        let best = row(columns[0], columns[1]).unwrap();
        assert!(!is_mirror(best), "{line}");
        assert_eq!(f64::from(best.lag_seconds), number(2), "{line}");
        assert!((best.coefficient.0 - number(3)).abs() < 1e-9, "{line}: {}", best.coefficient.0);
        if let Some(other) = row(columns[1], columns[0]) {
            mirrors += 1;
            assert!(is_mirror(other) && other.state == PatternState::Candidate, "{other:?}");
            assert_eq!(other.explained_by.as_deref(), Some(&*format!("mirror:{}", best.key.correlation_id())));
            assert_eq!(f64::from(other.lag_seconds), number(4), "{line}");
            assert!((other.coefficient.0 - number(5)).abs() < 1e-9, "{line}: {}", other.coefficient.0);
        }
    }
    assert!(mirrors > 0);
    let trap = stage.iter().find(|c| {
        (&*c.key.source.colony_id, &*c.key.target.colony_id) == ("gauge-fpx-production", "gauge-srv-production")
    });
    let trap = trap.unwrap();
    assert!(is_mirror(trap) && trap.coefficient.0 < -0.8 && trap.correlation_score.0 > 0.8, "{trap:?}");

    // the published truth: median lag of 28 days, tolerance 15 minutes
    let truth = std::fs::read_to_string(folder.join("ground_truth.json")).unwrap();
    let relations = truth_relations(&truth);
    assert_eq!(relations.len(), 66);
    let near = relations.iter().filter(|(source, target, minutes)| {
        stage.iter().filter(|c| !is_mirror(c)).any(|c| {
            let lag = f64::from(c.lag_seconds) / 60.0;
            let ends = (&c.key.source.colony_id, &c.key.target.colony_id);
            (ends == (source, target) && (lag - minutes).abs() <= 15.0)
                || (ends == (target, source) && (lag + minutes).abs() <= 15.0)
        })
    });
    let near = near.count();
    assert!(near >= 60, "{near} of 66 lags within 15 minutes");
}

/// (source colony, target colony, lag in minutes) of every relation.
fn truth_relations(json: &str) -> Vec<(String, String, f64)> {
    let truth: serde_json::Value = serde_json::from_str(json).unwrap();
    let text = |relation: &serde_json::Value, name: &str| relation[name].as_str().unwrap().to_owned();
    let relations = truth["relations"].as_array().unwrap().iter();
    relations
        .map(|r| (text(r, "source_colony"), text(r, "target_colony"), r["expected_lag_minutes"].as_f64().unwrap()))
        .collect()
}

#[test]
fn a_shop_under_one_load_has_nothing_confirmed_by_the_load() {
    let Some((_, points)) = points("boutique") else { return };
    let end = points.iter().map(|p| p.timestamp).max().unwrap();
    let half_day = MetricParams { window_ms: DAY_MS / 2, ..MetricParams::default() };
    // the recording has a gap of 12 hours: the whole of it, its first day, and its second half on a shorter window
    let first_day = end.floor_to(DAY_MS) - 1;
    let cases = [
        ("all", MetricParams::default(), end),
        ("first day", MetricParams::default(), first_day),
        ("half a day", half_day, end),
        ("half a day, earlier", half_day, end - HOUR_MS),
    ];
    for (name, params, now) in cases {
        let kept: Vec<MetricPoint> = points.iter().filter(|p| p.timestamp <= now).cloned().collect();
        let run = run_until(kept, params, now);
        assert_eq!(run.tested(), 2331, "{name}");
        let found = run.findings();
        let confirmed: Vec<_> = found.iter().filter(|f| f.correlation.state != PatternState::Candidate).collect();
        assert!(confirmed.is_empty(), "{name}: {confirmed:#?}");
        if name != "all" {
            let shared =
                found.iter().filter(|f| f.correlation.explained_by.as_deref() == Some("common_cause:shared_load"));
            assert!(shared.count() >= 3, "{name}: the request rates say why");
        }
    }
}
