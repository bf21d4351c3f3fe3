//! Which reef a command is about: a file, an id, a name, or the start of an id.

use crate::exit::{Exit, Failure};
use crate::pipeline::load::load;
use colony::config::{Places, read_default_reef};
use pipelines::config::{self, Format, ReefConfig};
use std::path::{Path, PathBuf};

/// The file of the current folder, when nothing else is chosen.
const HERE: &str = "reef.toml";

/// Which reef.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReefChoice {
    /// Id or name of the reef, the start of its id, or its configuration file [default: CORAL_REEF, the default reef,
    /// reef.toml here, or the only one]
    #[arg(long, value_name = "REEF")]
    pub reef: Option<String>,
}

impl ReefChoice {
    /// The reef's configuration file.
    pub fn resolve(&self, places: &Places) -> Result<PathBuf, Failure> {
        let of_process = std::env::var("CORAL_REEF").ok().filter(|value| !value.is_empty());
        let default = || read_default_reef(&places.user_file());
        let wanted = match self.reef.clone().or(of_process) {
            Some(wanted) => Some(wanted),
            None => default().map_err(|error| crate::coral::colony::failure::config(&error))?,
        };
        find(wanted.as_deref(), &places.home.join("reefs"), Path::new(HERE))
    }

    /// The file, and what it says.
    pub fn load(&self) -> Result<(ReefConfig, PathBuf), Failure> {
        let places = Places::of_process().map_err(|error| crate::coral::colony::failure::config(&error))?;
        let path = self.resolve(&places)?;
        Ok((load(&path)?, path))
    }
}

fn find(wanted: Option<&str>, folder: &Path, here: &Path) -> Result<PathBuf, Failure> {
    if wanted.is_none() && here.is_file() {
        return Ok(here.to_owned());
    }
    if let Some(file) = wanted.map(Path::new).filter(|path| Format::of_path(path).is_some()) {
        let missing = || Failure::new(Exit::NotFound, "config_missing", format!("{} does not exist", file.display()));
        return if file.is_file() { Ok(file.to_owned()) } else { Err(missing()) };
    }
    let known = reefs(folder);
    let id = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let fitting: Vec<&PathBuf> = match wanted {
        None => known.iter().collect(),
        Some(wanted) => {
            let by_id = known.iter().filter(|path| id(path) == wanted);
            let by_name = known.iter().filter(|path| name_of(path).as_deref() == Some(wanted));
            let by_prefix = known.iter().filter(|path| id(path).starts_with(wanted));
            let mut found: Vec<&PathBuf> = by_id.collect();
            if found.is_empty() {
                found = by_name.collect();
            }
            if found.is_empty() { by_prefix.collect() } else { found }
        }
    };
    let names = |paths: &mut dyn Iterator<Item = &PathBuf>| paths.map(id).collect::<Vec<_>>().join(", ");
    match (fitting.as_slice(), wanted) {
        ([one], _) => Ok((*one).clone()),
        ([], Some(wanted)) => {
            let hint = match known.as_slice() {
                [] => "name its configuration file: --reef reef.toml".to_owned(),
                known => format!("known reefs: {}; or name a configuration file", names(&mut known.iter())),
            };
            Err(Failure::new(Exit::NotFound, "reef_unknown", format!("there is no reef {wanted:?}")).hint(hint))
        }
        ([], None) => {
            let message = format!("no reef is chosen, and {} has none", folder.display());
            Err(Failure::new(Exit::Usage, "reef_missing", message)
                .hint("name its configuration file: --reef reef.toml"))
        }
        (several, _) => {
            let message = format!("several reefs fit: {}", names(&mut several.iter().copied()));
            Err(Failure::new(Exit::Usage, "reef_ambiguous", message).hint("choose one with --reef or CORAL_REEF"))
        }
    }
}

/// Configuration files of a folder, in order.
fn reefs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut found: Vec<PathBuf> = entries.unwrap_or_default();
    found.retain(|path| Format::of_path(path).is_some() && path.is_file());
    found.sort();
    found
}

/// The name of a reef whose file is valid.
fn name_of(path: &Path) -> Option<String> {
    config::load_offline(path).ok().map(|(config, _)| config.name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_names_prefixes_and_files_lead_to_a_reef() {
        let home = tempfile::tempdir().unwrap();
        let write = |id: &str, name: &str| {
            let path = home.path().join(format!("{id}.yaml"));
            let text = format!("reef_id: {id}\nname: {name}\ncolonies: [{{colony_id: a, endpoint: 'http://a:1'}}]\n");
            std::fs::write(&path, text).unwrap();
            path
        };
        let here = home.path().join("here.toml");
        let found = |wanted: Option<&str>| find(wanted, home.path(), &here);
        assert_eq!(found(None).unwrap_err().exit, Exit::Usage);
        let first = write("one-reef-a1b2c3", "one");
        assert_eq!(found(None).unwrap(), first);
        let second = write("two-reef-d4e5f6", "two");
        for (wanted, path) in [("one", &first), ("two-reef-d4e5f6", &second), ("two-r", &second)] {
            assert_eq!(&found(Some(wanted)).unwrap(), path, "{wanted}");
        }
        assert_eq!(found(Some(first.to_str().unwrap())).unwrap(), first);
        let unclear = found(None).unwrap_err();
        assert_eq!((unclear.exit, unclear.code), (Exit::Usage, "reef_ambiguous"));
        assert!(unclear.message.contains("one-reef-a1b2c3, two-reef-d4e5f6"), "{unclear:?}");
        let unknown = found(Some("three")).unwrap_err();
        assert_eq!(unknown.exit, Exit::NotFound);
        assert!(unknown.hint.unwrap().contains("two-reef-d4e5f6"));
        assert_eq!(found(Some("none.toml")).unwrap_err().exit, Exit::NotFound);
    }
}
