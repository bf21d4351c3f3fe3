//! Supports: where else the same version made the same metric worse, as runs have stored it.

use super::timeline::DeploymentLine;
use crate::impact::{Impact, MetricImpact, Verdict, rows};
use model::meaning::Meanings;
use sinks::{SinkError, StoreReader};

/// Most other deployments of the version that are read, the newest first.
const READ_MAX: usize = 20;

/// The metric that a deployment made worse most, where its verdict says so.
fn worst(impact: &Impact) -> Option<&MetricImpact> {
    let is_bad = matches!(impact.verdict, Verdict::Degraded | Verdict::Failed);
    impact.changes.first().filter(|one| is_bad && is_worse(one))
}

fn is_worse(one: &MetricImpact) -> bool {
    ["critical", "warning"].contains(&one.significance)
}

/// The colonies in which this version made its worst metric worse, this one first; empty where it made none worse.
pub(super) async fn also_worse_in(
    line: &DeploymentLine,
    impact: &Impact,
    similar: &[DeploymentLine],
    meanings: &Meanings,
    reader: &dyn StoreReader,
) -> Result<Vec<String>, SinkError> {
    let Some(worst) = worst(impact) else { return Ok(Vec::new()) };
    let mut found = vec![line.colony_id.clone()];
    for other in similar.iter().take(READ_MAX) {
        let Some(stored) = other.stored.clone() else { continue };
        let changes = rows::read(&other.colony_id, &other.deployment_id, reader).await?;
        let impact = rows::impact(stored, &changes, meanings);
        let is_same = |one: &MetricImpact| {
            one.metric_name == worst.metric_name && one.service_id == worst.service_id && is_worse(one)
        };
        if impact.changes.iter().any(is_same) && !found.contains(&other.colony_id) {
            found.push(other.colony_id.clone());
        }
    }
    Ok(found)
}
