//! Tests of deployments: shapes of events, topologies, the oracle.
#![allow(clippy::unwrap_used)]

mod property;
mod shapes;
mod topology;

use super::{Deployment, Deployments, Input, Sighting};
use crate::ext::Change;
use model::derived::DerivedRow;
use model::event::{Event, Severity};
use model::time::{MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// 2024-11-13 14:30.
pub const START: TimeMs = TimeMs(1_731_508_200_000);

pub fn at(minute: i64) -> TimeMs {
    START + minute * MINUTE_MS
}

/// An event of `api` in production; `metadata` is `name=value` pairs separated by blanks.
pub fn event(minute: i64, event_id: &str, event_type: &str, metadata: &str) -> Event {
    let pairs = metadata.split_whitespace().filter_map(|pair| pair.split_once('='));
    Event {
        colony_id: "shop-production".to_owned(),
        event_id: event_id.to_owned(),
        version: 0,
        withdrawn: false,
        application_name: "shop".to_owned(),
        environment: "production".to_owned(),
        timestamp: at(minute),
        event_type: event_type.to_owned(),
        service_id: "api".to_owned(),
        severity: Severity::Info,
        description: String::new(),
        metadata: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

pub fn sighting(minute: i64, version: &str) -> Input {
    Input::Seen(Sighting {
        colony_id: "shop-production".to_owned(),
        service_id: "api".to_owned(),
        version: version.to_owned(),
        at: at(minute),
    })
}

/// The rows that hold, each once.
#[derive(Default)]
pub struct Rows(BTreeMap<DerivedRow, i64>);

impl Rows {
    pub fn apply(&mut self, changes: Vec<Change<DerivedRow>>) {
        for (row, diff) in changes {
            *self.0.entry(row).or_default() += diff;
        }
        self.0.retain(|_, count| *count != 0);
        assert!(self.0.values().all(|count| *count == 1), "{:?}", self.0);
    }

    pub fn rows(&self) -> Vec<DerivedRow> {
        self.0.keys().cloned().collect()
    }

    /// By start.
    pub fn deployments(&self) -> Vec<Deployment> {
        let read = |row: &DerivedRow| Deployment::of_row(&[row.key.clone(), row.content.clone()].concat()).unwrap().2;
        let mut deployments: Vec<Deployment> = self.0.keys().map(read).collect();
        deployments.sort_by_key(|row| (row.started_at, row.deployment_id.clone()));
        deployments
    }
}

pub fn evaluated(operator: &mut Deployments, changes: Vec<Change<Input>>) -> Vec<Change<DerivedRow>> {
    operator.apply(changes);
    operator.evaluate()
}

/// The deployments that `inputs` make, `from → to status` with minutes of start and end.
pub fn told(inputs: impl IntoIterator<Item = Input>) -> Vec<String> {
    let mut rows = Rows::default();
    rows.apply(evaluated(&mut Deployments::default(), inputs.into_iter().map(|input| (input, 1)).collect()));
    rows.deployments().iter().map(line).collect()
}

pub fn line(row: &Deployment) -> String {
    let minute = |time: TimeMs| (time - START) / MINUTE_MS;
    let end = row.completed_at.map_or("…".to_owned(), |end| minute(end).to_string());
    let kind = if row.kind == super::Kind::Deployment { "" } else { row.kind.as_str() };
    let line = format!(
        "{}-{end} {}>{} {} {kind}",
        minute(row.started_at),
        row.from_version,
        row.to_version,
        row.status.as_str()
    );
    line.trim_end().to_owned()
}
