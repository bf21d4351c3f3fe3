//! A connection through a tunnel, as tokio reads and writes it.

use crate::endpoint::Endpoint;
use crate::netstack::Handle;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A TCP connection inside a tunnel. Dropping it sends written data and closes it.
pub struct MeshStream {
    endpoint: Arc<Endpoint>,
    generation: u64,
    handle: Handle,
    peer: SocketAddrV4,
}

impl MeshStream {
    pub(crate) fn new(endpoint: Arc<Endpoint>, generation: u64, handle: Handle, peer: SocketAddrV4) -> MeshStream {
        MeshStream { endpoint, generation, handle, peer }
    }

    /// Connects to an address inside the tunnel.
    pub(crate) async fn connect(endpoint: &Arc<Endpoint>, to: SocketAddrV4) -> io::Result<MeshStream> {
        let stream = {
            let mut core = endpoint.lock();
            let handle = core.stack.connect(to)?;
            MeshStream::new(endpoint.clone(), core.generation, handle, to)
        };
        endpoint.wake();
        poll_fn(|cx| {
            let mut core = endpoint.lock();
            if core.generation != stream.generation {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            core.stack.poll_open(stream.handle, cx)
        })
        .await?;
        Ok(stream)
    }

    /// The address at the other end, inside the mesh.
    pub fn peer_address(&self) -> SocketAddrV4 {
        self.peer
    }
}

impl AsyncRead for MeshStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = {
            let mut core = self.endpoint.lock();
            if core.generation != self.generation {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            core.stack.poll_read(self.handle, cx, buffer)
        };
        if buffer.filled().len() > before {
            // there is space again, and the other side may be waiting for a window update
            self.endpoint.wake();
        }
        polled
    }
}

impl AsyncWrite for MeshStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = {
            let mut core = self.endpoint.lock();
            if core.generation != self.generation {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            core.stack.poll_write(self.handle, cx, bytes)
        };
        if polled.is_ready() {
            self.endpoint.wake();
        }
        polled
    }

    /// Written data is already on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut core = self.endpoint.lock();
        if core.generation == self.generation {
            core.stack.finish(self.handle);
        }
        drop(core);
        self.endpoint.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for MeshStream {
    fn drop(&mut self) {
        self.endpoint.let_go(self.generation, self.handle);
    }
}

impl fmt::Debug for MeshStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeshStream({})", self.peer)
    }
}
