//! Health: how colonies, environments and applications are, as the colonies state it.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, KnownColony, Scope};
use super::page;
use super::refusal::AnswerError;
use crate::printable::printable;
use model::topology::{REVOKED, ServiceNode, UNREACHABLE};
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::collections::{BTreeMap, BTreeSet};

/// Statuses of a service that is well.
const WELL: [&str; 8] = ["running", "healthy", "ok", "ready", "up", "active", "available", ""];
/// Services that a line names.
const NAMED_MAX: usize = 5;

/// Whose health is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthQuestion {
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// Colony by colony.
    pub colonies: Vec<ColonyHealth>,
    /// Sums by environment.
    pub environments: Vec<GroupHealth>,
    /// Sums by application.
    pub applications: Vec<GroupHealth>,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// The health of one colony.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColonyHealth {
    /// The colony.
    pub colony_id: String,
    /// Its application.
    pub application_name: String,
    /// Its environment.
    pub environment: String,
    /// `healthy`, `degraded`, `unhealthy`, `unreachable`, `revoked` or `unknown`.
    pub health: String,
    /// Services, as the colony states them.
    pub services: u32,
    /// Of these, healthy.
    pub healthy_services: u32,
    /// Agents, if the colony says.
    pub agents: Option<u32>,
    /// Services that are not well, with their status.
    pub troubled: Vec<TroubledService>,
}

/// A service that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TroubledService {
    /// The service.
    pub service_id: String,
    /// Its status, as the colony states it.
    pub status: String,
}

/// The health of several colonies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupHealth {
    /// The environment or application.
    pub name: String,
    /// Colonies whose health is known.
    pub colonies: usize,
    /// Their services.
    pub services: u32,
    /// Healthy services in percent; none where no service is known.
    pub healthy_percent: Option<f64>,
    /// Services that are not well: `service: status`.
    pub troubled: Vec<String>,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn health(question: &HealthQuestion, reader: &dyn StoreReader, scope: &Scope) -> Result<Health, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let mut nodes: BTreeMap<String, Vec<ServiceNode>> = BTreeMap::new();
    for node in reader.services().await? {
        nodes.entry(node.latest.colony_id.clone()).or_default().push(node.latest);
    }
    let takes = |id: &str, colony: &KnownColony| filter.takes_colony(id, &colony.application_name, &colony.environment);
    let taken = fleet.colonies.iter().filter(|(id, colony)| takes(id, colony));
    let colonies: Vec<ColonyHealth> =
        taken.map(|(id, colony)| of_colony(id, colony, nodes.get(id).map_or(&[], Vec::as_slice))).collect();
    Ok(Health {
        environments: groups(&colonies, |colony| &colony.environment),
        applications: groups(&colonies, |colony| &colony.application_name),
        completeness: Completeness::of(&fleet, takes),
        colonies,
    })
}

fn of_colony(id: &str, colony: &KnownColony, nodes: &[ServiceNode]) -> ColonyHealth {
    let status = colony.status.as_ref();
    let is_troubled = |node: &&ServiceNode| !WELL.contains(&node.status.trim().to_lowercase().as_str());
    let troubled = nodes.iter().filter(is_troubled);
    ColonyHealth {
        colony_id: id.to_owned(),
        application_name: colony.application_name.clone(),
        environment: colony.environment.clone(),
        health: status.map_or("unknown", |status| &status.health).to_owned(),
        services: status.map_or(nodes.len() as u32, |status| status.total_services),
        healthy_services: match status {
            Some(status) => status.healthy_services,
            None => (nodes.len() - troubled.clone().count()) as u32,
        },
        agents: status.and_then(|status| status.agent_count),
        troubled: troubled
            .map(|node| TroubledService { service_id: node.service_id.clone(), status: node.status.clone() })
            .collect(),
    }
}

