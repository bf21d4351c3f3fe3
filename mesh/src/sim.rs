//! An in-memory network for tests and benches: loss, delay, order, rate, duplicates and small MTUs from one seed, in
//! tokio's time, so that a paused clock runs hours of it at once.

use crate::noise::Tunnel;
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::noise::psk::Psk;
use crate::secret::Secret;
use crate::wire::DATAGRAM_MAX;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Datagrams that wait at a socket; later ones are dropped, as a kernel does.
const INBOX_MAX: usize = 4096;
/// Bytes of IPv4 and UDP headers before a datagram.
const HEADERS: usize = 28;

/// What a path does to datagrams.
#[derive(Clone, Debug)]
pub struct Path {
    /// One-way delay.
    pub delay: Duration,
    /// Up to this much more, at random: datagrams overtake one another.
    pub jitter: Duration,
    /// Share of datagrams lost, 0 to 1.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub duplicates: f64,
    /// Largest IP packet that passes; larger ones are dropped silently.
    pub mtu: usize,
    /// Bits per second of the path, and datagrams that may wait before it; `None` is no limit.
    pub rate: Option<(u64, usize)>,
    /// Nothing passes.
    pub is_cut: bool,
}

impl Default for Path {
    fn default() -> Path {
        Path {
            delay: Duration::from_micros(50),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicates: 0.0,
            mtu: 1500,
            rate: None,
            is_cut: false,
        }
    }
}

/// A sent datagram.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its source.
    pub from: SocketAddr,
    /// Its destination.
    pub to: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A handshake of a sender that knows a colony's key but not its secret.
pub fn stranger(colony: &PublicKey) -> Vec<u8> {
    let mut datagram = vec![0; DATAGRAM_MAX];
    let psk = Psk::derive(&Secret::generate(), "guess", colony);
    let index = u32::from_le_bytes(crate::random::random()) >> 8;
    let len = Tunnel::new(&PrivateKey::generate(), colony, &psk, index, None).initiate(&mut datagram);
    datagram.truncate(len.unwrap_or_default());
    datagram
}

struct State {
    random: StdRng,
    path: Path,
    inboxes: HashMap<SocketAddr, Arc<Inbox>>,
    next_port: u16,
    free_at: Option<Instant>,
    record: Option<Vec<Sent>>,
    /// Addresses that a router shows in place of others.
    translated: HashMap<SocketAddr, SocketAddr>,
    sent: u64,
}

struct Inbox {
    queue: Mutex<VecDeque<(Instant, SocketAddr, Vec<u8>)>>,
    arrived: Notify,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct SimNet(Arc<Mutex<State>>);

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimNet")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimNet {
    /// A network whose accidents follow from `seed`.
    pub fn new(seed: u64, path: Path) -> SimNet {
        SimNet(Arc::new(Mutex::new(State {
            random: StdRng::seed_from_u64(seed),
            path,
            inboxes: HashMap::new(),
            next_port: 40_000,
            free_at: None,
            record: None,
            translated: HashMap::new(),
            sent: 0,
        })))
    }

    /// Changes what the path does from now on.
    pub fn change(&self, change: impl FnOnce(&mut Path)) {
        change(&mut lock(&self.0).path);
    }

    /// Keeps a copy of every datagram from now on.
    pub fn start_record(&self) {
        lock(&self.0).record = Some(Vec::new());
    }

    /// The datagrams sent since then.
    pub fn recorded(&self) -> Vec<Sent> {
        lock(&self.0).record.clone().unwrap_or_default()
    }

    /// Datagrams sent so far.
    pub fn sent(&self) -> u64 {
        lock(&self.0).sent
    }

    /// From now on datagrams of `inside` come from `outside`, and those to `outside` reach it: a router with another
    /// mapping, or a machine in another network.
    pub fn translate(&self, inside: SocketAddr, outside: SocketAddr) {
        lock(&self.0).translated.insert(inside, outside);
    }

    /// Puts a datagram on its way as if `from` had sent it.
    pub fn inject(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        self.send(from, to, datagram);
    }

    /// A socket; the address 0 is any, the port 0 a free one.
    pub fn bind(&self, address: SocketAddr) -> io::Result<SimSocket> {
        let mut state = lock(&self.0);
        let mut address = address;
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        if address.port() == 0 {
            state.next_port += 1;
            address.set_port(state.next_port);
        }
        if state.inboxes.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let inbox = Arc::new(Inbox { queue: Mutex::default(), arrived: Notify::new() });
        state.inboxes.insert(address, inbox.clone());
        Ok(SimSocket { address, inbox, net: self.clone() })
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let mut state = lock(&self.0);
        let state = &mut *state;
        state.sent += 1;
        let from = state.translated.get(&from).copied().unwrap_or(from);
        if let Some(record) = &mut state.record {
            record.push(Sent { from, to, bytes: datagram.to_vec() });
        }
        let to = state.translated.iter().find(|(_, outside)| **outside == to).map_or(to, |(inside, _)| *inside);
        if state.path.is_cut
            || datagram.len() + HEADERS > state.path.mtu
            || state.random.random::<f64>() < state.path.loss
        {
            return;
        }
        let Some(inbox) = state.inboxes.get(&to).cloned() else { return };
        let copies = 1 + usize::from(state.random.random::<f64>() < state.path.duplicates);
        for _ in 0..copies {
            let now = Instant::now();
            let mut at = now + state.path.delay;
            if let Some((bits, queue)) = state.path.rate {
                let takes = Duration::from_nanos(
                    ((datagram.len() + HEADERS) as u64 * 8).saturating_mul(1_000_000_000) / bits.max(1),
                );
                let free = state.free_at.filter(|free| *free > now).unwrap_or(now);
                if free > now + takes * u32::try_from(queue).unwrap_or(u32::MAX) {
                    return;
                }
                state.free_at = Some(free + takes);
                at = free + takes + state.path.delay;
            }
            at += state.path.jitter.mul_f64(state.random.random::<f64>());
            let mut waiting = lock(&inbox.queue);
            if waiting.len() < INBOX_MAX {
                let place = waiting.partition_point(|(other, ..)| *other <= at);
                waiting.insert(place, (at, from, datagram.to_vec()));
            }
            inbox.arrived.notify_one();
        }
    }
}

/// One end.
pub struct SimSocket {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    net: SimNet,
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimSocket({})", self.address)
    }
}

impl SimSocket {
    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a datagram has arrived.
    pub async fn readable(&self) {
        loop {
            let arrived = self.inbox.arrived.notified();
            let next = lock(&self.inbox.queue).front().map(|(at, ..)| *at);
            match next {
                Some(at) if at <= Instant::now() => return,
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = arrived => {}
                    }
                }
                None => arrived.await,
            }
        }
    }

    /// The next datagram that has arrived.
    pub fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut queue = lock(&self.inbox.queue);
        if queue.front().is_none_or(|(at, ..)| *at > Instant::now()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Some((_, from, bytes)) = queue.pop_front() else { return Err(io::ErrorKind::WouldBlock.into()) };
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok((len, from))
    }

    /// Sends.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) {
        self.net.send(self.address, to, datagram);
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        lock(&self.net.0).inboxes.remove(&self.address);
    }
}
