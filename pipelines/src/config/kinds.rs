//! The types of options: accepted values, and messages for others.

use super::node::{Entry, Value};
use mesh::Discovery;
use mesh::keys::PublicKey;
use model::time::{TimeMs, format_duration_ms, parse_duration_ms};
use sources::kafka::Offsets;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Type of an option.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Text, not empty unless stated.
    Text {
        /// Whether the empty text is fine.
        may_be_empty: bool,
    },
    /// An id: no blanks, no slashes, no control characters, at most 128 characters.
    Id,
    /// Name of an environment variable.
    EnvName,
    /// Text that no message repeats.
    Secret,
    /// One text or a list of texts.
    Texts,
    /// true or false.
    Bool,
    /// A whole number.
    Integer {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A number strictly between 0 and 1.
    Fraction,
    /// A duration with its unit.
    Duration {
        /// Least value.
        min_ms: i64,
        /// Greatest value.
        max_ms: i64,
    },
    /// An amount of memory with its unit.
    Bytes,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// One of a few words, or a list of them.
    Choices(&'static [&'static str]),
    /// One of a few words, or an RFC 3339 time.
    Moment(&'static [&'static str]),
    /// One of a few words, an RFC 3339 time, or offsets of partitions.
    Offsets(&'static [&'static str]),
    /// Names with a text, a number or a truth value each; no message repeats the values.
    Properties,
    /// Names with the name of an environment variable each.
    EnvNames,
    /// An IPv4 or IPv6 address.
    Ip,
    /// `http://host:port`.
    Url,
    /// `host:port`.
    Address,
    /// `http://…` or `https://…`, as a discovery service has it.
    WebAddress,
    /// A WireGuard public key in base64.
    PublicKey,
    /// `host:port`, several separated by commas.
    Addresses,
    /// `address:port` of this machine.
    Listen,
    /// `vendor:model`.
    Model,
}

/// A checked value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// No value and no default.
    Absent,
    /// Text, ids, choices, addresses.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// Truth value.
    Bool(bool),
    /// Whole number.
    Integer(i64),
    /// Number.
    Number(f64),
    /// Duration in milliseconds.
    DurationMs(i64),
    /// Bytes.
    Bytes(u64),
    /// Address.
    Ip(IpAddr),
    /// Time.
    Time(TimeMs),
    /// Offsets of partitions.
    Offsets(Offsets),
    /// Names with their texts.
    Map(BTreeMap<String, String>),
}

/// Most characters of an id.
const ID_CHARS_MAX: usize = 128;

impl Kind {
    /// Checks a value; the error names valid values.
    pub fn check(self, value: &Value) -> Result<Setting, String> {
        match (self, value) {
            (Kind::Text { may_be_empty }, Value::Text(text)) if may_be_empty || !text.trim().is_empty() => {
                Ok(Setting::Text(text.clone()))
            }
            (Kind::Id, Value::Text(text)) => id(text),
            (Kind::EnvName, Value::Text(text)) => env_name(text),
            (Kind::Secret, Value::Text(text)) if !text.is_empty() => Ok(Setting::Text(text.clone())),
            (Kind::Texts, Value::Text(text)) if !text.trim().is_empty() => Ok(Setting::Texts(vec![text.clone()])),
            (Kind::Texts, Value::List(items)) => texts(items.iter().map(|item| &item.value)),
            (Kind::Bool, Value::Bool(value)) => Ok(Setting::Bool(*value)),
            (Kind::Integer { min, max }, Value::Integer(number)) if (min..=max).contains(number) => {
                Ok(Setting::Integer(*number))
            }
            (Kind::Fraction, Value::Number(number)) if *number > 0.0 && *number < 1.0 => Ok(Setting::Number(*number)),
            (Kind::Duration { min_ms, max_ms }, Value::Text(text)) => duration(text, min_ms, max_ms),
            (Kind::Duration { .. }, Value::Integer(number)) => {
                parse_duration_ms(&number.to_string()).map(Setting::DurationMs).map_err(|error| error.to_string())
            }
            (Kind::Bytes, Value::Text(text)) => bytes(text),
            (Kind::Choice(words), Value::Text(text)) if words.contains(&text.as_str()) => {
                Ok(Setting::Text(text.clone()))
            }
            (Kind::Choice(words), Value::Text(text)) => Err(nearest_choice(words, text)),
            (Kind::Choices(words), Value::Text(text)) => choices(words, vec![text.clone()]),
            (Kind::Choices(words), Value::List(items)) => match texts(items.iter().map(|item| &item.value))? {
                Setting::Texts(texts) => choices(words, texts),
                other => Ok(other),
            },
            (Kind::Moment(words), Value::Text(text)) => moment(words, text),
            (Kind::Offsets(words), Value::Text(text)) => match Offsets::parse(text) {
                Some(offsets) => offsets.map(Setting::Offsets),
                None => moment(words, text).map_err(|problem| format!("{problem}, nor offset:N or offset:P=N,P=N")),
            },
            (Kind::Properties, Value::Table(entries)) => properties(entries),
            (Kind::EnvNames, Value::Table(entries)) => env_names(entries),
            (Kind::Ip, Value::Text(text)) => text
                .parse()
                .map(Setting::Ip)
                .map_err(|_| format!("{text:?} is not an IP address; write for example 10.42.0.1")),
            (Kind::Url, Value::Text(text)) => url(text),
            (Kind::Address, Value::Text(text)) if !text.contains(',') => addresses(text),
            (Kind::WebAddress, Value::Text(text)) => {
                Discovery::new(text).map(|_| Setting::Text(text.clone())).map_err(|error| error.to_string())
            }
            (Kind::PublicKey, Value::Text(text)) => match text.parse::<PublicKey>() {
                Ok(key) => Ok(Setting::Text(key.to_string())),
                Err(error) => Err(format!("{text:?}: {error}")),
            },
            (Kind::Addresses, Value::Text(text)) => addresses(text),
            (Kind::Listen, Value::Text(text)) => match text.parse::<SocketAddr>() {
                Ok(listen) => Ok(Setting::Text(listen.to_string())),
                Err(_) => Err(format!("{text:?} is not address:port; write for example 127.0.0.1:3101")),
            },
            (Kind::Model, Value::Text(text)) => vendor_model(text),
            (Kind::Properties | Kind::EnvNames, _) => Err(format!("must be {}", self.describe())),
            (Kind::Secret, _) => Err(format!("must be {}; put it in quotes", self.describe())),
            (_, value) => Err(format!("must be {}, not {}", self.describe(), value.describe())),
        }
    }

