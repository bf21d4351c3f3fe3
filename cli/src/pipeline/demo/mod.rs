//! `coral-pipeline demo`: a small live fleet with planted relations, a reef over it, and a comparison of the two.
//!
//! Everything except the rows is real: each colony is a daemon with a gRPC port and a DuckDB file, and the reef is that
//! of `coral-pipeline run`. The history is in the colonies before the reef starts; the last two days of events arrive
//! while it runs.

mod fleet;
mod planted;
mod tunnel;

use super::run_failure::run_failure;
use super::{analyst, display, services, summary};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::signals::watch_shutdown;
use crate::text::count;
use fleet::Colonies;
use mesh::{Network, ReefSettings, Underlay};
use model::clock::{Clock, SystemClock};
use model::colony::ColonyIdentity;
use model::colony::identity_from_id;
use model::instruments::Registry;
use model::time::{DAY_MS, TimeMs};
use pipelines::config::{self, ReefConfig};
use pipelines::open::store;
use pipelines::progress::Progress;
use pipelines::run::{Controls, RunOptions};
use reef::Report;
use reef::api::{Pages, Reading};
use reef::report::CANDIDATES_SHOWN_MAX;
use reef::sql::SqlEngine;
use serde_json::json;
use sinks::StoreReader;
use sources::generator::{Fleet, FleetConfig};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Id of the demo's reef.
const REEF_ID: &str = "demo-reef-d3m0d3";
/// Days of events that arrive while the reef runs.
const LIVE_DAYS: i64 = 2;
/// Events that arrive at once while the reef runs.
const LIVE_EVENTS: usize = 5;
/// Between two arrivals.
const LIVE_PAUSE: Duration = Duration::from_millis(100);
/// Maximum wait for rows that the colonies have and the reef has not read.
const CATCH_UP: Duration = Duration::from_secs(300);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline demo",
    after_help = "Starts a fleet of colonies on free ports of this machine, feeds them generated history, runs a reef over \
                  them and compares its findings with the planted relations. The stores stay in the folder."
)]
pub struct DemoArgs {
    /// Folder for the stores; files of an earlier demo are replaced
    #[arg(long, default_value = ".coral/demo")]
    pub out: PathBuf,
    /// The same seed gives the same rows
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Number of colonies: staging and production of each application in turn
    #[arg(long, default_value_t = 6)]
    pub colonies: usize,
    /// Length of the history in days
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    /// Put each colony behind a WireGuard mesh of its own, in user space
    #[arg(long)]
    pub mesh: bool,
    /// Show the store in a dashboard at the end, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// Where the dashboard listens with --serve; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3100")]
    pub listen: SocketAddr,
}

/// Runs the demo.
pub fn run(args: &DemoArgs, output: &Output) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut stopped = watch_shutdown(output, || ())?;
        let fleet = generate(args)?;
        let folder = Folder::fresh(&args.out)?;
        let identities = fleet.truth.colonies.iter().map(|id| identity(id)).collect();
        let network = if args.mesh { mesh_network() } else { Network::plain() };
        let mut colonies = Colonies::start(identities, &folder.colonies, (&network, args.mesh)).await?;
        output.message(&format!(
            "{} colonies started; filling them with {} days: {} events, {} metric rows",
            fleet.truth.colonies.len(),
            args.days,
            count(fleet.events.len() as u64),
            count(fleet.metric_rows()),
        ));
        let live_from = fleet.events.last().map_or(TimeMs(0), |last| last.timestamp - LIVE_DAYS * DAY_MS);
        let (history, live) = fleet.events.split_at(fleet.events.partition_point(|event| event.timestamp < live_from));
        colonies.send_events(history).await?;
        colonies.send_metrics(fleet.metrics()).await?;
        let config = folder.write_config(&colonies)?;
        output.message("the reef starts; the last two days of events arrive while it runs");
        let reef = (&config, folder.config(), network.clone());
        let summary = watch_reef(reef, &mut colonies, live, &fleet, stopped.clone(), output).await?;
        network.close().await;
        colonies.stop().await?;

        let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
        let reader = store::open_for_reading(&config).await.map_err(failed)?;
        let every = Report::read(reader.as_ref(), store::describe(&config), usize::MAX).await.map_err(failed)?;
        let score = planted::score(&fleet.truth, &every);
        let report =
            Report::read(reader.as_ref(), store::describe(&config), CANDIDATES_SHOWN_MAX).await.map_err(failed)?;
        output.result(&json!({ "summary": summary, "report": report, "score": score }), |style| {
            format!(
                "{}\n\n{}\n{}",
                summary::summary_page(&summary, &folder.config(), style),
                reef::text::report(&report),
                score.to_text()
            )
        })?;
        if args.serve { show_until(&mut stopped, (&config, args.listen), reader, output).await } else { Ok(()) }
    })
}

