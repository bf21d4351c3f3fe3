//! Services, the calls between them, and the health of a colony.

use crate::time::TimeMs;
use serde::{Deserialize, Serialize};

/// A service of a colony as last seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceNode {
    /// Colony.
    pub colony_id: String,
    /// Service.
    pub service_id: String,
    /// Display name.
    pub name: String,
    /// Running version; may be empty.
    pub version: String,
    /// `running`, `stopped`, `error`, …
    pub status: String,
    /// When the colony said so.
    pub seen_at: TimeMs,
}

/// A connection between two services of a colony.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceEdge {
    /// Colony.
    pub colony_id: String,
    /// Calling service.
    pub from_service: String,
    /// Called service.
    pub to_service: String,
    /// `http`, `grpc`, …
    pub protocol: String,
    /// Requests seen so far.
    pub request_count: u64,
    /// When the colony said so.
    pub seen_at: TimeMs,
}

/// [`ColonyStatus::health`] of a colony that does not respond.
pub const UNREACHABLE: &str = "unreachable";
/// [`ColonyStatus::health`] of a colony that has revoked this reef.
pub const REVOKED: &str = "revoked";

/// Health of a colony and of the reef's connection to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColonyStatus {
    /// Colony.
    pub colony_id: String,
    /// Application, as the colony states it.
    pub application_name: String,
    /// Environment, as the colony states it.
    pub environment: String,
    /// `healthy`, `degraded`, `unhealthy`, `unreachable`, `revoked` or `unknown`.
    pub health: String,
    /// Services by health, as the colony states them.
    pub total_services: u32,
    /// Of these, healthy.
    pub healthy_services: u32,
    /// Of these, degraded.
    pub degraded_services: u32,
    /// Of these, unhealthy.
    pub unhealthy_services: u32,
    /// Agents, when the colony says.
    pub agent_count: Option<u32>,
    /// Last successful exchange.
    pub last_success_at: Option<TimeMs>,
    /// Everything up to here has been received.
    pub complete_to: Option<TimeMs>,
    /// Message of the last failure; empty if the last exchange succeeded.
    pub last_error: String,
}

impl ColonyStatus {
    /// True if nothing can be read from the colony now.
    pub fn is_lost(&self) -> bool {
        [UNREACHABLE, REVOKED].contains(&self.health.as_str())
    }
}
