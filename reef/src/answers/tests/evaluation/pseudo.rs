//! Recorded metrics without deployments: pseudo-deployments at random times, as they are and with a planted shift.

use super::growing::{Deployed, Growing};
use super::tally::{Tally, is_bad, percent, share};
use crate::answers::Scope;
use crate::impact::Impact;
use crate::impact::windows::LOOKS_MIN;
use fixtures::random::Random;
use fixtures::tally::table;
use model::clock::SystemClock;
use model::meaning::{Better, Family, Meanings, StatedMeaning};
use model::metric::MetricPoint;
use model::position::Positions;
use model::real::Real;
use model::time::{MINUTE_MS, TimeMs};
use sources::Source;
use sources::files::FilesConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The hour before and the hour after count.
const AROUND_MIN: i64 = 60;

/// A recording, colony by colony.
pub struct Site {
    pub name: String,
    colonies: BTreeMap<String, Vec<MetricPoint>>,
    /// Times at which something was broken on purpose.
    faults: Vec<TimeMs>,
    /// Fewest minutes between pseudo-deployments of a pass: a month needs fewer than two days.
    apart_min: i64,
    scope: Scope,
}

/// Verdicts on pseudo-deployments.
#[derive(Default)]
pub struct Pseudo {
    /// At each look.
    at_looks: [Tally; 4],
    /// How many were called bad at any look.
    ever_bad: u32,
    /// At the last look, of those without an injected fault within the hour before or after.
    quiet: Tally,
}

/// Whether shifts were found, by family of the shifted metric and size in standard deviations.
#[derive(Default)]
pub struct Shifted {
    found: BTreeMap<(&'static str, u32), Found>,
}

#[derive(Default)]
struct Found {
    tried: u32,
    /// q of the shifted metric at most 5 %.
    seen: u32,
    /// Verdict degraded or failed.
    bad: u32,
    /// Sum of the shift in percent of the level.
    percent: f64,
}

impl Site {
    /// The recording, if this machine has it.
    pub async fn recorded(name: &str) -> Option<Site> {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let folder = std::env::var_os("CORAL_EVAL_DATA").map_or(default, PathBuf::from).join(name);
        if !folder.exists() {
            eprintln!("SKIPPED the evaluation of deployments on {name}: {} is absent", folder.display());
            return None;
        }
        let truth: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("ground_truth.json")).unwrap()).unwrap();
        let faults = truth["injected_faults"].as_array().cloned().unwrap_or_default();
        let time = |fault: &serde_json::Value| TimeMs::parse_rfc3339(fault["time"].as_str().unwrap()).unwrap();
        let mut colonies: BTreeMap<String, Vec<MetricPoint>> = BTreeMap::new();
        for row in rows(&folder).await {
            colonies.entry(row.series.series().key.colony_id.clone()).or_default().push(row);
        }
        // names of the gauges do not say what is better, so that it is stated
        let stated =
            |pattern: &str, better| StatedMeaning { pattern: pattern.to_owned(), unit: None, better: Some(better) };
        let metrics = Meanings(vec![stated("stage_*", Better::Lower), stated("flow_*", Better::Higher)]);
        let scope = Scope { metrics, ..Scope::default() };
        let faults: Vec<TimeMs> = faults.iter().map(time).collect();
        let apart_min = if name == "delta" { 12 * 60 } else { AROUND_MIN + 1 };
        Some(Site { name: name.to_owned(), colonies, faults, apart_min, scope })
    }

    fn is_quiet(&self, at: TimeMs) -> bool {
        let near_ms = (AROUND_MIN + 5) * MINUTE_MS;
        !self.faults.iter().any(|fault| (*fault - at).abs() <= near_ms)
    }
}

