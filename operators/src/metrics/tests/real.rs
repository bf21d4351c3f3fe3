//! Recordings with known truth, each with a generated twin: tides that travel up a river delta, and a shop whose
//! services share one load. The recordings are beside the checkout of some machines; the twins are tested on all.

use super::*;
use fixtures::twins::{self, Twin};
use model::pattern::{Correlation, PatternState};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn recording(scenario: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(scenario);
    if path.join("metrics.parquet").exists() {
        return Some(path);
    }
    #[allow(clippy::print_stderr)]
    {
        eprintln!("SKIPPED {scenario} on real data: {} is absent; its twin is tested", path.display());
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

fn is_mirror(c: &Correlation) -> bool {
    c.explained_by.as_deref().is_some_and(|e| e.starts_with("mirror:"))
}

/// All relations between stages that are not withdrawn.
fn stages(found: &[Finding]) -> Vec<Correlation> {
    let correlations = found.iter().map(|f| f.correlation.clone());
    correlations
        .filter(|c| c.key.source.name == "stage_ft" && c.key.target.name == "stage_ft")
        .filter(|c| c.state != PatternState::Withdrawn)
        .collect()
}

/// The same at the end of all points.
fn stages_at_the_end(points: Vec<MetricPoint>) -> Vec<Correlation> {
    let end = points.iter().map(|p| p.timestamp).max().unwrap();
    let run = run_until(points, MetricParams::default(), end);
    assert_eq!(run.tested(), 242);
    stages(&run.findings())
}

fn between<'a>(stage: &'a [Correlation], source: &str, target: &str) -> Option<&'a Correlation> {
    stage.iter().find(|c| (&*c.key.source.colony_id, &*c.key.target.colony_id) == (source, target))
}

/// Lags within 15 minutes of the truth, and the trap: the reverse direction correlates negatively half a tide away.
fn follows_the_tide(name: &str, stage: &[Correlation], relations: &[(String, String, f64)]) {
    let near = relations.iter().filter(|(source, target, minutes)| {
        stage.iter().filter(|c| !is_mirror(c)).any(|c| {
            let lag = f64::from(c.lag_seconds) / 60.0;
            let ends = (&c.key.source.colony_id, &c.key.target.colony_id);
            (ends == (source, target) && (lag - minutes).abs() <= 15.0)
                || (ends == (target, source) && (lag + minutes).abs() <= 15.0)
        })
    });
    let near = near.count();
    // 60 of the 66 relations of the recording
    assert_eq!(relations.len(), 66, "{name}");
    assert!(near >= 60, "{name}: {near} of 66 lags within 15 minutes");
    let trap = between(stage, "gauge-fpx-production", "gauge-srv-production").unwrap();
    assert!(is_mirror(trap) && trap.coefficient.0 < -0.8 && trap.correlation_score.0 > 0.8, "{name}: {trap:?}");
    let forth = between(stage, "gauge-srv-production", "gauge-fpx-production").unwrap();
    assert!(!is_mirror(forth) && forth.coefficient.0 > trap.correlation_score.0, "{name}: {forth:?}");
}

/// The lag and r of the golden line, which NumPy computed over the same windows.
fn agrees(found: &Correlation, lag_seconds: &str, r: &str, line: &str) {
    assert_eq!(found.lag_seconds, lag_seconds.parse::<i32>().unwrap(), "{line}");
    assert!((found.coefficient.0 - r.parse::<f64>().unwrap()).abs() < 1e-9, "{line}: {}", found.coefficient.0);
}

#[test]
fn the_tide_of_the_twin_is_found_at_its_pace_and_the_half_tide_trap_is_not_preferred() {
    let Twin { metrics, truth, .. } = twins::delta(twins::SEED);
    follows_the_tide("the twin", &stages_at_the_end(metrics), &truth_relations(&truth));
}

#[test]
fn the_tide_is_found_at_its_pace_and_the_half_tide_trap_is_not_preferred() {
    let Some((folder, points)) = points("delta") else { return };
    let params = MetricParams::default();
    let end = points.iter().map(|p| p.timestamp).max().unwrap();
    // the last window with its longest lag; much of the day that closed before is in it
    let last = points.iter().copied().filter(|p| p.timestamp > end - params.window_ms - params.max_lag_ms).collect();
    // its last quarter of an hour ends an hour: findings are shown as of then
    let stage = stages(&run_until(last, params, end + 14 * MINUTE_MS).findings());
    let golden = include_str!("../../testdata/metric_delta_golden.csv");
    let mut mirrors = 0;
    for line in golden.lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let best = between(&stage, columns[0], columns[1]).unwrap();
        assert!(!is_mirror(best), "{line}");
        agrees(best, columns[2], columns[3], line);
        let other = between(&stage, columns[1], columns[0]);
        assert_eq!(other.is_some(), !columns[4].is_empty(), "{line}");
        if let Some(other) = other {
            mirrors += 1;
            assert!(is_mirror(other) && other.state == PatternState::Candidate, "{other:?}");
            assert_eq!(other.explained_by.as_deref(), Some(&*format!("mirror:{}", best.key.correlation_id())));
            agrees(other, columns[4], columns[5], line);
        }
    }
    assert!(mirrors > 0);
    // the published truth: median lag of 28 days, tolerance 15 minutes; from all that is there
    let truth = std::fs::read_to_string(folder.join("ground_truth.json")).unwrap();
    follows_the_tide("real", &stages_at_the_end(points), &truth_relations(&serde_json::from_str(&truth).unwrap()));
}

