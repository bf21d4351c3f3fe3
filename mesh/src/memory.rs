//! Memory: connections inside one process, for tests and simulations: no sockets; delays, cuts and refusals on demand.
//!
//! In turns, every direction of every connection delivers at milliseconds of its own, so that what two connections carry at
//! the same time arrives in an order that depends on the clock alone, and a paused clock makes a run repeatable.

use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

/// Bytes on their way in one direction; a writer waits for room.
const PIPE_BYTES_MAX: usize = 1 << 20;
/// Connections that wait to be accepted.
const BACKLOG: usize = 64;
/// Milliseconds in which every direction has one of its own.
const TURNS: u32 = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A network inside the process. Clones are the same one.
#[derive(Clone)]
pub struct MemoryNet {
    state: Arc<Mutex<State>>,
    /// Its connections are never refused.
    is_local: bool,
}

struct State {
    begun: Instant,
    is_in_turns: bool,
    turns: BTreeSet<u32>,
    listeners: BTreeMap<SocketAddr, mpsc::Sender<MemoryStream>>,
    wires: Vec<(SocketAddr, Weak<Mutex<Wire>>)>,
    delays: BTreeMap<SocketAddr, Duration>,
    refused: BTreeSet<SocketAddr>,
    next_port: u16,
}

impl fmt::Debug for MemoryNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryNet")
    }
}

impl MemoryNet {
    /// A network that delivers at once.
    pub fn new() -> MemoryNet {
        MemoryNet::with_turns(false)
    }

    /// A network in which every direction of every connection delivers at milliseconds of its own.
    pub fn in_turns() -> MemoryNet {
        MemoryNet::with_turns(true)
    }

    fn with_turns(is_in_turns: bool) -> MemoryNet {
        let state = Arc::new(Mutex::new(State {
            begun: Instant::now(),
            is_in_turns,
            turns: BTreeSet::new(),
            listeners: BTreeMap::new(),
            wires: Vec::new(),
            delays: BTreeMap::new(),
            refused: BTreeSet::new(),
            next_port: 1,
        }));
        MemoryNet { state, is_local: false }
    }

    /// The same network as those see it who are on the machine that they dial: they are never refused.
    pub fn local(&self) -> MemoryNet {
        MemoryNet { state: Arc::clone(&self.state), is_local: true }
    }

    /// Breaks all connections to a listener, as a lost line does: both ends see a reset.
    pub fn cut(&self, address: SocketAddr) {
        let mut state = lock(&self.state);
        for wire in state.wires.iter().filter(|(to, _)| *to == address).filter_map(|(_, wire)| wire.upgrade()) {
            lock(&wire).break_off();
        }
        state.wires.retain(|(_, wire)| wire.strong_count() > 0);
    }

    /// Whether new connections to a listener are refused.
    pub fn refuse(&self, address: SocketAddr, is_refused: bool) {
        let refused = &mut lock(&self.state).refused;
        if is_refused {
            refused.insert(address);
        } else {
            refused.remove(&address);
        }
    }

    /// How much longer everything to and from a listener takes from now on.
    pub fn delay(&self, address: SocketAddr, delay: Duration) {
        lock(&self.state).delays.insert(address, delay);
    }

    /// Listens; port 0 takes a free one.
    pub fn listen(&self, address: SocketAddr) -> io::Result<MemoryListener> {
        let mut state = lock(&self.state);
        let mut address = address;
        if address.port() == 0 {
            address.set_port(state.next_port);
            state.next_port = state.next_port.wrapping_add(1).max(1);
        }
        if state.listeners.get(&address).is_some_and(|listener| !listener.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, accepted) = mpsc::channel(BACKLOG);
        state.listeners.insert(address, sender);
        Ok(MemoryListener { address, accepted })
    }

    /// Connects to a listener.
    pub fn connect(&self, to: SocketAddr) -> io::Result<MemoryStream> {
        let mut state = lock(&self.state);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        if state.refused.contains(&to) && !self.is_local {
            return Err(refused());
        }
        let listener = state.listeners.get(&to).cloned().ok_or_else(refused)?;
        let turns = [state.take_turn(), state.take_turn()];
        let pipes = turns.map(Pipe::new);
        let wire = Arc::new(Mutex::new(Wire { to, pipes, is_broken: false }));
        state.wires.retain(|(_, wire)| wire.strong_count() > 0);
        state.wires.push((to, Arc::downgrade(&wire)));
        drop(state);
        let end = |side| MemoryStream { net: self.clone(), wire: Arc::clone(&wire), side, timer: None };
        let (here, there) = (end(0), end(1));
        listener.try_send(there).map_err(|_| refused())?;
        Ok(here)
    }

    /// When what is written now arrives.
    fn arrival(&self, to: SocketAddr, turn: u32) -> Instant {
        let state = lock(&self.state);
        let at = Instant::now() + state.delays.get(&to).copied().unwrap_or_default();
        if !state.is_in_turns {
            return at;
        }
        let (turn, turns) = (u64::from(turn), u64::from(TURNS));
        let next_ms = u64::try_from((at - state.begun).as_millis()).unwrap_or(u64::MAX / 2) + 1;
        let wait_ms = (turn + turns - next_ms % turns) % turns;
        state.begun + Duration::from_millis(next_ms + wait_ms)
    }
}

