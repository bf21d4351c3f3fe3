//! A deployment, as far as impacts depend on it.

use super::Colonies;
use super::windows::Moment;
use model::derived::Value;
use model::time::{HOUR_MS, TimeMs};
use operators::deployments::{Deployment, Kind, Status};

/// How long after a deployment what happens counts as what followed it.
pub const AFTER_MS: i64 = HOUR_MS;

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its colony.
    pub colony_id: String,
    /// Its id in the colony.
    pub deployment_id: String,
    /// Its service; empty for all services of the colony.
    pub service_id: String,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony.
    pub environment: String,
    /// When it began.
    pub start: TimeMs,
    /// When it ended; none while no end is reported.
    pub end: Option<TimeMs>,
    /// How it ended, if not well: `failed` or `was rolled back`.
    pub went_wrong: Option<&'static str>,
    /// Whether it put a version back.
    pub is_rollback: bool,
}

/// How a deployment of this status ended, if not well.
pub fn went_wrong(status: &str) -> Option<&'static str> {
    match Status::of_name(status) {
        Some(Status::Failed) => Some("failed"),
        Some(Status::RolledBack) => Some("was rolled back"),
        Some(Status::Running | Status::Success) | None => None,
    }
}

impl Line {
    /// Of a row of the timeline; `None` if it is not a row of this version of the table.
    pub fn of_row(row: &[Value]) -> Option<Line> {
        let (colony_id, service_id, one) = Deployment::of_row(row)?;
        Some(Line {
            colony_id,
            service_id,
            deployment_id: one.deployment_id,
            application_name: one.application_name,
            environment: one.environment,
            start: one.started_at,
            end: one.completed_at,
            went_wrong: went_wrong(one.status.as_str()),
            is_rollback: one.kind == Kind::Rollback,
        })
    }

    /// With the names of its colony where it has none itself.
    pub fn identified(mut self, colonies: &Colonies) -> Line {
        if let Some(colony) = colonies.get(&self.colony_id) {
            for (own, name) in
                [(&mut self.application_name, &colony.application_name), (&mut self.environment, &colony.environment)]
            {
                if own.is_empty() {
                    own.clone_from(name);
                }
            }
        }
        self
    }

    /// When it was.
    pub fn moment(&self) -> Moment {
        Moment { start: self.start, end: self.end.unwrap_or(self.start) }
    }

    /// Whether it is this deployment.
    pub fn is(&self, other: &Line) -> bool {
        (&self.colony_id, &self.deployment_id) == (&other.colony_id, &other.deployment_id)
    }

    /// Whether `other` is another deployment of the colony, and what follows one of the two is not over when the other
    /// begins.
    pub fn is_near(&self, other: &Line) -> bool {
        self.colony_id == other.colony_id && !self.is(other) && are_near(self.moment(), other.moment())
    }
}

/// Whether what follows one of two deployments is not over when the other begins.
pub fn are_near(one: Moment, other: Moment) -> bool {
    other.start <= one.end + AFTER_MS && one.start <= other.end + AFTER_MS
}
