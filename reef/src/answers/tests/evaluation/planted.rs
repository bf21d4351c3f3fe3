//! Generated fleets with deployments of known outcome, judged at every look.

use super::growing::{Deployed, Growing};
use super::tally::{Tally, percent, share};
use crate::answers::Scope;
use crate::impact::windows::LOOKS_MIN;
use fixtures::tally::table;
use model::metric::MetricPoint;
use model::real::Real;
use model::series::SeriesKey;
use model::time::{MINUTE_MS, TimeMs};
use sources::generator::{Fleet, FleetConfig, PlantedDeployment};
use std::collections::BTreeMap;

/// Verdicts by outcome.
#[derive(Default)]
pub struct Planted {
    /// At each look, by outcome.
    at_looks: [BTreeMap<&'static str, Tally>; 4],
    /// At the last look, by effect.
    by_effect: BTreeMap<&'static str, (Tally, &'static str)>,
}

impl Planted {
    /// Several fleets of three applications in two environments, a deployment a day in each, in buckets of so many minutes.
    pub async fn tried(fleets: u64, days: u32, bucket_min: i64) -> Planted {
        let mut tried = Planted::default();
        for seed in 101..101 + fleets {
            let config = FleetConfig { seed, days, interval_seconds: 60, deployments: days, ..FleetConfig::default() };
            let fleet = Fleet::generate(&config).unwrap();
            for pair in fleet.truth.colonies.chunks(2) {
                tried.one_application(&fleet, pair, bucket_min).await;
            }
        }
        tried
    }

    async fn one_application(&mut self, fleet: &Fleet, colonies: &[String], bucket_min: i64) {
        let of_pair = |point: &MetricPoint| {
            let key = &point.series.series().key;
            key.service_id == "gateway" && colonies.contains(&key.colony_id)
        };
        let metrics = in_buckets(fleet.metrics().filter(of_pair), bucket_min);
        let mut growing = Growing::new(metrics, Scope::default()).await;
        let mut planted: Vec<(Deployed, &PlantedDeployment)> = fleet
            .truth
            .deployments
            .iter()
            .filter(|planted| colonies.contains(&planted.colony))
            .map(|planted| (deployed(planted), planted))
            .collect();
        planted.sort_by_key(|(deployed, _)| deployed.start);
        let rows: Vec<Deployed> = planted.iter().map(|(deployed, _)| deployed.clone()).collect();
        growing.deploy(&rows).await;
        for (deployed, planted) in planted {
            for (look, at_look) in LOOKS_MIN.iter().zip(&mut self.at_looks) {
                // a look is over with the bucket that it ends in
                growing.grow_to(deployed.end + (look + bucket_min - 1) * MINUTE_MS).await;
                let verdict = growing.impact(&deployed).await.verdict;
                at_look.entry(planted.outcome).or_default().add(verdict);
                if *look == LOOKS_MIN[3] {
                    let of_effect = (Tally::default(), planted.outcome);
                    self.by_effect.entry(planted.effect).or_insert(of_effect).0.add(verdict);
                }
            }
        }
    }

    /// What must hold.
    pub fn check(&self, right_min: f64, alpha_of_a_look: f64) {
        let last = &self.at_looks[3];
        let (right, all) = right(last);
        assert!(all >= 40, "only {all} planted deployments");
        assert!(share(right, all) >= right_min, "{right} of {all} right: {last:?}");
        let alarms = |at_look: &BTreeMap<&str, Tally>| at_look.get("success").copied().unwrap_or_default().bad_share();
        for (look, early) in (1..).zip(&self.at_looks[..3]) {
            let most = alarms(last) + alpha_of_a_look * f64::from(look);
            assert!(alarms(early) <= most, "look {look}: {early:?}");
        }
    }

    /// In words and tables.
    pub fn section(&self) -> String {
        let all = right(&self.at_looks[3]).1;
        format!(
            "\n## Planted deployments\n\nGenerated fleets of three applications in staging and production \
             (`coral-pipeline generate --deployments`), {all}\ndeployments of known outcome. `slow everywhere` hits both \
             environments at once and is no effect of the deployment.\nAt least 95 % of the verdicts after 60 minutes must \
             be right.\n{}",
            self.tables()
        )
    }

    /// The same of buckets that are too long for most verdicts.
    pub fn coarse_section(&self) -> String {
        format!(
            "\n## The same in buckets of five minutes\n\nThe same fleets, with the mean of five minutes in each bucket. \
             Why a success may be rare there:\n[methods.md](../methods.md#deployments), blind spots.\n{}",
            self.tables()
        )
    }

    fn tables(&self) -> String {
        let count = |count: u32| count.to_string();
        let cells = |tally: &Tally| [tally.success, tally.degraded, tally.failed, tally.pending].map(count);
        let mut rows = Vec::new();
        for (look, at_look) in LOOKS_MIN.iter().zip(&self.at_looks) {
            let (right, all) = right(at_look);
            for (outcome, tally) in at_look {
                let mut row = vec![format!("{look} minutes"), (*outcome).to_owned()];
                row.extend(cells(tally));
                row.push(percent(share(right, all)));
                rows.push(row);
            }
        }
        let head = ["look", "planted", "success", "degraded", "failed", "pending", "right in all"];
        let by_look = table(&head, &rows);
        let effects: Vec<Vec<String>> = self
            .by_effect
            .iter()
            .map(|(effect, (tally, outcome))| {
                let mut row = vec![effect.replace('_', " "), (*outcome).to_owned()];
                row.extend(cells(tally));
                row
            })
            .collect();
        let head = ["effect", "right verdict", "success", "degraded", "failed", "pending"];
        format!("{by_look}\nAfter 60 minutes, by effect:\n{}", table(&head, &effects))
    }
}

/// Minutes as buckets of so many, each with their mean.
fn in_buckets(minutes: impl Iterator<Item = MetricPoint>, bucket_min: i64) -> Vec<MetricPoint> {
    if bucket_min == 1 {
        return minutes.collect();
    }
    let mut buckets: BTreeMap<(SeriesKey, TimeMs), Vec<MetricPoint>> = BTreeMap::new();
    for point in minutes {
        let begin = point.timestamp.floor_to(bucket_min * MINUTE_MS);
        buckets.entry((point.series.series().key.clone(), begin)).or_default().push(point);
    }
    let bucket = |((_, timestamp), points): ((SeriesKey, TimeMs), Vec<MetricPoint>)| {
        let values: Vec<f64> = points.iter().filter_map(MetricPoint::value).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (!values.is_empty()).then(|| MetricPoint { timestamp, p95: Some(Real(mean)), ..points[0] })
    };
    buckets.into_iter().filter_map(bucket).collect()
}

/// How many verdicts are right, and how many there are.
fn right(at_look: &BTreeMap<&'static str, Tally>) -> (u32, u32) {
    let right = |(outcome, tally): (&&str, &Tally)| match *outcome {
        "success" => tally.success,
        "degraded" => tally.degraded,
        _ => tally.failed,
    };
    (at_look.iter().map(right).sum(), at_look.values().map(|tally| tally.total()).sum())
}

fn deployed(planted: &PlantedDeployment) -> Deployed {
    let time = |text: &str| TimeMs::parse_rfc3339(text).unwrap();
    Deployed {
        colony_id: planted.colony.clone(),
        deployment_id: planted.deployment_id.clone(),
        service_id: planted.service.clone(),
        start: time(&planted.started_at),
        end: time(&planted.completed_at),
    }
}
