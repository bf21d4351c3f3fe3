//! `config schema`: the configuration as a JSON Schema, for editors.

use crate::exit::Failure;
use crate::output::Output;
use pipelines::config::schema::schema;

/// Commands of configurations.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Print the JSON Schema of a reef's configuration
    Schema(SchemaArgs),
}

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline config schema > reef.schema.json",
    after_help = "In a YAML file, the first line \"# yaml-language-server: $schema=reef.schema.json\" lets editors complete and \
                  check it; in TOML \"#:schema reef.schema.json\". What is checked between options: coral-pipeline validate."
)]
pub struct SchemaArgs {}

/// Runs one of them.
pub fn run(command: &ConfigCommand, output: &Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Schema(SchemaArgs {}) => {
            let schema = schema();
            output.result(&schema, |_| serde_json::to_string_pretty(&schema).unwrap_or_default())
        }
    }
}
