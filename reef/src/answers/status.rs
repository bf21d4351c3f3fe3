//! Status: whether a reef runs, how its colonies are, and what was found last.

use super::completeness::Completeness;
use super::expected::Told;
use super::fleet::Scope;
use super::health::{ColonyHealth, HealthQuestion, health};
use super::page;
use super::refusal::AnswerError;
use crate::predicted;
use crate::printable::shortened;
use crate::report::PatternLine;
use crate::text::pattern::duration;
use model::pattern::PatternState;
use model::time::{SECOND_MS, format_duration_ms};
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::cmp::Reverse;

/// Patterns that are shown.
const RECENT_MAX: usize = 5;
/// Predictions that are shown.
const EXPECTED_MAX: usize = 5;
/// Characters of a pattern's sentence that are shown.
const SENTENCE_MAX: usize = 200;

/// Asks for the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusQuestion {
    /// The run that answers; a process without one leaves it out. A caller's own is replaced.
    pub run: Option<RunFacts>,
}

/// What a run says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// `restoring`, `running` or `draining`.
    pub state: String,
    /// Since its process began to run the reef.
    pub uptime_seconds: u64,
    /// Where its services are; absent where it has none.
    pub api_url: Option<String>,
    /// Where people look at it; absent where no dashboard is open.
    #[serde(default)]
    pub dashboard_url: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The reef.
    pub reef_id: String,
    /// `restoring`, `running` or `draining` while it runs, otherwise `stopped`.
    pub state: String,
    /// Since its process began to run it; 0 when it does not run.
    pub uptime_seconds: u64,
    /// Colony by colony.
    pub colonies: Vec<StatusColony>,
    /// The confirmed patterns that were observed last, the newest first.
    pub recent_correlations: Vec<PatternLine>,
    /// Predictions whose time has not passed, the one that ends first before the others.
    pub open_predictions: Vec<Told>,
    /// How many there are.
    pub open_prediction_count: usize,
    /// Where people look at it; empty where no dashboard is open.
    pub dashboard_url: String,
    /// Where programs ask it; empty where no services are open.
    pub api_url: String,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// A colony.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusColony {
    /// Its id.
    pub colony_id: String,
    /// `healthy`, `degraded`, `unhealthy`, `unreachable` or `unknown`.
    pub health: String,
    /// Its services.
    pub services: u32,
    /// Its agents, if it says.
    pub agents: Option<u32>,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store.
pub async fn status(question: &StatusQuestion, reader: &dyn StoreReader, scope: &Scope) -> Result<Status, AnswerError> {
    let health = health(&HealthQuestion::default(), reader, scope).await?;
    let mut rows = reader.correlations().await?;
    rows.retain(|row| row.state == PatternState::Confirmed);
    rows.sort_by_key(|row| (Reverse(row.last_observed), row.key.clone()));
    let open = predicted::open(reader).await?;
    let colony = |colony: ColonyHealth| StatusColony {
        colony_id: colony.colony_id,
        health: colony.health,
        services: colony.services,
        agents: colony.agents,
    };
    let run = question.run.clone();
    let (state, uptime_seconds) =
        run.as_ref().map_or(("stopped".to_owned(), 0), |run| (run.state.clone(), run.uptime_seconds));
    Ok(Status {
        reef_id: scope.reef_id.clone(),
        state,
        uptime_seconds,
        colonies: health.colonies.into_iter().map(colony).collect(),
        recent_correlations: rows.iter().take(RECENT_MAX).map(PatternLine::of).collect(),
        open_prediction_count: open.len(),
        open_predictions: open.into_iter().take(EXPECTED_MAX).map(Told::of).collect(),
        dashboard_url: run.as_ref().and_then(|run| run.dashboard_url.clone()).unwrap_or_default(),
        api_url: run.and_then(|run| run.api_url).unwrap_or_default(),
        completeness: health.completeness,
    })
}

impl Status {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("Reef: {}\nStatus: {}\n", self.reef_id, page::capital(&self.state));
        if self.state != "stopped" {
            let ms = i64::try_from(self.uptime_seconds).unwrap_or(i64::MAX / SECOND_MS).saturating_mul(SECOND_MS);
            text.push_str(&format!("Uptime: {}\n", spaced(&format_duration_ms(ms))));
        }
        text.push_str(&format!("\nColonies ({}):\n", self.colonies.len()));
        text.push_str(&page::table(&self.colonies.iter().map(row).collect::<Vec<_>>()));
        if !self.recent_correlations.is_empty() {
            text.push_str("\nRecent Correlations:\n");
            self.recent_correlations.iter().for_each(|line| text.push_str(&recent(line)));
        }
        if !self.open_predictions.is_empty() {
            text.push_str("\nExpected Next:\n");
            self.open_predictions.iter().for_each(|told| text.push_str(&format!("  - {}\n", told.summary)));
            let more = self.open_prediction_count - self.open_predictions.len();
            if more > 0 {
                text.push_str(&format!("  {more} more: coral reef predictions\n"));
            }
        }
        if !self.dashboard_url.is_empty() {
            text.push_str(&format!("\nDashboard: {}\n", self.dashboard_url));
        }
        if !self.api_url.is_empty() {
            text.push_str(&format!("\nServices: {}\n", self.api_url));
        }
        text.push_str(&format!("\n{}\n", self.completeness.line()));
        text
    }
}

fn row(colony: &StatusColony) -> Vec<String> {
    let agents = colony.agents.map_or("–".to_owned(), |agents| agents.to_string());
    vec![
        format!("{} {}", super::health::sign(&colony.health), colony.colony_id),
        format!("[{}]", colony.health),
        format!("{:>2} services, {agents} agents", colony.services),
    ]
}

