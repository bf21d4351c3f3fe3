//! Decodes a message to a row or a reject. JSON uses the common decoder of records; protobuf that of the wire.

use crate::guard::guarded;
use crate::record::LINE_BYTES_MAX;
use crate::record::Notes;
use crate::record::RowKind;
use crate::record::decode::{colony_of, decode_event, decode_metric, series_of};
use crate::record::json::parse_object;
use crate::record::magic::known_by;
use crate::report::InputReport;
use model::check::Fault;
use model::clock::SharedClock;
use model::colony::ColonyIdentity;
use model::colony::identity_from_id;
use model::reject::{RAW_CHARS_MAX, Reject, RejectReason};
use model::rows::Rows;
use model::series::SeriesCache;
use model::time::TimeMs;
use prost::Message as _;
use proto::convert::{event_from_wire, metric_from_wire};
use proto::reef::v1;

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

/// Header with the encoding of the value.
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

/// Reads key and headers of a value. Header names can be any bytes; the library panics on a name that is not UTF-8,
/// which must be a fault of that message and not end the run.
pub(super) fn envelope<M: rdkafka::Message>(message: &M) -> Result<Envelope<'_>, Fault> {
    let mut envelope = Envelope { key: message.key(), ..Envelope::default() };
    let Some(headers) = message.headers() else { return Ok(envelope) };
    let read = guarded(|| {
        use rdkafka::message::Headers as _;
        for header in headers.iter() {
            match header.key {
                CONTENT_TYPE => envelope.content_type = header.value,
                APPLICATION => envelope.application = header.value,
                ENVIRONMENT => envelope.environment = header.value,
                _ => {}
            }
        }
    });
    read.map(|()| envelope).map_err(|_| (RejectReason::Malformed, "the name of a header is not UTF-8".to_owned()))
}

/// Decodes the messages of one topic into a batch.
pub(super) struct Decoder {
    source: String,
    kind: RowKind,
    clock: SharedClock,
    /// When the first message of the batch came; by it the whole batch is judged.
    now: TimeMs,
    pub(super) rows: Rows,
    pub(super) rejects: Vec<Reject>,
    report: InputReport,
    notes: Notes,
    /// Series of the messages so far.
    series: SeriesCache,
}

impl Decoder {
    pub(super) fn new(source: &str, kind: RowKind, clock: SharedClock) -> Decoder {
        let (now, rows, rejects) = (clock.now(), Rows::default(), Vec::new());
        let (report, notes, series) = (InputReport::default(), Notes::new(), SeriesCache::default());
        Decoder { source: source.to_owned(), kind, clock, now, rows, rejects, report, notes, series }
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
        // a quiet topic may leave days between two batches
        if self.len() == 0 {
            self.now = self.clock.now();
        }
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
        let record = json_in(value).and_then(parse_object).map_err(|fault| (None, fault))?;
        self.notes.clear();
        let decoded = match self.kind {
            RowKind::Events => decode_event(&record, self.now, &mut self.notes).map(|row| self.rows.events.push(row)),
            RowKind::Metrics => {
                decode_metric(&record, self.now, &mut self.series).map(|row| self.rows.metrics.push(row))
            }
        };
        match decoded {
            Ok(()) => {
                self.notes.drain(..).for_each(|note| self.report.add_note(&note));
                Ok(())
            }
            Err(fault) => {
                if let (RowKind::Metrics, Some(series)) = (self.kind, series_of(&record)) {
                    self.report.add_refused(&series);
                }
                Err((colony_of(&record), fault))
            }
        }
    }

    /// Messages of the wire do not repeat whose they are: the key is the colony, headers may add the rest.
    fn protobuf(&mut self, envelope: &Envelope<'_>, value: &[u8]) -> Result<(), (Option<String>, Fault)> {
        let colony = identity(envelope).map_err(|fault| (None, fault))?;
        let malformed = |cause: prost::DecodeError| {
            let message = if self.kind == RowKind::Events { "Event" } else { "MetricSummary" };
            (RejectReason::Malformed, format!("not a coral.reef.v1.{message}: {cause}"))
        };
        match self.kind {
            RowKind::Events => v1::Event::decode(wire_in(value))
                .map_err(malformed)
                .and_then(|wire| event_from_wire(&colony, wire, self.now))
                .map(|row| self.rows.events.push(row)),
            RowKind::Metrics => v1::MetricSummary::decode(wire_in(value))
                .map_err(malformed)
                .and_then(|wire| metric_from_wire(&colony, wire, self.now))
                .map(|row| self.rows.metrics.push(row)),
        }
        .map_err(|fault| (Some(colony.colony_id), fault))
    }

