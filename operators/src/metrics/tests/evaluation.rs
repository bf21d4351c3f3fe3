//! What the definition of metric pairs finds in generated histories of which the truth is known, beside simpler rules; and
//! whether the engine finds exactly what the plain one finds.
//!
//! A short run is an ordinary test; `cargo xtask eval metrics` runs the long one and writes its figures to the last part of
//! `docs/evaluation/metrics.md`.

mod exactness;
mod histories;
mod rules;

use super::*;
use exactness::{Apart, CASES, Case, Extent, compare};
use fixtures::tally::{Found, counted, percent, quantile, table};
use histories::{BASES, COEFFICIENTS, DAY, History, Kind, LAGS, NULLS, Planted, at, mixture, null};
use model::pattern::PatternState;
use model::time::{HOUR_MS, MINUTE_MS};
use rules::{Pair, Rule, best};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the part of the page begins that is written here; what is before it is kept.
const MARK: &str = "\n## Metric pairs against a known truth\n";

/// How much is tried, on which seeds.
struct Size {
    /// Histories of each kind without a relation, their series and days.
    nulls: u64,
    null_series: usize,
    null_days: usize,
    /// Histories with planted relations, and their days.
    mixtures: u64,
    mixture_days: usize,
    /// Histories of each kind that both engines look at.
    exact: u64,
    extent: Extent,
    window_ms: i64,
    first_seed: u64,
}

const SHORT: Size = Size {
    nulls: 1,
    null_series: 8,
    null_days: 2,
    mixtures: 1,
    mixture_days: 3,
    exact: 1,
    extent: Extent { series: 6, minutes: 700, live: 25 },
    window_ms: 4 * HOUR_MS,
    first_seed: 1,
};
const LONG: Size = Size {
    nulls: 20,
    null_series: 24,
    null_days: 7,
    mixtures: 20,
    mixture_days: 7,
    exact: 5,
    extent: Extent { series: 24, minutes: 3 * DAY + 90, live: 70 },
    window_ms: 24 * HOUR_MS,
    first_seed: 1_001,
};

/// A finding at the end of a day.
struct Said {
    source: usize,
    target: usize,
    lag: usize,
    is_confirmed: bool,
}

impl Said {
    /// Both ends, in order.
    fn pair(&self) -> Pair {
        (self.source.min(self.target), self.source.max(self.target))
    }
}

/// What is said at the end of each day from the second on, of which the windows and their lags are whole.
fn said(history: &History) -> Vec<Vec<Said>> {
    let params = MetricParams::default();
    let (mut scan, mut verdict) = (MetricScan::new(params, Shard::WHOLE), MetricVerdict::new(params));
    scan.apply(history.samples(0..history.minutes()));
    let mut findings: BTreeMap<Finding, i64> = BTreeMap::new();
    let mut days = Vec::new();
    for day in 2..=history.minutes() / DAY {
        // later samples do not change what is seen from here
        for (finding, diff) in verdict.apply(scan.scan(at(day * DAY - 1))) {
            *findings.entry(finding).or_insert(0) += diff;
        }
        findings.retain(|_, count| *count > 0);
        let one = |finding: &Finding| {
            let row = &finding.correlation;
            Said {
                source: History::number(&row.key.source.colony_id),
                target: History::number(&row.key.target.colony_id),
                lag: (i64::from(row.lag_seconds) * 1_000 / MINUTE_MS) as usize,
                is_confirmed: row.state == PatternState::Confirmed,
            }
        };
        days.push(findings.keys().map(one).collect());
    }
    days
}

fn confirmed(said: &[Said]) -> BTreeSet<Pair> {
    said.iter().filter(|said| said.is_confirmed).map(Said::pair).collect()
}

fn pairs(history: &History) -> u64 {
    let series = history.series.len() as u64;
    series * (series - 1) / 2
}

/// What was confirmed in histories of one kind without a relation.
#[derive(Default)]
struct OfNull {
    histories: u64,
    with_any: u64,
    with_any_ever: u64,
    pairs: u64,
    confirmed: u64,
    by_rule: [u64; Rule::ALL.len()],
}

