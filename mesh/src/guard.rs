//! Authorisation of a peer's calls, and one log line per call: a layer before a colony's services.

use crate::caller::{MeshPeer, Peer};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

/// The only calls of a peer that is not registered.
const REGISTRATION: &str = "/coral.mesh.v1.MeshService/";
/// The calls of a peer that may only read.
const READING: [&str; 2] = ["/coral.reef.v1.ColonyFederation/", "/grpc.health.v1.Health/"];

/// Puts a [`Guard`] before services. Calls that come over plain TCP pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuardLayer;

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner }
    }
}

/// Lets calls through that their peer may make, ends them when it is removed, and writes one line for each.
#[derive(Clone, Debug)]
pub struct Guard<S> {
    inner: S,
}

/// What a peer may not do, as a status.
fn check(peer: &MeshPeer, path: &str) -> Result<(), Status> {
    if let Some(why) = peer.ended() {
        return Err(Status::permission_denied(why));
    }
    if path.starts_with(REGISTRATION) {
        return Ok(());
    }
    match &peer.identity {
        None => Err(Status::unauthenticated("this peer is not registered; it may call MeshService.Register only")),
        Some(identity) if identity.read_only && !READING.iter().any(|it| path.starts_with(it)) => {
            Err(Status::permission_denied("the secret of this reef admits to reading only"))
        }
        Some(_) => Ok(()),
    }
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S, B> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Answer<S::Error> {
        let peer = request.extensions().get::<Peer>().cloned();
        let Some((peer, mesh)) = peer.and_then(|peer| peer.mesh.clone().map(|mesh| (peer, mesh))) else {
            return Box::pin(self.inner.call(request));
        };
        let method = request.uri().path().to_owned();
        let mut audit = Audit { peer, method, started: Instant::now(), code: Code::Cancelled };
        if let Err(status) = check(&mesh, request.uri().path()) {
            audit.set(status.code());
            return Box::pin(std::future::ready(Ok(status.into_http())));
        }
        let answer = self.inner.call(request);
        let mut ended: Pin<Box<dyn Future<Output = &'static str> + Send>> = Box::pin(mesh.until_ended());
        Box::pin(async move {
            let response = tokio::select! {
                response = answer => response?,
                why = &mut ended => {
                    audit.set(Code::PermissionDenied);
                    return Ok(Status::permission_denied(why).into_http());
                }
            };
            if let Some(code) = code_of(response.headers()) {
                audit.set(code);
            }
            Ok(response.map(|body| Body::new(Watched { body, ended, audit, is_over: false })))
        })
    }
}

fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// One call, written down when it is over.
struct Audit {
    peer: Peer,
    method: String,
    started: Instant,
    code: Code,
}

impl Audit {
    fn set(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mesh_ip = self.peer.address.map(|address| address.ip().to_string()).unwrap_or_default();
        let reef_id = self.peer.mesh.as_ref().and_then(|mesh| mesh.identity.as_ref()).map(|it| it.reef_id.as_str());
        // what a peer sends must not make a second line
        let method = self.method.escape_debug();
        tracing::info!(target: "coral_audit", mesh_ip, reef_id, %method, code = ?self.code, ms, "call");
    }
}

/// A response that ends with the peer.
struct Watched {
    body: Body,
    ended: Pin<Box<dyn Future<Output = &'static str> + Send>>,
    audit: Audit,
    is_over: bool,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(why) = this.ended.as_mut().poll(cx) {
            (this.is_over, this.audit.code) = (true, Code::PermissionDenied);
            return Poll::Ready(Some(Ok(Frame::trailers(last_words(why)))));
        }
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => this.is_over = true,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    this.audit.code = code;
                }
            }
            Poll::Ready(Some(Err(status))) => this.audit.code = status.code(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn last_words(why: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(i32::from(Code::PermissionDenied)));
    trailers.insert("grpc-message", HeaderValue::from_static(why));
    trailers
}
