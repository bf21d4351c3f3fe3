//! Lead: process 0. It owns the store and the run; the other processes read for it and work in its dataflow.

use super::alarm::Alarm;
use super::link::{Link, queue};
use super::meet::Met;
use super::remote::{Awaited, FromReader, RemoteSource};
use super::stream::DataStream;
use super::wire::Frame;
use super::{BuildInputs, Place, asked};
use crate::config::ReefConfig;
use crate::engine::Engine;
use crate::engine::workers::Peers;
use crate::error::ClusterError;
use crate::error::EngineError;
use crate::error::RunError;
use crate::open::{params, store};
use crate::progress::{Ended, RunSummary};
use crate::run::handle::Announcer;
use crate::run::{DriveOptions, RunOptions, drive_with};
use model::error::one_line;
use sources::Source;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the others may take to acknowledge the end of the run.
const END_WAIT: Duration = Duration::from_secs(5);

/// Runs the reef with the connected processes, and sends them the result.
pub(super) async fn lead(
    config: &ReefConfig,
    place: &Place,
    met: Met,
    (options, announcer): (RunOptions, Announcer),
    inputs: &BuildInputs,
) -> Result<RunSummary, RunError> {
    let alarm = Alarm::default();
    let is_ending = Arc::new(AtomicBool::new(false));
    let (stop, shutdown) = watch::channel(false);
    let mut forwarding = JoinSet::new();
    forwarding.spawn(forward(options.shutdown.clone(), stop.clone()));

    let (mut links, mut opened, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for (peer, stream) in met.controls {
        let (frames, to_write) = queue();
        let (mut from, awaited) = FromReader::new(peer.clone(), frames.clone(), stop.clone(), alarm.clone());
        let watch = (alarm.clone(), Arc::clone(&is_ending));
        links.push(Link::start((peer, stream), (frames, to_write), place.silence, watch, move |frame| {
            from.take(frame);
        }));
        let Awaited { opened: on_opened, ended: on_ended } = awaited;
        opened.push(on_opened);
        ended.push(on_ended);
    }
    let peers = peers(place, met.streams, &alarm, &is_ending);
    let options = RunOptions { shutdown, ..options };
    let result = tokio::select! {
        biased;
        fault = alarm.raised() => Err(RunError::Cluster(fault)),
        result = conduct(config, place, &links, opened, peers, (options, announcer), inputs) => result,
    };
    match &result {
        Ok(summary) => end(links, ended, summary.ended == Ended::Stopped, &is_ending).await,
        Err(error) => fail(links, error).await,
    }
    result
}

/// The data connections as timely takes them.
pub(super) fn peers(
    place: &Place,
    sockets: Vec<Option<std::net::TcpStream>>,
    alarm: &Alarm,
    is_ending: &Arc<AtomicBool>,
) -> Peers<DataStream> {
    let wrap = |(process, socket): (usize, Option<std::net::TcpStream>)| {
        socket.map(|socket| DataStream::new(socket, place.peer(process), alarm.clone(), Arc::clone(is_ending)))
    };
    Peers { process: place.process, streams: sockets.into_iter().enumerate().map(wrap).collect() }
}

/// A stop of any process stops all.
async fn forward(shutdown: watch::Receiver<bool>, stop: watch::Sender<bool>) {
    asked(shutdown).await;
    stop.send_replace(true);
}

/// The run itself, as in one process, with the sources of the others in addition to its own.
async fn conduct(
    config: &ReefConfig,
    place: &Place,
    links: &[Link],
    opened: Vec<oneshot::Receiver<Vec<RemoteSource>>>,
    peers: Peers<DataStream>,
    (options, announcer): (RunOptions, Announcer),
    inputs: &BuildInputs,
) -> Result<RunSummary, RunError> {
    let engine = Engine::start_among(params::from_config(config), config.engine.workers, Some(peers))?;
    let store = store::open_for_run(config, &options.clock).await?;
    let positions = store.reader().positions().await?;
    for link in links {
        link.send(Frame::Start { positions: positions.clone() }).await;
    }
    let mut sources = inputs(config, &positions, place.share(), &options.source_context())?;
    for opened in opened {
        // closed only with its link, and that raises the alarm
        let remote = opened.await.map_err(|_| EngineError::Gone)?;
        sources.extend(remote.into_iter().map(|source| Box::new(source) as Box<dyn Source>));
    }
    let with = DriveOptions { engine: Some(engine), announcer, ..DriveOptions::default() };
    let (summary, store) = drive_with(config, store, sources, options, with).await?;
    store.close().await?;
    Ok(summary)
}

/// Sends the end of the run to the others, and waits for their acknowledgement.
async fn end(links: Vec<Link>, ended: Vec<oneshot::Receiver<()>>, is_stopped: bool, is_ending: &AtomicBool) {
    is_ending.store(true, Ordering::Relaxed);
    for link in &links {
        link.send(Frame::End { is_stopped }).await;
    }
    for (link, ended) in links.iter().zip(ended) {
        // everything is stored; a process that has already ended misses only this message
        if !matches!(timeout(END_WAIT, ended).await, Ok(Ok(()))) {
            tracing::warn!(peer = %link.peer(), "run finished; this process did not acknowledge the end");
        }
    }
}

/// Sends the others the reason of the failure.
async fn fail(links: Vec<Link>, error: &RunError) {
    let message = one_line(error);
    let mut farewells = JoinSet::new();
    for link in links {
        // the lost process need not be notified
        if let RunError::Cluster(ClusterError::Lost { peer, .. } | ClusterError::Failed { peer, .. }) = error
            && peer == link.peer()
        {
            continue;
        }
        farewells.spawn(link.close(Frame::Failed { message: message.clone() }));
    }
    while farewells.join_next().await.is_some() {}
}