async fn rows(folder: &Path) -> Vec<MetricPoint> {
    let config = FilesConfig {
        metrics: vec!["metrics.parquet".to_owned()],
        base_dir: folder.to_owned(),
        ..FilesConfig::default()
    };
    let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = source.next_batch().await.unwrap() {
        assert_eq!(batch.rejects, []);
        rows.extend(batch.rows.metrics);
    }
    rows
}

/// Times with metrics around them, at least `apart_min` minutes from one to the next.
fn times(rows: &[MetricPoint], apart_min: i64, random: &mut Random) -> Vec<TimeMs> {
    let known: BTreeSet<TimeMs> = rows.iter().map(|row| row.timestamp).collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return Vec::new() };
    let interval_ms = known.iter().zip(known.iter().skip(1)).map(|(a, b)| *b - *a).min().unwrap_or(MINUTE_MS);
    let most = AROUND_MIN * MINUTE_MS / interval_ms;
    let mut times = Vec::new();
    let mut at = *first + (AROUND_MIN + random.below(apart_min as u64) as i64) * MINUTE_MS;
    while at + AROUND_MIN * MINUTE_MS <= *last {
        let before = known.range(at - AROUND_MIN * MINUTE_MS..at).count() as i64;
        let after = known.range(at..at + AROUND_MIN * MINUTE_MS).count() as i64;
        if before * 10 >= most * 9 && after * 10 >= most * 9 {
            times.push(at);
        }
        at = at + (apart_min + random.below(AROUND_MIN as u64) as i64) * MINUTE_MS;
    }
    times
}

/// A pseudo-deployment of one of the colony's services.
fn pseudo(rows: &[MetricPoint], at: TimeMs, random: &mut Random) -> Deployed {
    let services: BTreeSet<&str> = rows.iter().map(|row| row.series.series().key.service_id.as_str()).collect();
    let services: Vec<&str> = services.into_iter().collect();
    let service_id = services[random.below(services.len() as u64) as usize].to_owned();
    let colony_id = rows[0].series.series().key.colony_id.clone();
    Deployed { colony_id, deployment_id: format!("pseudo-{}", at.0), service_id, start: at, end: at }
}

/// Asks at each of `looks` as soon as the store has grown to it.
async fn at_looks(growing: &mut Growing, deployed: &Deployed, looks: &[i64]) -> Vec<Impact> {
    growing.deploy(std::slice::from_ref(deployed)).await;
    let mut impacts = Vec::new();
    for look in looks {
        growing.grow_to(deployed.end + look * MINUTE_MS).await;
        impacts.push(growing.impact(deployed).await);
    }
    growing.forget(deployed).await;
    impacts
}

impl Pseudo {
    /// Goes through each colony `passes` times.
    pub async fn tried(site: &Site, passes: u64) -> Pseudo {
        let mut tried = Pseudo::default();
        for (number, rows) in site.colonies.values().enumerate() {
            for pass in 0..passes {
                let mut random = Random(1_000 * pass + number as u64);
                let mut growing = Growing::new(rows.clone(), site.scope.clone()).await;
                for at in times(rows, site.apart_min, &mut random) {
                    let deployed = pseudo(rows, at, &mut random);
                    let impacts = at_looks(&mut growing, &deployed, &LOOKS_MIN).await;
                    tried.ever_bad += u32::from(impacts.iter().any(|impact| is_bad(impact.verdict)));
                    tried.at_looks.iter_mut().zip(&impacts).for_each(|(tally, impact)| tally.add(impact.verdict));
                    if let Some(last) = impacts.last().filter(|_| site.is_quiet(at)) {
                        tried.quiet.add(last.verdict);
                    }
                }
            }
        }
        tried
    }

    fn last(&self) -> Tally {
        self.at_looks[LOOKS_MIN.len() - 1]
    }

