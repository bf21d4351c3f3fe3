//! Where configuration is searched, and which environment variables override it.

use super::error::ConfigError;
use std::path::{Path, PathBuf};

/// Where configuration is searched, and which environment variables override it. Tests create their own.
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
    /// The locations of this process. The project is the nearest folder, from the current one upwards, with a
    /// `.coral/config.yaml`; otherwise the current one.
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

    /// `~/.coral/mesh/<id>`: key, registry of peers and socket of a colony.
    pub fn mesh_folder(&self, colony_id: &str) -> PathBuf {
        self.home.join("mesh").join(colony_id)
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
