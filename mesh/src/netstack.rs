//! TCP inside a tunnel, in this process: the only file that uses smoltcp.

use crate::gaps::Gaps;
use crate::outbox::Outbox;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium};
use smoltcp::socket::AnySocket;
use smoltcp::socket::tcp::{CongestionControl, RecvError, Socket, SocketBuffer, State};
use smoltcp::time::{Duration as StackDuration, Instant as StackInstant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::time::Instant;

/// Sockets that wait on a port: smoltcp gives one connection to each and resets what finds none free.
const LISTENING: usize = 4;
/// Packets that wait to be encrypted; TCP waits when there are more.
const PACKETS_MAX: usize = 256;
/// Connections of one peer, and of all.
const CONNECTIONS_PER_PEER_MAX: usize = 8;
const CONNECTIONS_MAX: usize = 160;
/// Keepalive interval of a connection, and the silence after which it ends.
const KEEP_ALIVE: StackDuration = StackDuration::from_secs(20);
const TIMEOUT: StackDuration = StackDuration::from_secs(45);

/// Bytes that a connection buffers in each direction. The receive buffer is the window that its peer may fill: one
/// window per round trip is the fastest it gets. Above 512 KiB slow start overruns the queues of real paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Received and not yet read.
    pub receive_bytes: usize,
    /// Written and not yet acknowledged.
    pub send_bytes: usize,
}

impl Windows {
    /// A reef: receives summaries, sends requests.
    pub const REEF: Windows = Windows { receive_bytes: 256 * 1024, send_bytes: 64 * 1024 };
    /// A colony: the reverse.
    pub const COLONY: Windows = Windows { receive_bytes: 64 * 1024, send_bytes: 256 * 1024 };
}

/// Names a connection of one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(SocketHandle);

/// An interface with one address, its sockets, and the packets between them and the tunnel.
pub(crate) struct Netstack {
    interface: Interface,
    sockets: SocketSet<'static>,
    device: Queues,
    gaps: Gaps,
    epoch: Instant,
    windows: Windows,
    address: Ipv4Addr,
    listening: Vec<(u16, SocketHandle)>,
    /// Came in and is not established yet.
    opening: Vec<SocketHandle>,
    /// Established and not yet taken.
    ready: VecDeque<SocketHandle>,
    /// Connections whose streams were dropped; removed once their last packets are sent.
    leaving: Vec<SocketHandle>,
    /// Connections refused because there are too many.
    pub(crate) refused: u64,
}

impl Netstack {
    pub(crate) fn new(address: Ipv4Addr, mtu: u16, windows: Windows, now: Instant) -> Netstack {
        let mut device = Queues { mtu: usize::from(mtu), ..Queues::default() };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from_le_bytes(crate::random::random());
        let interface = Interface::new(config, &mut device, StackInstant::ZERO);
        let mut stack = Netstack {
            interface,
            sockets: SocketSet::new(Vec::new()),
            device,
            gaps: Gaps::default(),
            epoch: now,
            windows,
            address,
            listening: Vec::new(),
            opening: Vec::new(),
            ready: VecDeque::new(),
            leaving: Vec::new(),
            refused: 0,
        };
        stack.set_address(address);
        stack
    }