impl Default for MemoryNet {
    fn default() -> MemoryNet {
        MemoryNet::new()
    }
}

impl State {
    /// The lowest turn that no connection has; more connections than turns share the last one.
    fn take_turn(&mut self) -> u32 {
        let turn = (1..TURNS - 1).find(|turn| !self.turns.contains(turn)).unwrap_or(TURNS - 1);
        self.turns.insert(turn);
        turn
    }
}

/// Both directions of a connection.
struct Wire {
    to: SocketAddr,
    /// What each side writes.
    pipes: [Pipe; 2],
    is_broken: bool,
}

impl Wire {
    fn break_off(&mut self) {
        self.is_broken = true;
        self.pipes.iter_mut().for_each(Pipe::wake);
    }
}

/// One direction.
struct Pipe {
    turn: u32,
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    newest: Option<Instant>,
    /// When the reader sees the end.
    ends_at: Option<Instant>,
    is_unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn new(turn: u32) -> Pipe {
        Pipe {
            turn,
            chunks: VecDeque::new(),
            bytes: 0,
            newest: None,
            ends_at: None,
            is_unread: false,
            reader: None,
            writer: None,
        }
    }

    /// Bytes stay in order: nothing arrives before what was written earlier.
    fn after_others(&mut self, at: Instant) -> Instant {
        let at = self.newest.map_or(at, |newest| newest.max(at));
        self.newest = Some(at);
        at
    }

    fn wake(&mut self) {
        [self.reader.take(), self.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }
}

/// Where connections come in.
#[derive(Debug)]
pub struct MemoryListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<MemoryStream>,
}

impl MemoryListener {
    /// The address in fact listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection; `None` never comes while the network lives.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<MemoryStream>> {
        self.accepted.poll_recv(cx)
    }
}

/// One end of a connection.
pub struct MemoryStream {
    net: MemoryNet,
    wire: Arc<Mutex<Wire>>,
    side: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for MemoryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStream({})", lock(&self.wire).to)
    }
}

impl MemoryStream {
    /// Where the connection was dialled.
    pub fn address(&self) -> SocketAddr {
        lock(&self.wire).to
    }

    /// Ends what this side writes.
    fn finish(&self) {
        let (to, turn) = {
            let wire = lock(&self.wire);
            (wire.to, wire.pipes[self.side].turn)
        };
        let at = self.net.arrival(to, turn);
        let mut wire = lock(&self.wire);
        let pipe = &mut wire.pipes[self.side];
        if pipe.ends_at.is_none() {
            let at = pipe.after_others(at);
            pipe.ends_at = Some(at);
            pipe.wake();
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let next = {
                let mut wire = lock(&this.wire);
                if wire.is_broken {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                let pipe = &mut wire.pipes[1 - this.side];
                let now = Instant::now();
                match (pipe.chunks.front_mut(), pipe.ends_at) {
                    (Some((at, chunk)), _) if *at <= now => {
                        let taken = chunk.len().min(buffer.remaining());
                        buffer.put_slice(&chunk[..taken]);
                        chunk.drain(..taken);
                        if chunk.is_empty() {
                            pipe.chunks.pop_front();
                        }
                        pipe.bytes -= taken;
                        pipe.writer.take().into_iter().for_each(Waker::wake);
                        return Poll::Ready(Ok(()));
                    }
                    (None, Some(at)) if at <= now => return Poll::Ready(Ok(())),
                    (chunk, end) => {
                        pipe.reader = Some(cx.waker().clone());
                        chunk.map(|(at, _)| *at).or(end)
                    }
                }
            };
            let Some(at) = next else { return Poll::Pending };
            let timer = this.timer.insert(Box::pin(sleep_until(at)));
            ready!(timer.as_mut().poll(cx));
        }
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (to, turn) = {
            let wire = lock(&self.wire);
            (wire.to, wire.pipes[self.side].turn)
        };
        let at = self.net.arrival(to, turn);
        let mut wire = lock(&self.wire);
        let is_broken = wire.is_broken;
        let pipe = &mut wire.pipes[self.side];
        if is_broken || pipe.is_unread || pipe.ends_at.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if pipe.bytes >= PIPE_BYTES_MAX {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.len().min(PIPE_BYTES_MAX - pipe.bytes);
        let at = pipe.after_others(at);
        pipe.chunks.push_back((at, bytes[..taken].to_vec()));
        pipe.bytes += taken;
        pipe.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.finish();
        let mut wire = lock(&self.wire);
        let incoming = &mut wire.pipes[1 - self.side];
        incoming.is_unread = true;
        incoming.wake();
        let turns = wire.pipes.each_ref().map(|pipe| pipe.turn);
        let is_last = Arc::strong_count(&self.wire) == 1;
        drop(wire);
        if is_last {
            let mut state = lock(&self.net.state);
            state.turns.retain(|turn| !turns.contains(turn));
        }
    }
}

/// Connects inside the network, as tonic asks for it.
#[derive(Clone, Debug)]
pub(crate) struct MemoryConnector {
    pub(crate) net: MemoryNet,
    pub(crate) to: SocketAddr,
}

impl Service<http::Uri> for MemoryConnector {
    type Response = TokioIo<MemoryStream>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<MemoryStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        std::future::ready(self.net.connect(self.to).map(TokioIo::new))
    }
}
