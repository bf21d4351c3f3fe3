//! Failures of a colony, as exit code and message.

use crate::exit::{Exit, Failure};
use colony::config::ConfigError;
use colony::import::ImportError;
use colony::{AskError, ColonyError, PeeringError, StoreError};
use mesh::MeshError;
use std::error::Error;

/// A fault of the configuration.
pub fn config(error: &ConfigError) -> Failure {
    let (exit, code) = match error {
        ConfigError::Unknown { .. } | ConfigError::NoColony => (Exit::NotFound, "colony_unknown"),
        ConfigError::Io { .. } => (Exit::Failed, "config_unreadable"),
        _ => (Exit::Usage, "config_invalid"),
    };
    Failure::from_error(exit, code, error)
}

/// A fault of the daemon.
pub fn colony(error: &ColonyError) -> Failure {
    let code = match error {
        ColonyError::Store { .. } => "storage",
        ColonyError::Network { .. } => "network",
        ColonyError::Serve { .. } => "serve",
    };
    let exit = match error {
        ColonyError::Network { cause, .. } => crate::mesh_failure::exit(cause),
        ColonyError::Store { .. } | ColonyError::Serve { .. } => Exit::Failed,
    };
    Failure::from_error(exit, code, error)
}

/// A fault of the colony's mesh.
pub fn peering(error: &PeeringError) -> Failure {
    let exit = match error {
        PeeringError::NotConfigured { .. } | PeeringError::NoSecret { .. } | PeeringError::WeakSecret { .. } => {
            Exit::Usage
        }
        PeeringError::Mesh { cause, .. } => crate::mesh_failure::exit(cause),
        PeeringError::Folder { .. } | PeeringError::Config(_) | PeeringError::Discovery(_) => Exit::Failed,
    };
    Failure::from_error(exit, "mesh", error)
}

/// A fault of its registry.
pub fn mesh(error: &MeshError) -> Failure {
    crate::mesh_failure::failure(error)
}

/// A fault of the database.
pub fn store(error: &StoreError) -> Failure {
    let code = if matches!(error, StoreError::Locked { .. }) { "database_in_use" } else { "storage" };
    Failure::from_error(Exit::Failed, code, error)
}

/// A running colony that failed to answer a request.
pub fn ask(error: &AskError) -> Failure {
    match error {
        AskError::WrongColony { .. } => Failure::from_error(Exit::Usage, "wrong_colony", error),
        AskError::Dial(_) => Failure::from_error(Exit::Failed, "colony_unreachable", error),
        AskError::Refused { .. } => Failure::from_error(Exit::Failed, "colony_refused", error),
    }
}

/// A fault of an import.
pub fn import(error: &ImportError) -> Failure {
    let is_missing = |error: &ImportError| {
        let mut cause = error.source();
        while let Some(error) = cause {
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
                return true;
            }
            cause = error.source();
        }
        false
    };
    match error {
        ImportError::File { .. } if is_missing(error) => Failure::from_error(Exit::NotFound, "file_missing", error),
        ImportError::File { .. } => Failure::from_error(Exit::Failed, "file_unreadable", error),
        ImportError::Store(cause) => store(cause),
        ImportError::Running(cause) => ask(cause),
        ImportError::NothingForColony { .. } => Failure::from_error(Exit::Failed, "nothing_imported", error)
            .hint("name the colony that the rows belong to with --colony-id"),
    }
}
