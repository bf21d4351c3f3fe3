//! Topology: services and the calls between them, with when they were first and last seen.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::page;
use super::refusal::AnswerError;
use super::services;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::collections::BTreeSet;

/// Whose topology is wanted. With a service: itself and its neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyQuestion {
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Topology {
    /// Services, by colony and id.
    pub services: Vec<TopologyService>,
    /// Calls, by colony and ends.
    pub connections: Vec<TopologyConnection>,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// A service; times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of service_nodes")]
pub struct TopologyService {
    pub colony_id: String,
    pub application_name: String,
    pub environment: String,
    pub service_id: String,
    pub name: String,
    pub version: String,
    pub status: String,
    pub first_seen_at: String,
    pub last_seen_at: String,
}

/// Calls from one service to another; times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of service_edges")]
pub struct TopologyConnection {
    pub colony_id: String,
    pub from_service: String,
    pub to_service: String,
    pub protocol: String,
    pub request_count: u64,
    pub first_seen_at: String,
    pub last_seen_at: String,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn topology(
    question: &TopologyQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Topology, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let filter = services::resolved(filter, ("topology", BTreeSet::new()), reader).await?;
    let takes = |id: &str| {
        let (application, environment) = fleet.identity(id);
        filter.takes_colony(id, application, environment)
    };
    let mut calls = reader.calls().await?;
    calls.retain(|call| {
        let ends = [&call.latest.from_service, &call.latest.to_service];
        takes(&call.latest.colony_id) && ends.iter().any(|end| filter.takes_service(end))
    });
    let neighbours: BTreeSet<(&str, &str)> = calls
        .iter()
        .flat_map(|call| {
            let colony = call.latest.colony_id.as_str();
            [(colony, call.latest.from_service.as_str()), (colony, call.latest.to_service.as_str())]
        })
        .collect();
    let mut services = reader.services().await?;
    services.retain(|node| {
        let place = (node.latest.colony_id.as_str(), node.latest.service_id.as_str());
        takes(place.0) && (filter.takes_service(place.1) || neighbours.contains(&place))
    });
    let service = |node: &sinks::resolve::Seen<model::topology::ServiceNode>| {
        let (application, environment) = fleet.identity(&node.latest.colony_id);
        let latest = node.latest.clone();
        TopologyService {
            colony_id: latest.colony_id,
            application_name: application.to_owned(),
            environment: environment.to_owned(),
            service_id: latest.service_id,
            name: latest.name,
            version: latest.version,
            status: latest.status,
            first_seen_at: node.first_seen_at.to_string(),
            last_seen_at: latest.seen_at.to_string(),
        }
    };
    let services: Vec<TopologyService> = services.iter().map(service).collect();
    let connection = |call: &sinks::resolve::Seen<model::topology::ServiceEdge>| {
        let latest = call.latest.clone();
        TopologyConnection {
            colony_id: latest.colony_id,
            from_service: latest.from_service,
            to_service: latest.to_service,
            protocol: latest.protocol,
            request_count: latest.request_count,
            first_seen_at: call.first_seen_at.to_string(),
            last_seen_at: latest.seen_at.to_string(),
        }
    };
    let connections = calls.iter().map(connection).collect();
    let completeness = Completeness::of(&fleet, |id, _| takes(id));
    Ok(Topology { services, connections, completeness })
}

impl Topology {
    /// For people.
    pub fn text(&self) -> String {
        if self.services.is_empty() && self.connections.is_empty() {
            return format!(
                "No service is known.\n\nLive colonies state their topology; files and topics carry none.\n{}\n",
                self.completeness.line()
            );
        }
        let shown = |time: &str| TimeMs::parse_rfc3339(time).map_or(time.to_owned(), page::time);
        let seen = |first: &str, last: &str| format!("seen {} to {}", shown(first), shown(last));
        let service = |one: &TopologyService| {
            vec![
                one.colony_id.clone(),
                one.service_id.clone(),
                page::or_dash(&one.version).to_owned(),
                page::or_dash(&one.status).to_owned(),
                seen(&one.first_seen_at, &one.last_seen_at),
            ]
        };
        let connection = |one: &TopologyConnection| {
            vec![
                one.colony_id.clone(),
                format!("{} → {}", one.from_service, one.to_service),
                page::or_dash(&one.protocol).to_owned(),
                format!("{} requests", one.request_count),
                seen(&one.first_seen_at, &one.last_seen_at),
            ]
        };
        let mut text = format!("Services ({}):\n", self.services.len());
        text.push_str(&page::table(&self.services.iter().map(service).collect::<Vec<_>>()));
        text.push_str(&format!("\nCalls ({}):\n", self.connections.len()));
        text.push_str(&page::table(&self.connections.iter().map(connection).collect::<Vec<_>>()));
        text.push_str(&format!(
            "\nWhich versions are behind: coral reef versions --behind\n{}\n",
            self.completeness.line()
        ));
        text
    }
}
