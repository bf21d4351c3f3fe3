//! Where datagrams come from and go to: UDP of the operating system, or the in-memory network of tests.

use crate::error::{MeshError, listen_refused};
#[cfg(any(test, feature = "sim"))]
use crate::sim;
use crate::udp::Udp;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Maximum number of datagrams per system call.
pub(crate) const SCRATCH_BYTES: usize = 64 * 1024;

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
                Udp::bind(address).map(Socket::Udp).map_err(|cause| listen_refused("UDP", &address.to_string(), cause))
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

/// One open socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Udp(Udp),
    #[cfg(any(test, feature = "sim"))]
    Sim(sim::SimSocket),
}

impl Socket {
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Socket::Udp(socket) => socket.address(),
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

    /// Gives the datagrams of one system call to `take`. `scratch` must have [`SCRATCH_BYTES`].
    pub(crate) fn try_receive(&self, scratch: &mut [u8], take: impl FnMut(SocketAddr, &[u8])) -> io::Result<()> {
        match self {
            Socket::Udp(socket) => socket.try_receive(scratch, take),
            #[cfg(any(test, feature = "sim"))]
            Socket::Sim(socket) => {
                let mut take = take;
                let (len, from) = socket.try_receive(scratch)?;
                take(from, &scratch[..len]);
                Ok(())
            }
        }
    }

    /// Sends the first datagram, and those behind it that go with the same system call; returns how many.
    pub(crate) fn try_send(&self, queue: &VecDeque<(SocketAddr, Vec<u8>)>, scratch: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Udp(socket) => socket.try_send(queue, scratch),
            #[cfg(any(test, feature = "sim"))]
            Socket::Sim(socket) => {
                for (to, datagram) in queue {
                    socket.send(datagram, *to);
                }
                Ok(queue.len())
            }
        }
    }
}
