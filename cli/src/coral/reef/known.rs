//! The reefs that this user has: files in `~/.coral/reefs`, and those that run from a file elsewhere.

use super::running::run_file::{RunFile, RunPaths};
use colony::config::Places;
use pipelines::config::{self, Format, ReefConfig};
use std::path::{Path, PathBuf};

/// A reef that has a file.
#[derive(Clone, Debug)]
pub struct KnownReef {
    /// Its id.
    pub reef_id: String,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What the file says, or what is wrong with it.
    pub config: Result<ReefConfig, String>,
}

/// `~/.coral/reefs`.
pub fn folder(places: &Places) -> PathBuf {
    places.home.join("reefs")
}

/// All of them, by id.
pub fn all(places: &Places) -> Vec<KnownReef> {
    in_folder(&folder(places))
}

/// The reefs of a folder, and those whose run files are there.
pub fn in_folder(folder: &Path) -> Vec<KnownReef> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let entries: Vec<PathBuf> = entries.unwrap_or_default();
    let is_config = |path: &&PathBuf| Format::of_path(path).is_some() && path.is_file();
    let mut known: Vec<KnownReef> = entries.iter().filter(is_config).map(|path| KnownReef::read(path)).collect();
    let elsewhere = entries.iter().filter(|path| RunPaths::is_run_file(path)).filter_map(|path| RunFile::read(path));
    for RunFile { config, .. } in elsewhere {
        if config.is_file() && known.iter().all(|reef| reef.path != config) {
            known.push(KnownReef::read(&config));
        }
    }
    known.sort_by(|a, b| (&a.reef_id, &a.path).cmp(&(&b.reef_id, &b.path)));
    known
}

impl KnownReef {
    /// Reads a file as far as it can be read.
    pub fn read(path: &Path) -> KnownReef {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match config::load_offline(path) {
            Ok((config, _)) => KnownReef {
                reef_id: config.reef_id.clone(),
                name: config.name.clone(),
                path: path.to_owned(),
                config: Ok(config),
            },
            Err(errors) => {
                // a new reef has no colonies yet, which is an error; its id and name can be read nevertheless
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let reef_id = written(&text, "reef_id").unwrap_or(stem);
                let name = written(&text, "name").unwrap_or_else(|| reef_id.clone());
                KnownReef { reef_id, name, path: path.to_owned(), config: Err(errors.to_string()) }
            }
        }
    }

    /// Whether there is nothing wrong except that it has no colony and no other source yet.
    pub fn is_empty(&self) -> bool {
        self.config.as_ref().is_err_and(|problem| problem.lines().count() == 1 && problem.contains("nothing to read"))
    }
}

/// The value of a key on a line of its own at the top level of TOML or YAML.
fn written(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_start();
        rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))
    })?;
    let value = value.trim();
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split(" #").next()?.trim(),
    };
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reef_without_colonies_has_an_id_and_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new-reef-a1b2c3.yaml");
        std::fs::write(&path, "# mine\nreef_id: \"new-reef-a1b2c3\" # fixed\nname: new shop # mine\n").unwrap();
        let reef = KnownReef::read(&path);
        assert_eq!((reef.reef_id.as_str(), reef.name.as_str()), ("new-reef-a1b2c3", "new shop"));
        assert!(reef.is_empty(), "{:?}", reef.config);
        std::fs::write(&path, "reef_id = 'x'\nnam = \"y\"\n").unwrap();
        let reef = KnownReef::read(&path);
        assert_eq!((reef.reef_id.as_str(), reef.name.as_str(), reef.is_empty()), ("x", "x", false));
    }

    #[test]
    fn a_reef_that_runs_from_another_folder_is_known_too() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = other.path().join("reef.toml");
        std::fs::write(&path, "reef_id = \"far\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.csv\"]\n").unwrap();
        let run =
            RunFile { pid: 1, started_at: String::new(), config: path.clone(), log: None, api: None, store: None };
        std::fs::write(folder.path().join("far.run"), serde_json::to_string(&run).unwrap()).unwrap();
        std::fs::write(folder.path().join("broken.run"), "{").unwrap();
        let known = in_folder(folder.path());
        assert_eq!(known.iter().map(|reef| (&*reef.reef_id, &reef.path)).collect::<Vec<_>>(), [("far", &path)]);
    }
}
