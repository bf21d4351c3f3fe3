//! Prices: what tokens cost, from a maintained table that the configuration overrides. Amounts are millionths of a US dollar.

use super::{Attempt, Protocol};
use genai_prices::{PriceRequest, Usage, UsageKey};
use model::time::TimeMs;
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// Price of a million tokens, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Given to the model.
    pub input_cents_per_million: u32,
    /// Written by it.
    pub output_cents_per_million: u32,
}

/// Prices that the configuration states, by the model as it is configured; others are those of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices(pub BTreeMap<String, Price>);

impl Prices {
    /// What the tokens of all tries cost; none where the price of one is unknown.
    pub fn cost(&self, attempts: &[Attempt], at: TimeMs) -> Option<u64> {
        let costs = attempts.iter().filter(|one| one.input_tokens.is_some() || one.output_tokens.is_some());
        costs.map(|one| self.of_attempt(one, at)).sum()
    }

    fn of_attempt(&self, attempt: &Attempt, at: TimeMs) -> Option<u64> {
        let (vendor, model) = attempt.provider.split_once(':')?;
        let (input, output) = (attempt.input_tokens.unwrap_or(0), attempt.output_tokens.unwrap_or(0));
        if let Some(price) = self.0.get(model) {
            // a cent for a million tokens is a hundredth of a millionth of a dollar for one
            let hundredths = u64::from(input) * u64::from(price.input_cents_per_million)
                + u64::from(output) * u64::from(price.output_cents_per_million);
            return Some(hundredths.div_ceil(100));
        }
        match Protocol::of_vendor(vendor)? {
            // what runs on one's own machines has no price per token; a compatible server elsewhere may have one
            Protocol::Ollama => Some(0),
            Protocol::Compatible => attempt.is_local.then_some(0),
            Protocol::Anthropic | Protocol::OpenAi => of_table(vendor, model, (input, output), at),
        }
    }
}

/// By the maintained table.
fn of_table(vendor: &str, model: &str, (input, output): (u32, u32), at: TimeMs) -> Option<u64> {
    let usage = Usage::from([(UsageKey::INPUT_TOKENS, f64::from(input)), (UsageKey::OUTPUT_TOKENS, f64::from(output))]);
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).ok()?);
    let request = PriceRequest::new(model, &usage).with_provider_id(vendor).with_timestamp(time);
    let price = genai_prices::calculate(&request).ok()?;
    let micros = (price.total_price * 1e6).ceil();
    (micros.is_finite() && micros >= 0.0).then_some(micros as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(provider: &str, tokens: Option<(u32, u32)>) -> Attempt {
        Attempt {
            provider: provider.to_owned(),
            is_local: false,
            fault: None,
            input_tokens: tokens.map(|it| it.0),
            output_tokens: tokens.map(|it| it.1),
            is_estimated: false,
        }
    }

    #[test]
    fn what_is_unknown_is_not_free() {
        let stated = Price { input_cents_per_million: 300, output_cents_per_million: 1_500 };
        let prices = Prices([("own".to_owned(), stated)].into());
        let now = TimeMs(1_796_000_000_000);
        let cost = |attempts: &[Attempt]| prices.cost(attempts, now);
        assert_eq!(cost(&[attempt("openai:own", Some((1_000_000, 100_000)))]), Some(4_500_000));
        assert_eq!(cost(&[attempt("ollama:small", Some((5_000, 100)))]), Some(0));
        assert_eq!(cost(&[attempt("openai:no-such-model", Some((1, 1)))]), None);
        // a try that stated no tokens costs nothing that is known; one that failed costs its tokens
        assert_eq!(cost(&[attempt("openai:no-such-model", None), attempt("openai:own", Some((100, 0)))]), Some(300));
        assert_eq!(cost(&[]), Some(0));
        let compatible = attempt("openai-compatible:small", Some((5_000, 100)));
        assert_eq!(cost(std::slice::from_ref(&compatible)), None);
        assert_eq!(cost(&[Attempt { is_local: true, ..compatible }]), Some(0));
        // a model of the table
        assert!(cost(&[attempt("openai:gpt-5", Some((1_000, 1_000)))]).is_some_and(|micros| micros > 0));
    }
}