    /// Takes another address. Connections of the former one end.
    pub(crate) fn set_address(&mut self, address: Ipv4Addr) {
        self.address = address;
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // there is room for two
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(address), 32));
        });
    }

    /// Takes connections on `port`.
    pub(crate) fn listen(&mut self, port: u16) {
        for _ in 0..LISTENING {
            self.add_listening(port);
        }
    }

    fn add_listening(&mut self, port: u16) {
        let mut socket = self.socket();
        // it fails only for port 0 and for a socket in use
        if socket.listen(port).is_ok() {
            let handle = self.sockets.add(socket);
            self.listening.push((port, handle));
        }
    }

    fn socket(&self) -> Socket<'static> {
        let buffer = |bytes: usize| SocketBuffer::new(vec![0; bytes]);
        let mut socket = Socket::new(buffer(self.windows.receive_bytes), buffer(self.windows.send_bytes));
        socket.set_congestion_control(CongestionControl::Cubic);
        socket.set_nagle_enabled(false);
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_timeout(Some(TIMEOUT));
        socket
    }

    /// Begins a connection; [`Netstack::poll_open`] returns the result.
    pub(crate) fn connect(&mut self, to: SocketAddrV4) -> io::Result<Handle> {
        if self.connections() >= CONNECTIONS_MAX {
            return Err(io::Error::other(format!("there are {CONNECTIONS_MAX} connections through this tunnel")));
        }
        let port = self.free_port().ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse))?;
        let mut socket = self.socket();
        let remote = (IpAddress::Ipv4(*to.ip()), to.port());
        let local = (IpAddress::Ipv4(self.address), port);
        socket.connect(self.interface.context(), remote, local).map_err(io::Error::other)?;
        Ok(Handle(self.sockets.add(socket)))
    }

    /// A port that no connection uses; at random, so that none is mixed up with one of before.
    fn free_port(&self) -> Option<u16> {
        let is_used = |port: u16| {
            self.tcp().any(|(_, socket)| socket.local_endpoint().is_some_and(|endpoint| endpoint.port == port))
        };
        let any = || 49_152 + u16::from_le_bytes(crate::random::random()) % 16_384;
        std::iter::repeat_with(any).take(64).find(|port| !is_used(*port))
    }

    fn tcp(&self) -> impl Iterator<Item = (SocketHandle, &Socket<'static>)> {
        self.sockets.iter().filter_map(|(handle, socket)| Some((handle, Socket::downcast(socket)?)))
    }

    fn connections(&self) -> usize {
        self.sockets.iter().count() - self.listening.len()
    }

    fn get(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut::<Socket<'static>>(handle)
    }

    fn stack_time(&self, now: Instant) -> StackInstant {
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        StackInstant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Takes the packets of `out`, moves time, and makes packets for [`Netstack::packet`].
    pub(crate) fn poll(&mut self, now: Instant, out: &mut Outbox) {
        let time = self.stack_time(now);
        for packet in out.packets.drain(..) {
            self.gaps.received(&packet, now);
            self.device.received.push_back(packet);
        }
        self.interface.poll(time, &mut self.device, &mut self.sockets);
        self.device.to_send.extend(self.gaps.due(now));
        for buffer in self.device.spare.borrow_mut().drain(..) {
            out.recycle(buffer);
        }
        self.take_connections();
        self.remove_finished();
    }

    /// When [`Netstack::poll`] is due without a packet.
    pub(crate) fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        let time = self.stack_time(now);
        let delay = self.interface.poll_delay(time, &self.sockets);
        let of_sockets = delay.map(|delay| now + Duration::from_micros(delay.total_micros()));
        of_sockets.into_iter().chain(self.gaps.next_at()).min()
    }

    /// The next packet for the tunnel.
    pub(crate) fn packet(&mut self, now: Instant) -> Option<Vec<u8>> {
        let packet = self.device.to_send.pop_front()?;
        self.gaps.sent(&packet, now);
        Some(packet)
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// True when [`Netstack::accept`] has a connection.
    pub(crate) fn has_accepted(&self) -> bool {
        !self.ready.is_empty()
    }

    fn take_connections(&mut self) {
        let (sockets, listening) = (&self.sockets, &mut self.listening);
        let left: Vec<(u16, SocketHandle)> = listening
            .extract_if(.., |(_, handle)| sockets.get::<Socket<'static>>(*handle).state() != State::Listen)
            .collect();
        for (port, handle) in left {
            self.add_listening(port);
            let remote = self.get(handle).remote_endpoint().map(|endpoint| endpoint.addr);
            let of_peer = self.tcp().filter(|(_, it)| it.remote_endpoint().map(|at| at.addr) == remote).count();
            if of_peer > CONNECTIONS_PER_PEER_MAX || self.connections() > CONNECTIONS_MAX {
                self.refused += 1;
                self.abort(Handle(handle));
            } else {
                self.opening.push(handle);
            }
        }
        for handle in std::mem::take(&mut self.opening) {
            match self.get(handle).state() {
                State::SynReceived => self.opening.push(handle),
                // a peer may have sent all it had to say already
                State::Established | State::CloseWait => self.ready.push_back(handle),
                // reset by its peer: it listens again, beside the one in its place, and no caller would accept from it
                State::Listen => drop(self.sockets.remove(handle)),
                _ => self.leaving.push(handle),
            }
        }
    }

    fn remove_finished(&mut self) {
        for handle in std::mem::take(&mut self.leaving) {
            let socket = self.get(handle);
            // an aborted socket keeps its endpoints until the reset is sent
            let is_closed = socket.state() == State::Closed && socket.remote_endpoint().is_none();
            if is_closed || socket.state() == State::TimeWait {
                self.sockets.remove(handle);
            } else {
                self.leaving.push(handle);
            }
        }
    }

    /// An incoming connection, with its source address.
    pub(crate) fn accept(&mut self) -> Option<(Handle, SocketAddrV4)> {
        while let Some(handle) = self.ready.pop_front() {
            match self.get(handle).remote_endpoint().and_then(v4) {
                Some(remote) => return Some((Handle(handle), remote)),
                None => self.leaving.push(handle),
            }
        }
        None
    }

    /// Ready once the connection is established, or has failed.
    pub(crate) fn poll_open(&mut self, handle: Handle, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get(handle.0);
        match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_send_waker(cx.waker());
                Poll::Pending
            }
            State::Closed => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Reads into `buffer`; nothing read is the end.
    pub(crate) fn poll_read(
        &mut self,
        handle: Handle,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get(handle.0);
        if socket.may_recv() && !socket.can_recv() {
            socket.register_recv_waker(cx.waker());
            return Poll::Pending;
        }
        match socket.recv_slice(buffer.initialize_unfilled()) {
            Ok(bytes) => buffer.advance(bytes),
            Err(RecvError::Finished) => {}
            Err(RecvError::InvalidState) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
        Poll::Ready(Ok(()))
    }

    /// Writes as much as the buffer takes.
    pub(crate) fn poll_write(&mut self, handle: Handle, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get(handle.0);
        if !socket.may_send() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !socket.can_send() {
            socket.register_send_waker(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(socket.send_slice(bytes).map_err(io::Error::other))
    }

    /// Closes the writing side.
    pub(crate) fn finish(&mut self, handle: Handle) {
        self.get(handle.0).close();
    }

    /// The stream was dropped: written data is still sent.
    pub(crate) fn let_go(&mut self, handle: Handle) {
        self.get(handle.0).close();
        self.leaving.push(handle.0);
    }

    fn abort(&mut self, handle: Handle) {
        self.get(handle.0).abort();
        self.leaving.push(handle.0);
    }

    /// Resets every connection with `address`.
    pub(crate) fn abort_peer(&mut self, address: Ipv4Addr) {
        for (_, socket) in self.sockets.iter_mut() {
            if let Some(socket) = Socket::downcast_mut(socket)
                && socket.remote_endpoint().is_some_and(|remote| remote.addr == IpAddress::Ipv4(address))
            {
                socket.abort();
            }
        }
    }

    /// Resets every connection.
    pub(crate) fn abort_all(&mut self) {
        for (_, socket) in self.sockets.iter_mut() {
            if let Some(socket) = Socket::downcast_mut(socket)
                && socket.state() != State::Listen
            {
                socket.abort();
            }
        }
    }
}

fn v4(endpoint: IpEndpoint) -> Option<SocketAddrV4> {
    let IpAddress::Ipv4(address) = endpoint.addr;
    Some(SocketAddrV4::new(address, endpoint.port))
}

/// The packets between the stack and the tunnel.
#[derive(Default)]
struct Queues {
    mtu: usize,
    received: VecDeque<Vec<u8>>,
    to_send: VecDeque<Vec<u8>>,
    spare: RefCell<Vec<Vec<u8>>>,
}

struct Received<'a>(Vec<u8>, &'a RefCell<Vec<Vec<u8>>>);

impl smoltcp::phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.0);
        self.1.borrow_mut().push(self.0);
        result
    }
}

struct ToSend<'a>(&'a mut VecDeque<Vec<u8>>, &'a RefCell<Vec<Vec<u8>>>);

impl smoltcp::phy::TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut buffer = self.1.borrow_mut().pop().unwrap_or_default();
        buffer.clear();
        buffer.resize(len, 0);
        let result = f(&mut buffer);
        self.0.push_back(buffer);
        result
    }
}

impl Device for Queues {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: StackInstant) -> Option<(Received<'_>, ToSend<'_>)> {
        // each packet may require a response
        if self.to_send.len() >= PACKETS_MAX {
            return None;
        }
        let packet = self.received.pop_front()?;
        Some((Received(packet, &self.spare), ToSend(&mut self.to_send, &self.spare)))
    }

    fn transmit(&mut self, _: StackInstant) -> Option<ToSend<'_>> {
        (self.to_send.len() < PACKETS_MAX).then_some(ToSend(&mut self.to_send, &self.spare))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // packets from the tunnel are authenticated: checksums are written, for kernels, but not verified
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

#[cfg(test)]
mod tests;
