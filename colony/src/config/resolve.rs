//! Which colony is meant, and where its database lies.

use super::error::ConfigError;
use super::files::{ColonyFile, ProjectFile, Retention, read_default_colony};
use std::path::{Path, PathBuf};

/// Storage path where nobody says otherwise.
pub const DEFAULT_STORAGE_PATH: &str = ".coral";

/// Where configuration is looked for, and what the environment overrides. Tests make their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `~/.coral`, or `CORAL_HOME`.
    pub home: PathBuf,
    /// The project directory.
    pub project: PathBuf,
    /// `CORAL_STORAGE_PATH`.
    pub storage_path: Option<PathBuf>,
}

impl Places {
    /// Those of this process: the project is the nearest folder, from the current one upwards, with a
    /// `.coral/config.yaml`; else the current one.
    pub fn of_process() -> Result<Places, ConfigError> {
        let non_empty = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = non_empty("CORAL_HOME")
            .or_else(|| non_empty("HOME").map(|home| home.join(".coral")))
            .ok_or(ConfigError::NoHome)?;
        let current = std::env::current_dir().map_err(|cause| ConfigError::Io {
            doing: "read",
            path: PathBuf::from("."),
            cause,
        })?;
        Ok(Places { project: find_project(&current, &home), home, storage_path: non_empty("CORAL_STORAGE_PATH") })
    }

    /// `~/.coral/colonies/<id>.yaml`.
    pub fn colony_file(&self, colony_id: &str) -> PathBuf {
        self.home.join("colonies").join(format!("{colony_id}.yaml"))
    }

    /// `~/.coral/config.yaml`.
    pub fn user_file(&self) -> PathBuf {
        self.home.join("config.yaml")
    }

    /// `<project>/.coral/config.yaml`.
    pub fn project_file(&self) -> PathBuf {
        self.project.join(".coral").join("config.yaml")
    }

    /// Ids of all colonies of this user, in order.
    pub fn colony_ids(&self) -> Result<Vec<String>, ConfigError> {
        let folder = self.home.join("colonies");
        let io_error = |cause| ConfigError::Io { doing: "read", path: folder.clone(), cause };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(io_error(cause)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_error)?.path();
            if path.extension().is_some_and(|extension| extension == "yaml")
                && let Some(id) = path.file_stem()
            {
                ids.push(id.to_string_lossy().into_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }
}

/// The nearest folder with a `.coral/config.yaml`. `~/.coral` itself is no project's folder.
pub fn find_project(current: &Path, home: &Path) -> PathBuf {
    let is_project = |folder: &&Path| {
        let coral = folder.join(".coral");
        coral != home && coral.join("config.yaml").is_file()
    };
    current.ancestors().find(is_project).unwrap_or(current).to_owned()
}

/// A colony as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Who it is.
    pub colony: ColonyFile,
    /// Where its database lies; absolute when the project directory is.
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
