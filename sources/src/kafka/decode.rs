//! From a message to a row or a reject. JSON goes through the one decoder of records; protobuf through the wire's.

use crate::files::FileKind;
use crate::files::decode::{colony_of, decode_event, decode_metric};
use crate::files::json::parse_object;
use crate::files::ndjson::LINE_BYTES_MAX;
use model::check::Fault;
use model::clock::SharedClock;
use model::colony::identity_from_id;
use model::reject::{RAW_CHARS_MAX, Reject, RejectReason};
use model::rows::Rows;
use model::time::TimeMs;
use prost::Message as _;
use proto::convert::{Identity, event_from_wire, metric_from_wire};
use proto::reef::v1;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a value is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`: the records of files.
    #[default]
    Json,
    /// `application/x-protobuf`: the messages of `federation.proto`.
    Protobuf,
}

impl Encoding {
    /// The value of the header `content-type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/x-protobuf",
        }
    }

    fn of_content_type(text: &str) -> Option<Encoding> {
        let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "" | "application/json" | "text/json" => Some(Encoding::Json),
            "application/x-protobuf" | "application/protobuf" | "application/vnd.google.protobuf" => {
                Some(Encoding::Protobuf)
            }
            _ => None,
        }
    }
}

/// Header that says how the value is encoded.
pub(super) const CONTENT_TYPE: &str = "content-type";
/// Header with the application, for messages that do not carry it (protobuf).
pub(super) const APPLICATION: &str = "application-name";
/// Header with the environment, for messages that do not carry it (protobuf).
pub(super) const ENVIRONMENT: &str = "environment";

/// The headers that count; a header that is written twice has its last value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Envelope<'a> {
    pub key: Option<&'a [u8]>,
    pub content_type: Option<&'a [u8]>,
    pub application: Option<&'a [u8]>,
    pub environment: Option<&'a [u8]>,
}

thread_local! {
    static READS_HEADERS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is reading the headers of a message. A panic there is a fault of the message: it is caught, and
/// whoever ends the process on a panic must let it pass.
pub fn reads_headers() -> bool {
    READS_HEADERS.get()
}

/// Reads what is around a value. Names of headers are whatever bytes a producer wrote; the library panics on a name
/// that is no UTF-8, which must be a fault of that message and not the end of the run.
pub(super) fn envelope<M: rdkafka::Message>(message: &M) -> Result<Envelope<'_>, Fault> {
    let mut envelope = Envelope { key: message.key(), ..Envelope::default() };
    let Some(headers) = message.headers() else { return Ok(envelope) };
    READS_HEADERS.set(true);
    let read = catch_unwind(AssertUnwindSafe(|| {
        use rdkafka::message::Headers as _;
        for header in headers.iter() {
            match header.key {
                CONTENT_TYPE => envelope.content_type = header.value,
                APPLICATION => envelope.application = header.value,
                ENVIRONMENT => envelope.environment = header.value,
                _ => {}
            }
        }
    }));
    READS_HEADERS.set(false);
    read.map(|()| envelope).map_err(|_| (RejectReason::Malformed, "the name of a header is not UTF-8".to_owned()))
}

/// Decodes the messages of one topic into a batch.
pub(super) struct Decoder {
    source: String,
    kind: FileKind,
    clock: SharedClock,
    now: TimeMs,
    pub(super) rows: Rows,
    pub(super) rejects: Vec<Reject>,
}

impl Decoder {
    pub(super) fn new(source: &str, kind: FileKind, clock: SharedClock) -> Decoder {
        let (now, rows, rejects) = (clock.now(), Rows::default(), Vec::new());
        Decoder { source: source.to_owned(), kind, clock, now, rows, rejects }
    }

