//! Whether a store can be used: reads a DuckDB file without creating or changing it, or queries a ClickHouse server.

use super::checklist::{Check, Outcome};
use crate::entry::runtime;
use crate::exit::Failure;
use crate::text::bytes;
use model::error::one_line;
use pipelines::config::ReefConfig;
use pipelines::open::store;
use sinks::clickhouse::server_facts;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Bytes 8 to 11 of every DuckDB file.
const MAGIC: &[u8; 4] = b"DUCK";

/// Checks the file, or the folder it would be created in: which process has it open, whose tables it has, and their
/// version.
pub fn check(config: &ReefConfig, path: &Path) -> Result<Check, Failure> {
    let looked = match look(path) {
        Ok(Found::File(size)) => runtime()?.block_on(look_at_tables(config, path, size)),
        Ok(Found::Nothing) => Ok(format!("{} will be created", path.display())),
        Err(note) => Err(note),
    };
    let (outcome, note) = match looked {
        Ok(note) => (Outcome::Ok, note),
        Err(note) => (Outcome::Failed, note),
    };
    Ok(Check::new("store", outcome, note))
}

/// What `run` would find when it opens the file.
async fn look_at_tables(config: &ReefConfig, path: &Path, size: u64) -> Result<String, String> {
    let shown = format!("{}, {}", path.display(), bytes(size));
    let words = |error: sinks::SinkError| one_line(&error);
    match store::stored_version(config).await.map_err(words)? {
        // version 0: the first migration was interrupted, and a run completes it
        None | Some(0) => Ok(format!("{shown}, holds nothing yet")),
        Some(version) if version > migrations::KNOWN_VERSION => Err(format!(
            "{} has schema version {version}, this program knows {}: use a newer one",
            path.display(),
            migrations::KNOWN_VERSION
        )),
        Some(version) if version < migrations::KNOWN_VERSION => {
            Ok(format!("{shown}, schema version {version}; a run brings it to {}", migrations::KNOWN_VERSION))
        }
        Some(version) => {
            store::open_for_reading(config).await.map_err(words)?;
            Ok(format!("{shown}, schema version {version}"))
        }
    }
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
        Err(error) => (Outcome::Failed, one_line(&error)),
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

/// The content of the path.
enum Found {
    /// A DuckDB file of so many bytes.
    File(u64),
    /// Nothing, and it can be created.
    Nothing,
}

fn look(path: &Path) -> Result<Found, String> {
    let shown = path.display();
    match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => look_inside(file).map_err(|problem| format!("{shown} {problem}")).map(Found::File),
        Err(error) if error.kind() == io::ErrorKind::NotFound => look_at_folder(path).map(|()| Found::Nothing),
        Err(error) => Err(format!("cannot write to {shown}: {error}")),
    }
}

fn look_inside(mut file: File) -> Result<u64, String> {
    let size = file.metadata().map_err(|error| format!("cannot be read: {error}"))?.len();
    let mut head = [0; 12];
    match file.read_exact(&mut head) {
        // a process that was killed while it created the file
        Err(_) if size == 0 => Ok(size),
        Ok(()) if &head[8..] == MAGIC => Ok(size),
        _ => Err("is not a DuckDB file; choose another storage.path".to_owned()),
    }
}

/// The nearest folder that exists must let us create things.
fn look_at_folder(path: &Path) -> Result<(), String> {
    let existing =
        path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let Some(folder) = existing.into_iter().find(|folder| folder.exists()) else {
        return Err(format!("{} has no folder that exists", path.display()));
    };
    let writable = folder.is_dir() && folder.metadata().is_ok_and(|facts| !facts.permissions().readonly());
    if writable {
        Ok(())
    } else {
        Err(format!("cannot create {}: {} is not a folder that can be written to", path.display(), folder.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pipelines::config::{Format, parse};

    /// A reef whose store is at `path`.
    fn check_at(path: &Path) -> Check {
        let text = format!("reef_id: r\nsources: [{{kind: files, events: [e.csv]}}]\nstorage: {{path: {path:?}}}\n");
        let config = parse(&text, Format::Yaml, Path::new("reef.yaml")).unwrap();
        check(&config, path).unwrap()
    }

    #[test]
    fn a_new_store_needs_a_folder_and_an_old_one_must_be_duckdb() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/new.duckdb");
        let check_new = check_at(&path);
        assert!(check_new.outcome == Outcome::Ok && check_new.note.ends_with("will be created"), "{check_new:?}");
        assert!(!folder.path().join("a").exists());

        let other = folder.path().join("other.txt");
        std::fs::write(&other, "this is some text, not a database").unwrap();
        let check_other = check_at(&other);
        assert!(check_other.outcome == Outcome::Failed && check_other.note.contains("not a DuckDB file"));
        assert_eq!(check_at(&other.join("x.duckdb")).outcome, Outcome::Failed);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "this is some text, not a database");
    }

    #[test]
    fn the_tables_of_a_file_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.duckdb");
        let text = format!("reef_id: r\nsources: [{{kind: files, events: [e.csv]}}]\nstorage: {{path: {path:?}}}\n");
        let config = parse(&text, Format::Yaml, Path::new("reef.yaml")).unwrap();
        let open = || runtime().unwrap().block_on(store::open(&config)).unwrap();
        runtime().unwrap().block_on(open().close()).unwrap();
        let ours = check_at(&path);
        assert_eq!(ours.outcome, Outcome::Ok, "{ours:?}");
        assert!(ours.note.ends_with(&format!("schema version {}", migrations::KNOWN_VERSION)), "{ours:?}");
    }
}
