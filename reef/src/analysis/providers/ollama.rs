//! Ollama's chat: request and stream. The context is asked for: by default longer prompts are cut silently.

use super::{Ask, Fault, Making, Provider, count, parsed};
use serde_json::{Value, json};

/// Bytes of text for a token, at most: a prompt of which fewer were read was cut.
const BYTES_PER_TOKEN_MAX: usize = 8;

pub(super) fn request(provider: &Provider, ask: &Ask) -> (&'static str, Vec<(&'static str, String)>, Value) {
    let bytes = ask.system.len() + ask.user.len();
    let context = bytes / 2 + ask.tokens_max as usize + 256;
    let body = json!({
        "model": provider.model,
        "messages": [{ "role": "system", "content": ask.system }, { "role": "user", "content": ask.user }],
        "format": ask.schema,
        "options": { "num_ctx": context, "num_predict": ask.tokens_max },
        "stream": true,
    });
    let headers = match provider.key.as_str() {
        "" => Vec::new(),
        key => vec![("authorization", format!("Bearer {key}"))],
    };
    ("/api/chat", headers, body)
}

/// One line of the stream.
pub(super) fn read(line: &str, making: &mut Making) -> Result<(), Fault> {
    let event = parsed(line)?;
    if let Some(error) = event["error"].as_str() {
        return Err(Fault::Midway(crate::printable::shortened(error, 200)));
    }
    making.add(event["message"]["content"].as_str().unwrap_or_default())?;
    if event["message"]["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty()) {
        making.stopped = Some(Fault::ToolCall);
    }
    if event["done"] == true {
        making.is_ended = true;
        making.reply.input_tokens = count(&event["prompt_eval_count"]);
        making.reply.output_tokens = count(&event["eval_count"]);
        if event["done_reason"] == "length" {
            making.stopped = Some(Fault::TooLong);
        }
    }
    Ok(())
}

/// Whether the model read less than was sent.
pub(super) fn is_cut(ask: &Ask, input_tokens: Option<u32>) -> bool {
    let bytes = ask.system.len() + ask.user.len();
    input_tokens.is_some_and(|read| (read as usize) < bytes / BYTES_PER_TOKEN_MAX)
}
