//! The answer to a question in words: text, evidence, actions, and what it is complete to.

use super::actions::Action;
use super::evidence::{Evidence, Kind, SHARE_MAX};
use super::findings::{Found, SHOWN_MAX};
use crate::printable::printable;
use model::time::TimeMs;

/// Actions of an answer.
const ACTIONS_MAX: usize = 6;
/// Colonies that a page names.
const NAMED_MAX: usize = 8;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// In words, without what it is complete to.
    pub text: String,
    /// What was found.
    pub found: Found,
    /// What could be done.
    pub actions: Vec<Action>,
    /// How the answer was computed.
    pub metadata: Metadata,
}

/// How an answer was computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Its key in the record of analyses; empty where it is not recorded.
    pub analysis_id: String,
    /// When; none where no clock is at hand.
    pub analyzed_at: Option<TimeMs>,
    /// The model that worded it; empty for none.
    pub model_used: String,
    /// Tokens given to models, as they state it.
    pub input_tokens: u32,
    /// Tokens that they wrote.
    pub output_tokens: u32,
    /// Whether some of these are an estimate: a model stated none.
    pub tokens_estimated: bool,
    /// What they cost, in millionths of a US dollar; none where no price is known.
    pub cost_micros: Option<u64>,
    /// Sentences of a model that were dropped.
    pub sentences_dropped: u32,
    /// Why the template is the answer; empty where a model worded it.
    pub template_reason: String,
    /// The least confidence of the evidence that the text cites, 0 to 1.
    pub confidence: f64,
}

impl Analysis {
    /// The answer of the template.
    pub fn of_template(found: Found, text: String) -> Analysis {
        let metadata = Metadata {
            template_reason: "no language model is configured (ai.llm)".to_owned(),
            cost_micros: Some(0),
            confidence: found.confidence(),
            ..Metadata::default()
        };
        Analysis { text, actions: actions(&found), found, metadata }
    }

    /// The text with what it is complete to, as the RPC has it.
    pub fn answer(&self) -> String {
        format!("{}\n\n{}", self.text, self.found.completeness.line())
    }

    /// The colonies that it covers.
    pub fn colonies(&self) -> Vec<&str> {
        self.found.plan.scope.iter().map(String::as_str).collect()
    }

    /// For people; ends with a line break, has no colours.
    pub fn page(&self) -> String {
        let mut page = format!("{}\n", self.text);
        if self.found.evidence().next().is_some() {
            page.push_str("\nEvidence:\n");
            self.found.evidence().for_each(|one| page.push_str(&line(one)));
        }
        let commands: Vec<&Action> = self.actions.iter().collect();
        if !commands.is_empty() {
            page.push_str("\nActions:\n");
            commands.iter().for_each(|action| page.push_str(&shown(action)));
        }
        let metadata = &self.metadata;
        let model = match metadata.model_used.as_str() {
            "" => format!("none: {}", metadata.template_reason),
            model => model.to_owned(),
        };
        let tokens = u64::from(metadata.input_tokens) + u64::from(metadata.output_tokens);
        page.push_str(&format!(
            "\nMetadata:\n  Model: {}\n  Tokens: {tokens} ({} input, {} output{})\n",
            printable(&model),
            metadata.input_tokens,
            metadata.output_tokens,
            if metadata.tokens_estimated { ", estimated" } else { "" }
        ));
        match metadata.cost_micros {
            Some(0) => {}
            Some(micros) => page.push_str(&format!("  Cost: ${:.4}\n", micros as f64 / 1e6)),
            None => page.push_str("  Cost: unknown (no price is known for this model)\n"),
        }
        if metadata.sentences_dropped > 0 {
            page.push_str(&format!("  Sentences dropped: {}\n", metadata.sentences_dropped));
        }
        page.push_str(&format!("  Colonies queried: {}\n", named(&self.colonies())));
        // never rounded up to certainty
        page.push_str(&format!("  Confidence: {:.2}\n\n", metadata.confidence.min(SHARE_MAX)));
        page.push_str(&format!("{}\n", self.found.completeness.line()));
        page
    }
}

/// What could be done about what is shown, each once.
fn actions(found: &Found) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    for action in found.findings.iter().take(SHOWN_MAX).flat_map(|finding| &finding.actions) {
        let is_known =
            actions.iter().any(|known| known.command == action.command && known.description == action.description);
        if !is_known && actions.len() < ACTIONS_MAX {
            actions.push(action.clone());
        }
    }
    actions
}

/// `  - E1 Colony: my-shop-production · Metric: latency …`.
fn line(one: &Evidence) -> String {
    let kind = match one.kind {
        Kind::Metric => "Metric",
        Kind::Event => "Event",
        Kind::Correlation => "Correlation",
    };
    let colony = if one.colony_id.is_empty() { "–" } else { &one.colony_id };
    format!("  - {} Colony: {} · {kind}: {}\n", one.id, printable(colony), printable(&one.description))
}

fn shown(action: &Action) -> String {
    let approval = if action.requires_approval { " (needs approval)" } else { "" };
    match action.command.as_str() {
        "" => format!("  - {}{approval}\n", printable(&action.description)),
        command => format!("  - {}{approval}: {command}\n", printable(&action.description)),
    }
}

/// `3 (a, b, c)`.
fn named(colonies: &[&str]) -> String {
    if colonies.is_empty() {
        return "0".to_owned();
    }
    let more = colonies.len().saturating_sub(NAMED_MAX);
    let names: Vec<String> = colonies.iter().take(NAMED_MAX).map(|id| printable(id)).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} ({}{more})", colonies.len(), names.join(", "))
}