/// (source colony, target colony, lag in minutes) of every relation.
fn truth_relations(truth: &serde_json::Value) -> Vec<(String, String, f64)> {
    let text = |relation: &serde_json::Value, name: &str| relation[name].as_str().unwrap().to_owned();
    let relations = truth["relations"].as_array().unwrap().iter();
    relations
        .map(|r| (text(r, "source_colony"), text(r, "target_colony"), r["expected_lag_minutes"].as_f64().unwrap()))
        .collect()
}

#[test]
fn a_shop_under_one_load_has_nothing_confirmed_by_the_load() {
    let twin = ("the twin", twins::boutique(twins::SEED).metrics);
    let real = points("boutique").map(|(_, points)| ("real", points));
    for (recording, points) in std::iter::once(twin).chain(real) {
        let end = points.iter().map(|p| p.timestamp).max().unwrap();
        let half_day = MetricParams { window_ms: DAY_MS / 2, ..MetricParams::default() };
        // it has a gap of 12 hours: the whole of it, its first day, and its second half on a shorter window
        let first_day = end.floor_to(DAY_MS) - 1;
        let cases = [
            ("all", MetricParams::default(), end),
            ("first day", MetricParams::default(), first_day),
            ("half a day", half_day, end),
            ("half a day, earlier", half_day, end - HOUR_MS),
        ];
        // the twin is tested beside the recording: one case with each length of the window is enough there
        let is_tested = |name: &str| recording == "real" || ["first day", "half a day"].contains(&name);
        for (name, params, now) in cases.into_iter().filter(|(name, ..)| is_tested(name)) {
            let case = format!("{recording}, {name}");
            let kept: Vec<MetricPoint> = points.iter().filter(|p| p.timestamp <= now).cloned().collect();
            let run = run_until(kept, params, now);
            assert_eq!(run.tested(), 2331, "{case}");
            let found = run.findings();
            let confirmed: Vec<_> = found.iter().filter(|f| f.correlation.state != PatternState::Candidate).collect();
            assert!(confirmed.is_empty(), "{case}: {confirmed:#?}");
            if name != "all" {
                let shared =
                    found.iter().filter(|f| f.correlation.explained_by.as_deref() == Some("common_cause:shared_load"));
                assert!(shared.count() >= 3, "{case}: the request rates say why");
            }
        }
    }
}

/// The evening of the second day of every other service beside that of the first day of the others.
#[test]
fn services_of_a_shop_that_are_moved_by_a_day_have_nothing_to_do_with_the_others() {
    let twin = ("the twin", twins::boutique(twins::SEED).metrics);
    let real = points("boutique").map(|(_, points)| ("real", points));
    let params = MetricParams { window_ms: 8 * HOUR_MS, ..MetricParams::default() };
    for (recording, points) in std::iter::once(twin).chain(real) {
        let colonies: BTreeSet<String> = points.iter().map(|p| p.series.names().colony_id.to_owned()).collect();
        let moved: BTreeSet<&str> = colonies.iter().step_by(2).map(String::as_str).collect();
        let end = points.iter().map(|p| p.timestamp).max().unwrap();
        let now = end.floor_to(DAY_MS) - 1;
        let shifted = points.iter().map(|p| match moved.contains(p.series.names().colony_id) {
            true => MetricPoint { timestamp: p.timestamp - DAY_MS, ..*p },
            false => *p,
        });
        let run = run_until(shifted.filter(|p| p.timestamp <= now).collect(), params, now);
        // 2,331 where each series moves; no more than half of them do not cross
        assert!(run.tested() > 1_500, "{recording}: {} pairs", run.tested());
        let found = run.findings();
        let crosses = |c: &Correlation| {
            moved.contains(c.key.source.colony_id.as_str()) != moved.contains(c.key.target.colony_id.as_str())
        };
        let confirmed: Vec<&Correlation> =
            found.iter().map(|f| &f.correlation).filter(|c| c.state != PatternState::Candidate && crosses(c)).collect();
        assert!(confirmed.is_empty(), "{recording}: {confirmed:#?}");
    }
}