    /// How many messages the batch holds, good and bad together.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.rejects.len()
    }

    /// Decodes a message; what cannot be decoded is refused with its `place`, `topic/partition@offset`.
    pub(super) fn take(
        &mut self,
        envelope: Result<Envelope<'_>, Fault>,
        value: Option<&[u8]>,
        place: impl FnOnce() -> String,
    ) {
        let refused = match (envelope, value) {
            (Err(fault), _) => Err((None, fault)),
            (Ok(_), None) => Err((None, (RejectReason::Malformed, "no value (tombstone)".to_owned()))),
            (Ok(_), Some(value)) if value.len() > LINE_BYTES_MAX => {
                let detail = format!("the value has {} bytes, the limit is {LINE_BYTES_MAX}", value.len());
                Err((None, (RejectReason::Oversized, detail)))
            }
            (Ok(envelope), Some(value)) => match encoding(&envelope) {
                Ok(Encoding::Json) => self.json(value),
                Ok(Encoding::Protobuf) => self.protobuf(&envelope, value),
                Err(fault) => Err((None, fault)),
            },
        };
        if let Err((colony_id, (reason, detail))) = refused {
            let head = value.map(|value| &value[..value.len().min(4 * RAW_CHARS_MAX)]).unwrap_or_default();
            self.rejects.push(Reject {
                source: self.source.clone(),
                place: place(),
                colony_id,
                reason,
                detail,
                raw: String::from_utf8_lossy(head).chars().take(RAW_CHARS_MAX).collect(),
                rejected_at: self.now,
            });
        }
    }

    fn json(&mut self, value: &[u8]) -> Result<(), (Option<String>, Fault)> {
        let record = parse_object(value).map_err(|fault| (None, fault))?;
        match self.kind {
            FileKind::Events => decode_event(&record, self.now).map(|row| self.rows.events.push(row)),
            FileKind::Metrics => decode_metric(&record, self.now).map(|row| self.rows.metrics.push(row)),
        }
        .map_err(|fault| (colony_of(&record), fault))
    }

    /// Messages of the wire do not repeat whose they are: the key is the colony, headers may add the rest.
    fn protobuf(&mut self, envelope: &Envelope<'_>, value: &[u8]) -> Result<(), (Option<String>, Fault)> {
        let colony = identity(envelope).map_err(|fault| (None, fault))?;
        let malformed = |cause: prost::DecodeError| {
            let message = if self.kind == FileKind::Events { "Event" } else { "MetricSummary" };
            (RejectReason::Malformed, format!("not a coral.reef.v1.{message}: {cause}"))
        };
        match self.kind {
            FileKind::Events => v1::Event::decode(value)
                .map_err(malformed)
                .and_then(|wire| event_from_wire(&colony, wire, self.now))
                .map(|row| self.rows.events.push(row)),
            FileKind::Metrics => v1::MetricSummary::decode(value)
                .map_err(malformed)
                .and_then(|wire| metric_from_wire(&colony, wire, self.now))
                .map(|row| self.rows.metrics.push(row)),
        }
        .map_err(|fault| (Some(colony.colony_id), fault))
    }

    /// The rows and rejects so far.
    pub(super) fn finish(&mut self) -> (Rows, Vec<Reject>) {
        self.now = self.clock.now();
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.rejects))
    }
}

fn encoding(envelope: &Envelope<'_>) -> Result<Encoding, Fault> {
    let Some(bytes) = envelope.content_type else { return Ok(Encoding::Json) };
    let text = String::from_utf8_lossy(bytes);
    Encoding::of_content_type(&text).ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        let detail = format!("content-type is {shown:?}, expected application/json or application/x-protobuf");
        (RejectReason::Malformed, detail)
    })
}

fn identity(envelope: &Envelope<'_>) -> Result<Identity, Fault> {
    let text = |bytes: Option<&[u8]>, what: &str| match bytes {
        None => Ok(String::new()),
        Some(bytes) => std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| (RejectReason::BadValue, format!("{what} is not UTF-8 text"))),
    };
    let colony_id = text(envelope.key, "the key, which is the colony_id,")?;
    if colony_id.trim().is_empty() {
        return Err((RejectReason::MissingField, "colony_id is missing: the message has no key".to_owned()));
    }
    let (application, environment) = identity_from_id(&colony_id);
    let or = |stated: String, from_id: String| if stated.is_empty() { from_id } else { stated };
    Ok(Identity {
        application_name: or(text(envelope.application, "the header application-name")?, application),
        environment: or(text(envelope.environment, "the header environment")?, environment),
        colony_id,
    })
}
