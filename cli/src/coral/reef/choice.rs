//! Which reef a command is about: a file, an id, a name, or the start of an id.

use super::known::{self, KnownReef};
use crate::exit::{Exit, Failure};
use crate::pipeline::load::{load, load_settings};
use colony::config::{Places, read_default_reef};
use pipelines::config::kinds::nearest;
use pipelines::config::{Format, ReefConfig};
use std::path::{Path, PathBuf};

/// The file of the current folder, when nothing else is chosen.
pub const HERE: &str = "reef.toml";

/// Which reef.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReefChoice {
    /// Id or name of the reef, the start of its id, or its configuration file [default: CORAL_REEF, the default reef,
    /// reef.toml here, or the only one]
    #[arg(long, value_name = "REEF")]
    pub reef: Option<String>,
}

/// A reef's file, and what chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The file.
    pub path: PathBuf,
    /// For people: `--reef`, `CORAL_REEF`, …
    pub by: &'static str,
}

/// `CORAL_REEF`.
pub fn of_process() -> Option<String> {
    std::env::var("CORAL_REEF").ok().filter(|value| !value.is_empty())
}

impl ReefChoice {
    /// The reef's configuration file.
    pub fn resolve(&self, places: &Places) -> Result<PathBuf, Failure> {
        self.chosen(places).map(|chosen| chosen.path)
    }

    /// The same, with what chose it.
    pub fn chosen(&self, places: &Places) -> Result<Chosen, Failure> {
        let (wanted, by) = match (&self.reef, of_process()) {
            (Some(wanted), _) => (Some(wanted.clone()), "--reef"),
            (None, Some(wanted)) => (Some(wanted), "CORAL_REEF"),
            (None, None) => {
                let default = read_default_reef(&places.user_file());
                (default.map_err(|error| crate::coral::colony::failure::config(&error))?, "coral reef use")
            }
        };
        let path = find(wanted.as_deref(), &known::folder(places), Path::new(HERE))?;
        let by = match wanted {
            Some(_) => by,
            None if path == Path::new(HERE) => "reef.toml in this folder",
            None => "being the only one",
        };
        Ok(Chosen { path, by })
    }

    /// The file, and what it says.
    pub fn load(&self) -> Result<(ReefConfig, PathBuf), Failure> {
        let path = self.path()?;
        Ok((load(&path)?, path))
    }

    /// What the file says, also of a reef that has nothing to read yet.
    pub fn load_settings(&self) -> Result<ReefConfig, Failure> {
        load_settings(&self.path()?)
    }

    /// The reef's configuration file, for this user.
    pub fn path(&self) -> Result<PathBuf, Failure> {
        let places = Places::of_process().map_err(|error| crate::coral::colony::failure::config(&error))?;
        self.resolve(&places)
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
    let known = known::in_folder(folder);
    let fitting: Vec<&KnownReef> = match wanted {
        None => known.iter().collect(),
        Some(wanted) => {
            let fits: [&dyn Fn(&KnownReef) -> bool; 3] =
                [&|reef| reef.reef_id == wanted, &|reef| reef.name == wanted, &|reef| reef.reef_id.starts_with(wanted)];
            let mut found = fits.into_iter().map(|fits| known.iter().filter(|reef| fits(reef)).collect::<Vec<_>>());
            found.find(|found| !found.is_empty()).unwrap_or_default()
        }
    };
    match (fitting.as_slice(), wanted) {
        ([one], _) => Ok(one.path.clone()),
        ([], Some(wanted)) => {
            let message = format!("there is no reef {wanted:?}");
            Err(Failure::new(Exit::NotFound, "reef_unknown", message).hint(known_hint(wanted, &known)))
        }
        ([], None) => {
            let message = format!("no reef is chosen, and {} has none", folder.display());
            Err(Failure::new(Exit::Usage, "reef_missing", message)
                .hint("make one with coral reef init NAME, or name a configuration file: --reef reef.toml"))
        }
        (several, _) => {
            let names = several.iter().map(|reef| reef.reef_id.as_str()).collect::<Vec<_>>().join(", ");
            Err(Failure::new(Exit::Usage, "reef_ambiguous", format!("several reefs fit: {names}"))
                .hint("choose one with --reef, CORAL_REEF or coral reef use"))
        }
    }
}

/// The reef that was probably meant, and those there are.
fn known_hint(wanted: &str, known: &[KnownReef]) -> String {
    if known.is_empty() {
        return "make one with coral reef init NAME, or name its configuration file: --reef reef.toml".to_owned();
    }
    let ids = known.iter().map(|reef| reef.reef_id.as_str());
    let names = ids.clone().chain(known.iter().map(|reef| reef.name.as_str()));
    let near = nearest(wanted, names).map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
    format!("{near}known reefs: {}; or name a configuration file", ids.collect::<Vec<_>>().join(", "))
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
        let typo = found(Some("tow-reef-d4e5f6")).unwrap_err().hint.unwrap();
        assert!(typo.starts_with("did you mean \"two-reef-d4e5f6\"? known reefs: one-reef-a1b2c3, "), "{typo}");
        assert_eq!(found(Some("none.toml")).unwrap_err().exit, Exit::NotFound);
    }
}
