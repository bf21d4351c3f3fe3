//! The colonies of a reef, their health, versions and topology.

use super::shared::{completeness, large, listed, small, time, time_if};
use crate::answers::Refusal;
use crate::answers::colonies::Colonies;
use crate::answers::completeness::ColonyCompleteness;
use crate::answers::health::{ColonyHealth, GroupHealth, Health, TroubledService};
use crate::answers::part::{Listed, Part};
use crate::answers::status::{Status, StatusColony};
use crate::answers::topology::{Topology, TopologyConnection, TopologyService};
use crate::answers::versions::{ServiceVersion, Versions};
use crate::rpc::wire;
use std::collections::BTreeSet;

pub(in crate::rpc) fn status(answer: Status) -> wire::GetStatusResponse {
    let colony = |colony: StatusColony| wire::ColonyStatus {
        colony_id: colony.colony_id,
        health: colony.health,
        services: small(colony.services),
        agents: colony.agents.map(small),
        ..Default::default()
    };
    wire::GetStatusResponse {
        reef_id: answer.reef_id,
        state: answer.state,
        uptime_seconds: small(answer.uptime_seconds),
        colonies: answer.colonies.into_iter().map(colony).collect(),
        recent_correlations: answer.recent_correlations.into_iter().map(super::correlations::pattern).collect(),
        dashboard_url: answer.dashboard_url,
        completeness: completeness(answer.completeness),
        api_url: answer.api_url,
        open_predictions: answer.open_predictions.into_iter().map(super::predictions::prediction).collect(),
        open_prediction_count: small(answer.open_prediction_count),
        ..Default::default()
    }
}

pub(in crate::rpc) fn colonies(answer: Colonies) -> wire::ListColoniesResponse {
    let Colonies { health, listed: Listed { items, total, truncated, next_cursor } } = answer;
    let known = |id: &str| health.completeness.colonies.iter().find(|colony| colony.colony_id == id);
    let colony = |one: ColonyHealth| {
        let state = known(&one.colony_id);
        wire::Colony {
            state: state.map_or(String::new(), |state| state.state.to_owned()),
            complete_to: time_if(state.and_then(|state| state.complete_to.as_ref())),
            reason: state.map_or(String::new(), |state: &ColonyCompleteness| state.reason.clone()),
            colony_id: one.colony_id,
            application_name: one.application_name,
            environment: one.environment,
            health: one.health,
            services: small(one.services),
            agents: one.agents.map(small),
            ..Default::default()
        }
    };
    wire::ListColoniesResponse {
        colonies: items.into_iter().map(colony).collect(),
        total: small(total),
        truncated,
        next_cursor: next_cursor.unwrap_or_default(),
        completeness: completeness(health.completeness.clone()),
        ..Default::default()
    }
}

/// Fails when the part of the colonies is none.
pub(in crate::rpc) fn health(answer: Health, part: Option<(&Part, &str)>) -> Result<wire::GetHealthResponse, Refusal> {
    let by_id = |colony: &ColonyHealth| colony.colony_id.clone();
    let Listed { items, total, truncated, next_cursor } = listed(answer.colonies, part, by_id)?;
    Ok(wire::GetHealthResponse {
        colonies: items.into_iter().map(colony_health).collect(),
        environments: answer.environments.into_iter().map(group_health).collect(),
        applications: answer.applications.into_iter().map(group_health).collect(),
        completeness: completeness(answer.completeness),
        total: small(total),
        truncated,
        next_cursor: next_cursor.unwrap_or_default(),
        ..Default::default()
    })
}

fn colony_health(colony: ColonyHealth) -> wire::ColonyHealth {
    let troubled = |service: TroubledService| wire::TroubledService {
        service_id: service.service_id,
        status: service.status,
        ..Default::default()
    };
    wire::ColonyHealth {
        colony_id: colony.colony_id,
        application_name: colony.application_name,
        environment: colony.environment,
        health: colony.health,
        services: small(colony.services),
        healthy_services: small(colony.healthy_services),
        agents: colony.agents.map(small),
        troubled: colony.troubled.into_iter().map(troubled).collect(),
        ..Default::default()
    }
}

fn group_health(group: GroupHealth) -> wire::GroupHealth {
    wire::GroupHealth {
        name: group.name,
        colonies: small(group.colonies),
        services: small(group.services),
        healthy_percent: group.healthy_percent,
        troubled: group.troubled,
        ..Default::default()
    }
}

/// Fails when the part is none.
pub(in crate::rpc) fn versions(
    answer: Versions,
    part: Option<(&Part, &str)>,
) -> Result<wire::ListVersionsResponse, Refusal> {
    let version = |one: ServiceVersion| wire::ServiceVersion {
        since: time_if(one.since.as_ref()),
        application_name: one.application_name,
        service_id: one.service_id,
        environment: one.environment,
        colony_id: one.colony_id,
        version: one.version,
        known_from: one.known_from.to_owned(),
        standing: one.standing.to_owned(),
        newest: one.newest.unwrap_or_default(),
        ..Default::default()
    };
    let Listed { items, total, truncated, next_cursor } = listed(answer.services, part, ServiceVersion::key)?;
    Ok(wire::ListVersionsResponse {
        services: items.into_iter().map(version).collect(),
        total: small(total),
        truncated,
        next_cursor: next_cursor.unwrap_or_default(),
        completeness: completeness(answer.completeness),
        ..Default::default()
    })
}

/// Fails when the part of the services is none.
pub(in crate::rpc) fn topology(
    mut answer: Topology,
    part: Option<(&Part, &str)>,
) -> Result<wire::ReefServiceGetTopologyResponse, Refusal> {
    let place = |one: &TopologyService| [one.colony_id.clone(), one.service_id.clone()];
    let all: BTreeSet<[String; 2]> = answer.services.iter().map(place).collect();
    let Listed { items, total, truncated, next_cursor } = listed(answer.services, part, place)?;
    let own: BTreeSet<[String; 2]> = items.iter().map(place).collect();
    let is_first = part.is_none_or(|(part, _)| part.cursor.is_none());
    answer.connections.retain(|one| {
        let from = [one.colony_id.clone(), one.from_service.clone()];
        own.contains(&from) || is_first && !all.contains(&from)
    });
    Ok(wire::ReefServiceGetTopologyResponse {
        services: items.into_iter().map(service).collect(),
        connections: answer.connections.into_iter().map(connection).collect(),
        completeness: completeness(answer.completeness),
        total: small(total),
        truncated,
        next_cursor: next_cursor.unwrap_or_default(),
        ..Default::default()
    })
}

fn service(one: TopologyService) -> wire::TopologyService {
    wire::TopologyService {
        first_seen_at: time(&one.first_seen_at),
        last_seen_at: time(&one.last_seen_at),
        colony_id: one.colony_id,
        application_name: one.application_name,
        environment: one.environment,
        service_id: one.service_id,
        name: one.name,
        version: one.version,
        status: one.status,
        ..Default::default()
    }
}

fn connection(one: TopologyConnection) -> wire::TopologyConnection {
    wire::TopologyConnection {
        first_seen_at: time(&one.first_seen_at),
        last_seen_at: time(&one.last_seen_at),
        colony_id: one.colony_id,
        from_service: one.from_service,
        to_service: one.to_service,
        protocol: one.protocol,
        request_count: large(one.request_count),
        ..Default::default()
    }
}
