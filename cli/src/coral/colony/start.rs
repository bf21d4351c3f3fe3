//! `coral colony start`: the daemon.

use super::live;
use super::{ColonyChoice, failure, identity_of};
use crate::entry::runtime;
use crate::exit::Failure;
use crate::output::Output;
use crate::signals::watch_shutdown;
use colony::config::{Places, Resolved};
use colony::{ColonySettings, Listen, Peering, Serving, serve_at};
use mesh::discovery::Lease;
use model::clock::SystemClock;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Where a colony without a mesh listens.
const PLAIN_DEFAULT: &str = "127.0.0.1:9000";

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral colony start --listen 127.0.0.1:9000",
    after_help = "With `mesh:` in the colony's file, reefs come through its WireGuard mesh, and plain TCP is off unless \
                  --listen asks for it, for example for agents on this machine. Every call through the mesh is logged \
                  with the reef's mesh address and id."
)]
pub struct StartArgs {
    #[command(flatten)]
    colony: ColonyChoice,
    /// Plain TCP address [default: 127.0.0.1:9000, or none with a mesh]; port 0 chooses a free one, shown in the first
    /// line of output
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
}

/// Serves until SIGINT, SIGTERM or SIGHUP.
pub fn run(args: &StartArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let resolved = args.colony.resolve(places)?;
    let peering = peering(&resolved, places)?;
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
        let plain = args.listen.clone().or_else(|| peering.is_none().then(|| PLAIN_DEFAULT.to_owned()));
        let door = peering.as_ref().map(|peering| Listen::Mesh(Box::new(peering.door())));
        let listen: Vec<Listen> = plain.iter().map(Listen::plain).chain(door).collect();
        let serving = serve_at(settings, &listen, asked).await.map_err(|error| failure::colony(&error))?;
        let shown = match peering {
            Some(peering) => Some(Shown::start(peering, &serving).await?),
            None => None,
        };
        let endpoint = plain.is_some().then(|| serving.endpoint());
        output.item(&listening(&colony_id, &serving, endpoint.as_ref()), |_| page(&serving, endpoint.as_ref()))?;
        output.message(&format!("colony {colony_id} is running; database {}", serving.database().display()));
        let stopped = serving.stopped().await;
        if let Some(shown) = shown {
            shown.end().await;
        }
        stopped.map_err(|error| failure::colony(&error))?;
        output.item(&json!({ "event": "stopped", "colony_id": colony_id }), |_| "stopped".to_owned())
    })
}

/// The colony's mesh, if its file has one.
fn peering(resolved: &Resolved, places: &Places) -> Result<Option<Peering>, Failure> {
    if resolved.colony.mesh.is_none() {
        return Ok(None);
    }
    let peering =
        Peering::open(places, &resolved.colony, SystemClock::shared()).map_err(|error| failure::peering(&error))?;
    peering.admit_own_secret(&resolved.colony).map_err(|error| failure::peering(&error))?;
    Ok(Some(peering))
}

/// What a mesh has running beside the server: its place at discovery, and the socket of `coral colony peers`.
struct Shown {
    _lease: Option<Lease>,
    socket: JoinHandle<()>,
}

impl Shown {
    async fn start(peering: Peering, serving: &Serving) -> Result<Shown, Failure> {
        let door = serving.door().cloned();
        let lease = match &door {
            Some(door) => peering.register(door).await.map_err(|error| failure::peering(&error))?,
            None => None,
        };
        let state = lease.as_ref().map(Lease::state);
        let socket = tokio::spawn(async move {
            if let Some(door) = door {
                live::show(&peering, door, state).await;
            }
        });
        Ok(Shown { _lease: lease, socket })
    }

    async fn end(self) {
        self.socket.abort();
        // its cancellation is expected
        let _ = self.socket.await;
    }
}

fn listening(colony_id: &str, serving: &Serving, endpoint: Option<&String>) -> Value {
    json!({
        "event": "listening",
        "colony_id": colony_id,
        "address": serving.address().to_string(),
        "endpoint": endpoint,
        "mesh": serving.door().map(|door| json!({
            "listen": door.address().to_string(),
            "address": door.mesh_address().to_string(),
            "public_key": door.public_key().to_string(),
        })),
        "database": serving.database().display().to_string(),
    })
}

fn page(serving: &Serving, endpoint: Option<&String>) -> String {
    let mesh = serving.door().map(|door| {
        format!("listening on UDP {} (mesh {}, key {})", door.address(), door.mesh_address(), door.public_key())
    });
    let plain = endpoint.map(|endpoint| format!("listening on {endpoint}"));
    plain.into_iter().chain(mesh).collect::<Vec<_>>().join("\n")
}
