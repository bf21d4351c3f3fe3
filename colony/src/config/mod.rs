//! The two `.coral` folders: `~/.coral` with identities and secrets, `<project>/.coral` with the database.
//!
//! | file | owns |
//! |---|---|
//! | `yaml` | reading a YAML file, with path and line in every error |
//! | `files` | the three files and their keys; writing new ones |
//! | `places` | where configuration is searched, and the overriding environment variables |
//! | `error` | errors with path and line |
//! | `resolve` | the selected colony and the path of its database |

pub mod error;
pub mod files;
pub mod places;
pub mod resolve;
mod yaml;

pub use error::ConfigError;
pub use files::{ColonyFile, NewColony, Retention, init, is_colony_id};
pub use places::Places;
pub use resolve::{Resolved, resolve};
