//! A deployment as a row of the timeline.

use model::derived::{DerivedRow, Value};
use model::time::TimeMs;

/// The table of deployments.
pub const TIMELINE: &str = "deployment_timeline";

/// How a deployment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It has started; no end has been reported.
    Running,
    /// It has ended.
    Success,
    /// It has failed.
    Failed,
    /// The version before was put back.
    RolledBack,
}

impl Status {
    /// The one with this stored name.
    pub fn of_name(name: &str) -> Option<Status> {
        [Status::Running, Status::Success, Status::Failed, Status::RolledBack]
            .into_iter()
            .find(|one| one.as_str() == name)
    }

    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Success => "success",
            Status::Failed => "failed",
            Status::RolledBack => "rolled_back",
        }
    }
}

/// What kind of row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Events report it.
    Deployment,
    /// Events report that a version before was put back.
    Rollback,
    /// The version has changed in the topology, and no event says so.
    Observed,
}

impl Kind {
    /// The one with this stored name.
    pub fn of_name(name: &str) -> Option<Kind> {
        [Kind::Deployment, Kind::Rollback, Kind::Observed].into_iter().find(|one| one.as_str() == name)
    }

    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Deployment => "deployment",
            Kind::Rollback => "rollback",
            Kind::Observed => "observed",
        }
    }
}

/// One deployment of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deployment {
    /// The event that reported it first, or `observed:<service>:<version>`.
    pub deployment_id: String,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony.
    pub environment: String,
    /// The version before; empty if unknown.
    pub from_version: String,
    /// The new version; empty if unknown.
    pub to_version: String,
    /// When it began.
    pub started_at: TimeMs,
    /// When it ended; `None` while running.
    pub completed_at: Option<TimeMs>,
    /// How it stands.
    pub status: Status,
    /// What kind of row it is.
    pub kind: Kind,
    /// Events that report it, by time.
    pub reported_by: Vec<String>,
    /// What the reporting tools call it, sorted.
    pub reported_as: Vec<String>,
}

impl Deployment {
    /// The row of the table: columns as `sinks/src/schema.rs` lists them.
    pub fn row(&self, colony_id: &str, service_id: &str) -> DerivedRow {
        let text = |text: &str| Value::Text(text.to_owned());
        DerivedRow {
            table: TIMELINE.to_owned(),
            key: vec![text(colony_id), text(&self.deployment_id)],
            content: vec![
                text(&self.application_name),
                text(&self.environment),
                text(service_id),
                text(&self.from_version),
                text(&self.to_version),
                Value::Time(self.started_at),
                self.completed_at.map_or(Value::Null, Value::Time),
                text(self.status.as_str()),
                Value::Null,
                Value::Texts(Vec::new()),
                Value::Texts(Vec::new()),
                text(self.kind.as_str()),
                Value::Texts(self.reported_by.clone()),
                Value::Texts(self.reported_as.clone()),
                // what follows from metrics is not known here
                Value::Null,
                Value::Null,
                Value::Null,
            ],
        }
    }

    /// Colony, service and deployment of a stored row; `None` if it is not a row of this version of the table.
    pub fn of_row(row: &[Value]) -> Option<(String, String, Deployment)> {
        let text = |place: usize| match row.get(place) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let texts = |place: usize| match row.get(place) {
            Some(Value::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        };
        let time = |place: usize| match row.get(place) {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        };
        let deployment = Deployment {
            deployment_id: text(1)?,
            application_name: text(2)?,
            environment: text(3)?,
            from_version: text(5)?,
            to_version: text(6)?,
            started_at: time(7)?,
            completed_at: time(8),
            status: Status::of_name(&text(9)?)?,
            kind: Kind::of_name(&text(13)?)?,
            reported_by: texts(14),
            reported_as: texts(15),
        };
        Some((text(0)?, text(4)?, deployment))
    }
}