fn of_null(kind: Kind, size: &Size) -> OfNull {
    let mut sum = OfNull { histories: size.nulls, ..OfNull::default() };
    for seed in size.first_seed..size.first_seed + size.nulls {
        let history = null(kind, seed, size.null_series, size.null_days);
        let days = said(&history);
        let last = days.last().map(|said| confirmed(said)).unwrap_or_default();
        sum.with_any += u64::from(!last.is_empty());
        sum.with_any_ever += u64::from(days.iter().any(|said| !confirmed(said).is_empty()));
        sum.pairs += pairs(&history);
        sum.confirmed += last.len() as u64;
        let best = best(&history, &MetricParams::default());
        for (count, rule) in sum.by_rule.iter_mut().zip(Rule::ALL) {
            *count += rule.found(&best, &MetricParams::default()).len() as u64;
        }
    }
    sum
}

/// What was found among planted relations.
#[derive(Default)]
struct OfMixture {
    pairs: u64,
    /// Planted relations of at least the threshold.
    strong: u64,
    engine: Found,
    by_rule: [Found; Rule::ALL.len()],
    lag_errors: Vec<f64>,
    /// Each with whether it was confirmed at the end of the second day, at the end of the last, and by each rule.
    each: Vec<(Planted, [bool; 2], [bool; Rule::ALL.len()])>,
}

fn of_mixture(size: &Size) -> OfMixture {
    let params = MetricParams::default();
    let mut sum = OfMixture::default();
    for seed in size.first_seed..size.first_seed + size.mixtures {
        let history = mixture(seed, size.mixture_days);
        let days = said(&history);
        let (Some(first), Some(last)) = (days.first(), days.last()) else { continue };
        let truth: BTreeSet<Pair> = history.planted.iter().map(|planted| (planted.source, planted.target)).collect();
        sum.pairs += pairs(&history);
        sum.strong += history.planted.iter().filter(|planted| planted.r.abs() >= params.threshold).count() as u64;
        let (early, found) = (confirmed(first), confirmed(last));
        sum.engine.add(&found, &truth);
        let best = best(&history, &params);
        let by_rule = Rule::ALL.map(|rule| rule.found(&best, &params));
        for (tally, found) in sum.by_rule.iter_mut().zip(&by_rule) {
            tally.add(found, &truth);
        }
        for planted in &history.planted {
            let pair = (planted.source, planted.target);
            let own = last.iter().find(|said| said.is_confirmed && said.pair() == pair);
            sum.lag_errors.extend(own.map(|said| {
                let lag = if said.source == planted.source { said.lag as f64 } else { -(said.lag as f64) };
                (lag - planted.lag as f64).abs()
            }));
            let is_found = [early.contains(&pair), own.is_some()];
            sum.each.push((*planted, is_found, std::array::from_fn(|rule| by_rule[rule].contains(&pair))));
        }
    }
    sum
}

fn of_case(case: Case, size: &Size) -> Apart {
    let params = MetricParams { window_ms: size.window_ms, ..MetricParams::default() };
    let mut sum = Apart::default();
    for seed in size.first_seed..size.first_seed + size.exact {
        compare(case, seed, size.extent, params, &mut sum);
    }
    sum
}