    /// What must hold.
    pub fn check(&self, site: &Site, alarms_max: f64, alpha_of_a_look: f64) {
        let (last, name) = (self.last(), &site.name);
        assert!(last.total() >= 100, "{name}: only {} pseudo-deployments", last.total());
        assert!(last.bad_share() <= alarms_max, "{name}: {last:?}");
        assert!(self.quiet.bad_share() <= alarms_max, "{name} without faults: {:?}", self.quiet);
        for (look, early) in (1..).zip(&self.at_looks[..LOOKS_MIN.len() - 1]) {
            let most = last.bad_share() + alpha_of_a_look * f64::from(look);
            assert!(early.bad_share() <= most, "{name} at look {look}: {early:?}");
        }
        let spent = alpha_of_a_look * (LOOKS_MIN.len() - 1) as f64;
        let ever = share(self.ever_bad, last.total());
        assert!(ever <= last.bad_share() + spent, "{name}: {ever} called bad at any look");
    }
}

impl Shifted {
    /// Goes through each colony `passes` times for each size of the shift.
    pub async fn tried(site: &Site, passes: u64) -> Shifted {
        let mut tried = Shifted::default();
        for (number, rows) in site.colonies.values().enumerate() {
            for pass in 0..passes {
                for deviations in [1, 2] {
                    let mut random = Random(1_000_000 + 1_000 * pass + number as u64);
                    tried.one_pass(site, rows, deviations, &mut random).await;
                }
            }
        }
        tried
    }

    async fn one_pass(&mut self, site: &Site, rows: &[MetricPoint], deviations: u32, random: &mut Random) {
        let mut shifted = rows.to_vec();
        let mut planted = Vec::new();
        for at in times(rows, site.apart_min.max(2 * AROUND_MIN + 5), random) {
            let deployed = pseudo(rows, at, random);
            let plant = shift(&mut shifted, &deployed, deviations, &site.scope.metrics, random);
            planted.extend(plant.filter(|_| site.is_quiet(at)).map(|plant| (deployed, plant)));
        }
        let mut growing = Growing::new(shifted, site.scope.clone()).await;
        for (deployed, plant) in planted {
            let impacts = at_looks(&mut growing, &deployed, &LOOKS_MIN[3..]).await;
            let change = impacts[0].changes.iter().find(|change| change.metric_name == plant.metric_name);
            let found = self.found.entry((plant.family, deviations)).or_default();
            found.tried += 1;
            found.percent += plant.percent;
            found.seen += u32::from(change.is_some_and(|change| change.q_value <= 0.05));
            found.bad += u32::from(is_bad(impacts[0].verdict));
        }
    }
}

struct Plant {
    metric_name: String,
    family: &'static str,
    /// Of the level before.
    percent: f64,
}

/// Makes one metric of the service worse by so many standard deviations of the hour before, for an hour.
fn shift(
    rows: &mut [MetricPoint],
    deployed: &Deployed,
    deviations: u32,
    meanings: &Meanings,
    random: &mut Random,
) -> Option<Plant> {
    let is_of = |row: &MetricPoint, from: i64, to: i64| {
        let span = deployed.start + from * MINUTE_MS..deployed.start + to * MINUTE_MS;
        span.contains(&row.timestamp) && row.series.series().key.service_id == deployed.service_id
    };
    let mut before: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_of(row, -AROUND_MIN, -2)) {
        before.entry(row.series.series().key.metric_name.clone()).or_default().extend(row.value());
    }
    before.retain(|name, values| meanings.of(name).better != Better::Unknown && deviation(values) > 0.0);
    let place = random.below(before.len().max(1) as u64) as usize;
    let (metric_name, values) = before.into_iter().nth(place)?;
    let meaning = meanings.of(&metric_name);
    let sign = if meaning.better == Better::Higher { -1.0 } else { 1.0 };
    let by = sign * f64::from(deviations) * deviation(&values);
    for row in rows.iter_mut() {
        if is_of(row, 0, AROUND_MIN) && row.series.series().key.metric_name == metric_name {
            let value = if row.p95.is_some() { &mut row.p95 } else { &mut row.mean };
            *value = value.map(|value| Real(value.0 + by));
        }
    }
    let level = values.iter().sum::<f64>() / values.len() as f64;
    Some(Plant { metric_name, family: family(meaning.family), percent: (by / level * 100.0).abs() })
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Latency => "latency",
        Family::Errors => "errors",
        Family::Throughput => "throughput",
        Family::Saturation => "saturation",
        Family::Other => "other",
    }
}

fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// False alarms, in words and tables.
pub fn alarms_section(sites: &[(Site, Pseudo)], alpha_of_a_look: f64) -> String {
    let (mut rows, mut looks) = (Vec::new(), Vec::new());
    let spent = alpha_of_a_look * (LOOKS_MIN.len() - 1) as f64;
    for (site, tried) in sites {
        for (look, tally) in LOOKS_MIN.iter().zip(&tried.at_looks) {
            rows.push(row(&format!("{}, {look} minutes", site.name), *tally));
        }
        let ever = share(tried.ever_bad, tried.last().total());
        let last = percent(tried.last().bad_share());
        looks.push(format!("`{}` {}, at most {last} + {:.2} %", site.name, percent(ever), spent * 100.0));
        rows.push(vec![
            format!("{}, at any look", site.name),
            tried.last().total().to_string(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            percent(ever),
        ]);
        if !site.faults.is_empty() {
            rows.push(row(&format!("{}, 60 minutes, no fault within the hours", site.name), tried.quiet));
        }
    }
    let head = ["recording, look", "tried", "success", "pending", "degraded", "failed", "called bad (at most 2 %)"];
    format!(
        "\n## Nothing was deployed\n\nReal metrics; pseudo-deployments at random times of each colony, at least 61 minutes \
         apart, in several passes. `boutique`\nhas 56 injected faults, which are real changes: the last line leaves out \
         times with one of them within 65 minutes.\nFor the gauges of `delta` it is stated that less stage and more flow are \
         better. They say nothing about false alarms: buckets\nof 15 minutes leave at most four points before and after a \
         deployment, a success needs eight, and of four points that follow\na tide no change is significant. So all are \
         pending, and a planted shift would be as well (next section). Values interpolated\nbetween them would add no \
         independent point.\n{}\nEarly looks may add to the false alarms of the last one what they spend, {:.2} % each. Called \
         bad at any look:\n{}.\n",
        table(&head, &rows),
        alpha_of_a_look * 100.0,
        looks.join("; ")
    )
}

fn row(name: &str, tally: Tally) -> Vec<String> {
    let count = |count: u32| count.to_string();
    vec![
        name.to_owned(),
        count(tally.total()),
        count(tally.success),
        count(tally.pending),
        count(tally.degraded),
        count(tally.failed),
        percent(tally.bad_share()),
    ]
}

/// Power, in words and a table.
pub fn power_section(shifts: &[(&Site, Shifted)]) -> String {
    let mut rows = Vec::new();
    for (site, shifted) in shifts {
        for ((family, deviations), found) in &shifted.found {
            rows.push(vec![
                format!("{}, {family}", site.name),
                deviations.to_string(),
                found.tried.to_string(),
                format!("{:.0} %", found.percent / f64::from(found.tried)),
                percent(share(found.seen, found.tried)),
                percent(share(found.bad, found.tried)),
            ]);
        }
    }
    let head = ["recording, metric", "shift, sd", "tried", "mean size", "q ≤ 0.05", "called degraded or failed"];
    format!(
        "\n## A metric shifted\n\nThe same metrics, at times without faults: one metric of the service is made worse for \
         an hour by so many standard\ndeviations of the hour before. A verdict needs a change of 25 % as well, so that a \
         shift of a steady metric may be\nseen and not be called bad. Judged after 60 minutes. Neither recording has a \
         metric of errors; see the planted deployments\nfor those. Of `delta` nothing can be seen, as stated above.\n{}",
        table(&head, &rows)
    )
}
