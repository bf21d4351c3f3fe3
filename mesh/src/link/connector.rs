//! Connections through a link, in the form that tonic asks for.

use super::Shared;
use crate::endpoint::Endpoint;
use crate::stream::MeshStream;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// Connects through a link, as tonic asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    link: ConnectTo,
}

#[derive(Clone)]
enum ConnectTo {
    Link(Arc<Shared>),
    Once(Arc<Endpoint>, SocketAddrV4),
}

impl std::fmt::Debug for ConnectTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConnectTo::Link(shared) => shared.fmt(f),
            ConnectTo::Once(_, to) => write!(f, "{to}"),
        }
    }
}

impl Connector {
    /// To a colony's services, once its link is up.
    pub(super) fn through(link: Arc<Shared>) -> Connector {
        Connector { link: ConnectTo::Link(link) }
    }

    /// To an address inside a tunnel, regardless of the link's state.
    pub(crate) fn once(endpoint: Arc<Endpoint>, to: SocketAddrV4) -> Connector {
        Connector { link: ConnectTo::Once(endpoint, to) }
    }
}

impl Service<http::Uri> for Connector {
    type Response = TokioIo<MeshStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<MeshStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let link = self.link.clone();
        Box::pin(async move {
            let stream = match link {
                ConnectTo::Link(shared) => shared.connect().await,
                ConnectTo::Once(endpoint, to) => MeshStream::connect(&endpoint, to).await,
            };
            stream.map(TokioIo::new)
        })
    }
}
