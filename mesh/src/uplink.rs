//! A reef's side of one tunnel: calling, detecting silence, measuring. No IO and no clock.

use crate::echo;
use crate::mtu::MtuSearch;
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::noise::psk::Psk;
use crate::noise::{Due, Opened, Refused, Tunnel};
use crate::outbox::Outbox;
use crate::random::random;
use crate::stats::{Drops, TunnelStats};
use crate::wire::{self, Kind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

/// Pauses between unanswered handshakes; after the last one the call has failed.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(4),
    Duration::from_secs(5),
];
/// A response with another secret may come from anyone who intercepted our message: a valid one may still arrive.
const REFUSED_FOR: Duration = Duration::from_secs(1);
const REFUSED_TRIES: u32 = 2;
/// Silence after sending until an echo is sent, and until new keys are negotiated.
const ASK_AFTER: Duration = Duration::from_secs(3);
const SILENT_AFTER: Duration = Duration::from_secs(8);
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often a tunnel in use is tested with full packets.
const CHECK_SIZE_EVERY: Duration = Duration::from_secs(30);
/// Unanswered full echoes, while small ones are answered, until sizes are searched again.
const LOST_FULL_MAX: u32 = 3;
/// Echoes in flight.
const ASKED_MAX: usize = 64;

/// How the tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first handshake is in progress.
    Calling,
    /// Packets pass.
    Up,
    /// The colony has stopped responding; handshakes are in progress.
    Silent,
    /// Nothing more is tried.
    Failed(Failure),
}

/// Why nothing more is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The first handshakes were not answered.
    NoAnswer,
    /// The responder has the colony's key but another secret.
    WrongSecret,
    /// The colony had answered before and does no more.
    Lost,
}

struct Asked {
    nonce: u64,
    bytes: usize,
    at: Instant,
}

/// Where and whom to call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) colony_key: PublicKey,
    pub(crate) colony_address: Ipv4Addr,
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) psk: Psk,
    pub(crate) mtu: u16,
    pub(crate) keepalive: Duration,
}

pub(crate) struct Uplink {
    call: Call,
    tunnel: Tunnel,
    index: u32,
    address: Ipv4Addr,
    /// The address before the colony gave one.
    former: Option<Ipv4Addr>,
    pub(crate) phase: Phase,
    pub(crate) drops: Drops,
    endpoint: Option<SocketAddr>,
    /// Handshakes sent in this phase, and when the next one is due.
    pub(crate) tries: u32,
    next_try: Instant,
    refused: Option<(Instant, u32, u32)>,
    asked: Vec<Asked>,
    asked_at: Instant,
    heard_at: Option<Instant>,
    sent_at: Instant,
    /// When a connection has last sent something.
    used_at: Option<Instant>,
    /// Since when sent data is unanswered.
    unanswered_since: Option<Instant>,
    /// Times in a row that a handshake went well and nothing else did.
    hollow: u32,
    mtu: MtuSearch,
    checked_at: Instant,
    lost_full: u32,
    round_trip: Option<Duration>,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Uplink {
    /// Begins to call with the next [`Uplink::tick`].
    pub(crate) fn new(own: &PrivateKey, call: Call, now: Instant) -> Uplink {
        let public = own.public();
        let index = call.psk.hint(&public);
        Uplink {
            tunnel: Tunnel::new(own, &call.colony_key, &call.psk, index, None),
            index,
            address: crate::provisional::address(&public),
            former: None,
            phase: Phase::Calling,
            drops: Drops::default(),
            endpoint: None,
            tries: 0,
            next_try: now,
            refused: None,
            asked: Vec::new(),
            asked_at: now,
            heard_at: None,
            sent_at: now,
            used_at: None,
            unanswered_since: None,
            hollow: 0,
            mtu: MtuSearch::new(call.mtu),
            checked_at: now,
            lost_full: 0,
            round_trip: None,
            received_bytes: 0,
            sent_bytes: 0,
            call,
        }
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub(crate) fn endpoint(&self) -> Option<SocketAddr> {
        self.endpoint
    }

    pub(crate) fn set_address(&mut self, address: Ipv4Addr) {
        self.former = Some(std::mem::replace(&mut self.address, address));
    }

    /// The packet size that the path carries, once it is known.
    pub(crate) fn mtu(&self) -> Option<u16> {
        self.mtu.found()
    }

    pub(crate) fn stats(&self, now: Instant) -> TunnelStats {
        TunnelStats {
            handshake_age: self.tunnel.handshake_age(),
            answer_age: self.heard_at.map(|at| now.saturating_duration_since(at)),
            round_trip: self.round_trip,
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            endpoint: self.endpoint,
            mtu: self.mtu.found().unwrap_or(self.call.mtu),
        }
    }

    /// Takes a datagram.
    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], out: &mut Outbox) {
        let Some(kind) = wire::kind(datagram) else {
            self.drops.no_message += 1;
            return;
        };
        let is_ours = match kind {
            Kind::Response { receiver } | Kind::Cookie { receiver } | Kind::Data { receiver } => {
                receiver >> 8 == self.index
            }
            Kind::Initiation { .. } => true,
        };
        if !is_ours {
            self.drops.stray += 1;
            return;
        }
        let mut buffer = out.buffer();
        match self.tunnel.open(from.ip(), datagram, &mut buffer) {
            Ok(opened) => self.opened(now, from, kind, opened, buffer, out),
            Err(refused) => {
                out.recycle(buffer);
                match (refused, kind) {
                    (Refused::WrongKey, Kind::Response { .. }) => self.refused(now),
                    (Refused::Replayed, _) => self.drops.replayed += 1,
                    (Refused::Stray, _) => self.drops.stray += 1,
                    (Refused::WrongKey | Refused::Damaged, _) => self.drops.damaged += 1,
                }
            }
        }
    }

