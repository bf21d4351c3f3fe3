//! Requests and streamed responses over HTTP/1.1, with TLS where the address says so. A response has a bound.

use super::fault::Fault;
use crate::printable::shortened;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::error::one_line;
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;

/// Most bytes of a response.
pub(super) const BYTES_MAX: usize = 1024 * 1024;
/// Characters of a provider's own words that are kept.
const MESSAGE_MAX: usize = 200;
/// Longest wait that a provider may want.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A response that is being received.
pub(super) struct Stream {
    body: BoxBody<Bytes, String>,
    bytes: usize,
}

fn client() -> &'static HttpClient {
    static CLIENT: OnceLock<HttpClient> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Client::builder(TokioExecutor::new()).build(connector)
    })
}

/// Sends JSON; a response that is no success is a fault.
pub(super) async fn post(url: &str, headers: &[(&'static str, String)], body: String) -> Result<Stream, Fault> {
    let wrong = |what: String| Fault::Connect(what);
    let mut request = Request::builder().method(Method::POST).uri(url);
    for (name, value) in headers {
        // a key that is none becomes no message
        let mut value =
            HeaderValue::from_str(value).map_err(|_| wrong("the key has characters that no header has".to_owned()))?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(body)));
    let request = request.map_err(|_| wrong("the address is none (ai.llm.endpoint)".to_owned()))?;
    let response = client().request(request).await.map_err(|error| wrong(one_line(&error)))?;
    let (head, body) = response.into_parts();
    let mut stream = Stream { body: body.map_err(|error| one_line(&error)).boxed(), bytes: 0 };
    if head.status.is_success() {
        return Ok(stream);
    }
    let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(seconds);
    let mut text = Vec::new();
    while let Ok(Some(bytes)) = stream.next().await {
        text.extend_from_slice(&bytes);
    }
    Err(Fault::Status { status: head.status.as_u16(), message: message(&text), retry_after })
}

/// `Retry-After` in seconds, at most an hour; a date is not read.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse::<u64>().ok().map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The message of an error body, in any of the forms of the protocols.
pub(super) fn message(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let error = &value["error"];
    let text = error["message"].as_str().or(error.as_str()).or(value["message"].as_str()).unwrap_or_default();
    shortened(text, MESSAGE_MAX)
}

impl Stream {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            // a connection that breaks ends the reply before its end
            let frame = match self.body.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(Fault::Cut),
                Some(Ok(frame)) => frame,
            };
            let Ok(bytes) = frame.into_data() else { continue };
            self.bytes += bytes.len();
            return if self.bytes > BYTES_MAX { Err(Fault::TooLarge) } else { Ok(Some(bytes)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_a_bound() {
        let expected = [("3", Some(3)), ("18446744073709551615", Some(3_600)), ("-1", None), ("Fri, 31 Dec", None)];
        for (text, wait) in expected {
            assert_eq!(seconds(text), wait.map(Duration::from_secs), "{text}");
        }
    }
}
