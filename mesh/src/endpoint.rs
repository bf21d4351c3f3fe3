//! One end of tunnels: a socket, its state machine and its TCP stack, driven by one task.

use crate::datagrams::{SCRATCH_BYTES, Socket};
use crate::netstack::{Handle, Netstack, Windows};
use crate::outbox::{DATAGRAMS_MAX, Outbox};
use crate::peers::{Peers, Registered};
use crate::stats::Drops;
use crate::stun::Question;
use crate::uplink::{Phase, Uplink};
use crate::wire::DATAGRAM_MAX;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

/// Timer interval.
const TICK: Duration = Duration::from_millis(250);
/// Datagrams read before anything else is done.
const BURST: usize = 64;
/// Rounds between TCP and tunnel before the socket is polled again.
const ROUNDS: usize = 8;
/// Buffers for reuse are freed after this time without a datagram.
const TRIM_AFTER: Duration = Duration::from_secs(1);
/// A difference between wall clock and monotonic clock from which on the machine has slept, or its clock was set.
const CLOCK_STEP_MS: i64 = 10_000;

thread_local! {
    /// What a system call reads into or sends from; never used across a wait, so that all tunnels of a thread share it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// Whose end it is.
pub(crate) enum Side {
    /// A colony's door.
    Colony(Box<Peers>),
    /// A reef's way to one colony.
    Reef(Box<Uplink>),
    /// A reef between two calls.
    Idle,
}

/// What the task and the streams share. Locked for one turn or one copy, never while waiting.
pub(crate) struct Core {
    pub(crate) stack: Netstack,
    /// Generation of the stack: connections of an earlier one are closed.
    pub(crate) generation: u64,
    pub(crate) side: Side,
    pub(crate) accept_waker: Option<Waker>,
    /// The last request to a STUN server.
    question: Option<Question>,
    out: Outbox,
    mtu: u16,
    windows: Windows,
    next_tick: Instant,
}

impl Core {
    fn drops(&self) -> Drops {
        match &self.side {
            Side::Colony(peers) => peers.drops,
            Side::Reef(uplink) => uplink.drops,
            Side::Idle => Drops::default(),
        }
    }

    /// Ends every connection and restarts at `address`.
    fn renew_stack(&mut self, address: Ipv4Addr, mtu: u16, now: Instant) {
        self.stack.abort_all();
        self.pump(now);
        self.mtu = mtu;
        self.generation += 1;
        self.stack = Netstack::new(address, mtu, self.windows, now);
    }

    /// One iteration: handles received datagrams and due timers. Returns when the next one is due.
    fn turn(&mut self, now: Instant, received: &mut Vec<(SocketAddr, Vec<u8>)>) -> Instant {
        for (from, datagram) in received.drain(..) {
            let is_answer = self.question.as_mut().is_some_and(|question| question.take(from, &datagram));
            match &mut self.side {
                _ if is_answer => {}
                Side::Colony(peers) => peers.receive(now, from, &datagram, &mut self.out),
                Side::Reef(uplink) => uplink.receive(now, from, &datagram, &mut self.out),
                Side::Idle => {}
            }
            self.out.recycle(datagram);
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        self.pump(now);
        if self.stack.has_accepted()
            && let Some(waker) = self.accept_waker.take()
        {
            waker.wake();
        }
        let at = self.stack.poll_at(now).map_or(self.next_tick, |at| at.min(self.next_tick));
        // "now", after all has been done that can be done now, is as soon as a timer goes
        if at <= now { now + Duration::from_millis(1) } else { at }
    }

    /// Registers a peer of a colony. Connections of an earlier peer with its address are reset now: the next ones with
    /// that address are its own.
    pub(crate) fn register(&mut self, reef: &Registered, now: Instant) -> bool {
        let Side::Colony(peers) = &mut self.side else { return false };
        let is_there = peers.register(reef, now);
        for address in peers.to_abort.drain(..) {
            self.stack.abort_peer(address);
        }
        is_there
    }

    fn tick(&mut self, now: Instant) {
        match &mut self.side {
            Side::Colony(peers) => {
                peers.tick(now, &mut self.out);
                for address in peers.to_abort.drain(..) {
                    self.stack.abort_peer(address);
                }
            }
            Side::Reef(uplink) => {
                uplink.tick(now, &mut self.out);
                let (address, found) = (uplink.address(), uplink.mtu());
                if let Some(mtu) = found.filter(|mtu| *mtu != self.mtu) {
                    tracing::info!(mtu, before = self.mtu, "the path carries packets of another size");
                    self.renew_stack(address, mtu, now);
                }
            }
            Side::Idle => {}
        }
    }

    /// Moves packets between TCP and tunnel until neither has more, or the socket's queue is full.
    fn pump(&mut self, now: Instant) {
        for _ in 0..ROUNDS {
            self.stack.poll(now, &mut self.out);
            let mut is_moved = false;
            while !self.out.is_full() {
                let Some(packet) = self.stack.packet(now) else { break };
                match &mut self.side {
                    Side::Colony(peers) => peers.send(now, &packet, &mut self.out),
                    Side::Reef(uplink) => uplink.send(now, &packet, &mut self.out),
                    Side::Idle => {}
                }
                self.out.recycle(packet);
                is_moved = true;
            }
            if !is_moved || self.out.is_full() {
                break;
            }
        }
    }
}

/// The shared half of an endpoint.
pub(crate) struct Endpoint {
    core: Mutex<Core>,
    wake: Notify,
    phase: watch::Sender<Option<Phase>>,
}

impl Endpoint {
    pub(crate) fn new(side: Side, address: Ipv4Addr, mtu: u16, windows: Windows) -> Endpoint {
        let now = Instant::now();
        let core = Core {
            stack: Netstack::new(address, mtu, windows, now),
            generation: 0,
            side,
            accept_waker: None,
            question: None,
            out: Outbox::default(),
            mtu,
            windows,
            next_tick: now,
        };
        Endpoint { core: Mutex::new(core), wake: Notify::new(), phase: watch::Sender::new(None) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // a panic while the lock was held ends the task that owns it; the rest is only shut down
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another task has added something.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn drops(&self) -> Drops {
        self.lock().drops()
    }

    /// How a reef's tunnel is, as it changes.
    pub(crate) fn phase(&self) -> watch::Receiver<Option<Phase>> {
        self.phase.subscribe()
    }

    /// Adds another side with its own TCP stack.
    pub(crate) fn replace(&self, uplink: Option<Uplink>) {
        let now = Instant::now();
        let mut core = self.lock();
        if let Some(uplink) = uplink {
            let (address, mtu) = (uplink.address(), core.mtu);
            let mtu = uplink.mtu().unwrap_or(mtu);
            core.renew_stack(address, mtu, now);
            self.phase.send_replace(Some(uplink.phase));
            core.side = Side::Reef(Box::new(uplink));
        } else {
            let address = core.stack.address();
            let mtu = core.mtu;
            core.renew_stack(address, mtu, now);
            core.side = Side::Idle;
            self.phase.send_replace(None);
        }
        core.next_tick = now;
        drop(core);
        self.wake();
    }

    /// Asks a STUN server from this socket. The response may be lost.
    pub(crate) fn ask_stun(&self, server: SocketAddr) -> oneshot::Receiver<SocketAddr> {
        let mut core = self.lock();
        let (question, answered) = Question::ask(server, &mut core.out);
        core.question = Some(question);
        drop(core);
        self.wake();
        answered
    }

    /// A reef's address, once the colony has given it.
    pub(crate) fn set_address(&self, address: Ipv4Addr) {
        let mut core = self.lock();
        if let Side::Reef(uplink) = &mut core.side {
            uplink.set_address(address);
        }
        core.stack.set_address(address);
    }

    /// Closes a connection whose stream was dropped.
    pub(crate) fn let_go(&self, generation: u64, handle: Handle) {
        let mut core = self.lock();
        if core.generation == generation {
            core.stack.let_go(handle);
            drop(core);
            self.wake();
        }
    }

    /// Runs until `stop`. Then connections are reset, so that peers do not wait for a timeout.
    pub(crate) async fn run(&self, socket: &Socket, wall_ms: impl Fn() -> i64, mut stop: watch::Receiver<bool>) {
        let mut io = Io { socket, received: Vec::new(), to_send: VecDeque::new(), spare: Vec::new() };
        let mut busy_at = Instant::now();
        let mut clocks = Clocks::new(Instant::now(), wall_ms());
        loop {
            let is_more = io.receive();
            let now = Instant::now();
            if !io.received.is_empty() {
                busy_at = now;
            } else if now.saturating_duration_since(busy_at) >= TRIM_AFTER {
                // a reef has many tunnels, and most of them are quiet
                busy_at = now;
                io.trim();
                self.lock().out.trim();
            }
            let is_stepped = clocks.is_stepped(now, wall_ms());
            let next = {
                let mut core = self.lock();
                if is_stepped && let Side::Reef(uplink) = &mut core.side {
                    tracing::info!("the clock was set or the machine has slept: agreeing on new keys");
                    uplink.wake(now);
                }
                let next = core.turn(now, &mut io.received);
                self.publish(&core);
                std::mem::swap(&mut core.out.datagrams, &mut io.to_send);
                next
            };
            let was_full = io.to_send.len() >= DATAGRAMS_MAX;
            io.send().await;
            io.give_back(&mut self.lock().out);
            if is_more || was_full {
                // other tasks of this thread must run
                tokio::task::yield_now().await;
                if !*stop.borrow() {
                    continue;
                }
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                _ = socket.readable() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
        {
            let mut core = self.lock();
            core.stack.abort_all();
            core.pump(Instant::now());
            std::mem::swap(&mut core.out.datagrams, &mut io.to_send);
        }
        io.send().await;
    }

    fn publish(&self, core: &Core) {
        if let Side::Reef(uplink) = &core.side {
            self.phase.send_if_modified(|phase| {
                let is_new = *phase != Some(uplink.phase);
                *phase = Some(uplink.phase);
                is_new
            });
        }
    }
}

/// The socket's side of the task.
struct Io<'a> {
    socket: &'a Socket,
    received: Vec<(SocketAddr, Vec<u8>)>,
    to_send: VecDeque<(SocketAddr, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

impl Io<'_> {
    fn trim(&mut self) {
        (self.spare, self.received, self.to_send) = Default::default();
    }

    /// Reads about a burst; true when there may be more.
    fn receive(&mut self) -> bool {
        let Io { socket, received, spare, .. } = self;
        while received.len() < BURST {
            let mut take = |from, datagram: &[u8]| {
                let mut buffer = spare.pop().unwrap_or_default();
                buffer.clear();
                // one byte more than our longest message: anything longer is invalid
                buffer.extend_from_slice(&datagram[..datagram.len().min(DATAGRAM_MAX + 1)]);
                received.push((from, buffer));
            };
            let took = SCRATCH.with_borrow_mut(|scratch| socket.try_receive(scratch, &mut take));
            match took {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => {
                    // a refusal that came back for an earlier datagram
                    tracing::trace!(%error, "receive");
                    return true;
                }
            }
        }
        true
    }

    async fn send(&mut self) {
        while !self.to_send.is_empty() {
            match SCRATCH.with_borrow_mut(|scratch| self.socket.try_send(&self.to_send, scratch)) {
                Ok(count) => self.spare.extend(self.to_send.drain(..count).map(|(_, buffer)| buffer)),
                Err(_) => {
                    // full, or closed; then nothing can be done
                    if self.socket.writable().await.is_err() {
                        self.to_send.clear();
                    }
                }
            }
        }
    }

    fn give_back(&mut self, out: &mut Outbox) {
        while self.spare.len() > 2 * BURST
            && let Some(buffer) = self.spare.pop()
        {
            out.recycle(buffer);
        }
        while self.spare.len() < BURST
            && let Some(buffer) = out.spare()
        {
            self.spare.push(buffer);
        }
    }
}

/// The two clocks of a machine, to see when they part.
struct Clocks {
    at: Instant,
    wall_ms: i64,
}

impl Clocks {
    fn new(at: Instant, wall_ms: i64) -> Clocks {
        Clocks { at, wall_ms }
    }

    /// True if the wall clock has jumped ahead, as after sleep. Setting it back is harmless.
    fn is_stepped(&mut self, now: Instant, wall_ms: i64) -> bool {
        let elapsed = i64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(i64::MAX);
        let step = wall_ms.saturating_sub(self.wall_ms).saturating_sub(elapsed);
        *self = Clocks::new(now, wall_ms);
        step >= CLOCK_STEP_MS
    }
}