#[test]
fn metrics() {
    // the path is where `cargo xtask eval` wants the figures
    let report = std::env::var_os("CORAL_EVAL_REPORT").map(PathBuf::from);
    let size = if report.is_some() { LONG } else { SHORT };
    let exact: Vec<(Case, Apart)> = CASES.iter().map(|case| (*case, of_case(*case, &size))).collect();
    let nulls: Vec<(Kind, OfNull)> = NULLS.iter().map(|kind| (*kind, of_null(*kind, &size))).collect();
    let mixture = of_mixture(&size);
    if let Some(path) = report {
        let page = exact_section(&exact, &size) + &nulls_section(&nulls, &size) + &mixture_section(&mixture, &size);
        write_report(&path, &page);
        return;
    }
    for (case, apart) in &exact {
        assert_eq!((apart.missing, apart.extra, apart.other), (0, 0, 0), "{}: {apart:?}", case.name());
        assert!(apart.coefficient <= 1e-9 && apart.q_value <= 1e-9, "{}: {apart:?}", case.name());
        assert!(apart.findings > 0, "{}: nothing was compared", case.name());
    }
    for (kind, of) in &nulls {
        let is_noise =
            matches!(kind, Kind::White | Kind::Ar(_) | Kind::Walk | Kind::Cycle | Kind::Spikes | Kind::Counter);
        assert!(!is_noise || of.with_any_ever == 0, "{} has a confirmed pair", kind.name());
    }
    let (all, found) = nulls.iter().fold((0, 0), |sum, (_, of)| (sum.0 + of.pairs, sum.1 + of.confirmed));
    assert!(found * 50 <= all, "{found} of {all} pairs without a relation are confirmed");
    let naive: u64 = nulls.iter().map(|(_, of)| of.by_rule[0]).sum();
    assert!(naive > 4 * found.max(1), "the threshold alone reports {naive}");
    let Found { found, right, .. } = mixture.engine;
    assert!(20 * (found - right) <= found, "{} of {found} confirmed pairs were not planted", found - right);
    assert!(
        right > 0 && 5 * right >= 2 * mixture.strong,
        "{right} of {} strong relations are confirmed",
        mixture.strong
    );
}

/// Less its value of the day before, a counter is a step function, and some of these have one step that stands out. As many
/// points as its autocorrelation has, and a coefficient near 1, confirmed these pairs.
#[test]
fn counters_of_which_one_step_meets_are_not_confirmed() {
    let all = null(Kind::Counter, 101, 24, 7);
    let series = [3, 6, 7, 20, 22].map(|number| all.series[number][..4 * DAY].to_vec());
    let days = said(&History::new(series.to_vec(), Vec::new()));
    assert!(days.iter().all(|said| !said.is_empty()), "they are candidates");
    let pairs: Vec<BTreeSet<Pair>> = days.iter().map(|said| confirmed(said)).collect();
    assert!(pairs.iter().all(BTreeSet::is_empty), "{pairs:?}");
}

fn exact_section(exact: &[(Case, Apart)], size: &Size) -> String {
    let rows: Vec<Vec<String>> = exact
        .iter()
        .map(|(case, apart)| {
            vec![
                case.name().to_owned(),
                apart.looks.to_string(),
                apart.findings.to_string(),
                apart.missing.to_string(),
                apart.extra.to_string(),
                apart.other.to_string(),
                format!("{:.1e}", apart.coefficient),
                format!("{:.1e}", apart.q_value),
            ]
        })
        .collect();
    let head = [
        "samples",
        "looks",
        "findings",
        "missing",
        "extra",
        "with another state, explanation, lag or number of points",
        "greatest difference of r",
        "… of q, relative",
    ];
    let Extent { series, minutes, live } = size.extent;
    format!(
        "\n### Exactness\n\nThe engine beside the plain one (`operators/src/reference/plain`): {} histories of each kind, {series} \
         series of {minutes} minutes, of which the last {live} are looked at one by one. Wanted: nothing missing, nothing \
         extra, r and q to within 1e-9.\n{}",
        size.exact,
        table(&head, &rows)
    )
}

fn nulls_section(nulls: &[(Kind, OfNull)], size: &Size) -> String {
    let rows: Vec<Vec<String>> = nulls
        .iter()
        .map(|(kind, of)| {
            let mut row = vec![
                kind.name(),
                of.pairs.to_string(),
                format!("{} of {}", of.with_any, of.histories),
                format!("{} of {}", of.with_any_ever, of.histories),
                counted(of.confirmed, of.pairs),
            ];
            row.extend(of.by_rule.iter().map(|count| counted(*count, of.pairs)));
            row
        })
        .collect();
    let head = [
        "kind",
        "pairs",
        "histories with a confirmed pair",
        "… that ever had one at the end of a day",
        "confirmed pairs",
    ];
    let head: Vec<&str> = head.into_iter().chain(Rule::ALL.map(Rule::name)).collect();
    format!(
        "\n### Histories without a relation\n\n{} histories of {} days for each kind, {} series of as many colonies. Wanted: \
         nothing confirmed in 95 % of them. The last columns are pairs that simpler rules report of the last day.\n{}",
        size.nulls,
        size.null_days,
        size.null_series,
        table(&head, &rows)
    )
}

