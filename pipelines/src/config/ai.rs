//! The keys of `ai`: language model, what it is sent, limits.

use super::decode::Scope;
use super::errors::ConfigError;
use super::types::{AiConfig, AiPrivacy, LlmConfig, ModelPrice};
use std::path::Path;

/// Vendors of language models whose protocol is spoken.
const VENDORS: [&str; 4] = ["anthropic", "openai", "openai-compatible", "ollama"];
/// Highest price of a million tokens, in US dollars.
const DOLLARS_MAX: f64 = 1e6;

/// The section `ai`, without what it says about correlation.
pub(super) fn ai(scope: &Scope, reef_id: &str, base_dir: &Path, errors: &mut Vec<ConfigError>) -> AiConfig {
    let count = |path: &str| u32::try_from(scope.integer(path).unwrap_or(0)).unwrap_or(u32::MAX);
    let most = |path: &str| scope.integer(path).and_then(|number| u64::try_from(number).ok());
    let journal_file = scope.optional_text("ai.journal_file");
    let journal_file = journal_file.unwrap_or_else(|| format!(".coral/{reef_id}.analyses.ndjson"));
    AiConfig {
        llm: llm(scope, errors),
        requests_per_user_per_hour: count("ai.rate_limit.requests_per_user_per_hour"),
        max_concurrent_requests: count("ai.rate_limit.max_concurrent_requests"),
        privacy: match scope.text("ai.privacy").as_str() {
            "off" => AiPrivacy::Off,
            "local-only" => AiPrivacy::LocalOnly,
            _ => AiPrivacy::Mask,
        },
        tokens_per_day: most("ai.limits.tokens_per_day"),
        cost_cents_per_day: most("ai.limits.cost_cents_per_day"),
        journal_file: base_dir.join(journal_file),
    }
}

fn llm(scope: &Scope, errors: &mut Vec<ConfigError>) -> Option<LlmConfig> {
    let provider = scope.optional_text("ai.llm.provider")?;
    let mut wrong = |path: &str, message: String| {
        errors.extend(scope.place_of(path).map(|place| ConfigError::at(place, format!("{path}: {message}"))));
    };
    let both = [("ai.llm.provider", "ai.llm.endpoint"), ("ai.llm.fallback_provider", "ai.llm.fallback_endpoint")];
    for (path, endpoint) in both {
        let Some(given) = scope.optional_text(path) else { continue };
        let vendor = given.split(':').next().unwrap_or_default().trim().to_lowercase();
        if !VENDORS.contains(&vendor.as_str()) {
            wrong(path, format!("the vendor {vendor:?} is unknown; vendors: {}", VENDORS.join(", ")));
        }
        let address = scope.optional_text(endpoint);
        if vendor == "openai-compatible" && address.is_none() {
            wrong(path, format!("openai-compatible needs {endpoint}, e.g. http://127.0.0.1:8000/v1"));
        }
        let Some(address) = address else { continue };
        match address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")) {
            None => wrong(endpoint, "it does not start with http:// or https://".to_owned()),
            // which host is meant is not plain then, and a key belongs in a variable
            Some(rest) if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) => {
                wrong(endpoint, "it has a user before its host; a key belongs in ai.llm.api_key_env".to_owned());
            }
            Some(_) => {}
        }
    }
    let mut prices = Vec::new();
    for text in scope.texts("ai.llm.prices") {
        match model_price(&text) {
            Some(price) => prices.push(price),
            None => wrong("ai.llm.prices", format!("{text:?} is no price; write for example \"MODEL=3.00/15.00\"")),
        }
    }
    Some(LlmConfig {
        provider,
        api_key_env: scope.optional_text("ai.llm.api_key_env"),
        fallback_provider: scope.optional_text("ai.llm.fallback_provider"),
        endpoint: scope.optional_text("ai.llm.endpoint"),
        fallback_endpoint: scope.optional_text("ai.llm.fallback_endpoint"),
        fallback_api_key_env: scope.optional_text("ai.llm.fallback_api_key_env"),
        timeout_ms: scope.duration_ms("ai.llm.timeout"),
        prices,
    })
}

/// `MODEL=3.00/15.00`.
fn model_price(text: &str) -> Option<ModelPrice> {
    let (model, prices) = text.rsplit_once('=')?;
    let (input, output) = prices.split_once('/')?;
    let cents = |text: &str| {
        let dollars: f64 = text.trim().parse().ok().filter(|dollars| (0.0..=DOLLARS_MAX).contains(dollars))?;
        Some((dollars * 100.0).round() as u32)
    };
    let model = model.trim().to_owned();
    if model.is_empty() {
        return None;
    }
    Some(ModelPrice { model, input_cents_per_million: cents(input)?, output_cents_per_million: cents(output)? })
}
