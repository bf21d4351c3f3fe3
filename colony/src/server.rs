//! The life cycle of a colony: storage, listener, services, shutdown.

use crate::call::until_stop;
use crate::config::Retention;
use crate::error::ColonyError;
use crate::federation::Federation;
use crate::ingest::Ingest;
use crate::record::Recorder;
use crate::store::Store;
use mesh::{DoorView, GuardLayer, Incoming, Listen, Listener, MeshError, Registrar};
use model::clock::SharedClock;
use model::colony::ColonyIdentity;
use proto::colony::v1::ingest_service_server::IngestServiceServer;
use proto::mesh::v1::mesh_service_server::MeshServiceServer;
use proto::reef::v1::colony_federation_server::ColonyFederationServer;
use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How long the store may take to respond before the colony is reported as not ready.
pub const PING_DEADLINE: Duration = Duration::from_secs(1);
/// Interval of the store's health check.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How often expired rows are deleted.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);
/// How long calls in progress may take to end once the colony stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Keepalive interval of idle connections, so that the streams of vanished peers are freed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// How long such a sign may take: through a tunnel it waits behind sent data, and a lost burst takes seconds.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(40);
/// Calls at a time on one connection.
const STREAMS_MAX: u32 = 64;

/// Identity, database path and retention of the colony.
#[derive(Clone, Debug)]
pub struct ColonySettings {
    /// Who it is.
    pub identity: ColonyIdentity,
    /// Directory of the database.
    pub storage_path: PathBuf,
    /// How long rows are kept.
    pub retention: Retention,
    /// By which rows are judged and expire.
    pub clock: SharedClock,
}

/// A running colony server.
pub struct Serving {
    address: SocketAddr,
    door: Option<DoorView>,
    recorder: Arc<Recorder>,
    task: JoinHandle<Result<(), ColonyError>>,
}

impl Serving {
    /// The colony's mesh, if it has one.
    pub fn door(&self) -> Option<&DoorView> {
        self.door.as_ref()
    }

    /// The address it listens on: the first one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a reef dials: `http://host:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its database file.
    pub fn database(&self) -> &Path {
        self.recorder.store().path()
    }

