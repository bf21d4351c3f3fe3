//! OpenAI's Chat Completions and servers that speak the same: request and stream.

use super::{Ask, Fault, Making, Protocol, Provider, count, parsed};
use crate::analysis::providers::http::message;
use serde_json::{Value, json};

pub(super) fn request(provider: &Provider, ask: &Ask) -> (&'static str, Vec<(&'static str, String)>, Value) {
    let is_own = provider.protocol == Protocol::OpenAi;
    // servers that speak the same know the older names
    let (role, limit) = if is_own { ("developer", "max_completion_tokens") } else { ("system", "max_tokens") };
    let mut body = json!({
        "model": provider.model,
        "messages": [{ "role": role, "content": ask.system }, { "role": "user", "content": ask.user }],
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    body[limit] = json!(ask.tokens_max);
    if is_own {
        let schema = json!({ "name": "answer", "schema": ask.schema, "strict": true });
        body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
    }
    let headers = match provider.key.as_str() {
        "" => Vec::new(),
        key => vec![("authorization", format!("Bearer {key}"))],
    };
    // the address of a compatible server is that of its version: http://host/v1
    let path = if is_own { "/v1/chat/completions" } else { "/chat/completions" };
    (path, headers, body)
}

/// One event of the stream.
pub(super) fn read(line: &str, making: &mut Making) -> Result<(), Fault> {
    if line == "[DONE]" {
        making.is_ended = true;
        return Ok(());
    }
    let event = parsed(line)?;
    if !event["error"].is_null() {
        return Err(Fault::Midway(message(line.as_bytes())));
    }
    if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
        making.reply.input_tokens = count(&usage["prompt_tokens"]).or(making.reply.input_tokens);
        making.reply.output_tokens = count(&usage["completion_tokens"]).or(making.reply.output_tokens);
    }
    let choice = &event["choices"][0];
    // `message` is a whole reply of a server that does not stream
    let part = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
    making.add(part["content"].as_str().unwrap_or_default())?;
    if part["refusal"].as_str().is_some_and(|text| !text.is_empty()) {
        making.stopped = Some(Fault::Declined);
    }
    if part["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty()) {
        making.stopped = Some(Fault::ToolCall);
    }
    match choice["finish_reason"].as_str() {
        Some("stop") => making.is_ended = true,
        Some("length") => making.stopped = Some(Fault::TooLong),
        Some("tool_calls" | "function_call") => making.stopped = Some(Fault::ToolCall),
        Some("content_filter") => making.stopped = Some(Fault::Declined),
        // servers that omit the reason end with [DONE]
        _ => {}
    }
    Ok(())
}
