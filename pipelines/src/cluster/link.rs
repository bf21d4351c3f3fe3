//! Link: a control connection while it lives. Two tasks write and read; silence, an end or a fault raises the alarm.

use super::alarm::Alarm;
use super::wire::{self, Frame};
use crate::error::ClusterError;
use crate::error::Peer;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Frames that may wait to be written.
const QUEUE_FRAMES: usize = 64;
/// Heartbeats in the time after which a silent process is lost.
const BEATS_IN_SILENCE: u32 = 8;
/// How long sending the last frame may take, and the other side's closing after it.
const FAREWELL: Duration = Duration::from_secs(2);

/// What to write, and the receiving end of it.
pub(super) fn queue() -> (mpsc::Sender<Frame>, mpsc::Receiver<Frame>) {
    mpsc::channel(QUEUE_FRAMES)
}

/// A control connection. Dropping it closes it.
pub(super) struct Link {
    peer: Peer,
    frames: mpsc::Sender<Frame>,
    tasks: JoinSet<()>,
    is_ending: Arc<AtomicBool>,
}

/// What both tasks know.
#[derive(Clone)]
struct Watch {
    peer: Peer,
    silence: Duration,
    alarm: Alarm,
    is_ending: Arc<AtomicBool>,
}

impl Link {
    /// Starts the two tasks. `on_frame` is called with each frame but heartbeats and must not wait for anything.
    pub(super) fn start(
        (peer, stream): (Peer, TcpStream),
        (frames, to_write): (mpsc::Sender<Frame>, mpsc::Receiver<Frame>),
        silence: Duration,
        (alarm, is_ending): (Alarm, Arc<AtomicBool>),
        on_frame: impl FnMut(Frame) + Send + 'static,
    ) -> Link {
        let (from, to) = stream.into_split();
        let watch = Watch { peer: peer.clone(), silence, alarm, is_ending: Arc::clone(&is_ending) };
        let mut tasks = JoinSet::new();
        tasks.spawn(write(to, to_write, watch.clone()));
        tasks.spawn(read(from, watch, on_frame));
        Link { peer, frames, tasks, is_ending }
    }

    /// The peer process.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends a frame. The alarm handles a lost peer.
    pub(super) async fn send(&self, frame: Frame) {
        let _ = self.frames.send(frame).await;
    }

    /// Sends the last frame and waits briefly until the peer has closed the connection.
    pub(super) async fn close(mut self, last: Frame) {
        self.is_ending.store(true, Ordering::Relaxed);
        let farewell = async {
            self.send(last).await;
            while self.tasks.join_next().await.is_some() {}
        };
        // the peer may be the lost one
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl Watch {
    fn lost(&self, error: &Error) {
        if self.is_ending.load(Ordering::Relaxed) {
            return;
        }
        let peer = self.peer.clone();
        self.alarm.raise(match error.kind() {
            ErrorKind::UnexpectedEof => ClusterError::Lost { peer, what: "it closed the connection".to_owned() },
            ErrorKind::InvalidData => ClusterError::Protocol { peer, what: error.to_string() },
            _ => ClusterError::Lost { peer, what: error.to_string() },
        });
    }
}

async fn write(mut to: OwnedWriteHalf, mut frames: mpsc::Receiver<Frame>, watch: Watch) {
    loop {
        let frame = match timeout(watch.silence / BEATS_IN_SILENCE, frames.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(_) => Frame::Beat,
        };
        if let Err(error) = wire::write(&mut to, &frame).await {
            return watch.lost(&error);
        }
        if frame.is_last() {
            // the peer may have closed the connection first
            let _ = to.shutdown().await;
            return;
        }
    }
}

async fn read(from: OwnedReadHalf, watch: Watch, mut on_frame: impl FnMut(Frame)) {
    let mut from = BufReader::new(from);
    loop {
        match timeout(watch.silence, wire::read(&mut from)).await {
            Ok(Ok(Frame::Beat)) => {}
            Ok(Ok(Frame::Failed { message })) => {
                watch.alarm.raise(ClusterError::Failed { peer: watch.peer.clone(), message });
                return;
            }
            Ok(Ok(frame)) => on_frame(frame),
            Ok(Err(error)) => return watch.lost(&error),
            Err(_) => {
                let silent_s = watch.silence.as_secs();
                watch.alarm.raise(ClusterError::Silent { peer: watch.peer.clone(), silent_s });
                return;
            }
        }
    }
}
