//! Listener: HTTP connections with bounds: how many there are, how long a head may take, how a refused request is read.
//!
//! Public for the conformance suite, which is served like ours.

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{self, Version, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tower_service::Service;

/// Connections that are open at once; others wait.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a caller may take for the head of a request, and between two requests.
const HEAD_WAIT: Duration = Duration::from_secs(20);
/// How often a connection of HTTP/2 is asked whether its peer is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Of the body of a request that is answered before it was read, so much is read, for so long: a caller that still writes
/// then reads the answer instead of a broken connection.
const UNREAD_BYTES_MAX: usize = 1 << 20;
const UNREAD_WAIT: Duration = Duration::from_secs(1);

/// Serves until `stopped`, and then what is in progress. All connections end when this is dropped.
pub async fn serve(listener: TcpListener, app: Router, stopped: impl Future<Output = ()>) {
    serve_within(HEAD_WAIT, listener, app, stopped).await;
}

async fn serve_within(head_wait: Duration, listener: TcpListener, app: Router, stopped: impl Future<Output = ()>) {
    let app = app.layer(from_fn(read_what_is_left));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_wait);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_EVERY);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stop, told) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            accepted = accept(&listener, &room) => {
                if let Some((permit, stream)) = accepted {
                    let connection = Connection { head_wait, builder: builder.clone(), app: app.clone(), told: told.clone() };
                    open.spawn(async move {
                        connection.serve(stream).await;
                        drop(permit);
                    });
                }
            }
            Some(_) = open.join_next() => {}
            () = stopped.as_mut() => break,
        }
    }
    drop(listener);
    stop.send_replace(true);
    while open.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(OwnedSemaphorePermit, TcpStream)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((permit, stream)),
        Err(error) => {
            tracing::debug!(%error, "a connection cannot be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

struct Connection {
    head_wait: Duration,
    builder: Builder<TokioExecutor>,
    app: Router,
    told: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let has_asked = Arc::new(AtomicBool::new(false));
        let service = TowerToHyperService::new(Noting { app: self.app, has_asked: Arc::clone(&has_asked) });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        // before it is known which version of HTTP it is, there is no other limit
        let mut first = pin!(tokio::time::sleep(self.head_wait));
        let told = &mut self.told;
        let mut stopping = pin!(async move {
            let _ = told.wait_for(|stop| *stop).await;
        });
        let (mut is_waiting, mut is_stopping) = (true, false);
        loop {
            tokio::select! {
                // what has arrived is read before its time is looked at
                biased;
                _ = connection.as_mut() => return,
                () = first.as_mut(), if is_waiting => {
                    if !has_asked.load(Ordering::Relaxed) {
                        return;
                    }
                    is_waiting = false;
                }
                () = stopping.as_mut(), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// The routes, for one connection; notes that it has sent the head of a request.
#[derive(Clone)]
struct Noting {
    app: Router,
    has_asked: Arc<AtomicBool>,
}

impl<B> Service<http::Request<B>> for Noting
where
    Router: Service<http::Request<B>>,
{
    type Response = <Router as Service<http::Request<B>>>::Response;
    type Error = <Router as Service<http::Request<B>>>::Error;
    type Future = <Router as Service<http::Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        <Router as Service<http::Request<B>>>::poll_ready(&mut self.app, context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.has_asked.store(true, Ordering::Relaxed);
        self.app.call(request)
    }
}

/// Reads what is left of the body of a request that was answered early, within bounds. A stream of HTTP/2 is reset without
/// harm to its connection, and a caller that waits for `100 Continue` has sent nothing.
async fn read_what_is_left(request: Request, next: Next) -> Response {
    let expects = request.headers().contains_key(header::EXPECT);
    if request.version() > Version::HTTP_11 || expects || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (back, mut left) = oneshot::channel();
    let request = request.map(|body| Body::new(Kept { body: Some(body), back: Some(back) }));
    let response = next.run(request).await;
    if let Ok(mut body) = left.try_recv() {
        let read = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > UNREAD_BYTES_MAX {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(UNREAD_WAIT, read).await;
    }
    response
}

/// The body of a request, which comes back if it is dropped before its end.
struct Kept {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            let _ = back.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Routes that answer at once, read nothing, or send back what they read.
    async fn opened(head_wait: Duration) -> (SocketAddr, JoinSet<()>) {
        let refuse = |_: Request| async { (StatusCode::NOT_FOUND, "refused") };
        let echo = |request: Request| async { Response::new(Body::new(request.into_body())) };
        let app = Router::new()
            .route("/", get(|| async { "fine" }))
            .route("/refuse", post(refuse))
            .route("/echo", post(echo));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve_within(head_wait, listener, app, std::future::pending()));
        (address, serving)
    }

    /// What a connection answers until it is closed.
    async fn answered(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn a_caller_that_does_not_finish_its_head_is_let_go() {
        let (address, _serving) = opened(Duration::from_millis(300)).await;
        for begin in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            // returns once the connection is closed
            let answer = answered(&mut stream).await;
            assert!(!answer.contains("fine"), "{begin:?}: {answer}");
        }
        // a second request on a connection has a limit too
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost").await.unwrap();
        let answer = answered(&mut stream).await;
        assert_eq!(answer.matches("fine").count(), 1, "{answer}");
    }

    /// A request with a body, on a connection that stays open; what is written after the head is written in pieces.
    async fn sent(stream: &mut TcpStream, path: &str, body: &[u8]) {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in body.chunks(16_384) {
            stream.write_all(piece).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_still_writes_reads_an_early_refusal_on_a_whole_connection() {
        let (address, _serving) = opened(HEAD_WAIT).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = vec![b'x'; UNREAD_BYTES_MAX / 4];
        for _ in 0..3 {
            sent(&mut stream, "/refuse", &body).await;
        }
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let answer = answered(&mut stream).await;
        let counts = ["404 Not Found", "refused", "200 OK", "fine"].map(|text| answer.matches(text).count());
        assert_eq!(counts, [3, 3, 1, 1], "{answer}");
    }

    #[tokio::test]
    async fn a_body_that_is_read_while_it_is_answered_is_left_alone() {
        let (address, _serving) = opened(HEAD_WAIT).await;
        let (reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        let reading = tokio::spawn(async move {
            let (mut reader, mut bytes) = (reader, Vec::new());
            let _ = reader.read_to_end(&mut bytes).await;
            bytes
        });
        let body = vec![b'x'; 3 * UNREAD_BYTES_MAX];
        let head =
            format!("POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        writer.write_all(head.as_bytes()).await.unwrap();
        writer.write_all(&body).await.unwrap();
        let bytes = reading.await.unwrap();
        let sent_back = bytes.iter().filter(|byte| **byte == b'x').count();
        assert!(sent_back >= body.len(), "{sent_back} of {}", body.len());
    }

    #[tokio::test]
    async fn what_is_in_progress_ends_before_the_listener_does() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (begin, begun) = oneshot::channel::<()>();
        let begin = Arc::new(std::sync::Mutex::new(Some(begin)));
        let (let_go, held) = watch::channel(false);
        let slow = move || {
            let (begin, mut held) = (Arc::clone(&begin), held.clone());
            async move {
                if let Some(begin) = begin.lock().unwrap().take() {
                    let _ = begin.send(());
                }
                let _ = held.wait_for(|go| *go).await;
                "slow"
            }
        };
        let app = Router::new().route("/", get(slow));
        let serving = tokio::spawn(serve(listener, app, async move {
            let _ = stopped.await;
        }));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        begun.await.unwrap();
        stop.send(()).unwrap();
        let_go.send_replace(true);
        assert!(answered(&mut stream).await.ends_with("slow"));
        serving.await.unwrap();
    }
}
