//! Anthropic's Messages: request and stream. No sampling parameters: newer models refuse them.

use super::{Ask, Fault, Making, Provider, count, parsed};
use crate::analysis::providers::http::message;
use serde_json::{Value, json};

/// The version of the protocol that is spoken.
const VERSION: &str = "2023-06-01";

pub(super) fn request(provider: &Provider, ask: &Ask) -> (&'static str, Vec<(&'static str, String)>, Value) {
    let body = json!({
        "model": provider.model,
        "max_tokens": ask.tokens_max,
        // the rules are the same for every question: the provider may cache them
        "system": [{ "type": "text", "text": ask.system, "cache_control": { "type": "ephemeral" } }],
        "messages": [{ "role": "user", "content": ask.user }],
        "stream": true,
    });
    let headers = vec![("x-api-key", provider.key.clone()), ("anthropic-version", VERSION.to_owned())];
    ("/v1/messages", headers, body)
}

/// One event of the stream.
pub(super) fn read(line: &str, making: &mut Making) -> Result<(), Fault> {
    let event = parsed(line)?;
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => usage(&event["message"]["usage"], making),
        "content_block_start" if event["content_block"]["type"] == "tool_use" => making.stopped = Some(Fault::ToolCall),
        "content_block_delta" if event["delta"]["type"] == "text_delta" => {
            making.add(event["delta"]["text"].as_str().unwrap_or_default())?;
        }
        "message_delta" => {
            usage(&event["usage"], making);
            stop(&event["delta"]["stop_reason"], making);
        }
        "message_stop" => making.is_ended = true,
        "error" => return Err(Fault::Midway(message(line.as_bytes()))),
        // `message` is a whole reply of a server that does not stream
        "message" => whole(&event, making)?,
        // pings, thinking, and events of later versions
        _ => {}
    }
    Ok(())
}

fn whole(event: &Value, making: &mut Making) -> Result<(), Fault> {
    usage(&event["usage"], making);
    for block in event["content"].as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => making.add(block["text"].as_str().unwrap_or_default())?,
            Some("tool_use") => making.stopped = Some(Fault::ToolCall),
            _ => {}
        }
    }
    stop(&event["stop_reason"], making);
    making.is_ended = true;
    Ok(())
}

/// Why the model stopped, where that is a fault.
fn stop(reason: &Value, making: &mut Making) {
    match reason.as_str() {
        Some("refusal") => making.stopped = Some(Fault::Declined),
        Some("tool_use") => making.stopped = Some(Fault::ToolCall),
        Some("max_tokens" | "model_context_window_exceeded") => making.stopped = Some(Fault::TooLong),
        _ => {}
    }
}

/// Counts are those so far; tokens of the cache are tokens too.
fn usage(usage: &Value, making: &mut Making) {
    if let Some(input) = count(&usage["input_tokens"]) {
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
        let cached: u32 = cached.iter().filter_map(|name| count(&usage[*name])).fold(0, u32::saturating_add);
        // the last event repeats the input without the cache in some versions
        let total = input.saturating_add(cached);
        making.reply.input_tokens = Some(making.reply.input_tokens.unwrap_or(0).max(total));
    }
    if let Some(output) = count(&usage["output_tokens"]) {
        making.reply.output_tokens = Some(output);
    }
}
