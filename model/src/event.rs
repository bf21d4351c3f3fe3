//! An event: something that happened to a service of a colony at one instant.

use crate::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How bad an event is; `info < warning < error < critical`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing wrong.
    #[default]
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
    /// Users are affected.
    Critical,
}

impl Severity {
    /// The lower-case name used on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }
}

impl Severity {
    /// The level for a name: its own, or a synonym used by other systems, in any case.
    ///
    /// ```
    /// use coral_model::event::Severity;
    /// assert_eq!(Severity::of_word(" WARN"), Some(Severity::Warning));
    /// assert_eq!(Severity::of_word("P9"), None);
    /// ```
    pub fn of_word(word: &str) -> Option<Severity> {
        let known = word.trim().to_ascii_lowercase();
        Some(match known.as_str() {
            "info" | "information" | "informational" | "notice" | "debug" | "trace" | "verbose" | "normal" | "none"
            | "ok" | "low" => Severity::Info,
            "warning" | "warn" | "minor" | "medium" | "moderate" => Severity::Warning,
            "error" | "err" | "major" | "high" | "severe" | "failure" => Severity::Error,
            "critical" | "crit" | "fatal" | "emergency" | "emerg" | "alert" | "panic" | "page" | "disaster" => {
                Severity::Critical
            }
            _ => return None,
        })
    }

    /// The level of a row whose severity is `word`. An unknown word does not reject the event: the level is `info`, the
    /// word is kept in the metadata, and a note is returned. An empty word is `info`.
    pub fn read(word: &str, metadata: &mut BTreeMap<String, String>) -> (Severity, Option<String>) {
        if word.trim().is_empty() {
            return (Severity::default(), None);
        }
        if let Some(severity) = Severity::of_word(word) {
            return (severity, None);
        }
        let shown: String = word.trim().chars().take(WORD_CHARS_MAX).collect();
        let note =
            format!("severity {shown:?} is none of info, warning, error or critical: taken as info, kept in metadata");
        metadata.entry("severity".to_owned()).or_insert(shown);
        (Severity::default(), Some(note))
    }
}

/// Longest part of an unknown word that is kept and shown.
const WORD_CHARS_MAX: usize = 40;

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = ();
    fn from_str(text: &str) -> Result<Severity, ()> {
        match text {
            "info" => Ok(Severity::Info),
            "warning" => Ok(Severity::Warning),
            "error" => Ok(Severity::Error),
            "critical" => Ok(Severity::Critical),
            _ => Err(()),
        }
    }
}

/// One event. `(colony_id, event_id)` is its identity; a second row with the same identity is a repeat or a newer version.
///
/// Of several copies the greatest wins, by the derived order of the fields after the identity: the higher version; of
/// equal versions the withdrawn one; then the content. The winner is thus a function of the set of copies, never of
/// their order of arrival (test `the_higher_version_wins_then_the_withdrawn_copy_then_the_content`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Event {
    /// The colony that reported it.
    pub colony_id: String,
    /// Unique within the colony.
    pub event_id: String,
    /// Newer content of the same event has a higher version; 0 if the source has no versions.
    pub version: u64,
    /// The event is withdrawn: it is stored, but does not count.
    pub withdrawn: bool,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony; may be empty.
    pub environment: String,
    /// When it happened.
    pub timestamp: TimeMs,
    /// `deploy`, `restart`, `crash`, `alert`, `error_spike`, … Unknown kinds are kept.
    pub event_type: String,
    /// The service it happened to.
    pub service_id: String,
    /// How bad it is.
    pub severity: Severity,
    /// Free text.
    pub description: String,
    /// Further details. Values that are not text in the source are compact JSON; nulls are omitted.
    pub metadata: BTreeMap<String, String>,
}

/// The event type of a service: the unit whose onsets are correlated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTypeKey {
    /// Colony.
    pub colony_id: String,
    /// Service.
    pub service_id: String,
    /// Event type.
    pub event_type: String,
}

impl Event {
    /// Whether an older copy may arrive that must not count: the event has a version, or is withdrawn.
    pub fn is_amended(&self) -> bool {
        self.version > 0 || self.withdrawn
    }

    /// The (colony, service, type) this event is an instance of.
    pub fn type_key(&self) -> EventTypeKey {
        EventTypeKey {
            colony_id: self.colony_id.clone(),
            service_id: self.service_id.clone(),
            event_type: self.event_type.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(version: u64, withdrawn: bool, minute: i64) -> Event {
        Event {
            colony_id: "shop-production".to_owned(),
            event_id: "e1".to_owned(),
            version,
            withdrawn,
            application_name: "shop".to_owned(),
            environment: "production".to_owned(),
            timestamp: TimeMs(minute * 60_000),
            event_type: "alert".to_owned(),
            service_id: "api".to_owned(),
            severity: Severity::Info,
            description: String::new(),
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn unknown_severities_cost_nothing_but_their_level() {
        let mut metadata = BTreeMap::new();
        assert_eq!(Severity::read("Fatal ", &mut metadata), (Severity::Critical, None));
        assert_eq!(Severity::read("", &mut metadata), (Severity::Info, None));
        assert!(metadata.is_empty());
        let (severity, note) = Severity::read("P1", &mut metadata);
        assert!(note.is_some_and(|note| note.contains("\"P1\" is none of info, warning, error or critical")));
        assert_eq!((severity, metadata["severity"].as_str()), (Severity::Info, "P1"));
        for severity in [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical] {
            assert_eq!(Severity::of_word(severity.as_str()), Some(severity));
        }
    }

    #[test]
    fn the_higher_version_wins_then_the_withdrawn_copy_then_the_content() {
        let rising = [
            copy(0, false, 5),
            copy(0, false, 9),
            copy(0, true, 1),
            copy(1, false, 0),
            copy(1, true, 0),
            copy(2, false, 0),
        ];
        assert!(rising.is_sorted());
    }
}