    /// The rows, rejects and notes so far.
    pub(super) fn finish(&mut self) -> (Rows, Vec<Reject>, InputReport) {
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.rejects), std::mem::take(&mut self.report))
    }
}

/// Decodes values of a topic, for tests: the key is a colony, the header `content-type` as given.
#[cfg(any(test, feature = "compliance"))]
pub fn decode_values(
    kind: RowKind,
    content_type: Option<&[u8]>,
    values: &[&[u8]],
    clock: SharedClock,
) -> (Rows, Vec<Reject>) {
    let mut decoder = Decoder::new("kafka", kind, clock);
    for (offset, value) in values.iter().enumerate() {
        let envelope = Envelope { key: Some(b"shop-production"), content_type, ..Envelope::default() };
        decoder.take(Ok(envelope), Some(value), || format!("topic/0@{offset}"));
    }
    let (rows, rejects, _) = decoder.finish();
    (rows, rejects)
}

/// Bytes before a value that a schema registry's serializer writes: zero, and the number of the schema.
const FRAME_BYTES: usize = 5;

/// The number of the schema, and the value behind the frame.
fn framed(value: &[u8]) -> Option<(u32, &[u8])> {
    let (frame, rest) = value.split_at_checked(FRAME_BYTES)?;
    let schema = frame[1..].try_into().ok().map(u32::from_be_bytes)?;
    (frame[0] == 0).then_some((schema, rest))
}

/// The JSON of a value: behind a byte-order mark, or behind the frame of a schema registry.
fn json_in(value: &[u8]) -> Result<&[u8], Fault> {
    let malformed = |detail: String| Err((RejectReason::Malformed, detail));
    let without_mark = |text: &'_ [u8]| text.strip_prefix(b"\xef\xbb\xbf").map_or(0, |_| 3);
    if let Some((schema, rest)) = framed(value) {
        let text = &rest[without_mark(rest)..];
        if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
            return Ok(text);
        }
        return malformed(format!(
            "framed by a schema registry (schema {schema}) and no JSON: Avro is not read; write JSON, or protobuf with the \
             header content-type application/x-protobuf"
        ));
    }
    if let Some(what) = known_by(value) {
        return malformed(format!("the value is {what}"));
    }
    Ok(&value[without_mark(value)..])
}

/// The message of a value: behind the frame of a schema registry, whose indexes say which message of a file it is. No
/// message of the wire begins with a zero.
fn wire_in(value: &[u8]) -> &[u8] {
    let Some((_, mut rest)) = framed(value) else { return value };
    let mut varint = || {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, behind) = rest.split_first()?;
            rest = behind;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    };
    // zigzag: n indexes are written as 2n; none stands for the first message
    let indexes = varint().unwrap_or_default() / 2;
    for _ in 0..indexes {
        if varint().is_none() {
            break;
        }
    }
    rest
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

fn identity(envelope: &Envelope<'_>) -> Result<ColonyIdentity, Fault> {
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
    Ok(ColonyIdentity {
        application_name: or(text(envelope.application, "the header application-name")?, application),
        environment: or(text(envelope.environment, "the header environment")?, environment),
        colony_id,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use model::clock::{Clock, ManualClock};
    use model::time::{DAY_MS, HOUR_MS};

    #[test]
    fn rows_after_days_of_silence_are_judged_by_the_clock_at_their_arrival() {
        let friday = TimeMs(1_700_000_000_000);
        let clock = ManualClock::at(friday);
        let mut decoder = Decoder::new("kafka:b", RowKind::Events, clock.clone());
        let take = |decoder: &mut Decoder, at: TimeMs| {
            let value = format!(
                r#"{{"event_id":"e","colony_id":"c","timestamp":"{at}","event_type":"deploy","service_id":"s"}}"#
            );
            decoder.take(Ok(Envelope::default()), Some(value.as_bytes()), || "events/0@0".to_owned());
            let (rows, rejects, _) = decoder.finish();
            (rows.events.len(), rejects.len())
        };
        assert_eq!(take(&mut decoder, friday), (1, 0));
        clock.advance(3 * DAY_MS);
        assert_eq!(take(&mut decoder, clock.now() - HOUR_MS), (1, 0), "three silent days later");
        assert_eq!(take(&mut decoder, clock.now() + 2 * DAY_MS), (0, 1), "still far in the future");
    }
}
