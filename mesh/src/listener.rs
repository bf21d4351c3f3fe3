//! Where a colony listens, and its incoming connections with the identity of each peer.

use crate::caller::{MeshPeer, Peer};
use crate::door::{Door, DoorSettings};
use crate::error::{MeshError, listen_refused};
#[cfg(any(test, feature = "sim"))]
use crate::memory::{MemoryListener, MemoryNet, MemoryStream};
use crate::stream::MeshStream;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// Pause after a failed accept (too many open files): trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where to listen; nothing is opened yet.
#[derive(Clone, Debug)]
pub enum Listen {
    /// Plain TCP on `host:port`; port 0 takes any free one.
    Plain(String),
    /// The colony's mesh.
    Mesh(Box<DoorSettings>),
    /// An address inside this process; port 0 takes a free one.
    #[cfg(any(test, feature = "sim"))]
    Memory(MemoryNet, SocketAddr),
}

impl Listen {
    /// Plain TCP on `host:port`.
    pub fn plain(address: impl Into<String>) -> Listen {
        Listen::Plain(address.into())
    }

    /// Starts listening.
    pub async fn open(&self) -> Result<Listener, MeshError> {
        match self {
            Listen::Plain(address) => TcpListener::bind(address.as_str())
                .await
                .map(Listener::Plain)
                .map_err(|cause| listen_refused("TCP", address, cause)),
            Listen::Mesh(settings) => Door::open(settings.as_ref().clone()).map(Listener::Mesh),
            #[cfg(any(test, feature = "sim"))]
            Listen::Memory(net, address) => net
                .listen(*address)
                .map(Listener::Memory)
                .map_err(|cause| listen_refused("memory", &address.to_string(), cause)),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Plain(address) => f.write_str(address),
            Listen::Mesh(settings) => write!(f, "UDP {}", settings.listen),
            #[cfg(any(test, feature = "sim"))]
            Listen::Memory(_, address) => write!(f, "memory {address}"),
        }
    }
}

/// An open listener of a colony.
#[derive(Debug)]
pub enum Listener {
    /// Plain TCP.
    Plain(TcpListener),
    /// The colony's mesh.
    Mesh(Door),
    /// An address inside this process.
    #[cfg(any(test, feature = "sim"))]
    Memory(MemoryListener),
}

impl Listener {
    /// The address in fact listened on: TCP, or UDP for a mesh.
    pub fn address(&self) -> Result<SocketAddr, MeshError> {
        match self {
            Listener::Plain(listener) => listener
                .local_addr()
                .map_err(|cause| MeshError::LocalAddress { address: SocketAddr::from(([0, 0, 0, 0], 0)), cause }),
            Listener::Mesh(door) => Ok(door.address()),
            #[cfg(any(test, feature = "sim"))]
            Listener::Memory(listener) => Ok(listener.address()),
        }
    }

    /// The incoming connections, for tonic's `serve_with_incoming_shutdown`. Never ends and never fails: a connection
    /// that cannot be accepted is logged, and the next one is awaited.
    pub fn incoming(self) -> Incoming {
        Incoming::of(vec![self])
    }
}

/// One connection.
#[derive(Debug)]
pub enum Connection {
    /// Plain TCP.
    Plain(TcpStream),
    /// A connection through a tunnel, and whose tunnel it is.
    Mesh(MeshStream, MeshPeer),
    /// A connection inside this process.
    #[cfg(any(test, feature = "sim"))]
    Memory(MemoryStream),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match self {
            Connection::Plain(stream) => Peer { address: stream.peer_addr().ok(), mesh: None },
            Connection::Mesh(stream, peer) => {
                Peer { address: Some(stream.peer_address().into()), mesh: Some(peer.clone()) }
            }
            #[cfg(any(test, feature = "sim"))]
            Connection::Memory(stream) => Peer { address: Some(stream.address()), mesh: None },
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Connection::Mesh(stream, _) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(any(test, feature = "sim"))]
            Connection::Memory(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Connection::Mesh(stream, _) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(any(test, feature = "sim"))]
            Connection::Memory(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Connection::Mesh(stream, _) => Pin::new(stream).poll_flush(cx),
            #[cfg(any(test, feature = "sim"))]
            Connection::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Connection::Mesh(stream, _) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(any(test, feature = "sim"))]
            Connection::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The incoming connections of one or several listeners.
pub struct Incoming {
    accepting: Vec<Accepting>,
    /// The listener that is polled first: none may starve another.
    first: usize,
}

/// A listener, and its pause after a failed accept.
struct Accepting {
    listener: Listener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// The connections of all these listeners.
    pub fn of(listeners: Vec<Listener>) -> Incoming {
        let accepting = listeners.into_iter().map(|listener| Accepting { listener, pause: None }).collect();
        Incoming { accepting, first: 0 }
    }
}

impl Stream for Incoming {
    type Item = Result<Connection, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let count = self.accepting.len();
        let first = self.first;
        for index in (0..count).map(|offset| (first + offset) % count) {
            if let Poll::Ready(connection) = self.accepting[index].poll(cx) {
                self.first = index + 1;
                return Poll::Ready(connection.map(Ok));
            }
        }
        Poll::Pending
    }
}

impl Accepting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Connection>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let listener = match &mut self.listener {
                Listener::Plain(listener) => listener,
                Listener::Mesh(door) => {
                    return door.acceptor().poll_accept(cx).map(|(stream, peer)| Some(Connection::Mesh(stream, peer)));
                }
                #[cfg(any(test, feature = "sim"))]
                Listener::Memory(listener) => {
                    return listener.poll_accept(cx).map(|stream| stream.map(Connection::Memory));
                }
            };
            match ready!(listener.poll_accept(cx)) {
                Ok((stream, peer)) => {
                    // small messages must not wait for more
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%peer, %error, "cannot switch off delays");
                    }
                    return Poll::Ready(Some(Connection::Plain(stream)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}
