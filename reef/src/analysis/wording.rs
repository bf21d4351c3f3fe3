//! Wording: what a model is sent, what of its reply is kept, and how that becomes the answer.

use super::check::{Checked, Dropped, Sentence, checked};
use super::evidence::{Evidence, Fact};
use super::findings::{Found, Named};
use super::journal::new_id;
use super::mask::Mask;
use super::prompt;
use super::providers::{Ask, Attempt, Chain, Provider, Replied, tokens_of};
use super::template::{ending, headline};
use std::collections::BTreeSet;
use std::time::Duration;

/// What may leave this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Everything that the evidence has.
    Off,
    /// Pseudonyms in place of names.
    Mask,
    /// Nothing: only models on this machine are asked.
    LocalOnly,
}

/// A question to a model that is about to be asked.
pub(super) struct Wording<'a> {
    chain: Chain,
    mask: Option<Mask>,
    ask: Ask,
    found: &'a Found,
    /// That the store knows.
    names: &'a [Named],
    wait: Duration,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Worded {
    /// Sentences that passed the check.
    pub kept: Vec<Sentence>,
    /// The others.
    pub dropped: Vec<(String, Dropped)>,
    /// All tries.
    pub replied: Replied,
    /// Who wrote it.
    pub model: String,
    /// Why there is no text.
    pub reason: String,
}

/// Prepares what is sent.
pub(super) fn word<'a>(
    chain: &Chain,
    privacy: Privacy,
    (found, names): (&'a Found, &'a [Named]),
    question: &str,
    wait: Duration,
) -> Wording<'a> {
    let mut chain = chain.clone();
    if privacy == Privacy::LocalOnly {
        chain.providers.retain(Provider::is_local);
    }
    let mark = new_id();
    let mut mask = (privacy == Privacy::Mask).then(|| {
        let is_kept = |kind: &str| ["environment", "metric", "event type"].contains(&kind);
        let kept = names.iter().filter(|(_, kind)| is_kept(kind)).map(|(name, _)| name.clone());
        let all = sayable(found, names);
        let avoided = all.iter().map(String::as_str).chain(question.split_whitespace());
        Mask::of(masked_names(found, names)).keeping(kept).avoiding(avoided)
    });
    let user = prompt::data(found, question, &mark, |text| match &mut mask {
        Some(mask) => mask.masked(text),
        None => text.to_owned(),
    });
    let ask = Ask { system: prompt::rules(), user, tokens_max: prompt::REPLY_TOKENS_MAX, schema: prompt::schema() };
    Wording { chain, mask, ask, found, names, wait }
}

impl Wording<'_> {
    /// What is sent; empty where nobody is asked.
    pub fn sent(&self) -> String {
        if self.chain.providers.is_empty() {
            String::new()
        } else {
            format!("{}\n\n{}", self.ask.system, self.ask.user)
        }
    }

    /// About what one try of each provider uses; nothing where nobody is asked.
    pub fn estimates(&self) -> Vec<Attempt> {
        let providers = self.chain.providers.iter().filter(|_| !self.found.findings.is_empty());
        let bytes = self.ask.system.len() + self.ask.user.len();
        let estimate = |provider: &Provider| Attempt {
            provider: provider.name(),
            is_local: provider.is_local(),
            fault: None,
            input_tokens: Some(tokens_of(bytes)),
            output_tokens: Some(self.ask.tokens_max),
            is_estimated: true,
        };
        providers.map(estimate).collect()
    }

    /// Asks as long as one more try may begin, and checks the reply.
    pub async fn answered(self, may_begin: &(dyn Fn() -> bool + Sync)) -> Worded {
        if self.chain.providers.is_empty() {
            let reason = "ai.privacy is local-only, and no configured model runs on this machine".to_owned();
            return Worded { reason, ..Worded::default() };
        }
        if self.found.findings.is_empty() {
            return Worded { reason: "nothing was found that a model could word".to_owned(), ..Worded::default() };
        }
        let replied = self.chain.ask(&self.ask, self.wait, may_begin).await;
        let Some((model, reply)) = replied.reply.clone() else {
            return Worded { reason: replied.reason(), replied, ..Worded::default() };
        };
        let Some(mut sentences) = prompt::sentences(&reply.text) else {
            let reason = format!("the reply of {model} is not in the form that was asked for");
            return Worded { reason, replied, ..Worded::default() };
        };
        if let Some(mask) = &self.mask {
            sentences.iter_mut().for_each(|sentence| sentence.text = mask.restored(&sentence.text));
        }
        let evidence: Vec<&Evidence> = self.found.evidence().collect();
        let known = sayable(self.found, self.names);
        let result = checked(&sentences, &evidence, &known);
        let first = evidence.first().map_or("", |one| one.id.as_str());
        let is_enough = result.is_enough(first);
        let Checked { kept, dropped } = result;
        let reason = match is_enough {
            true => String::new(),
            false => format!(
                "of {} sentences of {model}, {} did not follow from their evidence, and the rest is no answer",
                kept.len() + dropped.len(),
                dropped.len()
            ),
        };
        let kept = if is_enough { kept } else { Vec::new() };
        Worded { kept, dropped, replied, model, reason }
    }
}

