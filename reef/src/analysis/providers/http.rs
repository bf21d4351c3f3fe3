//! Requests and streamed responses over HTTP/1.1, with TLS where the address says so. A response has a bound.

use super::fault::Fault;
use crate::printable::shortened;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::error::one_line;
use model::time::TimeMs;
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

/// The host that a request to this address reaches, without brackets; none of what is no address, or has a user in it.
pub(super) fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    Some(authority.host().trim_start_matches('[').trim_end_matches(']').to_owned())
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
    let header = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|wait| seconds(wait).or_else(|| until(wait, header(DATE)?)));
    let mut text = Vec::new();
    while let Ok(Some(bytes)) = stream.next().await {
        text.extend_from_slice(&bytes);
    }
    Err(Fault::Status { status: head.status.as_u16(), message: message(&text), retry_after })
}

/// `Retry-After` as a date, by the server's own clock: from its `Date` on, at most an hour.
fn until(text: &str, date: &str) -> Option<Duration> {
    let wait_ms = instant(text)? - instant(date)?;
    Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(RETRY_AFTER_MAX))
}

/// `Fri, 31 Dec 1999 23:59:59 GMT`.
fn instant(text: &str) -> Option<TimeMs> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, clock, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    TimeMs::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{clock}Z"))
}

/// `Retry-After` in seconds, at most an hour.
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
        let date = "Fri, 31 Dec 1999 23:59:50 GMT";
        let expected = [
            ("Fri, 31 Dec 1999 23:59:59 GMT", Some(9)),
            ("Sat, 1 Jan 2000 00:00:20 GMT", Some(30)),
            ("Fri, 31 Dec 1999 20:00:00 GMT", Some(0)),
            ("Sun, 02 Jan 2000 00:00:00 GMT", Some(3_600)),
            ("Fri, 31 Foo 1999 23:59:59 GMT", None),
            ("soon", None),
        ];
        for (text, wait) in expected {
            assert_eq!(until(text, date), wait.map(Duration::from_secs), "{text}");
        }
    }
}
