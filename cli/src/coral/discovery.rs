//! `coral discovery start`: a small service at which colonies say where they are.

use crate::entry::runtime;
use crate::exit::Failure;
use crate::mesh_failure;
use crate::output::Output;
use crate::signals::watch_shutdown;
use mesh::discovery::{DiscoveryServer, DiscoverySettings};
use model::clock::SystemClock;
use serde_json::json;
use std::path::PathBuf;

/// Commands of discovery.
#[derive(Debug, clap::Subcommand)]
pub enum DiscoveryCommand {
    /// Run a discovery service until SIGTERM
    Start(StartArgs),
}

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral discovery start --listen 127.0.0.1:18080 --file discovery.json",
    after_help = "Colonies register with `discovery: endpoint:` in their file, reefs look them up. Who has registered an id \
                  first owns it for 30 days. Look-ups are public. Put it behind TLS, or in a trusted network."
)]
pub struct StartArgs {
    /// TCP address to listen on; port 0 chooses a free one, shown in the first line of output
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:18080")]
    listen: String,
    /// File of registrations; without it a restart forgets who owns which id
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs one of them.
pub fn run(command: DiscoveryCommand, output: &Output) -> Result<(), Failure> {
    match command {
        DiscoveryCommand::Start(args) => start(args, output),
    }
}

fn start(args: StartArgs, output: &Output) -> Result<(), Failure> {
    output.begin_lines();
    runtime()?.block_on(async {
        let stopping = output.clone();
        let mut shutdown = watch_shutdown(output, move || stopping.message("stopping"))?;
        let settings = DiscoverySettings { listen: args.listen, file: args.file, clock: SystemClock::shared() };
        let server = DiscoveryServer::bind(settings).await.map_err(|error| mesh_failure::failure(&error))?;
        let endpoint = format!("http://{}", server.address());
        output.item(&json!({ "event": "listening", "endpoint": endpoint }), |_| format!("listening on {endpoint}"))?;
        let asked = async move {
            // the sender lives as long as the process
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        server.serve(asked).await.map_err(|error| mesh_failure::failure(&error))?;
        output.item(&json!({ "event": "stopped" }), |_| "stopped".to_owned())
    })
}
