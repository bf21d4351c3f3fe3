//! Faults of the network between a reef and its colonies, as exit codes.

use crate::exit::{Exit, Failure};
use mesh::MeshError;
use mesh::error::Class;

/// The exit code: a wrong secret or a refusal is 4, what was written wrongly 2, an unknown name 3, all else 1.
pub fn exit(error: &MeshError) -> Exit {
    match (error, error.class()) {
        (MeshError::Unknown { .. }, _) => Exit::NotFound,
        (_, Class::NotAuthorised) => Exit::NotAuthorised,
        (_, Class::Usage) => Exit::Usage,
        (_, Class::Failed) => Exit::Failed,
    }
}

/// The error as a failure, with a name that tells the three ways of not reaching a colony apart.
pub fn failure(error: &MeshError) -> Failure {
    let code = match error {
        MeshError::WrongSecret { .. } => "wrong_secret",
        MeshError::Refused { .. } => "refused",
        MeshError::NoAnswer { .. } | MeshError::Dial { .. } => "colony_unreachable",
        MeshError::UnknownColony { .. } => "colony_unknown",
        MeshError::NoSecret { .. } => "secret_missing",
        MeshError::WeakSecret { .. } => "secret_weak",
        _ => "mesh",
    };
    Failure::from_error(exit(error), code, error)
}
