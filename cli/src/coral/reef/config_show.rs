//! `coral reef config show`: every option in force, and where its value comes from. Secrets are masked.

use super::choice::ReefChoice;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::pipeline::load::load_effective;
use crate::text::table;
use colony::config::Places;
use pipelines::config::effective::{Effective, Origin};
use pipelines::config::kinds::Setting;
use serde_json::{Value, json};
use std::path::Path;

/// Commands of a reef's configuration.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Show every option in force, and where its value comes from
    Show(ShowArgs),
}

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef config show --changed",
    after_help = "A value comes from a line of the file, from a variable of the environment that the line names, or is the \
                  default. Secrets are never shown. What each option means: coral-pipeline help config."
)]
pub struct ShowArgs {
    #[command(flatten)]
    reef: ReefChoice,
    /// Only what is written in the file
    #[arg(long)]
    changed: bool,
}

/// Runs one of them.
pub fn run(command: ConfigCommand, places: &Places, output: &Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show(args) => show(&args, places, output),
    }
}

fn show(args: &ShowArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let path = args.reef.resolve(places)?;
    let (config, mut options) = load_effective(&path)?;
    if args.changed {
        options.retain(|option| matches!(option.origin, Origin::File { .. } | Origin::Variable { .. }));
    }
    let value = json!({
        "reef_id": config.reef_id,
        "config": path.display().to_string(),
        "options": options.iter().map(as_json).collect::<Vec<_>>(),
    });
    output.result(&value, |style| page(&options, &path, style))
}

fn as_json(option: &Effective) -> Value {
    let (from, line) = match option.origin {
        Origin::File { line } => ("file", Some(line)),
        Origin::Variable { line } => ("variable", Some(line)),
        Origin::Default => ("default", None),
        Origin::Computed { .. } => ("computed", None),
    };
    let value = match &option.value {
        Setting::Bool(value) => json!(value),
        Setting::Integer(number) => json!(number),
        Setting::Number(number) => json!(number),
        Setting::Bytes(bytes) => json!(bytes),
        Setting::Texts(texts) => json!(texts),
        Setting::Map(names) => json!(names),
        other => json!(other.shown()),
    };
    json!({ "key": option.key, "value": value, "from": from, "line": line })
}

fn page(options: &[Effective], path: &Path, style: Style) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let row = |option: &Effective| {
        let from = match option.origin {
            Origin::File { line } => format!("{file}:{line}"),
            Origin::Variable { line } => format!("{file}:{line}, from the environment"),
            Origin::Default => "default".to_owned(),
            Origin::Computed { from } => format!("default: {from}"),
        };
        let value = option.value.shown();
        vec![option.key.clone(), if value.is_empty() { "–".to_owned() } else { value }, from]
    };
    let rows: Vec<Vec<String>> = options.iter().map(row).collect();
    format!("{}\n\n{}", path.display(), table(&["option", "value", "from"], &rows, style))
}
