//! The analyst that a configuration asks for: its models, limits and journal.

use crate::output::Output;
use model::clock::SystemClock;
use model::error::one_line;
use pipelines::config::{AiPrivacy, LlmConfig, ReefConfig, SecretSource};
use reef::analysis::providers::{Chain, Price, Prices, Protocol, Provider};
use reef::analysis::{Analyst, Model, Most, Privacy};
use std::sync::Arc;
use std::time::Duration;

/// Millionths of a US dollar in a cent.
const MICROS_PER_CENT: u64 = 10_000;

/// The analyst of a reef. A key that is missing costs the model, and is said; the reef still answers.
pub fn of(config: &ReefConfig, output: &Output) -> Arc<Analyst> {
    let ai = &config.ai;
    let most = Most {
        per_hour: ai.requests_per_user_per_hour,
        at_once: ai.max_concurrent_requests,
        tokens_per_day: ai.tokens_per_day,
        cost_micros_per_day: ai.cost_cents_per_day.map(|cents| cents.saturating_mul(MICROS_PER_CENT)),
    };
    let privacy = match ai.privacy {
        AiPrivacy::Mask => Privacy::Mask,
        AiPrivacy::Off => Privacy::Off,
        AiPrivacy::LocalOnly => Privacy::LocalOnly,
    };
    let mut missing = Vec::new();
    let model = ai.llm.as_ref().and_then(|llm| {
        let providers: Vec<Provider> = [first(llm), fallback(llm)]
            .into_iter()
            .flatten()
            .filter_map(|provider| provider.map_err(|why| missing.push(why)).ok())
            .collect();
        let timeout = Duration::from_millis(u64::try_from(llm.timeout_ms).unwrap_or(0));
        let chain = Chain { providers, timeout };
        (!chain.providers.is_empty()).then(|| Model { chain, privacy, prices: prices(llm) })
    });
    missing.iter().for_each(|why| output.message(&format!("a language model is left out: {why}")));
    let without = missing.first().map(|why| format!("a language model is left out: {why}"));
    Arc::new(Analyst::new(model, most, &ai.journal_file, SystemClock::shared()).or_without(without))
}

fn first(llm: &LlmConfig) -> Option<Result<Provider, String>> {
    Some(provider(&llm.provider, llm.endpoint.as_deref(), llm.api_key_env.as_deref()))
}

fn fallback(llm: &LlmConfig) -> Option<Result<Provider, String>> {
    let name = llm.fallback_provider.as_ref()?;
    let vendor = |name: &str| name.split(':').next().unwrap_or_default().to_lowercase();
    // the key of one vendor never goes to another
    let same = (vendor(name) == vendor(&llm.provider)).then_some(llm.api_key_env.as_deref()).flatten();
    Some(provider(name, llm.fallback_endpoint.as_deref(), llm.fallback_api_key_env.as_deref().or(same)))
}

/// `vendor:model`; fails where its key is missing.
fn provider(name: &str, endpoint: Option<&str>, key_env: Option<&str>) -> Result<Provider, String> {
    let (vendor, model) = name.split_once(':').unwrap_or((name, ""));
    let protocol = Protocol::of_vendor(vendor).ok_or_else(|| format!("{name}: its vendor is unknown"))?;
    let endpoint = endpoint.or(protocol.usual_endpoint()).ok_or_else(|| format!("{name}: it has no endpoint"))?;
    let key = match key_env {
        Some(variable) => SecretSource::Env(variable.to_owned())
            .resolve()
            .map_err(|error| format!("{name}: {}", one_line(&error)))?
            .reveal()
            .to_owned(),
        None if matches!(protocol, Protocol::Anthropic | Protocol::OpenAi) => {
            return Err(format!("{name}: no variable of the environment is named for its key (ai.llm.api_key_env)"));
        }
        None => String::new(),
    };
    Ok(Provider { protocol, model: model.trim().to_owned(), endpoint: endpoint.to_owned(), key })
}

fn prices(llm: &LlmConfig) -> Prices {
    let stated = llm.prices.iter().map(|price| {
        let cents = Price {
            input_cents_per_million: price.input_cents_per_million,
            output_cents_per_million: price.output_cents_per_million,
        };
        (price.model.clone(), cents)
    });
    Prices(stated.collect())
}
