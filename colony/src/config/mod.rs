//! The two `.coral` folders: `~/.coral` with identities and secrets, `<project>/.coral` with the database.
//!
//! | file | owns |
//! |---|---|
//! | `yaml` | reading a YAML file, with path and line in every error |
//! | `files` | the three files and their keys; writing new ones |
//! | `default_reef` | the reef that commands are about when none is named, written |
//! | `edited` | a file that is being changed: its lock and its replacement |
//! | `network` | the sections `mesh` and `discovery` |
//! | `places` | where configuration is searched, and the overriding environment variables |
//! | `error` | errors with path and line |
//! | `resolve` | the selected colony and the path of its database |

mod default_reef;
mod edited;
pub mod error;
pub mod files;
pub mod network;
pub mod places;
pub mod resolve;
mod yaml;

pub use default_reef::write_default_reef;
pub use edited::{EditedFile, is_at};
pub use error::ConfigError;
pub use files::{ColonyFile, NewColony, Retention, init, is_colony_id, planned, read_default_reef, replace_secret};
pub use network::{DiscoveryFile, MeshFile};
pub use places::Places;
pub use resolve::{Resolved, resolve};
