//! What the end-to-end tests share: a reef in a temporary folder, the real programs, a dump of a table.

pub mod clickhouse;
pub mod colonies;
pub mod crash;
pub mod page;
pub mod recordings;
pub mod tables;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Path of one of the programs under test.
pub fn program(name: &str) -> &'static str {
    match name {
        "coral" => env!("CARGO_BIN_EXE_coral"),
        "coral-pipeline" => env!("CARGO_BIN_EXE_coral-pipeline"),
        other => panic!("no program {other}"),
    }
}

/// A reef whose configuration and store live in a temporary folder.
pub struct Reef {
    pub folder: tempfile::TempDir,
    config: PathBuf,
    store: PathBuf,
}

impl Reef {
    /// `body` is the configuration after `reef_id` and `[storage]`.
    pub fn new(body: &str) -> Reef {
        Reef::with_storage(body, "[storage]\ntype = \"duckdb\"\npath = \"reef.duckdb\"\n")
    }

    /// The same with another store.
    pub fn with_storage(body: &str, storage: &str) -> Reef {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("reef.toml");
        let text = format!("reef_id = \"test-reef-a1b2c3\"\nname = \"test\"\n{body}\n{storage}");
        std::fs::write(&config, text).unwrap();
        let store = folder.path().join("reef.duckdb");
        Reef { folder, config, store }
    }

    /// The same reef with its store at another path, relative to its folder.
    pub fn with_store(mut self, path: &str) -> Reef {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, text.replace("\"reef.duckdb\"", &format!("{path:?}"))).unwrap();
        self.store = self.folder.path().join(path);
        self
    }

    pub fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// `coral-pipeline run --json` over this reef, not yet started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("coral-pipeline"));
        command.arg("run").arg(&self.config).arg("--json");
        command
    }

    /// `coral-pipeline run --json` until its input ends; its one document.
    pub fn run(&self) -> Value {
        let output =
            Command::new(program("coral-pipeline")).arg("run").arg(&self.config).arg("--json").output().unwrap();
        json(&output)
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Another command of `coral-pipeline` on this reef with `--json`; its one document.
    pub fn program(&self, command: &str) -> Value {
        json(&Command::new(program("coral-pipeline")).arg(command).arg(&self.config).arg("--json").output().unwrap())
    }

    /// What `report --json` says of a reef that runs; null while it cannot be asked.
    pub fn asked(&self) -> Value {
        let mut report = Command::new(program("coral-pipeline"));
        let output = report.arg("report").arg(&self.config).arg("--json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// The same, in the background.
    pub fn start(&self) -> std::process::Child {
        Command::new(program("coral-pipeline"))
            .arg("run")
            .arg(&self.config)
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// [`correlations`] of the reef's own store.
    pub fn correlations(&self) -> String {
        correlations(&self.store())
    }

    pub fn query(&self, sql: &str) -> String {
        dump(&duckdb::Connection::open(self.store()).unwrap(), sql)
    }
}

/// All rows of `correlations` and of `correlation_evidence` of a store, sorted, without the columns that belong to the run.
pub fn correlations(store: &Path) -> String {
    let db = duckdb::Connection::open(store).unwrap();
    let mut text = dump(&db, "SELECT * EXCLUDE (revision, updated_at) FROM correlations ORDER BY correlation_id");
    text += &dump(&db, "SELECT * FROM correlation_evidence ORDER BY ALL");
    text
}

/// A configuration body that reads events and metrics from files.
pub fn files_source(events: &[&Path], metrics: &[&Path]) -> String {
    let list =
        |paths: &[&Path]| format!("{:?}", paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
    format!("[[sources]]\nkind = \"files\"\nevents = {}\nmetrics = {}\n", list(events), list(metrics))
}

/// Standard output as JSON; panics with all output if the program failed.
pub fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "exit {:?}\n{}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// Rows as text, one per line, columns by tabs, every value as DuckDB prints it.
pub fn dump(db: &duckdb::Connection, sql: &str) -> String {
    let columns: Vec<String> = {
        let mut statement = db.prepare(&format!("DESCRIBE {sql}")).unwrap();
        let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    let as_text: Vec<String> =
        columns.iter().map(|column| format!("COALESCE(\"{column}\"::VARCHAR, 'NULL')")).collect();
    let mut statement = db.prepare(&format!("SELECT concat_ws(chr(9), {}) FROM ({sql})", as_text.join(", "))).unwrap();
    let lines = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    lines.map(|line| line.unwrap() + "\n").collect()
}