    /// Reads a default as the table of keys writes it.
    pub fn default(self, text: &str) -> Result<Setting, String> {
        let value = match self {
            Kind::Bool => text.parse().map(Value::Bool).map_err(|_| text.to_owned())?,
            Kind::Integer { .. } => text.parse().map(Value::Integer).map_err(|_| text.to_owned())?,
            Kind::Fraction => text.parse().map(Value::Number).map_err(|_| text.to_owned())?,
            _ => Value::Text(text.to_owned()),
        };
        self.check(&value)
    }

    /// Description of the type, with its limits.
    pub fn describe(self) -> String {
        match self {
            Kind::Text { .. } => "text".to_owned(),
            Kind::Id => "an id (text without blanks)".to_owned(),
            Kind::EnvName => "the name of an environment variable".to_owned(),
            Kind::Secret => "text".to_owned(),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer { min, max: i64::MAX } => format!("a whole number from {min}"),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Fraction => "a number between 0 and 1".to_owned(),
            Kind::Duration { min_ms, max_ms } => {
                format!("a duration from {} to {}", format_duration_ms(min_ms), format_duration_ms(max_ms))
            }
            Kind::Bytes => "an amount such as 512MiB or 4GiB".to_owned(),
            Kind::Choice(words) => words.join(" or "),
            Kind::Choices(words) => format!("a list of {}", words.join(" or ")),
            Kind::Moment(words) => format!("{} or an RFC 3339 time", words.join(", ")),
            Kind::Offsets(words) => {
                format!("{}, an RFC 3339 time, offset:N for every partition or offset:P=N,P=N", words.join(", "))
            }
            Kind::Properties => "a table of names and texts".to_owned(),
            Kind::EnvNames => "a table of names and environment variables".to_owned(),
            Kind::Ip => "an IP address".to_owned(),
            Kind::Url => "an address such as http://127.0.0.1:9000".to_owned(),
            Kind::Address => "host:port".to_owned(),
            Kind::WebAddress => "an address such as https://discovery.example.com".to_owned(),
            Kind::PublicKey => "a WireGuard public key (44 characters of base64)".to_owned(),
            Kind::Addresses => "host:port, several separated by commas".to_owned(),
            Kind::Listen => "address:port, such as 127.0.0.1:3101".to_owned(),
            Kind::Model => "vendor:model".to_owned(),
        }
    }
}

fn id(text: &str) -> Result<Setting, String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\');
    if text.is_empty() || text.contains(bad) || text.chars().count() > ID_CHARS_MAX {
        return Err(format!("{text:?} is not an id: 1 to {ID_CHARS_MAX} characters, no blanks, no slashes"));
    }
    Ok(Setting::Text(text.to_owned()))
}

fn env_name(text: &str) -> Result<Setting, String> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(Setting::Text(text.to_owned()));
    }
    // the value may be the secret itself, so it is not repeated
    Err("must be the name of an environment variable (letters, digits, _), not the secret itself".to_owned())
}

fn texts<'a>(items: impl Iterator<Item = &'a Value>) -> Result<Setting, String> {
    let text = |item: &Value| match item {
        Value::Text(text) if !text.trim().is_empty() => Ok(text.clone()),
        other => Err(format!("must be a list of texts; it contains {}", other.describe())),
    };
    items.map(text).collect::<Result<_, _>>().map(Setting::Texts)
}

