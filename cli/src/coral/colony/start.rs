//! `coral colony start`: the daemon.

use super::{ColonyChoice, failure, identity_of};
use crate::entry::runtime;
use crate::exit::Failure;
use crate::output::Output;
use crate::signals::watch_shutdown;
use colony::config::Places;
use colony::{ColonySettings, Listen, serve};
use model::clock::SystemClock;
use serde_json::json;

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony start --listen 127.0.0.1:9000")]
pub struct StartArgs {
    #[command(flatten)]
    colony: ColonyChoice,
    /// Address to listen on; port 0 chooses a free port, shown in the first line of output
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    listen: String,
}

/// Serves until SIGINT, SIGTERM or SIGHUP.
pub fn run(args: &StartArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let resolved = args.colony.resolve(places)?;
    let identity = identity_of(&resolved);
    let colony_id = identity.colony_id.clone();
    output.begin_lines();
    runtime()?.block_on(async {
        let stopping = output.clone();
        let mut shutdown =
            watch_shutdown(output, move || stopping.message("stopping: calls end, the database is written back"))?;
        let settings = ColonySettings {
            identity,
            storage_path: resolved.storage_path,
            retention: resolved.retention,
            clock: SystemClock::shared(),
        };
        let asked = async move {
            // the sender lives as long as the process
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        let serving = serve(settings, Listen::plain(&args.listen), asked).await.map_err(|e| failure::colony(&e))?;
        let value = json!({
            "event": "listening",
            "colony_id": colony_id,
            "address": serving.address().to_string(),
            "endpoint": serving.endpoint(),
            "database": serving.database().display().to_string(),
        });
        output.item(&value, |_| format!("listening on {}", serving.endpoint()))?;
        output.message(&format!("colony {colony_id} is running; database {}", serving.database().display()));
        serving.stopped().await.map_err(|error| failure::colony(&error))?;
        output.item(&json!({ "event": "stopped", "colony_id": colony_id }), |_| "stopped".to_owned())
    })
}