    /// A peer that can read our handshake has another pre-shared key.
    fn refused(&mut self, now: Instant) {
        let (since, tries, last) = self.refused.unwrap_or((now, 0, 0));
        let tries = if last == self.tries { tries } else { tries + 1 };
        self.refused = Some((since, tries, self.tries));
    }

    fn opened(
        &mut self,
        now: Instant,
        from: SocketAddr,
        kind: Kind,
        opened: Opened,
        buffer: Vec<u8>,
        out: &mut Outbox,
    ) {
        match kind {
            Kind::Cookie { .. } => return out.recycle(buffer),
            Kind::Data { .. } => {
                self.endpoint = Some(from);
                self.heard_at = Some(now);
                self.unanswered_since = None;
                self.hollow = 0;
            }
            Kind::Response { .. } | Kind::Initiation { .. } => self.endpoint = Some(from),
        }
        match opened {
            Opened::Packet(len) => self.deliver(now, buffer, len, out),
            Opened::Quiet => out.recycle(buffer),
            Opened::Reply(len) => {
                out.send(from, buffer, len);
                loop {
                    let mut buffer = out.buffer();
                    match self.tunnel.waiting(&mut buffer) {
                        Some(len) => out.send(from, buffer, len),
                        None => break out.recycle(buffer),
                    }
                }
                if matches!(kind, Kind::Response { .. }) && matches!(self.phase, Phase::Calling | Phase::Silent) {
                    self.phase = Phase::Up;
                    self.unanswered_since = Some(now);
                    self.ask(now, echo::BYTES_MIN, out);
                }
            }
        }
    }

    fn deliver(&mut self, now: Instant, buffer: Vec<u8>, len: usize, out: &mut Outbox) {
        let packet = &buffer[..len];
        let (colony, addresses) = (self.call.colony_address, wire::addresses(packet));
        if self.former.is_some_and(|former| addresses == Some((colony, former))) {
            return out.recycle(buffer);
        }
        if addresses != Some((colony, self.address)) {
            // the colony's mesh is its own: nothing passes from one to another
            self.drops.forged += 1;
            return out.recycle(buffer);
        }
        self.received_bytes += len as u64;
        if let Some((nonce, bytes)) = echo::reply(packet) {
            self.answered(now, nonce, bytes);
            return out.recycle(buffer);
        }
        out.deliver(buffer, len);
    }

    fn answered(&mut self, now: Instant, nonce: u64, bytes: usize) {
        let Some(at) = self.asked.iter().position(|asked| asked.nonce == nonce && asked.bytes == bytes) else { return };
        let asked = self.asked.remove(at);
        let took = now.saturating_duration_since(asked.at);
        self.round_trip = Some(self.round_trip.map_or(took, |smooth| (smooth * 7 + took) / 8));
        self.mtu.answered(bytes);
        if self.mtu.found().is_some_and(|mtu| usize::from(mtu) == bytes) {
            self.lost_full = 0;
        }
    }

    fn ask(&mut self, now: Instant, bytes: usize, out: &mut Outbox) {
        let nonce = u64::from_le_bytes(random());
        let mut packet = out.buffer();
        let len = echo::request(self.address, self.call.colony_address, nonce, bytes, &mut packet);
        if self.asked.len() >= ASKED_MAX {
            self.asked.remove(0);
        }
        self.asked.push(Asked { nonce, bytes: len, at: now });
        self.asked_at = now;
        self.seal(now, &packet[..len], out);
        out.recycle(packet);
    }

    /// Encrypts a packet for the colony.
    pub(crate) fn send(&mut self, now: Instant, packet: &[u8], out: &mut Outbox) {
        self.used_at = Some(now);
        self.seal(now, packet, out);
    }

