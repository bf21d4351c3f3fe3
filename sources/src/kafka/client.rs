//! The library's clients: creation, logs, and classification of errors.

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Events served at once: more than a failed attempt to connect leaves behind.
const DRAIN_EVENTS_MAX: usize = 64;

/// A consumer that keeps the library's log about connections.
pub(super) type Consumer = BaseConsumer<Context>;

/// Receives the library's log: the last failure is the reason of an outage, everything goes to `tracing`.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    last_failure: Arc<Mutex<String>>,
}

impl Context {
    /// Why the brokers are not reached, in the library's words; empty when nothing has failed.
    pub(super) fn last_failure(&self) -> String {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // `[thrd:host:port/bootstrap]: host:port/bootstrap: Connect to … failed: Connection refused (after …)`
        let words =
            text.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(text, |(_, words)| words);
        if facility == "FAIL" {
            let words = words.split(" (after ").next().unwrap_or(words);
            words.clone_into(&mut self.last_failure.lock().unwrap_or_else(PoisonError::into_inner));
        }
        // an outage is reported once, by the source; the library reports every attempt
        tracing::debug!(?level, facility, "librdkafka: {words}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Context {}

/// What every client shares.
pub(super) fn base(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "coral-pipeline")
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Whether the library accepts the properties; the words never repeat a value, which may be a secret.
pub(super) fn check(config: &ClientConfig) -> Result<(), String> {
    config.create_native_config().map(drop).map_err(|error| creation_words(&error))
}

/// Why a client could not be created.
pub(super) fn creation_words(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
            format!("option {name:?} is no property of librdkafka")
        }
        KafkaError::ClientConfig(_, _, name, _) => format!("option {name:?} has a value that librdkafka refuses"),
        // the library's own words: a missing certificate file, a mechanism without a user name
        other => format!("cannot be set up: {other}"),
    }
}

/// The reason of an error: what librdkafka says about its code, without the name of the call that failed.
pub(super) fn reason(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// The same with what the consumer's log says about the connection, if anything failed there.
pub(super) fn reason_with_log(error: &KafkaError, consumer: &Consumer) -> String {
    let (said, logged) = (reason(error), consumer.context().last_failure());
    if logged.is_empty() { said } else { format!("{said} ({logged})") }
}

/// What an error of a running client means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No broker is reached, or they refuse us; it may pass.
    Away,
    /// Refused by name: wrong password, missing permission. It does not pass by waiting, but may on the broker's side.
    Refused,
    /// One of several connections, or a request that can be retried.
    Passing,
}

/// Classes an error.
pub(super) fn class(error: &KafkaError) -> Trouble {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::AllBrokersDown | Code::Resolve) => Trouble::Away,
        Some(
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::TopicAuthorizationFailed
            | Code::InvalidTopic
            | Code::SSL,
        ) => Trouble::Refused,
        _ => Trouble::Passing,
    }
}

/// Polls the queue of a consumer without partitions: its log, which has the reason of a failure, and errors. True if
/// one of them is a refusal.
pub(super) fn drain(consumer: &Consumer) -> bool {
    let mut is_refused = false;
    for _ in 0..DRAIN_EVENTS_MAX {
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(1)) {
            is_refused |= class(&error) == Trouble::Refused;
        }
    }
    is_refused
}
