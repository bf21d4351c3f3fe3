//! Where datagrams come from and go to: UDP of the operating system, or the in-memory network of tests.

use crate::error::{MeshError, listen_refused};
#[cfg(any(test, feature = "sim"))]
use crate::sim;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// Asked of the kernel for each direction; it gives at most `net.core.rmem_max` and `wmem_max`.
const KERNEL_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The network that tunnels run over.
#[derive(Clone, Debug, Default)]
pub enum Underlay {
    /// UDP sockets of this machine.
    #[default]
    Udp,
    /// A simulated network.
    #[cfg(any(test, feature = "sim"))]
    Sim(sim::SimNet),
}

impl Underlay {
    /// A socket on `address`; port 0 takes any free one.
    pub(crate) fn bind(&self, address: SocketAddr) -> Result<Socket, MeshError> {
        match self {
            Underlay::Udp => {
                bind_udp(address).map(Socket::Udp).map_err(|cause| listen_refused("UDP", &address.to_string(), cause))
            }
            #[cfg(any(test, feature = "sim"))]
            Underlay::Sim(net) => {
                net.bind(address).map(Socket::Sim).map_err(|cause| listen_refused("UDP", &address.to_string(), cause))
            }
        }
    }

    /// A socket that reaches IPv4 and, where the machine has it, IPv6.
    pub(crate) fn bind_any(&self) -> Result<Socket, MeshError> {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        self.bind(any).or_else(|_| self.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))))
    }
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    for (what, result) in [
        ("receive", socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES)),
        ("send", socket.set_send_buffer_size(KERNEL_BUFFER_BYTES)),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, what, "the kernel's buffer stays as it is");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// One open socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Udp(UdpSocket),
    #[cfg(any(test, feature = "sim"))]
    Sim(sim::SimSocket),
}

impl Socket {
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Socket::Udp(socket) => socket.local_addr(),
            #[cfg(any(test, feature = "sim"))]
            Socket::Sim(socket) => Ok(socket.address()),
        }
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Udp(socket) => socket.readable().await,
            #[cfg(any(test, feature = "sim"))]
            Socket::Sim(socket) => {
                socket.readable().await;
                Ok(())
            }
        }
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Socket::Udp(socket) => socket.writable().await,
            #[cfg(any(test, feature = "sim"))]
            Socket::Sim(_) => Ok(()),
        }
    }

    /// The next datagram, as far as it fits into `buffer`.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Socket::Udp(socket) => socket.try_recv_from(buffer).map(|(len, from)| (len, plain(from))),
            #[cfg(any(test, feature = "sim"))]
            Socket::Sim(socket) => socket.try_receive(buffer),
        }
    }

    pub(crate) fn try_send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        match self {
            Socket::Udp(socket) => {
                let to = if socket.local_addr()?.is_ipv6() { mapped(to) } else { to };
                socket.try_send_to(datagram, to).map(|_| ())
            }
            #[cfg(any(test, feature = "sim"))]
            Socket::Sim(socket) => {
                socket.send(datagram, to);
                Ok(())
            }
        }
    }
}

/// A socket of both families shows IPv4 addresses as IPv6 ones.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::from((ip.to_ipv6_mapped(), address.port())),
        IpAddr::V6(_) => address,
    }
}
