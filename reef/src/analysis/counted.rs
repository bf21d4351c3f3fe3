//! Counted: analyses by their outcome, tokens by model and direction, and what they cost.

use super::providers::{Attempt, Prices};
use model::instruments::{Counter, Family, Registry};
use model::time::TimeMs;

/// The instruments of an analyst.
pub(super) struct Counted {
    analyses: Family<Counter>,
    tokens: Family<Counter>,
    cost: Family<Counter>,
}

impl Counted {
    pub fn of(registry: &Registry) -> Counted {
        let of_model = &["direction", "model"];
        Counted {
            analyses: registry.counters("analyses", "Questions in words, by outcome", &["outcome"]),
            tokens: registry.counters("llm_tokens", "Tokens of language models, estimates included", of_model),
            cost: registry.counters("llm_cost_microdollars", "What they cost, where a price is known", &["model"]),
        }
    }

    /// Counts what the tries of a question used.
    pub fn tries(&self, tries: &[Attempt], prices: &Prices, now: TimeMs) {
        for one in tries {
            let model = one.provider.as_str();
            for (direction, tokens) in [("input", one.input_tokens), ("output", one.output_tokens)] {
                if let Some(tokens) = tokens {
                    self.tokens.with(&[direction, model]).add(tokens.into());
                }
            }
            if let Some(micros) = prices.cost(std::slice::from_ref(one), now) {
                self.cost.with(&[model]).add(micros);
            }
        }
    }

    /// Counts a question that has ended.
    pub fn ended(&self, outcome: &str) {
        self.analyses.with(&[outcome]).add(1);
    }
}
