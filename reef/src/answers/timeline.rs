//! The timeline of deployments as the store has it.

use super::page;
use crate::impact::Line;
use crate::impact::line::went_wrong;
use crate::impact::rows::Stored;
use crate::impact::windows::Moment;
use model::derived::Value;
use model::time::TimeMs;
use serde::Serialize;
use sinks::schema::{DERIVED, DerivedTable};
use sinks::{SinkError, StoreReader};

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

/// A row of the timeline; fields named as its columns, times RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as the columns")]
pub struct DeploymentLine {
    pub colony_id: String,
    pub deployment_id: String,
    pub application_name: String,
    pub environment: String,
    pub service_id: String,
    pub from_version: String,
    pub to_version: String,
    pub started_at: String,
    pub completed_at: Option<String>,
    /// From start to end.
    pub duration_seconds: Option<i64>,
    pub status: String,
    pub kind: String,
    pub reported_by: Vec<String>,
    pub reported_as: Vec<String>,
    /// `success`, `degraded`, `failed` or `pending`; none before the run has judged it.
    pub verdict: Option<String>,
    pub verdict_reason: Option<String>,
    #[serde(skip)]
    pub(super) stored: Option<Stored>,
    #[serde(skip)]
    pub(crate) start: TimeMs,
    #[serde(skip)]
    pub(crate) end: Option<TimeMs>,
}

fn table() -> &'static DerivedTable {
    let table = DERIVED.iter().find(|derived| derived.table.name == "deployment_timeline");
    table.unwrap_or_else(|| unreachable!("the schema has a timeline of deployments"))
}

/// All deployments, the newest first.
pub(super) async fn read(reader: &dyn StoreReader) -> Result<Vec<DeploymentLine>, SinkError> {
    let (table, mut lines, mut after) = (table(), Vec::new(), None);
    loop {
        let page = reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?;
        lines.extend(page.rows().into_iter().map(|row| line(table, &row)));
        after = page.end();
        if after.is_none() {
            break;
        }
    }
    lines.sort_by(|a: &DeploymentLine, b| {
        (b.start, &a.colony_id, &a.deployment_id).cmp(&(a.start, &b.colony_id, &b.deployment_id))
    });
    Ok(lines)
}

fn line(table: &DerivedTable, row: &[Value]) -> DeploymentLine {
    let value = |name: &str| {
        let place = table.table.columns.iter().position(|(column, _)| *column == name);
        place.and_then(|place| row.get(place))
    };
    let text = |name: &str| if let Some(Value::Text(text)) = value(name) { text.clone() } else { String::new() };
    let texts = |name: &str| if let Some(Value::Texts(texts)) = value(name) { texts.clone() } else { Vec::new() };
    let time = |name: &str| if let Some(Value::Time(time)) = value(name) { Some(*time) } else { None };
    let stored = Stored::of_row(row);
    let (start, end) = (time("started_at").unwrap_or(TimeMs(0)), time("completed_at"));
    DeploymentLine {
        colony_id: text("colony_id"),
        deployment_id: text("deployment_id"),
        application_name: text("application_name"),
        environment: text("environment"),
        service_id: text("service_id"),
        from_version: text("from_version"),
        to_version: text("to_version"),
        started_at: start.to_string(),
        completed_at: end.map(|end| end.to_string()),
        duration_seconds: end.map(|end| (end - start) / 1_000),
        status: text("status"),
        kind: text("kind"),
        reported_by: texts("reported_by"),
        reported_as: texts("reported_as"),
        verdict: stored.as_ref().map(|stored| stored.verdict.as_str().to_owned()),
        verdict_reason: stored.as_ref().map(|stored| stored.verdict_reason.clone()),
        stored,
        start,
        end,
    }
}

impl DeploymentLine {
    /// Application and environment: those of the row, else those of its colony.
    pub(super) fn identify(&mut self, (application, environment): (&str, &str)) {
        if self.application_name.is_empty() {
            self.application_name = application.to_owned();
        }
        if self.environment.is_empty() {
            self.environment = environment.to_owned();
        }
    }

    /// When it was.
    pub(super) fn moment(&self) -> Moment {
        Moment { start: self.start, end: self.end.unwrap_or(self.start) }
    }

    /// What its impact depends on.
    pub(super) fn line(&self) -> Line {
        Line {
            colony_id: self.colony_id.clone(),
            deployment_id: self.deployment_id.clone(),
            service_id: self.service_id.clone(),
            application_name: self.application_name.clone(),
            environment: self.environment.clone(),
            start: self.start,
            end: self.end,
            went_wrong: went_wrong(&self.status),
            is_rollback: self.kind == "rollback",
        }
    }

    /// Its environment; its colony where that is unknown.
    pub(crate) fn place(&self) -> &str {
        if self.environment.is_empty() { &self.colony_id } else { &self.environment }
    }

    /// How it stands, as a sign and a word.
    pub(super) fn shown_status(&self) -> String {
        match self.status.as_str() {
            "success" => "✓ success".to_owned(),
            "failed" => "✗ failed".to_owned(),
            "rolled_back" => "⚠ rolled back".to_owned(),
            "running" => "… running".to_owned(),
            other => other.to_owned(),
        }
    }

    /// `v1 → v2`.
    pub(crate) fn shown_versions(&self) -> String {
        let (from, to) = (page::short_version(&self.from_version), page::short_version(&self.to_version));
        match (from.as_str(), to.as_str()) {
            ("", "") => "version unknown".to_owned(),
            ("", to) => to.to_owned(),
            (from, "") => format!("{from} → ?"),
            (from, to) => format!("{from} → {to}"),
        }
    }
}
