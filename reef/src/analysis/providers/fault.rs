//! Faults: why there is no reply, and whether asking again may help.

use std::time::Duration;

/// Why a provider gave no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Connect(String),
    /// It took too long.
    #[error("it gave no whole reply within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// It refused the request.
    #[error("HTTP {status}{}{message}", if .message.is_empty() { "" } else { ": " })]
    Status {
        /// The status.
        status: u16,
        /// Its own words, without what could be a secret.
        message: String,
        /// When to ask again, if it says so.
        retry_after: Option<Duration>,
    },
    /// It reported an error after it had begun to reply.
    #[error("it reported an error while it replied: {0}")]
    Midway(String),
    /// The reply ended without its end.
    #[error("the reply was cut off")]
    Cut,
    /// It is not what the protocol says.
    #[error("the reply is not understood: {0}")]
    Malformed(String),
    /// The model declined.
    #[error("the model declined to answer")]
    Declined,
    /// The model wanted a tool, and has none.
    #[error("the model called a tool, and has none")]
    ToolCall,
    /// There was no text.
    #[error("the reply is empty")]
    Empty,
    /// The reply is longer than it may be.
    #[error("the reply is longer than its limit")]
    TooLong,
    /// More bytes came than are read.
    #[error("the reply has more bytes than are read")]
    TooLarge,
    /// The evidence did not fit into the model's context.
    #[error("the model read only a part of the evidence")]
    ContextCut,
}

impl Fault {
    /// The same; the provider's own words pass through `cleaned`.
    pub(super) fn with_words(self, cleaned: impl Fn(&str) -> String) -> Fault {
        match self {
            Fault::Connect(words) => Fault::Connect(cleaned(&words)),
            Fault::Midway(words) => Fault::Midway(cleaned(&words)),
            Fault::Malformed(words) => Fault::Malformed(cleaned(&words)),
            Fault::Status { status, message, retry_after } => {
                Fault::Status { status, message: cleaned(&message), retry_after }
            }
            other => other,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            Fault::Connect(_) | Fault::Cut | Fault::Midway(_) => true,
            Fault::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// When to ask again, if the provider says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Fault::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A short name, for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Connect(_) => "connect",
            Fault::Timeout(_) => "timeout",
            Fault::Status { status: 429, .. } => "rate_limited",
            Fault::Status { .. } => "status",
            Fault::Midway(_) => "midway",
            Fault::Cut => "cut",
            Fault::Malformed(_) => "malformed",
            Fault::Declined => "declined",
            Fault::ToolCall => "tool_call",
            Fault::Empty => "empty",
            Fault::TooLong => "too_long",
            Fault::TooLarge => "too_large",
            Fault::ContextCut => "context_cut",
        }
    }
}