/// `  - deploy of web is followed by … (lag: 2h 15m, confidence: 0.89)`, and the command that shows more.
fn recent(line: &PatternLine) -> String {
    // never rounded up to certainty
    let confidence = (line.confidence * 100.0).floor() / 100.0;
    format!(
        "  - {} (lag: {}, confidence: {confidence:.2})\n    more: coral reef correlation {}\n",
        shortened(&line.pattern_description, SENTENCE_MAX),
        spaced(&duration(line.lag_seconds)),
        line.correlation_id
    )
}

/// `2h15m` as `2h 15m`.
fn spaced(duration: &str) -> String {
    let mut text = String::with_capacity(duration.len() + 2);
    let mut before = ' ';
    for c in duration.chars() {
        if c.is_ascii_digit() && before.is_ascii_alphabetic() {
            text.push(' ');
        }
        text.push(c);
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::rows::Rows;
    use model::time::TimeMs;
    use model::topology::ColonyStatus;
    use sinks::compliance::commit_of;
    use sinks::compliance::rows::finding;
    use sinks::memory::MemoryStore;
    use sinks::{Commit, StoreWriter};

    const NOON: TimeMs = TimeMs(1_731_499_200_000);

    fn colony(colony_id: &str, health: &str, agent_count: Option<u32>) -> ColonyStatus {
        let is_reached = health != "unreachable";
        ColonyStatus {
            application_name: String::new(),
            environment: String::new(),
            total_services: 12,
            healthy_services: 12,
            agent_count,
            last_success_at: Some(NOON),
            complete_to: Some(NOON),
            last_error: if is_reached { String::new() } else { "10.0.0.1:9000: connection refused".to_owned() },
            ..fixtures::colony_status(colony_id, health)
        }
    }

    /// A store with a colony in each state and six confirmed patterns.
    async fn store() -> MemoryStore {
        let mut store = MemoryStore::new();
        let colonies = vec![
            colony("my-shop-production", "healthy", Some(45)),
            colony("my-shop-staging", "degraded", None),
            colony("payments-dev", "unhealthy", Some(3)),
            colony("payments-prod", "unreachable", None),
        ];
        let findings = (0..6).map(|number| {
            let mut found = finding(&format!("deploy-{number}"), 0.9, &[]);
            found.correlation.last_observed = NOON + number;
            found
        });
        let mut findings: Vec<_> = findings.collect();
        findings[5].correlation.state = PatternState::Candidate;
        findings[4].correlation.confidence = model::real::Real(0.9999);
        let rows = Rows { colonies, ..Rows::default() };
        store.commit(&Commit { findings, ..commit_of(1, rows) }).await.unwrap();
        store
    }

    fn scope() -> Scope {
        let reef_id = "my-infrastructure-reef-x7y8z9".to_owned();
        Scope { reef_id, colonies: vec!["shop-qa".to_owned()], ..Scope::default() }
    }

    #[tokio::test]
    async fn a_running_reef_is_told_as_the_seed_shows_it() {
        let facts = RunFacts {
            state: "running".to_owned(),
            uptime_seconds: 8_130,
            api_url: Some("http://127.0.0.1:3101".to_owned()),
            dashboard_url: Some("http://127.0.0.1:3100/".to_owned()),
        };
        let question = StatusQuestion { run: Some(facts) };
        let answer = status(&question, store().await.reader().as_ref(), &scope()).await.unwrap();
        let text = answer.text();
        let expected = "Reef: my-infrastructure-reef-x7y8z9\nStatus: Running\nUptime: 2h 15m\n\nColonies (5):\n  \
            ✓ my-shop-production  [healthy]      12 services, 45 agents\n  \
            ⚠ my-shop-staging     [degraded]     12 services, – agents\n  \
            ✗ payments-dev        [unhealthy]    12 services, 3 agents\n  \
            ✗ payments-prod       [unreachable]  12 services, – agents\n  \
            – shop-qa             [unknown]       0 services, – agents\n\nRecent Correlations:\n  \
            - deploy-4 is followed by error_spike after 2h15m (lag: 2h 15m, confidence: 0.99)\n    \
            more: coral reef correlation c-";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.matches("  - deploy-").count(), 5, "the candidate is none of them: {text}");
        let doors = "\nDashboard: http://127.0.0.1:3100/\n\nServices: http://127.0.0.1:3101\n";
        assert!(text.contains(doors), "{text}");
        assert!(text.contains("⚠ Incomplete: 2 of 5 colonies not current: payments-prod unreachable"), "{text}");
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!((&json["state"], &json["uptime_seconds"]), (&"running".into(), &8_130.into()));
        assert_eq!(
            (&json["colonies"][0]["agents"], &json["colonies"][1]["agents"]),
            (&45.into(), &serde_json::Value::Null)
        );
        assert_eq!(json["recent_correlations"][0]["source_signal"], "deploy-4");
    }

    #[tokio::test]
    async fn a_stopped_reef_has_no_uptime() {
        let answer = status(&StatusQuestion::default(), store().await.reader().as_ref(), &scope()).await.unwrap();
        assert!(answer.text().starts_with("Reef: my-infrastructure-reef-x7y8z9\nStatus: Stopped\n\nColonies (5):\n"));
        assert_eq!((answer.uptime_seconds, answer.api_url.as_str()), (0, ""));
    }

    #[test]
    fn durations_are_spaced_as_the_seed_writes_them() {
        assert_eq!(["2h15m", "45s", "1d", "1.5s"].map(spaced), ["2h 15m", "45s", "1d", "1.5s"]);
    }
}