impl Worded {
    /// The answer in the frame of the template, and the least confidence of what it cites; none where nothing was kept.
    pub fn text(&self, found: &Found) -> Option<(String, f64)> {
        if self.kept.is_empty() {
            return None;
        }
        let first = found.findings.first()?;
        let mut text = format!("{}\n", headline(first));
        for sentence in &self.kept {
            text.push_str(&format!("\n{} [{}]", sentence.text, sentence.evidence.join(", ")));
        }
        text.push_str(&ending(found));
        let is_cited = |one: &&Evidence| {
            self.kept.iter().any(|sentence| sentence.evidence.iter().any(|id| id.eq_ignore_ascii_case(&one.id)))
        };
        let confidence = found.evidence().filter(is_cited).map(|one| one.confidence).reduce(f64::min);
        Some((text, confidence.unwrap_or(0.0)))
    }
}

/// All names that a sentence may have.
fn sayable(found: &Found, known: &[Named]) -> Vec<String> {
    // an id of digits may be a count as well: as a count it has to follow from the evidence
    let is_name = |name: &&String| !name.chars().all(|c| c.is_ascii_digit());
    let mut names: Vec<String> = known.iter().map(|(name, _)| name).filter(is_name).cloned().collect();
    names.extend(evidence_names(found).filter(|name| !known.iter().any(|(known, _)| known == *name)).cloned());
    names
}

/// Words of the engine, which are no names of anybody.
const OWN_WORDS: [&str; 15] = [
    "info",
    "warning",
    "error",
    "critical",
    "success",
    "failed",
    "degraded",
    "pending",
    "running",
    "in_progress",
    "rolled_back",
    "healthy",
    "unhealthy",
    "unknown",
    "superseded",
];

/// What is masked: colonies, applications, services, ids, and every name of the evidence that is of no kind that stays.
/// Environments, metrics, types of events and versions stay: an answer without them says nothing.
fn masked_names(found: &Found, all: &[Named]) -> Vec<Named> {
    let is_masked = |kind: &str| ["colony", "application", "service", "id"].contains(&kind);
    let mut names: Vec<Named> = all.iter().filter(|(_, kind)| is_masked(kind)).cloned().collect();
    let known: BTreeSet<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for name in evidence_names(found) {
        let stays = known.contains(name.as_str()) || is_version(name) || OWN_WORDS.contains(&name.as_str());
        if !stays && seen.insert(name) {
            let kind = if name.chars().any(|c| c.is_ascii_digit()) { "id" } else { "name" };
            names.push((name.clone(), kind));
        }
    }
    names
}

/// `v2`, `1.4.1`; digits alone are an id.
fn is_version(name: &str) -> bool {
    let rest = name.strip_prefix('v').unwrap_or(name);
    let is_numbered = rest.starts_with(|c: char| c.is_ascii_digit());
    is_numbered
        && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
        && (rest.len() < name.len() || rest.contains('.'))
}

fn evidence_names(found: &Found) -> impl Iterator<Item = &String> {
    found.evidence().flat_map(|one| &one.facts).filter_map(|fact| match fact {
        Fact::Name(name) => Some(name),
        _ => None,
    })
}
