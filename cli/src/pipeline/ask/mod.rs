//! Queries of a reef's patterns: answered from the store, or by the process that runs the reef and has the store open.
//!
//! | file | owns |
//! |---|---|
//! | `question` | queries, and their answers read from a store |
//! | `door` | the running reef's side: a Unix socket beside its store |
//! | `caller` | the asking side: the running process first, else the store |
//! | `links` | the tunnels of a running reef |
//! | `news` | patterns as lines while a reef runs |

pub(crate) mod caller;
pub(super) mod door;
mod links;
pub(super) mod news;
pub(crate) mod question;

#[cfg(test)]
mod tests;

use crate::output::Output;
use crate::pipeline::rules;
use door::Facts;
use mesh::Network;
use pipelines::config::{ReefConfig, StorageKind};
use pipelines::run::RunningReef;
use reef::analysis::Analyst;
use reef::api::Doors;
use reef::sql::SqlEngine;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long the running reef may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// How much longer a caller waits, so that it hears why there is no answer.
const CALLER_GRACE: Duration = Duration::from_secs(10);

/// Pieces of an answer that may wait for a slow caller.
const PIECES_MAX: usize = 8;

/// How long this process has been running reefs.
fn since_start() -> Duration {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    STARTED.get_or_init(Instant::now).elapsed()
}

/// The socket of the process that has the store at `store` open.
pub(super) fn socket_of(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".sock");
    PathBuf::from(name)
}

/// The file of the store; none where that is a server, which answers several processes.
pub(crate) fn store_file(config: &ReefConfig) -> Option<&Path> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => Some(path),
        StorageKind::ClickHouse { .. } => None,
    }
}

/// Waits for `running`, the run of `reef`. Meanwhile callers are answered beside a path, if one is given, and where the run
/// has no end, patterns are printed when they are confirmed or withdrawn.
pub(super) async fn attended<T>(
    (config, network, doors): (&ReefConfig, &Network, Option<Doors>),
    (reef, (analyst, sql), beside): (&RunningReef, (&Arc<Analyst>, &SqlEngine), Option<&Path>),
    output: &Output,
    running: impl Future<Output = T>,
) -> T {
    since_start();
    let door = beside.map(|path| {
        let known = rules::known(config);
        let (analyst, sql) = (Arc::clone(analyst), sql.clone());
        let facts = Facts { known, network: network.clone(), doors, answer_wait: ANSWER_WAIT, analyst, sql };
        let (path, reef) = (path.to_owned(), reef.clone());
        tokio::spawn(async move { door::answer_at(&path, reef, facts).await })
    });
    // a separate task: a slow reader of the lines must not delay the run
    let printer = (!config.is_finite()).then(|| {
        let (reef, output) = (reef.clone(), output.clone());
        tokio::spawn(async move { news::print(&reef, &output).await })
    });
    let ended = running.await;
    if let Some(door) = door {
        door.abort();
        // its socket has been removed; its cancellation is expected
        let _ = door.await;
    }
    if let Some(printer) = printer {
        printer.abort();
        let _ = printer.await;
        news::print_rest(reef, output);
    }
    ended
}
