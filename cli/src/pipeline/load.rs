//! Loads a configuration for a command, and combines its errors into one failure.

use crate::exit::{Exit, Failure};
use crate::mesh_failure;
use crate::text::counted;
use mesh::Network;
use model::clock::SystemClock;
use pipelines::config::effective::{self, Effective};
use pipelines::config::{self, ConfigErrors, Format, ReefConfig};
use pipelines::open::network;
use std::path::{Path, PathBuf};

/// Loads the file.
pub fn load(path: &Path) -> Result<ReefConfig, Failure> {
    load_with(path, &[])
}

/// Loads the file of a reef that may have nothing to read yet.
pub fn load_settings(path: &Path) -> Result<ReefConfig, Failure> {
    config::load_settings(path).map_err(|errors| config_failure(path, &errors))
}

/// Loads the file without requiring its variables; unset ones are reported in lines.
pub fn load_offline(path: &Path) -> Result<(ReefConfig, Vec<String>), Failure> {
    config::load_offline(path).map_err(|errors| config_failure(path, &errors))
}

/// Loads the file as if it contained each of `settings` (`correlation.max_lag=6h`).
pub fn load_with(path: &Path, settings: &[String]) -> Result<ReefConfig, Failure> {
    config::load_with(path, settings).map_err(|errors| config_failure(path, &errors))
}

/// Loads the file and refuses what this version cannot run.
pub fn load_runnable(path: &Path) -> Result<ReefConfig, Failure> {
    let config = load(path)?;
    let unsupported = config.unsupported();
    if unsupported.is_empty() {
        return Ok(config);
    }
    let message = format!("{} is valid, but asks for what this version does not include yet", path.display());
    let mut failure = Failure::new(Exit::Usage, "not_in_this_version", message);
    failure.details = unsupported;
    Err(failure.docs("coral-pipeline help config"))
}

/// The same, with each of its options.
pub fn load_effective(path: &Path) -> Result<(ReefConfig, Vec<Effective>), Failure> {
    load_runnable(path)?;
    effective::effective(path).map_err(|errors| config_failure(path, &errors))
}

/// How the colonies of a configuration are reached.
pub fn network_of(config: &ReefConfig) -> Result<Network, Failure> {
    network::of(config, SystemClock::shared()).map_err(|error| mesh_failure::failure(&error))
}

fn config_failure(path: &Path, errors: &ConfigErrors) -> Failure {
    if errors.is_missing_file() {
        return missing_file(path);
    }
    let number = counted(errors.errors.len() as u64, "error");
    let with_settings = if errors.overrides.is_empty() { "" } else { " with --set" };
    let message = format!("{}{with_settings} has {number}", path.display());
    let mut failure = Failure::new(Exit::Usage, "config_invalid", message).caused_by(cause_of(errors));
    failure.details.splice(0..0, errors.lines());
    if path.is_dir() {
        failure = failure.hint(nearby_hint(path));
    }
    failure.docs("coral-pipeline help config")
}

fn cause_of(errors: &ConfigErrors) -> Option<&(dyn std::error::Error + 'static)> {
    std::error::Error::source(errors)
}

fn missing_file(path: &Path) -> Failure {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Failure::new(Exit::NotFound, "config_missing", format!("{} does not exist", path.display()))
        .hint(nearby_hint(folder))
        .docs("coral-pipeline help config")
}

/// Names configurations in a folder.
fn nearby_hint(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut found: Vec<PathBuf> = entries.unwrap_or_default();
    found.retain(|path| Format::of_path(path).is_some() && path.is_file());
    // a Rust project's own files are no reefs
    found.retain(|path| !path.file_name().is_some_and(|name| name == "Cargo.toml" || name == "rustfmt.toml"));
    found.sort();
    if found.is_empty() {
        return "start from config/reef.toml, the example with every option".to_owned();
    }
    let names: Vec<String> = found.iter().take(5).map(|path| path.display().to_string()).collect();
    format!("in that folder: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_missing_file_is_not_found_and_names_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("reef.yaml"), "").unwrap();
        let failure = load(&folder.path().join("reef.toml")).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::NotFound, "config_missing"));
        assert!(failure.hint.unwrap().ends_with("reef.yaml"));
    }

    #[test]
    fn a_folder_is_refused_with_the_files_in_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("reef.toml"), "").unwrap();
        let failure = load(folder.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.details[0].contains("is a directory"), "{failure:?}");
        assert!(failure.hint.unwrap().ends_with("reef.toml"));
    }

    #[test]
    fn every_error_is_a_line_of_detail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.toml");
        std::fs::write(&path, "[collection]\nsummary_intervall = \"60s\"\n").unwrap();
        let failure = load(&path).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "config_invalid"));
        assert!(failure.message.ends_with("reef.toml has 3 errors"), "{failure:?}");
        assert_eq!(failure.details.len(), 3);
        assert!(failure.details[2].contains("reef.toml:2:1: unknown key \"summary_intervall\""), "{failure:?}");
    }

    #[test]
    fn what_this_version_lacks_is_refused_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.yaml");
        let text = "reef_id: r\n\
            colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}}]\n\
             storage: {type: clickhouse, connection: {host: h, port: 9000, database: d}}\n";
        std::fs::write(&path, text).unwrap();
        let failure = load_runnable(&path).unwrap_err();
        assert_eq!((failure.exit, failure.code, failure.details.len()), (Exit::Usage, "not_in_this_version", 1));
    }
}