fn duration(text: &str, min_ms: i64, max_ms: i64) -> Result<Setting, String> {
    let ms = parse_duration_ms(text).map_err(|error| error.to_string())?;
    if (min_ms..=max_ms).contains(&ms) {
        return Ok(Setting::DurationMs(ms));
    }
    let (min, max) = (format_duration_ms(min_ms), format_duration_ms(max_ms));
    Err(format!("{text:?} is out of range; allowed is {min} to {max}"))
}

fn bytes(text: &str) -> Result<Setting, String> {
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let factor: u64 = match trimmed[digits..].trim() {
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(format!("{text:?} is not an amount of memory; write for example 512MiB or 4GiB")),
    };
    match trimmed[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(bytes) if bytes > 0 => Ok(Setting::Bytes(bytes)),
        _ => Err(format!("{text:?} is not an amount of memory; write for example 512MiB or 4GiB")),
    }
}

fn nearest_choice(words: &[&str], text: &str) -> String {
    format!("{text:?} is not one of {}{}", words.join(", "), did_you_mean(text, words.iter().copied()))
}

fn choices(words: &[&str], texts: Vec<String>) -> Result<Setting, String> {
    match texts.iter().find(|text| !words.contains(&text.as_str())) {
        None => Ok(Setting::Texts(texts)),
        Some(other) => Err(nearest_choice(words, other)),
    }
}

fn moment(words: &[&str], text: &str) -> Result<Setting, String> {
    if words.contains(&text) {
        return Ok(Setting::Text(text.to_owned()));
    }
    TimeMs::parse_rfc3339(text).map(Setting::Time).ok_or_else(|| {
        format!("{text:?} is neither {} nor an RFC 3339 time such as 2023-01-03T19:00:00Z", words.join(", "))
    })
}

/// Names of properties have dots; unquoted, TOML makes tables of them, which are put together again.
fn flat<'a>(entries: &'a [Entry], prefix: &str, found: &mut Vec<(String, &'a Value)>) {
    for entry in entries {
        let name = format!("{prefix}{}", entry.key);
        match &entry.node.value {
            Value::Table(inner) => flat(inner, &format!("{name}."), found),
            value => found.push((name, value)),
        }
    }
}

fn properties(entries: &[Entry]) -> Result<Setting, String> {
    let mut found = Vec::new();
    flat(entries, "", &mut found);
    let text = |(name, value): (String, &Value)| match value {
        Value::Text(text) => Ok((name, text.clone())),
        Value::Integer(number) => Ok((name, number.to_string())),
        Value::Number(number) => Ok((name, number.to_string())),
        Value::Bool(value) => Ok((name, value.to_string())),
        // a value may be a secret, so it is not repeated
        _ => Err(format!("{name:?} must be text, a number, true or false")),
    };
    found.into_iter().map(text).collect::<Result<_, _>>().map(Setting::Map)
}

fn env_names(entries: &[Entry]) -> Result<Setting, String> {
    let mut found = Vec::new();
    flat(entries, "", &mut found);
    let named = |(name, value): (String, &Value)| {
        let Value::Text(text) = value else { return Err(format!("{name:?} must be {}", Kind::EnvName.describe())) };
        env_name(text).map_err(|problem| format!("{name:?} {problem}"))?;
        Ok((name, text.clone()))
    };
    found.into_iter().map(named).collect::<Result<_, _>>().map(Setting::Map)
}

fn url(text: &str) -> Result<Setting, String> {
    let wrong = |problem: &str| Err(format!("{text:?} {problem}; write for example http://127.0.0.1:9000"));
    let Some(authority) = text.strip_prefix("http://") else {
        return wrong("does not start with http://");
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#', '@', ' ']) {
        return wrong("has more than a host and a port");
    }
    if is_host_and_port(authority) {
        Ok(Setting::Text(text.to_owned()))
    } else {
        wrong("lacks a host or a port (1-65535)")
    }
}

fn addresses(text: &str) -> Result<Setting, String> {
    match text.split(',').find(|address| !is_host_and_port(address.trim())) {
        None => Ok(Setting::Text(text.to_owned())),
        Some(bad) => Err(format!("{bad:?} is not host:port; write for example localhost:9092,other:9092")),
    }
}

/// Whether the text is `host:port` with a port that can be dialled.
pub(super) fn is_host_and_port(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => false,
    }
}

fn vendor_model(text: &str) -> Result<Setting, String> {
    match text.split_once(':') {
        Some((vendor, model)) if !vendor.trim().is_empty() && !model.trim().is_empty() => {
            Ok(Setting::Text(text.to_owned()))
        }
        _ => Err(format!("{text:?} is not vendor:model; write for example anthropic:NAME or ollama:NAME")),
    }
}

/// `; did you mean "x"?` for the nearest of `names`, or nothing when none is near.
pub(super) fn did_you_mean<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(text, names).map_or(String::new(), |name| format!("; did you mean {name:?}?"))
}

/// The name that `text` was probably meant to be, if one is like it.
pub fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names
        .map(|name| (strsim::jaro_winkler(&text.to_ascii_lowercase(), name), name))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    near.map(|(_, name)| name)
}
