//! Providers of language models: three wire protocols on one HTTP client, with time limits, retries and a fallback.
//!
//! | file | owns |
//! |---|---|
//! | `http` | requests and streamed responses; the one place that names the HTTP libraries |
//! | `lines` | events and lines of a stream, cut anywhere |
//! | `anthropic` | the Messages API |
//! | `openai` | Chat Completions, also of compatible servers |
//! | `ollama` | Ollama's chat API |
//! | `fault` | why there is no reply |
//! | `chain` | the first provider, then the fallback: retries within a budget |
//! | `prices` | what tokens cost |
//!
//! No model is named here: its name is free text of the configuration. Tokens are those that the provider states; where it
//! states none, an estimate counts.

mod anthropic;
mod chain;
mod fault;
mod http;
mod lines;
mod ollama;
mod openai;
mod prices;

#[cfg(test)]
pub(crate) mod tests;

pub use chain::{Attempt, Chain, Replied, tokens_of};
pub use fault::Fault;
pub use prices::{Price, Prices};

use super::mask::without_secrets;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// Which wire protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions.
    OpenAi,
    /// The same of another server.
    Compatible,
    /// Ollama's own.
    Ollama,
}

/// A model of a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its protocol.
    pub protocol: Protocol,
    /// The model, as the provider calls it.
    pub model: String,
    /// Where it is: `https://api.example.com`, without the path of the protocol.
    pub endpoint: String,
    /// The key; empty for none.
    pub key: String,
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The rules; the same for every question.
    pub system: String,
    /// The evidence and the question.
    pub user: String,
    /// Most tokens of the reply.
    pub tokens_max: u32,
    /// The form of the reply, as JSON Schema.
    pub schema: Value,
}

/// What a model replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Tokens as the provider states them; none where it does not.
    pub input_tokens: Option<u32>,
    /// Tokens that the model wrote.
    pub output_tokens: Option<u32>,
}

/// A reply in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Making {
    reply: Reply,
    /// Whether the provider said that this is the end.
    is_ended: bool,
    /// Why the model stopped, where that is a fault.
    stopped: Option<Fault>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

impl Protocol {
    /// By the vendor of `vendor:model`.
    pub fn of_vendor(vendor: &str) -> Option<Protocol> {
        Some(match vendor.trim().to_lowercase().as_str() {
            "anthropic" => Protocol::Anthropic,
            "openai" => Protocol::OpenAi,
            "openai-compatible" | "compatible" => Protocol::Compatible,
            "ollama" => Protocol::Ollama,
            _ => return None,
        })
    }

    /// Its vendor.
    pub fn vendor(self) -> &'static str {
        match self {
            Protocol::Anthropic => "anthropic",
            Protocol::OpenAi => "openai",
            Protocol::Compatible => "openai-compatible",
            Protocol::Ollama => "ollama",
        }
    }

    /// Where it usually is; none where it has to be said.
    pub fn usual_endpoint(self) -> Option<&'static str> {
        match self {
            Protocol::Anthropic => Some("https://api.anthropic.com"),
            Protocol::OpenAi => Some("https://api.openai.com"),
            Protocol::Compatible => None,
            Protocol::Ollama => Some("http://127.0.0.1:11434"),
        }
    }
}

impl Provider {
    /// `vendor:model`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.protocol.vendor(), self.model)
    }

    /// Whether nothing leaves this machine.
    pub fn is_local(&self) -> bool {
        let Some(host) = http::host_of(&self.endpoint) else { return false };
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Asks once.
    ///
    /// # Errors
    /// What went wrong, with the tokens that the provider stated until then.
    pub(crate) async fn call(&self, ask: &Ask, wait: Duration) -> Result<Reply, (Fault, Reply)> {
        let (path, headers, body) = match self.protocol {
            Protocol::Anthropic => anthropic::request(self, ask),
            Protocol::OpenAi | Protocol::Compatible => openai::request(self, ask),
            Protocol::Ollama => ollama::request(self, ask),
        };
        let url = format!("{}{path}", self.endpoint.trim_end_matches('/'));
        let mut making = Making::default();
        let read = async {
            let mut stream = http::post(&url, &headers, body.to_string()).await?;
            let mut lines = lines::Lines::default();
            while let Some(bytes) = stream.next().await? {
                for line in lines.push(&bytes)? {
                    self.read(&line, &mut making)?;
                }
            }
            for line in lines.end()? {
                self.read(&line, &mut making)?;
            }
            Ok::<(), Fault>(())
        };
        let read = tokio::time::timeout(wait, read).await.unwrap_or(Err(Fault::Timeout(wait)));
        match read.and_then(|()| making.judged()) {
            Ok(()) => Ok(making.reply),
            Err(fault) => Err((fault.with_words(|words| without_secrets(words, &self.key)), making.reply)),
        }
    }

    fn read(&self, line: &str, making: &mut Making) -> Result<(), Fault> {
        match self.protocol {
            Protocol::Anthropic => anthropic::read(line, making),
            Protocol::OpenAi | Protocol::Compatible => openai::read(line, making),
            Protocol::Ollama => ollama::read(line, making),
        }
    }
}

impl Making {
    /// Whether it is a whole reply.
    fn judged(&self) -> Result<(), Fault> {
        if let Some(fault) = &self.stopped {
            return Err(fault.clone());
        }
        if !self.is_ended {
            return Err(Fault::Cut);
        }
        if self.reply.text.trim().is_empty() { Err(Fault::Empty) } else { Ok(()) }
    }

    /// Adds text; a reply has a bound.
    fn add(&mut self, text: &str) -> Result<(), Fault> {
        self.reply.text.push_str(text);
        if self.reply.text.len() > http::BYTES_MAX { Err(Fault::TooLarge) } else { Ok(()) }
    }
}

/// A line that has to be JSON.
fn parsed(line: &str) -> Result<Value, Fault> {
    serde_json::from_str(line).map_err(|error| Fault::Malformed(error.to_string()))
}

/// A count in JSON; absent is none.
fn count(value: &Value) -> Option<u32> {
    value.as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}
