//! A store that grows in the order of time, as that of a live reef does, and is asked about deployments.

use crate::answers::deployment::DeploymentQuestion;
use crate::answers::{Answered, Question, Scope};
use crate::impact::Impact;
use model::derived::{DerivedChange, Value};
use model::metric::MetricPoint;
use model::rows::Rows;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use sinks::memory::MemoryStore;
use sinks::{Commit, StoreWriter};
use std::collections::BTreeSet;

/// A deployment as the timeline has it.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub colony_id: String,
    pub deployment_id: String,
    pub service_id: String,
    pub start: TimeMs,
    pub end: TimeMs,
}

/// See the module.
pub struct Growing {
    store: MemoryStore,
    /// In the order of time.
    rows: Vec<MetricPoint>,
    /// How many of them are stored.
    stored: usize,
    tick: u64,
    scope: Scope,
}

impl Growing {
    /// An empty store that `rows` will be written to.
    pub async fn new(mut rows: Vec<MetricPoint>, scope: Scope) -> Growing {
        rows.sort_by_key(|row| row.timestamp);
        let colonies: BTreeSet<(String, String, String)> = rows
            .iter()
            .map(|row| {
                let series = row.series.series();
                (series.key.colony_id.clone(), series.application_name.clone(), series.environment.clone())
            })
            .collect();
        let status = |(colony_id, application_name, environment): (String, String, String)| ColonyStatus {
            application_name,
            environment,
            total_services: 1,
            healthy_services: 1,
            ..fixtures::colony_status(&colony_id, "healthy")
        };
        let mut growing = Growing { store: MemoryStore::new(), rows, stored: 0, tick: 0, scope };
        let rows = Rows { colonies: colonies.into_iter().map(status).collect(), ..Rows::default() };
        growing.commit(Commit { rows: rows.into(), ..Commit::default() }).await;
        growing
    }

    async fn commit(&mut self, commit: Commit) {
        self.tick += 1;
        self.store.commit(&Commit { tick: self.tick, ..commit }).await.unwrap();
    }

    /// Stores all rows before `end`.
    pub async fn grow_to(&mut self, end: TimeMs) {
        let until = self.rows.partition_point(|row| row.timestamp < end);
        if until > self.stored {
            let metrics = self.rows[self.stored..until].to_vec();
            self.stored = until;
            let rows = Rows { metrics: metrics.into(), ..Rows::default() };
            self.commit(Commit { rows: rows.into(), ..Commit::default() }).await;
        }
    }

    /// Puts deployments into the timeline.
    pub async fn deploy(&mut self, deployed: &[Deployed]) {
        let change = DerivedChange {
            table: "deployment_timeline".to_owned(),
            upserts: deployed.iter().map(row).collect(),
            removed: Vec::new(),
        };
        self.commit(Commit { derived: vec![change], ..Commit::default() }).await;
    }

    /// Deletes one of them.
    pub async fn forget(&mut self, deployed: &Deployed) {
        let key = [&deployed.colony_id, &deployed.deployment_id].map(|text| Value::Text(text.clone()));
        let change =
            DerivedChange { table: "deployment_timeline".to_owned(), upserts: Vec::new(), removed: vec![key.to_vec()] };
        self.commit(Commit { derived: vec![change], ..Commit::default() }).await;
    }

    /// What is said of one of them now.
    pub async fn impact(&self, deployed: &Deployed) -> Impact {
        let id = format!("{}/{}", deployed.colony_id, deployed.deployment_id);
        let question = Question::Deployment(DeploymentQuestion { id });
        match question.answer(self.store.reader().as_ref(), &self.scope).await.unwrap() {
            Answered::Deployment(answer) => answer.impact.metrics,
            other => panic!("{other:?}"),
        }
    }
}

/// In the order of the table's columns.
fn row(deployed: &Deployed) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let table = sinks::schema::DERIVED.iter().find(|derived| derived.table.name == "deployment_timeline").unwrap();
    let value = |column: &str| match column {
        "colony_id" => text(&deployed.colony_id),
        "deployment_id" => text(&deployed.deployment_id),
        "service_id" => text(&deployed.service_id),
        "application_name" | "environment" | "from_version" => text(""),
        "to_version" => text("v2"),
        "started_at" => Value::Time(deployed.start),
        "completed_at" => Value::Time(deployed.end),
        "status" => text("success"),
        "kind" => text("deployment"),
        "issues_detected" | "related_events" | "reported_by" | "reported_as" => Value::Texts(Vec::new()),
        _ => Value::Null,
    };
    table.table.columns.iter().map(|(column, _)| value(column)).collect()
}
