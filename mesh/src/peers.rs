//! A colony's peers: sender of a datagram, permissions, admission. No IO and no clock.

mod peer;

use crate::limit::{Buckets, network};
use crate::noise::keys::{PrivateKey, PublicKey};
use crate::noise::psk::Psk;
use crate::noise::{Due, Gate, Opened, Refused, Tunnel};
use crate::outbox::Outbox;
use crate::provisional;
use crate::random::random;
use crate::stats::{Drops, PeerStats};
use crate::wire::{self, Kind};
pub use peer::Identity;
pub(crate) use peer::{Peer, Stage};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Peers that are not registered yet: all, and of one source.
const PROVISIONAL_MAX: usize = 64;
const PROVISIONAL_PER_SOURCE_MAX: usize = 4;
/// How long an unknown peer may take to prove the secret, and then to register.
const PROVE_WITHIN: Duration = Duration::from_secs(15);
const REGISTER_WITHIN: Duration = Duration::from_secs(30);
/// Initiations per second above which the gate surely asks for cookies: an address is then known to be real, and each
/// real one has its own share.
const INITIATIONS_PER_SECOND: u64 = 200;
/// Secrets that are tried for a handshake which does not hint at one.
const GUESSES_MAX: usize = 4;
/// Between the steps of removing a peer: the reason first, then resets, then silence.
const LEAVE_STEP: Duration = Duration::from_millis(200);

/// A secret that opens a tunnel.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) name: Arc<str>,
    pub(crate) psk: Psk,
    /// False once it has ended: who has it reaches the refusal that says so.
    pub(crate) is_valid: bool,
}

/// A reef that is known from before, or has just registered.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) identity: Arc<Identity>,
    pub(crate) key: PublicKey,
    pub(crate) address: Ipv4Addr,
}

/// The peers of one colony.
pub(crate) struct Peers {
    own: PrivateKey,
    own_address: Ipv4Addr,
    gate: Gate,
    /// Initiations in the second that began then.
    initiations: (u64, Option<Instant>),
    /// By source, while the gate asks for cookies. Who has one would otherwise make this machine compute without limit.
    shares: Buckets,
    /// By source, of unknown peers.
    buckets: Buckets,
    admissions: Vec<Admission>,
    /// By the index that their datagrams carry.
    peers: HashMap<u32, Peer>,
    /// Several per key only while the secret of an unknown peer is undetermined.
    by_key: HashMap<PublicKey, Vec<u32>>,
    by_address: HashMap<Ipv4Addr, u32>,
    pub(crate) drops: Drops,
    /// Addresses whose connections are to be reset.
    pub(crate) to_abort: Vec<Ipv4Addr>,
    mtu: u16,
}

impl Peers {
    pub(crate) fn new(own: PrivateKey, own_address: Ipv4Addr, mtu: u16) -> Peers {
        Peers {
            gate: Gate::new(&own),
            own,
            own_address,
            initiations: (0, None),
            shares: Buckets::default(),
            buckets: Buckets::default(),
            admissions: Vec::new(),
            peers: HashMap::new(),
            by_key: HashMap::new(),
            by_address: HashMap::new(),
            drops: Drops::default(),
            to_abort: Vec::new(),
            mtu,
        }
    }

    /// Replaces the valid secrets. Peers of a removed secret are removed.
    pub(crate) fn set_admissions(&mut self, admissions: Vec<Admission>, now: Instant) {
        let has_new = admissions.iter().any(|it| self.admissions.iter().all(|known| known.psk != it.psk));
        self.admissions = admissions;
        if has_new {
            // a stranger that was answered with the former secrets may have the new one: its next handshake is that of
            // a new stranger
            let answered = self.peers.iter().filter(|(_, peer)| peer.stage == Stage::Answered);
            for index in answered.map(|(index, _)| *index).collect::<Vec<_>>() {
                self.remove(index);
            }
        }
        let gone: Vec<u32> = self
            .peers
            .iter()
            .filter(|(_, peer)| !self.admissions.iter().any(|it| it.psk == peer.psk))
            .map(|(index, _)| *index)
            .collect();
        for index in gone {
            self.leave(index, "its secret was revoked", now);
        }
    }