    fn seal(&mut self, now: Instant, packet: &[u8], out: &mut Outbox) {
        let (Some(to), Phase::Up | Phase::Silent) = (self.endpoint, self.phase) else {
            self.drops.no_peer += 1;
            return;
        };
        let mut buffer = out.buffer();
        match self.tunnel.seal(packet, &mut buffer) {
            Some(len) => {
                self.sent_bytes += packet.len() as u64;
                self.sent_at = now;
                self.unanswered_since.get_or_insert(now);
                out.send(to, buffer, len);
            }
            None => out.recycle(buffer),
        }
    }

    /// The machine has slept, or its clock was set: keys may be too old on one side only.
    pub(crate) fn wake(&mut self, now: Instant) {
        if self.phase == Phase::Up {
            self.fall_silent(now);
        }
    }

    fn fall_silent(&mut self, now: Instant) {
        self.phase = Phase::Silent;
        self.hollow += 1;
        self.tries = 0;
        self.refused = None;
        self.next_try = now;
    }

    /// Four times a second: timers, handshakes that are due, questions that are due.
    pub(crate) fn tick(&mut self, now: Instant, out: &mut Outbox) {
        let mut buffer = out.buffer();
        match (self.tunnel.tick(&mut buffer), self.endpoint) {
            (Due::Send(len), Some(to)) => out.send(to, buffer, len),
            (due, _) => {
                out.recycle(buffer);
                if due == Due::Expired && self.phase == Phase::Up {
                    self.fall_silent(now);
                }
            }
        }
        match self.phase {
            Phase::Up => self.watch(now, out),
            Phase::Calling | Phase::Silent => self.call(now, out),
            Phase::Failed(_) => {}
        }
    }

    fn call(&mut self, now: Instant, out: &mut Outbox) {
        if let Some((since, tries, _)) = self.refused
            && tries >= REFUSED_TRIES
            && now >= since + REFUSED_FOR
        {
            self.phase = Phase::Failed(Failure::WrongSecret);
            return;
        }
        if now < self.next_try {
            return;
        }
        let Some(pause) = usize::try_from(self.tries).ok().and_then(|tries| PAUSES.get(tries)) else {
            let was_up = self.phase == Phase::Silent;
            self.phase = Phase::Failed(if was_up { Failure::Lost } else { Failure::NoAnswer });
            return;
        };
        self.tries += 1;
        self.next_try = now + *pause;
        let mut buffer = out.buffer();
        if let Some(len) = self.tunnel.initiate(&mut buffer) {
            // one handshake to all addresses: only the colony responds, and accepts only the first copy
            let last = self.endpoint.filter(|endpoint| !self.call.candidates.contains(endpoint));
            for to in self.call.candidates.iter().copied().chain(last) {
                let mut copy = out.buffer();
                copy[..len].copy_from_slice(&buffer[..len]);
                out.send(to, copy, len);
            }
        }
        out.recycle(buffer);
    }

    fn watch(&mut self, now: Instant, out: &mut Outbox) {
        self.asked.retain(|asked| now.saturating_duration_since(asked.at) < Duration::from_secs(10));
        let silent_for = self.unanswered_since.map(|since| now.saturating_duration_since(since));
        if silent_for.is_some_and(|time| time >= SILENT_AFTER) {
            // keys were agreed and yet nothing passes: it knows us no more, or by another address
            if self.hollow >= 1 {
                self.phase = Phase::Failed(Failure::Lost);
            } else {
                self.fall_silent(now);
            }
            return;
        }
        let since = |at: Instant| now.saturating_duration_since(at);
        let is_idle = since(self.sent_at) >= self.call.keepalive
            || self.heard_at.is_some_and(|at| since(at) >= self.call.keepalive);
        let must_ask = is_idle || silent_for.is_some_and(|time| time >= ASK_AFTER);
        if must_ask && since(self.asked_at) >= ASK_EVERY {
            self.ask(now, echo::BYTES_MIN, out);
        }
        self.watch_size(now, out);
    }

    fn watch_size(&mut self, now: Instant, out: &mut Outbox) {
        for size in self.mtu.due(now) {
            self.ask(now, usize::from(size), out);
        }
        let Some(mtu) = self.mtu.found() else { return };
        let wait = if self.lost_full > 0 { ASK_EVERY } else { CHECK_SIZE_EVERY };
        let in_use = self.used_at.is_some_and(|at| now.saturating_duration_since(at) < CHECK_SIZE_EVERY);
        if !in_use || now.saturating_duration_since(self.checked_at) < wait {
            return;
        }
        self.checked_at = now;
        // small ones were answered, otherwise the tunnel would be silent
        if self.lost_full >= LOST_FULL_MAX {
            self.mtu = MtuSearch::new(self.call.mtu);
            self.lost_full = 0;
            return;
        }
        self.lost_full += 1;
        self.ask(now, usize::from(mtu), out);
        self.ask(now, echo::BYTES_MIN, out);
    }
}

#[cfg(test)]
mod tests;
