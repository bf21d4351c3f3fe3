//! `coral reef init`: a new reef's configuration.

use super::known::{self, KnownReef};
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use colony::config::{Places, is_colony_id, read_default_reef, write_default_reef};
use model::error::one_line;
use rand::RngExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Characters of the random end of an id.
const SUFFIX_CHARS: usize = 6;
/// Port of the first reef's services; each further reef gets the next one.
const FIRST_PORT: u16 = 3101;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef init my-infrastructure --description \"All production services\"",
    after_help = "Writes ~/.coral/reefs/<id>.yaml, with the options that one changes most and what they mean. The first reef \
                  becomes the current one. Nothing is overwritten."
)]
pub struct InitArgs {
    /// Name of the reef: letters, digits, '.', '_' and '-'
    name: String,
    /// What it is, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Its id [default: <name>-reef-<6 letters or digits>]
    #[arg(long, value_name = "ID")]
    reef_id: Option<String>,
    /// Print the file instead of writing it
    #[arg(long)]
    dry_run: bool,
}

/// A new reef.
struct NewReef<'a> {
    reef_id: String,
    name: &'a str,
    description: &'a str,
    port: u16,
}

/// Writes the file.
pub fn run(args: &InitArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let existing = known::all(places);
    let reef_id = reef_id(args, &existing)?;
    let new = NewReef { reef_id, name: &args.name, description: &args.description, port: free_port(&existing) };
    let path = known::folder(places).join(format!("{}.yaml", new.reef_id));
    if args.dry_run {
        let config = path.display().to_string();
        let value = json!({ "dry_run": true, "reef_id": new.reef_id, "config": config, "text": new.text() });
        return output.result(&value, |_| new.text());
    }
    // a fault of that file is reported before anything is written
    let current = read_default_reef(&places.user_file());
    let current = current.map_err(|error| crate::coral::colony::failure::config(&error))?;
    write(&path, &new)?;
    let is_current = make_current(places, current, &new.reef_id, output);
    let value = json!({
        "reef_id": new.reef_id, "name": new.name, "config": path.display().to_string(), "current": is_current,
    });
    output.result(&value, |style| page(&new.reef_id, &path, is_current, style))
}

/// The id, which no reef has.
fn reef_id(args: &InitArgs, existing: &[KnownReef]) -> Result<String, Failure> {
    for (what, text) in [("name", &args.name), ("id", args.reef_id.as_ref().unwrap_or(&args.name))] {
        if !is_colony_id(text) {
            let better: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let message = format!("{text:?} cannot be the {what} of a reef: use letters, digits, '.', '_' and '-'");
            return Err(Failure::new(Exit::Usage, "name_invalid", message)
                .hint(format!("for example {:?}", better.trim_matches('-'))));
        }
    }
    let same = existing.iter().find(|reef| reef.name == args.name || Some(&reef.reef_id) == args.reef_id.as_ref());
    if let Some(same) = same {
        let message = format!("there is a reef {:?} already: {}", same.name, same.path.display());
        return Err(
            Failure::new(Exit::Usage, "reef_present", message).hint("choose another name, or remove that file first")
        );
    }
    let taken: BTreeSet<&str> = existing.iter().map(|reef| reef.reef_id.as_str()).collect();
    Ok(args.reef_id.clone().unwrap_or_else(|| new_id(&args.name, |id| taken.contains(id))))
}

/// `<name>-reef-<6 lower-case letters or digits>`.
fn new_id(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    loop {
        let mut letter = || char::from(LETTERS[random.random_range(0..LETTERS.len())]);
        let suffix: String = (0..SUFFIX_CHARS).map(|_| letter()).collect();
        let id = format!("{name}-reef-{suffix}");
        if !is_taken(&id) {
            return id;
        }
    }
}

/// A port that no other reef of this user has in its file.
fn free_port(existing: &[KnownReef]) -> u16 {
    let written = |reef: &KnownReef| std::fs::read_to_string(&reef.path).unwrap_or_default();
    let texts: Vec<String> = existing.iter().map(written).collect();
    let is_taken = |port: &u16| {
        let mut configured = existing.iter().filter_map(|reef| reef.config.as_ref().ok());
        // a reef without colonies is no configuration yet
        configured.any(|config| config.api.listen.port() == *port)
            || texts.iter().any(|text| text.contains(&format!("127.0.0.1:{port}")))
    };
    (FIRST_PORT..).find(|port| !is_taken(port)).unwrap_or(FIRST_PORT)
}

fn write(path: &Path, new: &NewReef<'_>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
        let (code, message) = match exists {
            true => ("reef_present", format!("{} exists already", path.display())),
            false => ("config_unwritable", format!("cannot write {}", path.display())),
        };
        Failure::new(if exists { Exit::Usage } else { Exit::Failed }, code, message).caused_by(Some(&error))
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(new.text().as_bytes()).and_then(|()| file.sync_all())).map_err(failed)
}

