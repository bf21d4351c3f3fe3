//! Converts a run's error to a failure: exit code, hint, and whether a restart helps.

use crate::exit::{Exit, Failure};
use crate::mesh_failure;
use pipelines::error::ClusterError;
use pipelines::error::RunError;
use pipelines::open::inputs::InputError;
use sources::SourceError;
use std::io::ErrorKind;
use std::path::Path;

/// What ended a run, with what to do: repair what starting again would only meet again.
pub(super) fn run_failure(error: &RunError, config: &Path) -> Failure {
    let (exit, code, hint) = match error {
        RunError::Input(InputError::Source { cause, .. }) => {
            let (exit, hint) = repair(cause, config).unwrap_or_else(|| (Exit::Usage, check_hint(config)));
            // nothing has been tried yet
            (if exit == Exit::Failed { Exit::Usage } else { exit }, "input_invalid", Some(hint))
        }
        RunError::Input(InputError::Mesh { cause, .. }) => {
            (mesh_failure::exit(cause), "input_invalid", Some(check_hint(config)))
        }
        RunError::Input(_) => (Exit::Usage, "input_invalid", Some(check_hint(config))),
        RunError::Source { cause, .. } => match repair(cause, config) {
            Some((Exit::Failed, hint)) => (Exit::Failed, "source_failed", Some(hint)),
            Some((exit, hint)) => (exit, "input_invalid", Some(hint)),
            None => (
                Exit::Failed,
                "source_failed",
                Some("everything up to the last tick is stored; start again to resume".to_owned()),
            ),
        },
        RunError::Store(_) => (Exit::Failed, "store_failed", None),
        RunError::Memory(_) | RunError::Series(_) => (Exit::Failed, "memory", None),
        RunError::SourcePanicked { .. } | RunError::Engine(_) => (Exit::Failed, "internal", None),
        // a usage error of the cluster as a whole: nothing was read
        RunError::Cluster(
            ClusterError::SettingsDiffer { .. } | ClusterError::Refused { .. } | ClusterError::NoSuchProcess { .. },
        ) => (Exit::Usage, "cluster", Some(check_hint(config))),
        RunError::Cluster(_) => (Exit::Failed, "cluster", None),
    };
    let failure = Failure::from_error(exit, code, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// An error that ended reading a source outside a run; `again` is the hint for a temporary fault.
pub(super) fn read_failure(error: &SourceError, config: &Path, again: &str) -> Failure {
    match repair(error, config) {
        Some((exit, hint)) => Failure::from_error(exit, "input_invalid", error).hint(hint),
        None => Failure::from_error(Exit::Failed, "source_failed", error).hint(again),
    }
}

fn check_hint(config: &Path) -> String {
    format!("check it with: coral-pipeline validate {}", config.display())
}

/// What must be repaired before a run can pass this fault. `None`: it may be temporary.
fn repair(cause: &SourceError, config: &Path) -> Option<(Exit, String)> {
    match cause {
        SourceError::File { cause, .. } if cause.kind() == ErrorKind::NotFound => {
            Some((Exit::NotFound, check_hint(config)))
        }
        SourceError::File { cause, path } if cause.kind() == ErrorKind::PermissionDenied => {
            Some((Exit::NotAuthorised, format!("give this user the right to read {}", path.display())))
        }
        SourceError::File { .. } => None,
        SourceError::Pattern { problem, .. } if problem.starts_with("matches no file") => {
            Some((Exit::NotFound, check_hint(config)))
        }
        SourceError::Pattern { .. } => Some((Exit::Usage, check_hint(config))),
        SourceError::Recorded { .. } | SourceError::KafkaShort { .. } => None,
        SourceError::Format { path, .. } => {
            let hint = format!("repair or replace {}, or take it out of {}", path.display(), config.display());
            Some((Exit::Failed, hint + "; until then every run ends there"))
        }
        SourceError::Kafka { .. } => {
            let hint = format!(
                "correct it in {0}, or at the brokers; coral-pipeline validate {0} asks them",
                config.display()
            );
            Some((Exit::Failed, hint))
        }
        SourceError::Colony { endpoint, .. } => {
            let hint =
                format!("correct its endpoint or colony_id in {}, or what listens at {endpoint}", config.display());
            Some((Exit::Failed, hint + "; until then every run ends there"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::PathBuf;

    fn failure(cause: SourceError) -> Failure {
        run_failure(&RunError::Source { source_name: "files".to_owned(), cause }, Path::new("conf/reef.toml"))
    }

    fn file(kind: ErrorKind) -> SourceError {
        SourceError::File { path: PathBuf::from("e.csv"), cause: kind.into() }
    }

    #[test]
    fn starting_again_is_advised_only_where_it_helps() {
        let passing = failure(file(ErrorKind::Interrupted));
        assert_eq!((passing.exit, passing.code), (Exit::Failed, "source_failed"));
        assert!(passing.hint.unwrap().contains("start again"));
        let broken =
            SourceError::Format { path: PathBuf::from("e.csv"), format: "CSV", problem: "no header".to_owned() };
        let broken = failure(broken);
        assert_eq!(broken.exit, Exit::Failed);
        assert!(broken.hint.unwrap().starts_with("repair or replace e.csv, or take it out of conf/reef.toml"));
        let stranger = failure(SourceError::Colony {
            colony_id: "shop".to_owned(),
            endpoint: "http://127.0.0.1:9".to_owned(),
            problem: "colony b answers there".to_owned(),
        });
        assert_eq!(stranger.exit, Exit::Failed);
        let hint = stranger.hint.unwrap();
        assert!(hint.contains("conf/reef.toml") && hint.contains("http://127.0.0.1:9"), "{hint}");
    }

    #[test]
    fn a_file_that_may_not_be_read_is_a_missing_permission() {
        for error in [
            RunError::Source { source_name: "files".to_owned(), cause: file(ErrorKind::PermissionDenied) },
            RunError::Input(InputError::Source {
                source_name: "files".to_owned(),
                cause: file(ErrorKind::PermissionDenied),
            }),
        ] {
            let refused = run_failure(&error, Path::new("conf/reef.toml"));
            assert_eq!((refused.exit, refused.code), (Exit::NotAuthorised, "input_invalid"));
            assert_eq!(refused.hint.unwrap(), "give this user the right to read e.csv");
        }
    }

    #[test]
    fn reading_outside_a_run_has_the_same_codes() {
        let exit = |error: &SourceError| read_failure(error, Path::new("r.toml"), "publish again").exit;
        assert_eq!(exit(&file(ErrorKind::NotFound)), Exit::NotFound);
        assert_eq!(exit(&file(ErrorKind::PermissionDenied)), Exit::NotAuthorised);
        assert_eq!(exit(&file(ErrorKind::Interrupted)), Exit::Failed);
        let broken =
            SourceError::Format { path: PathBuf::from("e.csv"), format: "CSV", problem: "no header".to_owned() };
        assert_eq!(exit(&broken), Exit::Failed);
        let pattern = SourceError::Pattern { pattern: "*.csv".to_owned(), problem: "matches no file".to_owned() };
        assert_eq!(exit(&pattern), Exit::NotFound);
    }

    #[test]
    fn a_file_that_is_gone_is_not_found() {
        let gone = failure(file(ErrorKind::NotFound));
        assert_eq!(gone.exit, Exit::NotFound);
        assert_eq!(gone.hint.unwrap(), "check it with: coral-pipeline validate conf/reef.toml");
    }
}