    /// Adds a reef that was registered before, so that its tunnel needs no new registration.
    pub(crate) fn restore(&mut self, reef: Registered, psk: &Psk, now: Instant) {
        if self.by_key.contains_key(&reef.key) || self.by_address.contains_key(&reef.address) {
            return;
        }
        let Some(name) = self.admissions.iter().find(|it| it.psk == *psk).map(|it| it.name.clone()) else { return };
        let index = self.free_index(None);
        let tunnel = Tunnel::new(&self.own, &reef.key, psk, index, Some(&self.gate));
        let mut peer = Peer::new(reef.key, tunnel, name, psk.clone(), reef.address, now);
        peer.stage = Stage::Registered(reef.identity);
        self.insert(index, peer);
        self.by_address.insert(reef.address, index);
    }

    /// Registers a peer that has proved the secret: its address changes, and an earlier peer with its id is removed.
    /// False if the peer no longer exists.
    pub(crate) fn register(&mut self, reef: &Registered, now: Instant) -> bool {
        let Some(index) = self.by_key.get(&reef.key).and_then(|indices| indices.first()).copied() else { return false };
        let former: Vec<u32> = self
            .peers
            .iter()
            .filter(|(other, peer)| {
                **other != index && (peer.reef_id() == Some(&reef.identity.reef_id) || peer.address == reef.address)
            })
            .map(|(other, _)| *other)
            .collect();
        for other in former {
            tracing::info!(reef_id = %reef.identity.reef_id, "a reef has registered with a new key; its former tunnel ends");
            self.remove(other);
        }
        let Some(peer) = self.peers.get_mut(&index) else { return false };
        if peer.address != reef.address {
            // the response to the registration is still sent to its source address
            peer.former = Some((peer.address, now + REGISTER_WITHIN));
            peer.address = reef.address;
        }
        peer.stage = Stage::Registered(reef.identity.clone());
        self.by_address.insert(reef.address, index);
        true
    }

    /// Removes every peer of a reef.
    pub(crate) fn unpeer(&mut self, reef_id: &str, why: &'static str, now: Instant) {
        let of_reef = self.peers.iter().filter(|(_, peer)| peer.reef_id() == Some(reef_id));
        for index in of_reef.map(|(index, _)| *index).collect::<Vec<_>>() {
            self.leave(index, why, now);
        }
    }

    /// Removes the registered peers whose tunnel has proved this secret. Who has it may still ask why.
    pub(crate) fn end_secret(&mut self, psk: &Psk, why: &'static str, now: Instant) {
        let of_secret = self.peers.iter().filter(|(_, peer)| !peer.is_provisional() && peer.psk == *psk);
        for index in of_secret.map(|(index, _)| *index).collect::<Vec<_>>() {
            self.leave(index, why, now);
        }
    }

    /// The peer with an inner address.
    pub(crate) fn at(&self, address: Ipv4Addr) -> Option<&Peer> {
        self.by_address.get(&address).and_then(|index| self.peers.get(index))
    }

    /// Ids of the reefs that are registered.
    pub(crate) fn reef_ids(&self) -> impl Iterator<Item = &str> {
        self.peers.values().filter_map(Peer::reef_id)
    }

    pub(crate) fn stats(&self, now: Instant) -> Vec<PeerStats> {
        let mut stats: Vec<PeerStats> = self.peers.values().map(|peer| peer.stats(now, self.mtu)).collect();
        stats.sort_by_key(|peer| (peer.address, peer.key));
        stats
    }

    fn free_index(&self, wanted: Option<u32>) -> u32 {
        // random, because sequential numbers would tell an observer the number of peers
        let any = std::iter::repeat_with(|| u32::from_le_bytes(random()) >> 8);
        wanted.into_iter().chain(any).find(|index| !self.peers.contains_key(index)).unwrap_or_default()
    }

    fn insert(&mut self, index: u32, peer: Peer) {
        self.by_key.entry(peer.key).or_default().push(index);
        self.peers.insert(index, peer);
    }

    fn remove(&mut self, index: u32) {
        let Some(peer) = self.peers.remove(&index) else { return };
        for address in [Some(peer.address), peer.former.map(|(address, _)| address)].into_iter().flatten() {
            if self.by_address.get(&address) == Some(&index) {
                self.by_address.remove(&address);
                self.to_abort.push(address);
            }
        }
        if let Some(indices) = self.by_key.get_mut(&peer.key) {
            indices.retain(|it| *it != index);
            if indices.is_empty() {
                self.by_key.remove(&peer.key);
            }
        }
    }

