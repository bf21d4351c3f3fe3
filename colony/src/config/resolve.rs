//! Resolves the selected colony and the path of its database.

use super::error::ConfigError;
use super::files::{ColonyFile, ProjectFile, Retention, read_default_colony};
use super::places::Places;
use std::path::PathBuf;

/// Default storage path.
pub const DEFAULT_STORAGE_PATH: &str = ".coral";

/// A colony as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Who it is.
    pub colony: ColonyFile,
    /// Path of its database; absolute if the project directory is.
    pub storage_path: PathBuf,
    /// How long rows are kept.
    pub retention: Retention,
}

/// Finds the colony `wanted` (an id or the start of one); else the project's, the user's default, or the only one.
///
/// The storage path is, in falling order of precedence: `CORAL_STORAGE_PATH`, the project's `storage.path`, the
/// colony's `storage_path`, `.coral`. A relative one is relative to the project directory.
pub fn resolve(places: &Places, wanted: Option<&str>) -> Result<Resolved, ConfigError> {
    let project = ProjectFile::read(&places.project_file())?;
    let known = places.colony_ids()?;
    let colony_id = match wanted {
        Some(wanted) => matching(wanted, known)?,
        None => match project
            .colony_id
            .clone()
            .map_or_else(|| read_default_colony(&places.user_file()), |id| Ok(Some(id)))?
        {
            Some(id) => id,
            None => only(known)?,
        },
    };
    let colony = ColonyFile::read(&places.colony_file(&colony_id))?
        .ok_or_else(|| unknown(&colony_id, places.colony_ids().unwrap_or_default()))?;
    let storage_path = places
        .storage_path
        .clone()
        .or(project.storage_path)
        .or_else(|| colony.storage_path.clone())
        .unwrap_or_else(|| PathBuf::from(DEFAULT_STORAGE_PATH));
    Ok(Resolved {
        storage_path: places.project.join(storage_path),
        retention: project.retention.or(colony.retention),
        colony,
    })
}

fn unknown(wanted: &str, candidates: Vec<String>) -> ConfigError {
    ConfigError::Unknown { wanted: wanted.to_owned(), candidates }
}

fn matching(wanted: &str, known: Vec<String>) -> Result<String, ConfigError> {
    if known.iter().any(|id| id == wanted) {
        return Ok(wanted.to_owned());
    }
    let mut candidates: Vec<String> = known.iter().filter(|id| id.starts_with(wanted)).cloned().collect();
    match candidates.len() {
        0 => Err(unknown(wanted, known)),
        1 => Ok(candidates.swap_remove(0)),
        _ => Err(ConfigError::Ambiguous { wanted: wanted.to_owned(), candidates }),
    }
}

fn only(mut known: Vec<String>) -> Result<String, ConfigError> {
    match known.len() {
        0 => Err(ConfigError::NoColony),
        1 => Ok(known.swap_remove(0)),
        _ => Err(ConfigError::Ambiguous { wanted: "this project".to_owned(), candidates: known }),
    }
}