/// The first reef becomes the current one. If that cannot be written, the reef exists nevertheless.
fn make_current(places: &Places, current: Option<String>, reef_id: &str, output: &Output) -> bool {
    if let Some(other) = current {
        output.message(&format!("the current reef stays {other}; change it with coral reef use {reef_id}"));
        return false;
    }
    match write_default_reef(&places.user_file(), reef_id) {
        Ok(()) => true,
        Err(error) => {
            output.message(&format!("warning: the reef is not made the current one: {}", one_line(&error)));
            false
        }
    }
}

fn page(reef_id: &str, path: &Path, is_current: bool, style: Style) -> String {
    let mark = style.green("✓");
    // commands without --reef are about the current one
    let reef = if is_current { String::new() } else { format!(" --reef {reef_id}") };
    format!(
        "Initializing Reef...\n{mark} Created reef ID: {reef_id}\n{mark} Configuration saved to {}\n\nReef initialized \
         successfully!\n\nTo add colonies:\n  coral reef add-colony my-shop-production{reef}\n  coral reef add-colony \
         my-shop-staging{reef}\n\nTo start the reef:\n  coral reef start{reef}",
        with_tilde(path)
    )
}

/// `~/…` for a path below the home folder.
fn with_tilde(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

impl NewReef<'_> {
    /// The file.
    fn text(&self) -> String {
        // a JSON string is a YAML string
        let quoted = |text: &str| Value::from(text).to_string();
        let id = &self.reef_id;
        format!(
            "# A reef: its colonies, its store, and how it looks for patterns.\n\
             # Every option with its default: coral-pipeline help config. Check this file and all it names: coral reef doctor.\n\
             # A reef that runs reads it again after coral reef reload.\n\n\
             reef_id: {reef_id}\nname: {name}\ndescription: {description}\n\n\
             # coral reef add-colony writes them. On a trusted network, without a mesh:\n\
             #   - colony_id: my-shop-production\n\
             #     endpoint: http://127.0.0.1:9000\n\
             colonies: []\n\n\
             # Paths start at the folder of this file. For ClickHouse: docs/clickhouse.md.\n\
             storage:\n  type: duckdb\n  path: {store}\n  retention:\n    aggregated_metrics: 90d\n    events: 90d\n    \
             correlations: 1y\n    deployment_timeline: 2y\n\n\
             # How colonies are read. Rows that are further behind than allowed_lateness are stored, and count after a backfill.\n\
             collection:\n  summary_interval: 60s\n  event_stream: true\n  allowed_lateness: 10m\n\n\
             # A pattern needs min_occurrences, and a lag of at most max_lag.\n\
             correlation:\n  enabled: true\n  max_lag: 4h\n  horizon: 30d\n  min_occurrences: 3\n  \
             false_discovery_rate: 0.05\n\n\
             # Services for programs: /healthz, /readyz, /metrics and RPC. Any other address than 127.0.0.1 needs tokens.\n\
             api:\n  enabled: true\n  listen: 127.0.0.1:{port}\n  tokens_file: {tokens}\n\n\
             # Pages for people, at this port of the same address.\n\
             dashboard:\n  enabled: true\n  port: 3100\n",
            reef_id = quoted(id),
            name = quoted(self.name),
            description = quoted(self.description),
            store = quoted(&format!("{id}.duckdb")),
            port = self.port,
            tokens = quoted(&format!("{id}.tokens.json")),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pipelines::config::{Format, parse};

    #[test]
    fn ids_have_the_form_of_the_seed_and_no_clash() {
        let mut ids = BTreeSet::new();
        for _ in 0..10_000 {
            let id = new_id("my-infrastructure", |id| ids.contains(id));
            let suffix = id.strip_prefix("my-infrastructure-reef-").unwrap();
            assert!(suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
            assert!(ids.insert(id));
        }
        let first = std::cell::Cell::new(true);
        let second = new_id("a", |_| first.replace(false));
        assert!(!first.get() && second.starts_with("a-reef-"), "a taken id is passed over");
    }

    #[test]
    fn the_file_says_what_the_defaults_are() {
        let new = NewReef {
            reef_id: "r-reef-a1b2c3".to_owned(),
            name: "r",
            description: "it's \"all\": # of it",
            port: 3101,
        };
        let with = |colonies: &str| new.text().replace("colonies: []", colonies);
        let config =
            parse(&with("colonies: [{colony_id: a, endpoint: 'http://a:1'}]"), Format::Yaml, Path::new("r.yaml"));
        let config = config.unwrap();
        let least = "reef_id: r-reef-a1b2c3\ncolonies: [{colony_id: a, endpoint: 'http://a:1'}]\n";
        let default = parse(least, Format::Yaml, Path::new("r.yaml")).unwrap();
        assert_eq!((config.collection, config.correlation), (default.collection, default.correlation));
        assert_eq!(config.storage.retention, default.storage.retention);
        assert!(config.api.enabled && config.dashboard.enabled && !config.api.require_token);
        assert_eq!((config.description.as_str(), config.api.listen), ("it's \"all\": # of it", default.api.listen));
        let errors = parse(&new.text(), Format::Yaml, Path::new("r.yaml")).unwrap_err();
        assert_eq!(errors.errors.len(), 1, "only that it has no colony: {errors}");
    }
}
