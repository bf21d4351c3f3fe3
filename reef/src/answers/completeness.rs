//! Completeness: what an answer is complete to, colony by colony, and why not to the same time everywhere.

use super::fleet::{Fleet, KnownColony};
use super::page;
use crate::printable::printable;
use model::time::{HOUR_MS, MINUTE_MS, TimeMs};
use model::topology::{REVOKED, UNREACHABLE};
use serde::Serialize;

/// Behind the newest colony by more than this, a colony is late.
const LATE_MS: i64 = 15 * MINUTE_MS;
/// Behind by more than this, it is stale.
const STALE_MS: i64 = 2 * HOUR_MS;
/// Most colonies that the line for people names.
const NAMED_MAX: usize = 5;

/// What an answer is complete to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completeness {
    /// Whether every colony is current.
    pub complete: bool,
    /// Colony by colony, by id.
    pub colonies: Vec<ColonyCompleteness>,
}

/// What is known of one colony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColonyCompleteness {
    /// The colony.
    pub colony_id: String,
    /// `current`, `late`, `stale`, `unreachable`, `revoked` or `never_seen`.
    pub state: &'static str,
    /// Everything up to here has been received; RFC 3339.
    pub complete_to: Option<String>,
    /// Why it is not current; empty if it is.
    pub reason: String,
    #[serde(skip)]
    known_to: Option<TimeMs>,
}

impl Completeness {
    /// Of the colonies that `takes` selects. A colony is measured against the one that is known furthest: now comes from
    /// the rows, as everywhere.
    pub fn of(fleet: &Fleet, takes: impl Fn(&str, &KnownColony) -> bool) -> Completeness {
        let newest = fleet.colonies.values().filter_map(KnownColony::complete_to).max();
        let taken = fleet.colonies.iter().filter(|(id, colony)| takes(id, colony));
        let colonies: Vec<ColonyCompleteness> = taken.map(|(id, colony)| judged(id, colony, newest)).collect();
        Completeness { complete: colonies.iter().all(|colony| colony.state == "current"), colonies }
    }

    /// The end of a list for people: how to get the rest of it, and what it is complete to.
    pub(super) fn closing(&self, next_cursor: Option<&str>) -> String {
        format!("{}{}\n", next_cursor.map(page::more).unwrap_or_default(), self.line())
    }

    /// In one sentence, for people.
    pub fn line(&self) -> String {
        let count = self.colonies.len();
        let all = match count {
            0 => return "No colony is known yet.".to_owned(),
            1 => "1 colony".to_owned(),
            many => format!("all {many} colonies"),
        };
        let least =
            self.colonies.iter().filter(|colony| colony.state == "current").filter_map(|colony| colony.known_to).min();
        if self.complete {
            let to = least.map_or("the last row".to_owned(), page::time);
            return format!("Complete to {to} for {all}.");
        }
        let missing: Vec<String> = self
            .colonies
            .iter()
            .filter(|colony| colony.state != "current")
            .map(|colony| {
                format!("{} {} ({})", printable(&colony.colony_id), colony.state.replace('_', " "), colony.reason)
            })
            .collect();
        let rest = missing.len().saturating_sub(NAMED_MAX);
        let more = if rest > 0 { format!("; {rest} more") } else { String::new() };
        let named = missing[..missing.len() - rest].join("; ");
        let to = least.map_or(String::new(), |least| format!("; the others complete to {}", page::time(least)));
        format!("⚠ Incomplete: {} of {count} colonies not current: {named}{more}{to}.", missing.len())
    }
}

fn judged(id: &str, colony: &KnownColony, newest: Option<TimeMs>) -> ColonyCompleteness {
    let known_to = colony.complete_to();
    let behind_ms = known_to.zip(newest).map_or(0, |(known, newest)| newest - known);
    // only what reports regularly is late when nothing comes
    let is_regular = colony.newest_metric.is_some() || colony.status.is_some();
    let failed = colony.status.as_ref().filter(|status| status.is_lost() || !status.last_error.is_empty());
    let (state, reason) = match (known_to, failed) {
        // it answers, and says no: also before anything was received
        (known, Some(status)) if status.health == REVOKED => {
            let since = known.map_or(String::new(), |known| format!("; nothing since {}", page::time(known)));
            let error = printable(status.last_error.lines().next().unwrap_or_default());
            (REVOKED, format!("it has revoked this reef{since}: {error}"))
        }
        (None, None) => ("never_seen", "nothing has been received from it".to_owned()),
        (known, Some(status)) => {
            let error = printable(status.last_error.lines().next().unwrap_or_default());
            let since = known.map_or("ever".to_owned(), |known| format!("since {}", page::time(known)));
            (
                if status.health == UNREACHABLE { UNREACHABLE } else { "late" },
                match error.is_empty() {
                    true => format!("no answer {since}"),
                    false => format!("no answer {since}: {error}"),
                },
            )
        }
        (Some(known), None) if is_regular && behind_ms > STALE_MS => {
            ("stale", format!("nothing since {}", page::time(known)))
        }
        (Some(known), None) if is_regular && behind_ms > LATE_MS => {
            ("late", format!("nothing since {}", page::time(known)))
        }
        (Some(_), None) => ("current", String::new()),
    };
    let complete_to = known_to.map(|time| time.to_string());
    ColonyCompleteness { colony_id: id.to_owned(), state, complete_to, reason, known_to }
}