    /// Begins to remove a peer: its connections get the reason, then they are reset, then the tunnel is dropped.
    fn leave(&mut self, index: u32, why: &'static str, now: Instant) {
        let Some(peer) = self.peers.get_mut(&index) else { return };
        if peer.leaving.is_none() {
            tracing::info!(reef_id = peer.reef_id(), address = %peer.address, why, "peer removed");
            peer.leaving = Some(now);
            peer.ended.send_replace(Some(why));
            // no handshake of it is answered from now on
            if let Some(indices) = self.by_key.get_mut(&peer.key) {
                indices.retain(|it| *it != index);
            }
        }
    }

    /// Takes a datagram.
    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], out: &mut Outbox) {
        match wire::kind(datagram) {
            None => self.drops.no_message += 1,
            Some(Kind::Initiation { sender }) => {
                let mut buffer = out.buffer();
                let admitted = self.gate.admit(from.ip(), datagram, &mut buffer);
                // who does not know our key is no load
                let is_loaded = admitted != Err(None) && self.is_loaded(now);
                match admitted {
                    Ok(()) => {
                        out.recycle(buffer);
                        if is_loaded && !self.shares.take(from.ip(), now) {
                            self.drops.limited += 1;
                            return;
                        }
                        self.initiation(now, from, sender >> 8, datagram, out);
                    }
                    Err(Some(len)) => {
                        self.drops.limited += 1;
                        out.send(from, buffer, len);
                    }
                    Err(None) => {
                        self.drops.damaged += 1;
                        out.recycle(buffer);
                    }
                }
            }
            Some(Kind::Response { receiver } | Kind::Cookie { receiver }) => {
                self.open(now, from, receiver >> 8, datagram, false, out);
            }
            Some(Kind::Data { receiver }) => self.open(now, from, receiver >> 8, datagram, true, out),
        }
    }

    /// Counts an initiation; true if there are more than the gate takes without cookies.
    fn is_loaded(&mut self, now: Instant) -> bool {
        let (count, since) = &mut self.initiations;
        if since.is_none_or(|since| now >= since + Duration::from_secs(1)) {
            (*count, *since) = (0, Some(now));
        }
        *count += 1;
        *count > INITIATIONS_PER_SECOND
    }

    fn initiation(&mut self, now: Instant, from: SocketAddr, hint: u32, datagram: &[u8], out: &mut Outbox) {
        let Some(key) = self.gate.initiator(datagram) else {
            self.drops.damaged += 1;
            return;
        };
        if !self.by_key.contains_key(&key) && !self.add_stranger(now, from.ip(), key, hint) {
            self.drops.limited += 1;
            return;
        }
        for index in self.by_key.get(&key).cloned().unwrap_or_default() {
            self.open(now, from, index, datagram, false, out);
        }
    }

    /// Makes provisional tunnels for an unknown key, one for each secret that it may have.
    fn add_stranger(&mut self, now: Instant, source: IpAddr, key: PublicKey, hint: u32) -> bool {
        let source = network(source);
        let provisional = || self.peers.values().filter(|peer| peer.is_provisional());
        // one that has proved a valid secret and only asks is no stranger
        let is_stranger = |peer: &&Peer| peer.source == Some(source) && !(peer.stage == Stage::Proved && peer.is_valid);
        if provisional().count() >= PROVISIONAL_MAX
            || provisional().filter(is_stranger).count() >= PROVISIONAL_PER_SOURCE_MAX
            || !self.buckets.take(source, now)
        {
            return false;
        }
        let hinted = self.admissions.iter().filter(|it| it.psk.hint(&key) == hint).take(1).cloned();
        let mut chosen: Vec<Admission> = hinted.collect();
        if chosen.is_empty() {
            chosen = self.admissions.iter().take(GUESSES_MAX).cloned().collect();
        }
        for admission in chosen {
            let index = self.free_index(None);
            let tunnel = Tunnel::new(&self.own, &key, &admission.psk, index, Some(&self.gate));
            let address = provisional::address(&key);
            let mut peer = Peer::new(key, tunnel, admission.name, admission.psk, address, now);
            (peer.source, peer.is_valid) = (Some(source), admission.is_valid);
            self.insert(index, peer);
        }
        true
    }

    fn open(&mut self, now: Instant, from: SocketAddr, index: u32, datagram: &[u8], is_data: bool, out: &mut Outbox) {
        let Some(peer) = self.peers.get_mut(&index) else {
            self.drops.stray += 1;
            return;
        };
        let mut buffer = out.buffer();
        let opened = match peer.tunnel.open(from.ip(), datagram, &mut buffer) {
            Ok(opened) => opened,
            Err(refused) => {
                match refused {
                    Refused::Replayed => self.drops.replayed += 1,
                    Refused::Stray => self.drops.stray += 1,
                    Refused::WrongKey | Refused::Damaged => self.drops.damaged += 1,
                }
                return out.recycle(buffer);
            }
        };
        if is_data {
            peer.heard(now, from);
            if peer.stage == Stage::Answered && !self.prove(index, now) {
                return out.recycle(buffer);
            }
        }
        match opened {
            Opened::Packet(len) => self.deliver(index, buffer, len, out),
            Opened::Reply(len) => {
                out.send(from, buffer, len);
                if let Some(peer) = self.peers.get_mut(&index) {
                    if peer.stage == Stage::Answered {
                        // it has as long to prove this response as any other
                        peer.since = now;
                    }
                    peer.send_waiting(from, out);
                }
            }
            Opened::Quiet => out.recycle(buffer),
        }
    }

    /// The first data of an unknown peer: it has the secret of this tunnel. False if another peer has its address.
    fn prove(&mut self, index: u32, now: Instant) -> bool {
        let Some(peer) = self.peers.get_mut(&index) else { return false };
        let (key, address) = (peer.key, peer.address);
        if self.by_address.contains_key(&address) {
            self.remove(index);
            return false;
        }
        peer.stage = Stage::Proved;
        peer.since = now;
        self.by_address.insert(address, index);
        for other in self.by_key.get(&key).cloned().unwrap_or_default() {
            if other != index {
                self.remove(other);
            }
        }
        true
    }

    fn deliver(&mut self, index: u32, buffer: Vec<u8>, len: usize, out: &mut Outbox) {
        let own = self.own_address;
        let Some(peer) = self.peers.get_mut(&index) else { return out.recycle(buffer) };
        match wire::addresses(&buffer[..len]) {
            Some((source, destination)) if destination == own && peer.has_address(source) => {
                peer.received_bytes += len as u64;
                out.deliver(buffer, len);
            }
            _ => {
                self.drops.forged += 1;
                out.recycle(buffer);
            }
        }
    }

    /// Encrypts a packet for the peer that it is addressed to.
    pub(crate) fn send(&mut self, now: Instant, packet: &[u8], out: &mut Outbox) {
        let to = wire::addresses(packet).map(|(_, to)| to);
        let peer = to.and_then(|to| self.by_address.get(&to)).and_then(|index| self.peers.get_mut(index));
        if !peer.is_some_and(|peer| peer.send(now, packet, out)) {
            self.drops.no_peer += 1;
        }
    }

    /// Four times a second: timers of the tunnels, and who has stayed too long.
    pub(crate) fn tick(&mut self, now: Instant, out: &mut Outbox) {
        self.gate.tick();
        let mut over = Vec::new();
        for (index, peer) in &mut self.peers {
            if let Some((address, until)) = peer.former {
                if now + LEAVE_STEP >= until {
                    // what the reef has left open there when it registered
                    self.to_abort.push(address);
                }
                if now >= until {
                    peer.former = None;
                    if self.by_address.get(&address) == Some(index) {
                        self.by_address.remove(&address);
                    }
                }
            }
            let age = now.saturating_duration_since(peer.since);
            match (&peer.stage, peer.leaving) {
                (_, Some(since)) if now >= since + 2 * LEAVE_STEP => over.push(*index),
                (_, Some(since)) if now >= since + LEAVE_STEP => self.to_abort.push(peer.address),
                (Stage::Answered, None) if age >= PROVE_WITHIN => over.push(*index),
                (Stage::Proved, None) if age >= REGISTER_WITHIN => over.push(*index),
                _ => {}
            }
            let mut buffer = out.buffer();
            match (peer.tunnel.tick(&mut buffer), peer.endpoint) {
                (Due::Send(len), Some(to)) => out.send(to, buffer, len),
                _ => out.recycle(buffer),
            }
        }
        for index in over {
            self.remove(index);
        }
    }
}

#[cfg(test)]
mod tests;
