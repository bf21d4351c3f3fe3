//! A listener, and a client that sends what a test says, byte for byte.

use axum::Router;
use serde_json::Value;
use std::any::Any;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Routes that are served until they are dropped.
pub struct Opened {
    address: SocketAddr,
    serving: JoinHandle<()>,
    _kept: Option<Box<dyn Any + Send>>,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
}

/// A message in a frame of Connect's streams and of gRPC.
pub fn envelope(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

impl Opened {
    pub async fn of(router: Router) -> Opened {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(crate::listener::serve(listener, router, std::future::pending()));
        Opened { address, serving, _kept: None }
    }

    /// The same; what is answered from is open as long as the routes are.
    pub fn keeping(mut self, kept: impl Any + Send) -> Opened {
        self._kept = Some(Box::new(kept));
        self
    }

    /// A call by Connect with JSON.
    pub async fn json(&self, method: &str, request: &Value) -> Answer {
        let types = [("content-type", "application/json")];
        self.send("POST", &format!("/{method}"), &types, request.to_string().as_bytes()).await
    }

    pub async fn send(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{verb} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += &format!("content-length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // of a request that is refused early so much is read
        let _ = stream.write_all(body).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let body = bytes[end + 4..].to_vec();
        let body = if head.contains("transfer-encoding: chunked") { joined(&body) } else { body };
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body }
    }
}

/// The body of chunks.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunks.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[line + 2..line + 2 + length]);
        chunks = &chunks[line + 4 + length..];
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.text()))
    }

    /// The messages of a body of gRPC-Web, and its trailers.
    pub fn frames(&self) -> (Vec<Vec<u8>>, String) {
        let (mut frames, mut trailers, mut rest) = (Vec::new(), String::new(), self.body.as_slice());
        while let [flags, a, b, c, d, after @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let frame = after[..length].to_vec();
            match flags & 0x80 {
                0 => frames.push(frame),
                _ => trailers = String::from_utf8(frame).unwrap(),
            }
            rest = &after[length..];
        }
        (frames, trailers)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
