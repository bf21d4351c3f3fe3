//! Whether a store can be used: a DuckDB file without opening or creating it, a ClickHouse server by asking it.

use super::checklist::{Check, Outcome};
use crate::entry::runtime;
use crate::exit::Failure;
use crate::text::bytes;
use pipelines::config::ReefConfig;
use pipelines::store;
use sinks::clickhouse::server_facts;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Bytes 8 to 11 of every DuckDB file.
const MAGIC: &[u8; 4] = b"DUCK";

/// Checks the file, or the folder it would be created in.
pub fn check(path: &Path) -> Check {
    let (outcome, note) = match look(path) {
        Ok(note) => (Outcome::Ok, note),
        Err(note) => (Outcome::Failed, note),
    };
    Check::new("store", outcome, note)
}

/// Asks the ClickHouse server for its version, the database, rights and schema; changes nothing.
pub fn check_server(config: &ReefConfig) -> Result<Check, Failure> {
    let asked = store::clickhouse_config(config).map(|server| runtime().map(|it| it.block_on(server_facts(server))));
    let facts = match asked {
        Ok(facts) => facts?,
        Err(error) => Err(error),
    };
    let described = store::describe(config);
    let (outcome, note) = match facts {
        Err(error) => (Outcome::Failed, super::validate::with_causes(&error)),
        Ok(facts) if !facts.missing_rights.is_empty() => {
            let rights = facts.missing_rights.join(", ");
            (Outcome::Failed, format!("{described} lacks rights: GRANT {rights} ON the database"))
        }
        Ok(facts) if facts.schema_version > migrations::KNOWN_VERSION => {
            let (stored, known) = (facts.schema_version, migrations::KNOWN_VERSION);
            (
                Outcome::Failed,
                format!("{described} has schema version {stored}, this program knows {known}: use a newer one"),
            )
        }
        Ok(facts) => {
            let schema = match facts.schema_version {
                0 => "no tables yet".to_owned(),
                version => format!("schema version {version}"),
            };
            (Outcome::Ok, format!("{described}, version {}, {schema}", facts.server_version))
        }
    };
    Ok(Check::new("store", outcome, note))
}

fn look(path: &Path) -> Result<String, String> {
    let shown = path.display();
    match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => look_inside(file)
            .map_err(|problem| format!("{shown} {problem}"))
            .map(|size| format!("{shown}, {}", bytes(size))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => look_at_folder(path),
        Err(error) => Err(format!("cannot write to {shown}: {error}")),
    }
}

fn look_inside(mut file: File) -> Result<u64, String> {
    let size = file.metadata().map_err(|error| format!("cannot be read: {error}"))?.len();
    let mut head = [0; 12];
    match file.read_exact(&mut head) {
        Ok(()) if &head[8..] == MAGIC => Ok(size),
        _ => Err("is not a DuckDB file; choose another storage.path".to_owned()),
    }
}

/// The nearest folder that exists must let us create things.
fn look_at_folder(path: &Path) -> Result<String, String> {
    let existing =
        path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let Some(folder) = existing.into_iter().find(|folder| folder.exists()) else {
        return Err(format!("{} has no folder that exists", path.display()));
    };
    let writable = folder.is_dir() && folder.metadata().is_ok_and(|facts| !facts.permissions().readonly());
    if writable {
        Ok(format!("{} will be created", path.display()))
    } else {
        Err(format!("cannot create {}: {} is not a folder that can be written to", path.display(), folder.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_new_store_needs_a_folder_and_an_old_one_must_be_duckdb() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/new.duckdb");
        let check_new = check(&path);
        assert!(check_new.outcome == Outcome::Ok && check_new.note.ends_with("will be created"), "{check_new:?}");
        assert!(!folder.path().join("a").exists());

        let other = folder.path().join("other.txt");
        std::fs::write(&other, "this is some text, not a database").unwrap();
        let check_other = check(&other);
        assert!(check_other.outcome == Outcome::Failed && check_other.note.contains("not a DuckDB file"));
        assert_eq!(check(&other.join("x.duckdb")).outcome, Outcome::Failed);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "this is some text, not a database");
    }
}