/// Opens the dashboard over the demo's store, and says where it is, last of all.
async fn show_until(
    stopped: &mut watch::Receiver<bool>,
    (config, listen): (&ReefConfig, SocketAddr),
    reader: Arc<dyn StoreReader>,
    output: &Output,
) -> Result<(), Failure> {
    let mut config = config.clone();
    config.api.listen = listen;
    let reading = (Reading::Store(reader), analyst::of(&config, output), SqlEngine::default());
    let services = services::open((&config, Pages::Beside), reading, &Registry::new(), output).await?;
    output.message("Ctrl-C ends it");
    let _ = stopped.wait_for(|stop| *stop).await;
    services.close().await;
    Ok(())
}

/// A fleet whose history ended last midnight.
fn generate(args: &DemoArgs) -> Result<Fleet, Failure> {
    let start = SystemClock.now().floor_to(DAY_MS) - i64::from(args.days) * DAY_MS;
    let config =
        FleetConfig { seed: args.seed, colonies: args.colonies, days: args.days, start, ..FleetConfig::default() };
    Fleet::generate(&config).map_err(|problem| Failure::new(Exit::Usage, "fleet_invalid", problem))
}

fn identity(colony_id: &str) -> ColonyIdentity {
    let (application_name, environment) = identity_from_id(colony_id);
    ColonyIdentity { colony_id: colony_id.to_owned(), application_name, environment }
}

/// Meshes, as the demo's reef. Its colonies are at fixed places, so that no discovery is asked.
fn mesh_network() -> Network {
    let reef_id = REEF_ID.to_owned();
    Network::of_reef(ReefSettings { reef_id, discovery: None, underlay: Underlay::Udp, clock: SystemClock::shared() })
}

/// Runs the reef while live events arrive, and stops it once it has everything.
async fn watch_reef(
    (config, config_path, network): (&ReefConfig, PathBuf, Network),
    colonies: &mut Colonies,
    live: &[model::event::Event],
    fleet: &Fleet,
    mut stopped: watch::Receiver<bool>,
    output: &Output,
) -> Result<pipelines::progress::RunSummary, Failure> {
    let (options, Controls { progress: mut snapshots, stop }) = RunOptions::new(SystemClock::shared(), network);
    let display = tokio::spawn(display::show(snapshots.clone(), output.clone()));
    let reef = pipelines::run::run(config, options);
    let (events, metrics) = (fleet.events.len() as u64, fleet.metric_rows());
    let feed = async {
        for arriving in live.chunks(LIVE_EVENTS) {
            colonies.send_events(arriving).await?;
            tokio::time::sleep(LIVE_PAUSE).await;
        }
        let has_all = |progress: &Progress| progress.events >= events && progress.metrics >= metrics;
        // an error means that the reef has ended
        let _ = tokio::time::timeout(CATCH_UP, snapshots.wait_for(has_all)).await;
        Ok::<(), Failure>(())
    };
    let feed_then_stop = async {
        let fed = tokio::select! {
            fed = feed => fed,
            _ = stopped.wait_for(|stop| *stop) => Ok(()),
        };
        let _ = stop.send(true);
        fed
    };
    let (summary, fed) = tokio::join!(reef, feed_then_stop);
    let _ = display.await;
    fed?;
    summary.map_err(|error| run_failure(&error, &config_path))
}

/// First line of the demo's `reef.toml`: by it the demo knows a folder as its own.
const MARK: &str = "# written by `coral-pipeline demo`";

