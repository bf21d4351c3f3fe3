//! `coral colony …`: the daemon of one colony.
//!
//! | file | owns |
//! |---|---|
//! | `init` | a new colony's identity |
//! | `start` | the daemon |
//! | `status` | what a colony holds and how it does |
//! | `import` | files into a colony |
//! | `peers`, `live` | reefs of its mesh: known ones, live tunnels, the end of one |
//! | `secret` | the secrets that admit reefs |
//! | `failure` | what went wrong, as exit code and words |

pub(super) mod failure;
mod import;
mod init;
mod live;
mod peers;
mod secret;
mod start;
mod status;
#[cfg(test)]
mod tests;

use crate::exit::Failure;
use crate::output::Output;
use colony::config::{Places, Resolved, resolve};
use model::colony::ColonyIdentity;

/// Commands of a colony.
#[derive(Debug, clap::Subcommand)]
pub enum ColonyCommand {
    /// Write the identity of a new colony
    Init(init::InitArgs),
    /// Run the colony until SIGTERM
    Start(start::StartArgs),
    /// Show the contents and health of a colony
    Status(status::StatusArgs),
    /// Load metric and event files
    Import(import::ImportArgs),
    /// List the reefs of the colony's mesh
    Peers(peers::PeersArgs),
    /// Remove a reef from the mesh, and remember that
    Unpeer(peers::UnpeerArgs),
    /// Manage the secrets that admit reefs
    #[command(subcommand, before_help = "Example:  coral colony secret list")]
    Secret(secret::SecretCommand),
}

/// Runs one of them.
pub fn run(command: ColonyCommand, output: &Output) -> Result<(), Failure> {
    let places = Places::of_process().map_err(|error| failure::config(&error))?;
    match command {
        ColonyCommand::Init(args) => init::run(args, &places, output),
        ColonyCommand::Start(args) => start::run(&args, &places, output),
        ColonyCommand::Status(args) => status::run(&args, &places, output),
        ColonyCommand::Import(args) => import::run(&args, &places, output),
        ColonyCommand::Peers(args) => peers::peers(&args, &places, output),
        ColonyCommand::Unpeer(args) => peers::unpeer(&args, &places, output),
        ColonyCommand::Secret(command) => secret::run(&command, &places, output),
    }
}

/// Which colony a command is about.
#[derive(Clone, Debug, Default, clap::Args)]
struct ColonyChoice {
    /// Id of the colony, or a prefix of it [default: that of the project]
    #[arg(long, value_name = "ID")]
    colony_id: Option<String>,
}

impl ColonyChoice {
    fn resolve(&self, places: &Places) -> Result<Resolved, Failure> {
        resolve(places, self.colony_id.as_deref()).map_err(|error| failure::config(&error))
    }
}

fn identity_of(resolved: &Resolved) -> ColonyIdentity {
    ColonyIdentity {
        colony_id: resolved.colony.colony_id.clone(),
        application_name: resolved.colony.application_name.clone(),
        environment: resolved.colony.environment.clone(),
    }
}
