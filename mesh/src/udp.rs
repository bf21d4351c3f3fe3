//! UDP of the operating system, many datagrams at a time: the only file that uses quinn-udp.

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Requested from the kernel for each direction; it grants at most `net.core.rmem_max` and `wmem_max`.
const KERNEL_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of one system call; UDP takes 65,507.
const SEND_BYTES_MAX: usize = 64_000;

/// A socket. Datagrams are never fragmented: too large ones are dropped, and a working size is searched.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    is_v6: bool,
}

impl Udp {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Udp> {
        let socket = RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        for (what, result) in [
            ("receive", socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES)),
            ("send", socket.set_send_buffer_size(KERNEL_BUFFER_BYTES)),
        ] {
            if let Err(error) = result {
                tracing::debug!(%error, what, "the kernel's buffer stays unchanged");
            }
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Udp { socket, state, is_v6: address.is_ipv6() })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    pub(crate) fn try_receive(&self, scratch: &mut [u8], mut take: impl FnMut(SocketAddr, &[u8])) -> io::Result<()> {
        let mut meta = [RecvMeta::default()];
        self.socket.try_io(Interest::READABLE, || {
            self.state.recv((&self.socket).into(), &mut [IoSliceMut::new(scratch)], &mut meta)
        })?;
        let [meta] = meta;
        // a socket of both families shows IPv4 addresses as IPv6 ones
        let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
        let bytes = &scratch[..meta.len.min(scratch.len())];
        if bytes.is_empty() {
            take(from, bytes);
        }
        for datagram in bytes.chunks(meta.stride.max(1)) {
            take(from, datagram);
        }
        Ok(())
    }

    pub(crate) fn try_send(&self, queue: &VecDeque<(SocketAddr, Vec<u8>)>, scratch: &mut [u8]) -> io::Result<usize> {
        let Some((to, first)) = queue.front() else { return Ok(0) };
        let size = first.len();
        let most = self.state.max_gso_segments().min(SEND_BYTES_MAX / size.max(1));
        let (mut count, mut bytes) = (0, 0);
        for (other, datagram) in queue.iter().take(most.max(1)) {
            if other != to || datagram.len() > size {
                break;
            }
            scratch[bytes..bytes + datagram.len()].copy_from_slice(datagram);
            bytes += datagram.len();
            count += 1;
            // a shorter one is the last of its call
            if datagram.len() < size {
                break;
            }
        }
        let transmit = Transmit {
            destination: if self.is_v6 { mapped(*to) } else { *to },
            ecn: None,
            contents: &scratch[..bytes],
            segment_size: (count > 1).then_some(size),
            src_ip: None,
        };
        match self.socket.try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            // lost, as on the network
            Err(error) => tracing::trace!(%error, %to, "send"),
            Ok(()) => {}
        }
        Ok(count)
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::from((ip.to_ipv6_mapped(), address.port())),
        IpAddr::V6(_) => address,
    }
}