fn groups(colonies: &[ColonyHealth], name: impl Fn(&ColonyHealth) -> &String) -> Vec<GroupHealth> {
    let names: BTreeSet<&String> = colonies.iter().map(&name).collect();
    let group = |wanted: &String| {
        // what says nothing about its services is not counted, nor what it said before it was lost
        let is_lost = |colony: &&ColonyHealth| [UNREACHABLE, REVOKED].contains(&colony.health.as_str());
        let is_known = |colony: &&ColonyHealth| colony.services > 0 && !is_lost(colony);
        let members: Vec<&ColonyHealth> =
            colonies.iter().filter(|colony| name(colony) == wanted).filter(is_known).collect();
        let services: u32 = members.iter().map(|colony| colony.services).sum();
        let healthy: u32 = members.iter().map(|colony| colony.healthy_services.min(colony.services)).sum();
        let troubled = members.iter().flat_map(|colony| &colony.troubled);
        GroupHealth {
            name: wanted.clone(),
            colonies: members.len(),
            services,
            healthy_percent: (services > 0).then(|| f64::from(healthy) / f64::from(services) * 100.0),
            troubled: troubled.map(|service| format!("{}: {}", service.service_id, service.status)).collect(),
        }
    };
    names.into_iter().map(group).collect()
}

impl Health {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("Colonies ({}):\n", self.colonies.len());
        let row = |colony: &ColonyHealth| {
            let agents = colony.agents.map_or("–".to_owned(), |agents| agents.to_string());
            vec![
                format!("{} {}", sign(&colony.health), colony.colony_id),
                format!("[{}]", colony.health),
                format!("{} services, {agents} agents", colony.services),
            ]
        };
        text.push_str(&page::table(&self.colonies.iter().map(row).collect::<Vec<_>>()));
        if self.environments.iter().any(|group| group.healthy_percent.is_some()) {
            text.push_str("\nEnvironments:\n");
            text.push_str(&page::table(&self.environments.iter().map(of_group).collect::<Vec<_>>()));
        } else if self.colonies.iter().all(|colony| colony.services == 0) {
            text.push_str("\nNo colony has stated the health of its services: files and topics carry none.\n");
        }
        text.push_str(&format!("\n{}\n{}\n", printable(&self.more()), self.completeness.line()));
        text
    }

    /// The command that shows more of what is not well, else of all.
    fn more(&self) -> String {
        let is_unwell = |colony: &&ColonyHealth| !["healthy", "unknown"].contains(&colony.health.as_str());
        match self.colonies.iter().find(is_unwell) {
            _ if self.colonies.is_empty() => "Add a colony: coral reef add-colony <id>".to_owned(),
            Some(ColonyHealth { health, .. }) if [UNREACHABLE, REVOKED].contains(&health.as_str()) => {
                "Whether they answer now: coral reef ping".to_owned()
            }
            Some(ColonyHealth { colony_id, .. }) => {
                format!("The services of {colony_id}: coral reef topology --colony {colony_id}")
            }
            // only topologies state services
            None if self.colonies.iter().all(|colony| colony.services == 0) => {
                "What was deployed: coral reef versions".to_owned()
            }
            None => "Their services: coral reef topology".to_owned(),
        }
    }
}

/// The sign beside a colony's health.
pub(super) fn sign(health: &str) -> &'static str {
    match health {
        "healthy" => "✓",
        "degraded" => "⚠",
        "unknown" => "–",
        _ => "✗",
    }
}

/// `Production: 95% healthy (1 service is not: payment-processor: degraded)`.
fn of_group(group: &GroupHealth) -> Vec<String> {
    let name = page::capital(page::or_dash(&group.name));
    let Some(percent) = group.healthy_percent else { return vec![format!("{name}:"), "unknown".to_owned()] };
    let named = group.troubled.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = group.troubled.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let troubled = if named.is_empty() { String::new() } else { format!(" ({named}{more})") };
    // rounded down: 100% only where all of them are
    let percent = percent.floor();
    vec![format!("{name}:"), format!("{percent}% healthy of {} services{troubled}", group.services)]
}
