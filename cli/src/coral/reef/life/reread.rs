//! A reef's configuration, read again and compared with the one in force.

use super::super::running::control::{Difference, Refusal, Reload};
use crate::exit::Failure;
use crate::pipeline::load::load_effective;
use pipelines::config::effective::Effective;
use pipelines::config::{ColonyConfig, ReefConfig};
use std::collections::BTreeMap;
use std::path::Path;

/// A configuration that can be run, with each of its options.
#[derive(Clone)]
pub struct InForce {
    /// What is run.
    pub config: ReefConfig,
    /// Its options, for people.
    options: Vec<Effective>,
}

impl InForce {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is wrong, or asks for what `coral reef start` does not do.
    pub fn read(path: &Path) -> Result<InForce, Failure> {
        let (config, options) = load_effective(path)?;
        if !config.engine.hosts.is_empty() {
            let message = format!("{} is for several processes (engine.hosts)", path.display());
            return Err(Failure::new(crate::exit::Exit::Usage, "process", message)
                .hint("start each with coral-pipeline run --process N, under a supervisor"));
        }
        Ok(InForce { config, options })
    }

    /// The file as it is now, if it says something else and can take the place of this one; otherwise why not. What the
    /// process keeps from its start to its end cannot change in it.
    pub fn renewed(&self, path: &Path) -> Result<(InForce, Vec<Difference>), Reload> {
        let new = InForce::read(path).map_err(|failure| Reload::Refused {
            kind: Refusal::of(&failure),
            message: failure.message,
            details: failure.details.into_iter().chain(failure.hint).collect(),
        })?;
        if without_assigned(&new.config, &self.config) == self.config {
            return Err(Reload::Unchanged);
        }
        let fixed = [
            ("reef_id", new.config.reef_id != self.config.reef_id),
            ("storage.type, storage.path or storage.connection", new.config.storage.kind != self.config.storage.kind),
        ];
        if let Some((key, _)) = fixed.into_iter().find(|(_, differs)| *differs) {
            return Err(Reload::Refused {
                kind: Refusal::Config,
                message: format!("{key} cannot change while the reef runs"),
                details: vec!["stop the reef, and start it again".to_owned()],
            });
        }
        let differences = differences(&self.options, &new.options);
        Ok((new, differences))
    }

    /// How many options say the same in both.
    pub fn options_in_common(&self, other: &InForce) -> usize {
        let texts: BTreeMap<&str, String> = texts(&self.options);
        texts
            .iter()
            .filter(|(key, text)| other.options.iter().any(|it| it.key == **key && it.value.shown() == **text))
            .count()
    }
}

/// The new configuration without the addresses that colonies have assigned since `before` was read: the run itself adds
/// them to the file, and has them.
fn without_assigned(new: &ReefConfig, before: &ReefConfig) -> ReefConfig {
    let mut config = new.clone();
    for colony in config.colonies.iter_mut().filter(|colony| colony.mesh.is_some() && colony.endpoint.is_none()) {
        let had_none = |it: &ColonyConfig| it.colony_id == colony.colony_id && it.reef_mesh_ip.is_none();
        if before.colonies.iter().any(had_none) {
            colony.reef_mesh_ip = None;
        }
    }
    config
}

fn texts(options: &[Effective]) -> BTreeMap<&str, String> {
    options.iter().map(|option| (option.key.as_str(), option.value.shown())).collect()
}

/// What differs, by key. A secret that is written in the file differs without being shown.
fn differences(before: &[Effective], after: &[Effective]) -> Vec<Difference> {
    let (before, after) = (texts(before), texts(after));
    let mut keys: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let differs = |key: &&str| before.get(*key) != after.get(*key);
    let difference =
        |key: &str| Difference { key: key.to_owned(), from: before.get(key).cloned(), to: after.get(key).cloned() };
    let mut found: Vec<Difference> = keys.into_iter().filter(differs).map(difference).collect();
    if found.is_empty() {
        found.push(Difference { key: "a secret".to_owned(), from: None, to: None });
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const REEF: &str = "reef_id: r\ncolonies:\n  - {colony_id: a, endpoint: 'http://a:1'}\n";

    fn outcome(new: &str) -> Result<Vec<Difference>, Reload> {
        outcome_of(REEF, new)
    }

    fn outcome_of(old: &str, new: &str) -> Result<Vec<Difference>, Reload> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.yaml");
        std::fs::write(&path, old).unwrap();
        let before = InForce::read(&path).unwrap();
        std::fs::write(&path, new).unwrap();
        before.renewed(&path).map(|(_, differences)| differences)
    }

    #[test]
    fn what_differs_is_listed_by_key() {
        let more = format!("{REEF}  - {{colony_id: b, endpoint: 'http://b:1'}}\ncorrelation: {{max_lag: 2h}}\n");
        let difference = |key: &str, from: Option<&str>, to: &str| Difference {
            key: key.to_owned(),
            from: from.map(str::to_owned),
            to: Some(to.to_owned()),
        };
        let expected = [
            difference("colonies[b].colony_id", None, "b"),
            difference("colonies[b].endpoint", None, "http://b:1"),
            difference("correlation.max_lag", Some("4h"), "2h"),
        ];
        assert_eq!(outcome(&more).unwrap(), expected);
        assert_eq!(outcome(&format!("# a remark\n{REEF}")).unwrap_err(), Reload::Unchanged);
    }

    #[test]
    fn an_address_that_the_run_has_stored_is_no_change() {
        let old = "reef_id: r\ncolonies:\n  - colony_id: a\n    mesh: {mesh_ip: 10.42.0.1, colony_secret_env: PATH}\n";
        let stored = format!("{old}    reef_mesh_ip: \"10.42.0.100\"\n");
        assert_eq!(outcome_of(old, &stored).unwrap_err(), Reload::Unchanged);
        assert!(outcome_of(&stored, &stored.replace("0.100", "0.101")).is_ok());
        assert!(outcome_of(&stored, old).is_ok());
        assert!(outcome_of(old, &format!("{stored}correlation: {{max_lag: 2h}}\n")).is_ok());
    }

    #[test]
    fn a_file_that_is_wrong_or_moves_the_store_is_refused() {
        let Reload::Refused { message, details, .. } = outcome(&format!("{REEF}corelation: {{}}\n")).unwrap_err()
        else {
            panic!("a wrong file was taken");
        };
        assert!(message.ends_with("reef.yaml has 1 error"), "{message}");
        assert!(details[0].contains("unknown key \"corelation\""), "{details:?}");
        for (new, key) in [
            (REEF.replace("reef_id: r", "reef_id: s"), "reef_id"),
            (format!("{REEF}storage: {{path: x}}\n"), "storage."),
        ] {
            let Reload::Refused { message, .. } = outcome(&new).unwrap_err() else { panic!("{new} was taken") };
            assert!(message.starts_with(key), "{message}");
        }
        let several = format!("{REEF}engine: {{hosts: ['127.0.0.1:1', '127.0.0.1:2']}}\n");
        assert!(matches!(outcome(&several), Err(Reload::Refused { .. })));
    }
}
