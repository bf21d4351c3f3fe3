//! Words: which events are about a deployment, and what they say about it.

use model::event::{Event, Severity};
use serde::{Deserialize, Serialize};

/// What an event says about a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// It has started.
    Started,
    /// Only that it happened.
    Whole,
    /// It has ended.
    Finished,
    /// It has failed.
    Failed,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Act {
    /// What it says.
    pub phase: Phase,
    /// The version before is put back.
    pub is_rollback: bool,
}

/// Metadata fields that may say how a deployment is, in lower case without separators, best first.
const STATUS_FIELDS: [&str; 12] = [
    "status",
    "state",
    "phase",
    "deploymentstatus",
    "deploystatus",
    "result",
    "outcome",
    "conclusion",
    "stage",
    "step",
    "action",
    "event",
];

/// Words of an event type beside which a deployment is not one yet, or no longer.
const NOT_YET: [&str; 13] = [
    "freeze",
    "frozen",
    "unfreeze",
    "lock",
    "locked",
    "unlock",
    "notes",
    "scheduled",
    "planned",
    "requested",
    "approved",
    "approval",
    "skipped",
];

/// Words of a description in which a phase counts.
const DESCRIPTION_WORDS_MAX: usize = 10;

/// Whether an event type is about deployments.
///
/// ```
/// use coral_operators::deployments::words::is_about_deployments;
/// for event_type in ["deploy", "deployment.started", "DeployFinished", "rollout", "k8s_deployment", "rollback", "release"] {
///     assert!(is_about_deployments(event_type), "{event_type}");
/// }
/// for event_type in ["alert", "deploy_freeze", "memory_release", "restart"] {
///     assert!(!is_about_deployments(event_type), "{event_type}");
/// }
/// ```
pub fn is_about_deployments(event_type: &str) -> bool {
    let words = words_of(event_type);
    let names_one =
        words.iter().enumerate().any(|(place, word)| is_deployment(word) || (place == 0 && is_release(word)));
    (names_one || tells_rollback(&words)) && !words.iter().any(|word| NOT_YET.contains(&word.as_str()))
}

/// What `event` says about a deployment, if its type is about them.
pub fn act_of(event: &Event) -> Option<Act> {
    if !is_about_deployments(&event.event_type) {
        return None;
    }
    let of_type = words_of(&event.event_type);
    let of_fields = STATUS_FIELDS.iter().find_map(|field| {
        let (_, value) = event.metadata.iter().find(|(name, _)| model::version::folded(name) == *field)?;
        let words = words_of(value);
        let is_telling = phase_in(&words).is_some() || tells_rollback(&words);
        is_telling.then_some(words)
    });
    let of_text = description_words(&event.description);
    let told = [of_fields.as_deref(), Some(of_type.as_slice()), of_text.as_deref()];
    let is_rollback = told.iter().flatten().any(|words| tells_rollback(words));
    let phase = told.iter().flatten().find_map(|words| phase_in(words));
    let of_severity = if event.severity >= Severity::Error && !is_rollback { Phase::Failed } else { Phase::Whole };
    Some(Act { phase: phase.unwrap_or(of_severity), is_rollback })
}

/// The beginning of a description, if it is about a deployment.
fn description_words(description: &str) -> Option<Vec<String>> {
    let end = [". ", ": ", "; ", ", ", "\n"].into_iter().filter_map(|end| description.find(end)).min();
    let sentence = &description[..end.unwrap_or(description.len())];
    let words: Vec<String> = words_of(sentence).into_iter().take(DESCRIPTION_WORDS_MAX).collect();
    let is_telling = words.iter().any(|word| is_deployment(word) || is_release(word)) || tells_rollback(&words);
    is_telling.then_some(words)
}

/// Lower-case words; a capital letter after a small one begins a new one.
fn words_of(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in text.chars() {
        let begins = !c.is_alphanumeric() || (was_small && c.is_uppercase());
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_deployment(word: &str) -> bool {
    ["deploy", "deploys", "deployed", "deploying", "deployment", "redeploy", "redeployed", "rollout"].contains(&word)
}

fn is_release(word: &str) -> bool {
    ["release", "released", "releasing"].contains(&word)
}

fn tells_rollback(words: &[String]) -> bool {
    let one = |word: &String| {
        ["rollback", "rolledback", "revert", "reverted", "reverting", "undeploy", "undeployed"].contains(&word.as_str())
    };
    let two = |pair: &[String]| ["roll", "rolled", "rolling"].contains(&pair[0].as_str()) && pair[1] == "back";
    words.iter().any(one) || words.windows(2).any(two)
}

/// The last phase that is named: `start failed` is a failure.
fn phase_in(words: &[String]) -> Option<Phase> {
    let phase = |word: &String| {
        Some(match word.as_str() {
            "start" | "started" | "starting" | "begin" | "began" | "beginning" | "running" | "progressing"
            | "progress" | "pending" | "initiated" | "triggered" | "queued" | "created" | "deploying" => Phase::Started,
            "finish" | "finished" | "complete" | "completed" | "success" | "succeeded" | "successful"
            | "successfully" | "done" | "deployed" | "released" | "passed" | "end" | "ended" | "ok" | "healthy"
            | "synced" => Phase::Finished,
            "fail" | "failed" | "fails" | "failure" | "failing" | "error" | "errored" | "aborted" | "cancelled"
            | "canceled" | "unsuccessful" | "timeout" | "rejected" => Phase::Failed,
            _ => return None,
        })
    };
    let phases: Vec<Phase> = words.iter().filter_map(phase).collect();
    phases.iter().copied().find(|phase| *phase == Phase::Failed).or(phases.last().copied())
}
