//! The two `.coral` folders: `~/.coral` with identities and secrets, `<project>/.coral` with the database.
//!
//! | file | owns |
//! |---|---|
//! | `yaml` | reading a YAML file, with path and line in every error |
//! | `files` | the three files and their keys; writing new ones |
//! | `resolve` | which colony is meant, and where its database lies |

pub mod error;
pub mod files;
pub mod resolve;
mod yaml;

pub use error::ConfigError;
pub use files::{ColonyFile, NewColony, Retention, init};
pub use resolve::{Places, Resolved, resolve};
