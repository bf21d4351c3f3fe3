//! The list of deployments, the newest first.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::names;
use super::page;
use super::part::{self, Listed, Part, Place};
use super::refusal::{AnswerError, Refusal};
use super::services;
use super::timeline::{self, DeploymentLine};
use model::time::{TimeMs, format_duration_ms};
use model::version::Version;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;

/// Which deployments are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentsQuestion {
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
    /// `running`, `success`, `failed` or `rolled_back`.
    pub status: Option<String>,
    /// Of this new version.
    pub version: Option<String>,
    /// Which part of the list.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deployments {
    /// The deployments.
    #[serde(flatten)]
    pub deployments: Listed<DeploymentLine>,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

const STATUSES: [&str; 4] = ["running", "success", "failed", "rolled_back"];

/// A deployment's place in the list: its start, colony and id.
type Key = (TimeMs, String, String);

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn deployments(
    question: &DeploymentsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Deployments, AnswerError> {
    let asked = part::asked("deployments", &DeploymentsQuestion { part: Part::default(), ..question.clone() });
    let (limit, place) = (question.part.reach()?, question.part.place::<Key>(&asked)?);
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let status = question.status.as_ref().map(|status| status.to_lowercase().replace(['-', ' '], "_"));
    if let Some(status) = status.as_ref().filter(|status| !STATUSES.contains(&status.as_str())) {
        names::check(status).map_err(|refusal| refusal.at("status"))?;
        let hint = format!("one of: {}", STATUSES.join(", "));
        return Err(Refusal::invalid(format!("no deployment has the status {status:?}"), hint).at("status").into());
    }
    let mut lines = timeline::read(reader).await?;
    lines.iter_mut().for_each(|line| line.identify(fleet.identity(&line.colony_id)));
    let deployed = lines.iter().map(|line| line.service_id.clone()).collect();
    let filter = services::resolved(filter, ("deployment and no topology", deployed), reader).await?;
    lines.retain(|line| {
        place.as_ref().is_none_or(|place| is_after(line, &place.after))
            && filter.takes_colony(&line.colony_id, &line.application_name, &line.environment)
            && filter.takes_service(&line.service_id)
            && status.as_ref().is_none_or(|status| *status == line.status)
            && question.version.as_ref().is_none_or(|version| Version::are_same(version, &line.to_version))
    });
    let completeness =
        Completeness::of(&fleet, |id, colony| filter.takes_colony(id, &colony.application_name, &colony.environment));
    let counts = (place.map_or(0, |place| place.before), lines.len());
    lines.truncate(limit);
    let cursor = |line: &DeploymentLine, before: usize| {
        let after = (line.start, line.colony_id.clone(), line.deployment_id.clone());
        Place { to: None, before, after }.cursor(&asked)
    };
    Ok(Deployments { deployments: Listed::of(&question.part, lines, counts, cursor), completeness })
}

/// Whether a deployment comes after another in the list: the newest first, then by colony and id.
fn is_after(line: &DeploymentLine, (start, colony_id, id): &Key) -> bool {
    (*start, &line.colony_id, &line.deployment_id) > (line.start, colony_id, id)
}

impl Deployments {
    /// For people.
    pub fn text(&self) -> String {
        let Listed { items, total, .. } = &self.deployments;
        let mut text = match (total, items.len()) {
            (0, _) => {
                "No deployment.\n\nDeployments come from events of the types deploy, deployment, release, rollout and \
                       rollback,\nand from versions in the topology of a colony.\n"
                    .to_owned()
            }
            (total, shown) if shown < *total => format!("Deployments ({shown} of {total}, the newest first):\n"),
            (total, _) => format!("Deployments ({total}, the newest first):\n"),
        };
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        text.push_str(&page::table(&rows));
        if let Some(cursor) = &self.deployments.next_cursor {
            text.push_str(&format!("\nMore: --cursor {cursor}, or --limit up to {}\n", part::LIMIT_MAX));
        }
        if !items.is_empty() {
            text.push_str("\nOne of them: coral reef deployment <id>\n");
        }
        text.push_str(&format!("{}\n", self.completeness.line()));
        text
    }
}

fn row(line: &DeploymentLine) -> Vec<String> {
    let took = match (line.kind.as_str(), line.duration_seconds) {
        ("observed", _) => "observed".to_owned(),
        (_, Some(seconds)) if seconds > 0 => format_duration_ms(seconds * 1_000),
        _ => "–".to_owned(),
    };
    // what its metrics say, where that is not how it ended
    let status = match line.verdict.as_deref() {
        Some(verdict @ ("degraded" | "failed")) if !["failed", "rolled_back"].contains(&line.status.as_str()) => {
            format!("{}, {verdict}", line.shown_status())
        }
        _ => line.shown_status(),
    };
    let kind = if line.kind == "rollback" { " (rollback)" } else { "" };
    vec![
        page::time(line.start),
        status,
        line.colony_id.clone(),
        page::or_dash(&line.service_id).to_owned(),
        format!("{}{kind}", line.shown_versions()),
        took,
        line.deployment_id.clone(),
    ]
}