    /// Writes into it from inside the process, as agents do from outside.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Waits until the colony has stopped: calls ended, everything written back, the file's lock given up.
    pub async fn stopped(self) -> Result<(), ColonyError> {
        match self.task.await {
            Ok(result) => result,
            // only a panic ends the task early
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Ends at once, without letting calls end: for tests of what a crash leaves behind.
    #[cfg(any(test, feature = "sim"))]
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        let _ = self.recorder.store().close();
    }
}

/// Starts a colony: opens the database, then the listener, then serves until `shutdown` is done.
///
/// Returns as soon as calls are answered. Several colonies may run in one process, each with its own directory or id.
pub async fn serve(
    settings: ColonySettings,
    listen: Listen,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Serving, ColonyError> {
    serve_at(settings, &[listen], shutdown).await
}

/// [`serve`] at several addresses, for example in a mesh and for agents of this machine. At least one.
pub async fn serve_at(
    settings: ColonySettings,
    listen: &[Listen],
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Serving, ColonyError> {
    let identity = settings.identity;
    let store = open_store(&settings.storage_path, &identity.colony_id).await?;
    let Opened { listeners, address, door, registrar } = match open(listen).await {
        Ok(opened) => opened,
        Err(cause) => {
            close_store(&store, &identity.colony_id).await?;
            return Err(ColonyError::Network { colony_id: identity.colony_id, cause });
        }
    };

    let (stop, stopping) = watch::channel(false);
    let recorder = Arc::new(Recorder::new(store.clone()));
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::Serving).await;
    let federation = Federation { identity: identity.clone(), store: store.clone(), stopping: stopping.clone() };
    let ingest = Ingest { identity: identity.clone(), recorder: recorder.clone(), clock: settings.clock.clone() };
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let colony_id = identity.colony_id.clone();
    let failed = move |cause| ColonyError::Serve { colony_id: colony_id.clone(), address, cause };
    let reflection = reflection.map_err(|error| failed(error.into()))?;

    let signal = {
        let health = health.clone();
        async move {
            shutdown.await;
            set_health(&health, ServingStatus::NotServing).await;
            // streams end, no new call is accepted
            let _ = stop.send(true);
        }
    };
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_MAX)
        .layer(GuardLayer)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(ColonyFederationServer::new(federation))
        .add_service(IngestServiceServer::new(ingest))
        .add_optional_service(registrar.map(MeshServiceServer::new))
        .serve_with_incoming_shutdown(Incoming::of(listeners), signal);
    let mut caretaker = JoinSet::new();
    caretaker.spawn(look_after(store.clone(), (settings.retention, settings.clock), health, stopping.clone()));
    let task = tokio::spawn(async move {
        let mut stopping = stopping;
        let grace = async {
            until_stop(&mut stopping).await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let served = tokio::select! {
            served = server => served.map_err(|error| failed(error.into())),
            () = grace => {
                tracing::warn!("calls were still in progress when the colony stopped");
                Ok(())
            }
            panic = panicked(&mut caretaker) => std::panic::resume_unwind(panic),
        };
        let closed = close_store(&store, &identity.colony_id).await;
        tracing::info!(colony_id = %identity.colony_id, "colony stopped");
        served.and(closed)
    });
    Ok(Serving { address, door, recorder, task })
}

/// Open listeners, and what is known of them.
struct Opened {
    listeners: Vec<Listener>,
    /// Of the first one.
    address: SocketAddr,
    door: Option<DoorView>,
    registrar: Option<Registrar>,
}

async fn open(listen: &[Listen]) -> Result<Opened, MeshError> {
    let mut listeners = Vec::new();
    let (mut door, mut registrar) = (None, None);
    for listen in listen {
        let listener = listen.open().await?;
        let address = listener.address()?;
        match &listener {
            Listener::Mesh(mesh) => (door, registrar) = (Some(mesh.view()), Some(mesh.registrar())),
            _ if !address.ip().is_loopback() => tracing::warn!(
                %address,
                "plain listener on a network: anyone who reaches it can read and write this colony"
            ),
            _ => {}
        }
        listeners.push(listener);
    }
    let none = || MeshError::BadSettings { what: "a colony needs an address to listen on".to_owned() };
    let address = listeners.first().ok_or_else(none)?.address()?;
    Ok(Opened { listeners, address, door, registrar })
}

/// Waits until a task panics; never returns otherwise.
async fn panicked(tasks: &mut JoinSet<()>) -> Box<dyn Any + Send> {
    while let Some(ended) = tasks.join_next().await {
        if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
            return panic;
        }
    }
    std::future::pending().await
}

async fn open_store(storage_path: &Path, colony_id: &str) -> Result<Store, ColonyError> {
    let (directory, id) = (storage_path.to_owned(), colony_id.to_owned());
    let opened = tokio::task::spawn_blocking(move || Store::open(&directory, &id)).await;
    let opened = match opened {
        Ok(Ok(store)) => store.ping(PING_DEADLINE).await.map(|()| store),
        Ok(Err(error)) => Err(error),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    match opened {
        Ok(store) => {
            tracing::info!(colony_id, path = %store.path().display(), "database initialized");
            Ok(store)
        }
        Err(cause) => {
            tracing::error!(colony_id, error = %cause, "database cannot be used");
            Err(ColonyError::Store { colony_id: colony_id.to_owned(), cause })
        }
    }
}

async fn close_store(store: &Store, colony_id: &str) -> Result<(), ColonyError> {
    let store = store.clone();
    let closed = match tokio::task::spawn_blocking(move || store.close()).await {
        Ok(closed) => closed,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    closed.map_err(|cause| ColonyError::Store { colony_id: colony_id.to_owned(), cause })
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    let services = ["", "coral.reef.v1.ColonyFederation", "coral.colony.v1.IngestService"];
    for service in services {
        health.set_service_status(service, status).await;
    }
}

/// Deletes expired rows periodically, and updates the health status, until the colony stops.
async fn look_after(
    store: Store,
    (retention, clock): (Retention, SharedClock),
    health: HealthReporter,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ping = tokio::time::interval(PING_INTERVAL);
    let mut clean = tokio::time::interval(RETENTION_INTERVAL);
    loop {
        tokio::select! {
            () = until_stop(&mut stopping) => return,
            _ = ping.tick() => {
                let status = match store.ping(PING_DEADLINE).await {
                    Ok(()) => ServingStatus::Serving,
                    Err(error) => {
                        tracing::error!(%error, "the database does not answer");
                        ServingStatus::NotServing
                    }
                };
                set_health(&health, status).await;
            }
            _ = clean.tick(), if retention != Retention::default() => {
                match store.delete_expired(retention, clock.now()).await {
                    Ok(rows) => tracing::info!(rows, "expired rows deleted"),
                    Err(error) => tracing::error!(%error, "expired rows are still there"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_noticed_and_one_that_ends_is_not() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async {});
        tasks.spawn(async { panic!("a bug beside the server") });
        let panic = panicked(&mut tasks).await;
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug beside the server"));
    }
}