/// The folder of the demo's files.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
    colonies: PathBuf,
}

impl Folder {
    /// Removes the files of an earlier demo from the folder. A folder with other files stays unchanged.
    fn fresh(root: &Path) -> Result<Folder, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, "folder_failed", format!("cannot prepare {}", root.display()))
                .caused_by(Some(&error))
        };
        std::fs::create_dir_all(root).map_err(failed)?;
        let is_empty = std::fs::read_dir(root).map_err(failed)?.next().is_none();
        let config = root.join("reef.toml");
        let is_ours = std::fs::read(&config).is_ok_and(|text| text.starts_with(MARK.as_bytes()));
        if !is_empty && !is_ours {
            let message = format!("{} holds files that the demo did not write; choose another --out", root.display());
            return Err(Failure::new(Exit::Usage, "folder_in_use", message).docs("coral-pipeline demo --help"));
        }
        // from the start, so that a demo that was interrupted can be started again
        std::fs::write(&config, format!("{MARK}\n")).map_err(failed)?;
        let colonies = root.join("colonies");
        if colonies.exists() {
            std::fs::remove_dir_all(&colonies).map_err(failed)?;
        }
        for name in ["reef.duckdb", "reef.duckdb.wal"] {
            let file = root.join(name);
            if file.exists() {
                std::fs::remove_file(&file).map_err(failed)?;
            }
        }
        std::fs::create_dir_all(&colonies).map_err(failed)?;
        Ok(Folder { root: root.to_path_buf(), colonies })
    }

    fn config(&self) -> PathBuf {
        self.root.join("reef.toml")
    }

    /// Writes `reef.toml` and loads it, as `coral-pipeline run` would.
    fn write_config(&self, colonies: &Colonies) -> Result<ReefConfig, Failure> {
        let mut text =
            format!("{MARK}; the colonies it names ran inside the demo\nreef_id = \"{REEF_ID}\"\nname = \"demo\"\n");
        for (colony_id, place) in colonies.places() {
            text += &format!("\n[[colonies]]\ncolony_id = \"{colony_id}\"\n{place}\n");
        }
        text += "\n[storage]\ntype = \"duckdb\"\npath = \"reef.duckdb\"\n\n[collection]\nsummary_interval = \"1s\"\n";
        let path = self.config();
        std::fs::write(&path, text).map_err(|error| {
            Failure::new(Exit::Failed, "folder_failed", format!("cannot write {}", path.display()))
                .caused_by(Some(&error))
        })?;
        config::load(&path).map_err(|errors| Failure::from_error(Exit::Failed, "config_invalid", &errors))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_that_the_demo_did_not_write_stay() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        std::fs::create_dir(root.join("colonies")).unwrap();
        for file in ["colonies/mine.db", "reef.duckdb"] {
            std::fs::write(root.join(file), "mine").unwrap();
        }
        // without a reef.toml, and with one from elsewhere
        for config in [None, Some("reef_id = \"mine\"\n")] {
            if let Some(text) = config {
                std::fs::write(root.join("reef.toml"), text).unwrap();
            }
            let failure = Folder::fresh(root).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.ends_with("the demo did not write; choose another --out"), "{failure:?}");
            for file in ["colonies/mine.db", "reef.duckdb"] {
                assert_eq!(std::fs::read_to_string(root.join(file)).unwrap(), "mine");
            }
        }
        assert_eq!(std::fs::read_to_string(root.join("reef.toml")).unwrap(), "reef_id = \"mine\"\n");
    }

    #[test]
    fn what_an_earlier_demo_left_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("new/demo");
        // the first one is interrupted before it writes its whole configuration
        Folder::fresh(&root).unwrap();
        for file in ["colonies/old.db", "reef.duckdb", "reef.duckdb.wal", "notes.txt"] {
            std::fs::write(root.join(file), "old").unwrap();
        }
        let folder = Folder::fresh(&root).unwrap();
        assert_eq!(std::fs::read_dir(&folder.colonies).unwrap().count(), 0);
        let left = |name: &str| root.join(name).exists();
        assert_eq!([left("reef.duckdb"), left("reef.duckdb.wal"), left("notes.txt")], [false, false, true]);
    }
}