fn mixture_section(mixture: &OfMixture, size: &Size) -> String {
    let mut rows = vec![mixture.engine.row("coral-pipeline, confirmed")];
    rows.extend(Rule::ALL.iter().zip(&mixture.by_rule).map(|(rule, found)| found.row(rule.name())));
    let mut text = format!(
        "\n### Planted relations among others\n\n{} histories of {} days: {} planted relations, {} of them with |r| of at least \
         the threshold, among {} pairs. Wanted: at most 5 % false among the confirmed.\n{}",
        size.mixtures,
        size.mixture_days,
        mixture.engine.planted,
        mixture.strong,
        mixture.pairs,
        table(&["rule", "reported", "precision", "false among them (95 %)", "of all planted"], &rows)
    );
    let mut errors = mixture.lag_errors.clone();
    errors.sort_by(f64::total_cmp);
    text.push_str(&format!(
        "\nError of the stated lag over {} relations: median {:.0} min, nine tenths within {:.0} min.\n",
        errors.len(),
        quantile(&errors, 0.5),
        quantile(&errors, 0.9)
    ));
    text.push_str(
        "\n### Power by what was planted\n\nShare of the planted relations that are reported, by one property at a time, over \
         all values of the others. Below the threshold none is wanted.\n",
    );
    let mut rows = Vec::new();
    let mut share = |name: String, is_it: &dyn Fn(&Planted) -> bool| {
        let of: Vec<_> = mixture.each.iter().filter(|(planted, ..)| is_it(planted)).collect();
        let all = of.len() as u64;
        let count = |found: &dyn Fn(usize) -> bool| percent((0..of.len()).filter(|n| found(*n)).count() as u64, all);
        let mut row = vec![name, all.to_string(), count(&|n| of[n].1[0]), count(&|n| of[n].1[1])];
        row.extend((0..Rule::ALL.len()).map(|rule| count(&|n| of[n].2[rule])));
        rows.push(row);
    };
    for r in COEFFICIENTS {
        share(format!("\\|r\\| = {r}"), &|planted| planted.r.abs() == r);
    }
    for lag in LAGS {
        share(format!("{lag} minutes"), &|planted| planted.lag == lag);
    }
    for base in BASES {
        share(base.name(), &|planted| planted.base == base);
    }
    for (name, is_positive) in [("r > 0", true), ("r < 0", false)] {
        share(name.to_owned(), &|planted| (planted.r > 0.0) == is_positive);
    }
    let days = format!("… of day {}", size.mixture_days);
    let head = ["planted", "relations", "confirmed at the end of day 2", &days];
    let head: Vec<&str> = head.into_iter().chain(Rule::ALL.map(Rule::name)).collect();
    text + &table(&head, &rows)
}

/// Replaces the part of the page that begins with the mark.
fn write_report(path: &Path, page: &str) {
    let commit = std::env::var("CORAL_EVAL_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    let known = std::fs::read_to_string(path).unwrap_or_default();
    let kept = known.split(MARK).next().unwrap_or_default().trim_end();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let head = format!(
        "Written by `cargo xtask eval metrics` at commit {commit} on {cores} cores, kernels {} (no figure here is a time). W = \
         1440, L = 240, |r| ≥ 0.8.\nDefinitions: [methods.md](../methods.md#metric-pairs). Seeds from {} on are used here \
         only.\n",
        kernels::Path::chosen().map_or("unknown", kernels::Path::name),
        LONG.first_seed
    );
    std::fs::write(path, format!("{kept}\n{MARK}\n{head}{page}")).unwrap();
}
