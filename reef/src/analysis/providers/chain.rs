//! The chain: the first provider, then the fallback, each asked again within a budget of time, `Retry-After` observed.

use super::{Ask, Fault, Protocol, Provider, Reply, ollama};
use std::time::Duration;
use tokio::time::Instant;

/// How often one provider is asked.
const TRIES_MAX: u32 = 3;
/// Before the second try, where the provider does not say; doubled after that.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of a text that are counted as one token where nobody states how many there were.
const BYTES_PER_TOKEN: usize = 3;
/// A try of less time is none.
const TRY_MIN: Duration = Duration::from_secs(1);

/// Providers in the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The first, and the fallback.
    pub providers: Vec<Provider>,
    /// How long one try may take.
    pub timeout: Duration,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `vendor:model`.
    pub provider: String,
    /// Whether it runs on this machine.
    pub is_local: bool,
    /// What went wrong; none where it replied.
    pub fault: Option<Fault>,
    /// Tokens that the provider stated, also for a reply that failed, or an estimate; none of a request that was refused.
    pub input_tokens: Option<u32>,
    /// Tokens that the model wrote.
    pub output_tokens: Option<u32>,
    /// Whether one of them is an estimate.
    pub is_estimated: bool,
}

/// What became of a question to a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replied {
    /// The reply, and who gave it.
    pub reply: Option<(String, Reply)>,
    /// All tries, in their order.
    pub attempts: Vec<Attempt>,
}

impl Chain {
    /// `vendor:model` of all of them.
    pub fn name(&self) -> String {
        self.providers.iter().map(Provider::name).collect::<Vec<_>>().join(", else ")
    }

    /// Asks until one replies, at most for `wait`, and as long as one more try may begin.
    pub async fn ask(&self, ask: &Ask, wait: Duration, may_begin: &(dyn Fn() -> bool + Sync)) -> Replied {
        let until = Instant::now() + wait;
        let mut replied = Replied::default();
        for (place, provider) in self.providers.iter().enumerate() {
            // one that stalls leaves the others their part
            let providers_left = u32::try_from(self.providers.len() - place).unwrap_or(u32::MAX);
            let mut pause = PAUSE;
            for _ in 0..TRIES_MAX {
                let left = until.saturating_duration_since(Instant::now());
                if left < TRY_MIN || !may_begin() {
                    return replied;
                }
                let mut outcome = provider.call(ask, (left / providers_left).min(self.timeout)).await;
                if let Ok(reply) = &outcome
                    && provider.protocol == Protocol::Ollama
                    && ollama::is_cut(ask, reply.input_tokens)
                {
                    outcome = Err((Fault::ContextCut, reply.clone()));
                }
                let (fault, reply) = match outcome {
                    Ok(reply) => (None, reply),
                    Err((fault, reply)) => (Some(fault), reply),
                };
                let (input_tokens, output_tokens, is_estimated) = used(ask, fault.as_ref(), &reply);
                replied.attempts.push(Attempt {
                    provider: provider.name(),
                    is_local: provider.is_local(),
                    fault: fault.clone(),
                    input_tokens,
                    output_tokens,
                    is_estimated,
                });
                let Some(fault) = fault else {
                    replied.reply = Some((provider.name(), reply));
                    return replied;
                };
                tracing::warn!(provider = provider.name(), %fault, "a language model gave no reply");
                let wanted = fault.retry_after().unwrap_or(pause);
                let left = until.saturating_duration_since(Instant::now());
                // the next provider may reply sooner than this one wants to be asked
                if !fault.may_pass() || wanted.saturating_add(TRY_MIN) > left / 2 {
                    break;
                }
                tokio::time::sleep(wanted).await;
                pause *= 2;
            }
        }
        replied
    }
}

/// About how many tokens a text of so many bytes has; rather too many.
pub fn tokens_of(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX)
}

/// The tokens of a try as its provider states them, else the most that it may have used, and whether that is so. A request
/// that was refused used none.
fn used(ask: &Ask, fault: Option<&Fault>, reply: &Reply) -> (Option<u32>, Option<u32>, bool) {
    let is_refused = matches!(fault, Some(Fault::Connect(_) | Fault::Status { .. }));
    let is_stated = reply.input_tokens.is_some() && reply.output_tokens.is_some();
    if is_refused || is_stated {
        return (reply.input_tokens, reply.output_tokens, false);
    }
    let is_broken = matches!(
        fault,
        Some(Fault::Timeout(_) | Fault::Cut | Fault::Midway(_) | Fault::Malformed(_) | Fault::TooLarge)
    );
    let read = tokens_of(reply.text.len());
    // the model may have written on after the connection broke
    let written = if is_broken { read.max(ask.tokens_max) } else { read };
    let given = tokens_of(ask.system.len() + ask.user.len());
    (Some(reply.input_tokens.unwrap_or(given)), Some(reply.output_tokens.unwrap_or(written)), true)
}

impl Replied {
    /// Whether some of the tokens are an estimate.
    pub fn is_estimated(&self) -> bool {
        self.attempts.iter().any(|one| one.is_estimated)
    }

    /// Tokens of all tries: given, and written.
    pub fn tokens(&self) -> (u32, u32) {
        let sum = |of: fn(&Attempt) -> Option<u32>| self.attempts.iter().filter_map(of).fold(0, u32::saturating_add);
        (sum(|one| one.input_tokens), sum(|one| one.output_tokens))
    }

    /// Why there is no reply: what went wrong last with each provider.
    pub fn reason(&self) -> String {
        let mut reasons: Vec<String> = Vec::new();
        for (place, attempt) in self.attempts.iter().enumerate() {
            let is_last = self.attempts.get(place + 1).is_none_or(|next| next.provider != attempt.provider);
            if let Some(fault) = attempt.fault.as_ref().filter(|_| is_last) {
                reasons.push(format!("{}: {fault}", attempt.provider));
            }
        }
        match reasons.is_empty() {
            true => "no time was left for a language model".to_owned(),
            false => reasons.join("; "),
        }
    }
}
