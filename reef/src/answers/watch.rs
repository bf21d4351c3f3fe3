//! The impact of a deployment: as its run has stored it, otherwise judged from the metrics in the store.

use super::fleet::{Fleet, Scope};
use super::timeline::DeploymentLine;
use crate::impact::line::are_near;
use crate::impact::{Colonies, Colony, Impact, Line, rows, watch};
use sinks::{SinkError, StoreReader};
use std::collections::BTreeSet;

pub(super) use crate::impact::watch::Around;

/// Other deployments of the colony that began before what followed this one was over.
pub(super) fn overlapping(line: &DeploymentLine, lines: &[DeploymentLine]) -> Vec<DeploymentLine> {
    lines.iter().filter(|other| other.kind != "rollback" && is_near(line, other)).cloned().collect()
}

/// Whether `other` is another deployment of the colony or a rollback there, and what follows one of the two is not over
/// when the other begins.
pub(super) fn is_near(line: &DeploymentLine, other: &DeploymentLine) -> bool {
    other.colony_id == line.colony_id
        && other.deployment_id != line.deployment_id
        && are_near(line.moment(), other.moment())
}

/// What the deployment did to the metrics of its service.
pub(super) async fn impact_on(
    line: &DeploymentLine,
    lines: &[DeploymentLine],
    (fleet, scope): (&Fleet, &Scope),
    reader: &dyn StoreReader,
) -> Result<Impact, SinkError> {
    match &line.stored {
        Some(stored) => {
            let changes = rows::read(&line.colony_id, &line.deployment_id, reader).await?;
            Ok(rows::impact(stored.clone(), &changes, &scope.metrics))
        }
        None => judged(line, lines, (fleet, scope), reader).await,
    }
}

/// The same, judged now.
pub(super) async fn judged(
    line: &DeploymentLine,
    lines: &[DeploymentLine],
    (fleet, scope): (&Fleet, &Scope),
    reader: &dyn StoreReader,
) -> Result<Impact, SinkError> {
    let lines: Vec<Line> = lines.iter().map(DeploymentLine::line).collect();
    watch::impact_on(&line.line(), &lines, (&colonies(fleet), &scope.metrics), reader).await
}

/// The colonies whose changes the verdicts of these deployments subtract.
pub(super) fn siblings_of<'a>(
    judged: impl IntoIterator<Item = &'a DeploymentLine>,
    lines: &[DeploymentLine],
    fleet: &Fleet,
) -> BTreeSet<String> {
    let lines: Vec<Line> = lines.iter().map(DeploymentLine::line).collect();
    let colonies = colonies(fleet);
    judged.into_iter().filter_map(|line| watch::sibling_of(&line.line(), &lines, &colonies)).collect()
}

fn colonies(fleet: &Fleet) -> Colonies {
    let colony = |(id, known): (&String, &super::fleet::KnownColony)| {
        let (application_name, environment) = (known.application_name.clone(), known.environment.clone());
        (id.clone(), Colony { application_name, environment, newest_metric: known.newest_metric })
    };
    fleet.colonies.iter().map(colony).collect()
}
