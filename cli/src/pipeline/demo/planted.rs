//! Compares what was planted in a generated fleet with what the reef found.

use model::time::{MINUTE_MS, format_duration_ms};
use reef::Report;
use reef::report::PatternLine;
use serde::Serialize;
use sources::generator::{End, Truth};

/// A planted relation and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planted {
    /// `shop-staging api deploy -> shop-production api error_spike`.
    pub relation: String,
    /// Delay as planted.
    pub planted_lag_seconds: i64,
    /// `confirmed`, `candidate` or `not found`.
    pub found: &'static str,
    /// Delay as found.
    pub found_lag_seconds: Option<i32>,
}

/// How the reef did on a fleet whose truth is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Every planted relation.
    pub planted: Vec<Planted>,
    /// Pairs that only look related but were confirmed.
    pub decoys_confirmed: usize,
    /// Pairs that only look related.
    pub decoys: usize,
}

/// Looks up every planted relation and every decoy in the report.
pub fn score(truth: &Truth, report: &Report) -> Score {
    let events = truth
        .event_relations
        .iter()
        .map(|relation| (&relation.source, &relation.target, (relation.lag_minutes * MINUTE_MS as f64) as i64));
    let metrics = truth
        .metric_relations
        .iter()
        .map(|relation| (&relation.source, &relation.target, relation.lag_minutes * MINUTE_MS));
    let planted = events
        .chain(metrics)
        .map(|(source, target, lag_ms)| {
            let line = find(&report.confirmed, source, target).or_else(|| find(&report.candidates, source, target));
            Planted {
                relation: format!("{} -> {}", end(source), end(target)),
                planted_lag_seconds: lag_ms / 1_000,
                found: line.map_or("not found", |line| line.state),
                found_lag_seconds: line.map(|line| line.lag_seconds),
            }
        })
        .collect();
    let is_confirmed = |source, target| {
        find(&report.confirmed, source, target).or_else(|| find(&report.confirmed, target, source)).is_some()
    };
    Score {
        planted,
        decoys_confirmed: truth.decoys.iter().filter(|decoy| is_confirmed(&decoy.source, &decoy.target)).count(),
        decoys: truth.decoys.len(),
    }
}

impl Score {
    /// For people: one line per relation.
    pub fn to_text(&self) -> String {
        let confirmed = self.planted.iter().filter(|each| each.found == "confirmed").count();
        let mut text = format!("Planted relations: {confirmed} of {} confirmed", self.planted.len());
        text += &format!("; decoys confirmed: {} of {}\n", self.decoys_confirmed, self.decoys);
        for each in &self.planted {
            let lag = |seconds: i64| format_duration_ms(seconds * 1_000);
            let found = each.found_lag_seconds.map_or(String::new(), |seconds| format!(" at {}", lag(seconds.into())));
            text +=
                &format!("  {}{found} · planted {} · {}\n", each.found, lag(each.planted_lag_seconds), each.relation);
        }
        text
    }
}

fn find<'a>(lines: &'a [PatternLine], source: &End, target: &End) -> Option<&'a PatternLine> {
    lines.iter().find(|line| {
        (&line.source_colony_id, &line.source_service, &line.source_signal)
            == (&source.colony, &source.service, &source.name)
            && (&line.target_colony_id, &line.target_service, &line.target_signal)
                == (&target.colony, &target.service, &target.name)
    })
}

fn end(end: &End) -> String {
    format!("{} {} {}", end.colony, end.service, end.name)
}
