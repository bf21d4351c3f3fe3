//! The configuration of a reef: one schema for TOML and YAML, every error at once, each with its line.
//!
//! text → [`node`] (a tree with positions) → [`variables`] (expanded) → [`decode`] (checked against the table in
//! [`keys`]) → [`build`] (cross-checks) → [`ReefConfig`]. Loading reads the file and the variables of the environment
//! that it names; secrets, network and store are not used.
//!
//! | file | owns |
//! |---|---|
//! | `types` | what a configuration is, once it is right |
//! | `secret` | where a secret comes from |
//! | `node`, `toml_text`, `yaml_text` | a text as a tree in which every value knows its line and column |
//! | `variables` | `${NAME}`, `$NAME` and `~` in paths, addresses and names |
//! | `overrides` | settings of a command line, put into the tree of a file |
//! | `keys` | every option: name, type, default, meaning |
//! | `kinds` | the types of options and which values they accept |
//! | `schema` | the table as a JSON Schema, for editors |
//! | `decode` | a tree checked against the table |
//! | `ai` | the keys of `ai`: language model, limits |
//! | `build` | checks between options; the finished configuration |
//! | `effective` | every option in force, and where its value comes from |
//! | `support` | what the schema knows and this version does not do yet |
//! | `errors` | errors with file, line and column |

mod ai;
mod build;
mod decode;
pub mod effective;
mod errors;
pub mod keys;
pub mod kinds;
mod node;
mod overrides;
pub mod schema;
mod secret;
pub(crate) mod support;
mod toml_text;
mod types;
mod variables;
mod yaml_text;

#[cfg(test)]
mod tests;

pub use errors::{ConfigError, ConfigErrors};
pub use node::Place;
pub use overrides::OVERRIDABLE;
pub use secret::{Secret, SecretError, SecretSource};
pub use types::*;

use std::path::Path;

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.yaml` or `.yml`
    Yaml,
}

impl Format {
    /// The format that a file's extension names.
    pub fn of_path(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Format::Toml),
            "yaml" | "yml" => Some(Format::Yaml),
            _ => None,
        }
    }
}

/// Reads a configuration file.
pub fn load(path: &Path) -> Result<ReefConfig, ConfigErrors> {
    load_with(path, &[])
}

/// Reads a configuration file as if it contained each of `overrides` (`correlation.max_lag=6h`). Keys of
/// [`OVERRIDABLE`] sections only; errors name the override.
pub fn load_with(path: &Path, overrides: &[String]) -> Result<ReefConfig, ConfigErrors> {
    let (text, format) = read(path)?;
    parse_with(&text, format, path, overrides)
}

fn read(path: &Path) -> Result<(String, Format), ConfigErrors> {
    let failed = |message: String| ConfigErrors::of_file(path, message);
    if path.is_dir() {
        return Err(failed("is a directory; name the configuration file in it, e.g. reef.toml".to_owned()));
    }
    let format = Format::of_path(path)
        .ok_or_else(|| failed("a configuration ends in .toml, .yaml or .yml; rename the file".to_owned()))?;
    let bytes = std::fs::read(path).map_err(|cause| ConfigErrors::unreadable(path, cause))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| failed(format!("is not UTF-8 text (byte {})", error.utf8_error().valid_up_to())))?;
    Ok((text, format))
}

/// Reads any TOML or YAML file as a document; nothing in it is checked.
///
/// # Errors
/// When it cannot be read, or is neither.
pub fn document_of(path: &Path) -> Result<serde_json::Value, ConfigErrors> {
    let (text, format) = read(path)?;
    let root = match format {
        Format::Toml => toml_text::parse(&text),
        Format::Yaml => yaml_text::parse(&text),
    };
    root.map(|root| root.document()).map_err(|errors| ConfigErrors::new(path, errors))
}

/// Reads a configuration file without requiring its variables. Unset ones stay unexpanded, and are returned with the
/// configuration, one line each.
pub fn load_offline(path: &Path) -> Result<(ReefConfig, Vec<String>), ConfigErrors> {
    let text = read(path)?;
    let mut unset = Vec::new();
    let config = check(&text.0, text.1, path, &[], &variables::of_process, &mut unset)?;
    let lines = if unset.is_empty() { Vec::new() } else { ConfigErrors::new(path, unset).lines().collect() };
    Ok((config, lines))
}

/// Reads a configuration file that may name nothing to read yet, as that of a new reef.
pub fn load_settings(path: &Path) -> Result<ReefConfig, ConfigErrors> {
    let (text, format) = read(path)?;
    let mut unset = Vec::new();
    let (config, mut errors) = checked(&text, format, path, &[], &variables::of_process, &mut unset)?;
    errors.retain(|error| error.message != build::NOTHING_TO_READ);
    errors.append(&mut unset);
    if errors.is_empty() { Ok(config) } else { Err(ConfigErrors::new(path, errors)) }
}

/// Reads a configuration from text. `origin` is the file it came from: named in errors, and the folder that relative
/// paths start from.
pub fn parse(text: &str, format: Format, origin: &Path) -> Result<ReefConfig, ConfigErrors> {
    parse_with(text, format, origin, &[])
}

fn parse_with(text: &str, format: Format, origin: &Path, overrides: &[String]) -> Result<ReefConfig, ConfigErrors> {
    parse_in(text, format, origin, overrides, &variables::of_process)
}

/// The same in an environment that is looked up with `lookup`; a variable that is not set is an error.
fn parse_in(
    text: &str,
    format: Format,
    origin: &Path,
    overrides: &[String],
    lookup: variables::Lookup,
) -> Result<ReefConfig, ConfigErrors> {
    let mut unset = Vec::new();
    match check(text, format, origin, overrides, lookup, &mut unset) {
        Ok(config) if unset.is_empty() => Ok(config),
        Ok(_) => Err(ConfigErrors::new(origin, unset).with_overrides(overrides)),
        Err(mut errors) => {
            unset.append(&mut errors.errors);
            Err(ConfigErrors { errors: unset, ..errors }.in_order())
        }
    }
}

/// Checks a text; variables that are not set are put into `unset` and are no error yet.
fn check(
    text: &str,
    format: Format,
    origin: &Path,
    overrides: &[String],
    lookup: variables::Lookup,
    unset: &mut Vec<ConfigError>,
) -> Result<ReefConfig, ConfigErrors> {
    let (config, errors) = checked(text, format, origin, overrides, lookup, unset)?;
    if errors.is_empty() { Ok(config) } else { Err(ConfigErrors::new(origin, errors).with_overrides(overrides)) }
}

/// The same with the errors apart: without any, the configuration is right.
fn checked(
    text: &str,
    format: Format,
    origin: &Path,
    overrides: &[String],
    lookup: variables::Lookup,
    unset: &mut Vec<ConfigError>,
) -> Result<(ReefConfig, Vec<ConfigError>), ConfigErrors> {
    let root = match format {
        Format::Toml => toml_text::parse(text),
        Format::Yaml => yaml_text::parse(text),
    };
    let mut root = root.map_err(|errors| ConfigErrors::new(origin, errors))?;
    let mut errors = overrides::apply(&mut root, overrides);
    let expanded = variables::expand(&mut root, lookup);
    let (missing, broken): (Vec<ConfigError>, Vec<ConfigError>) =
        expanded.into_iter().partition(|error| error.is_unset);
    errors.extend(broken);
    unset.extend(missing);
    let (scope, more) = decode::decode(&root);
    errors.extend(more);
    let config = build::build(&scope, origin, &mut errors);
    Ok((config, errors))
}
