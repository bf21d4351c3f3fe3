//! The list of deployments, by time or by effect.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Narrowed, Scope};
use super::names;
use super::page;
use super::part::{self, Listed, Part, Place};
use super::range::Range;
use super::refusal::{AnswerError, Refusal};
use super::services;
use super::timeline::{self, DeploymentLine};
use crate::impact::Verdict;
use model::real::Real;
use model::time::{TimeMs, format_duration_ms};
use model::version::Version;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::cmp::Reverse;

/// Which deployments are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentsQuestion {
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
    /// `running`, `success`, `failed` or `rolled_back`.
    pub status: Option<String>,
    /// Of this new version.
    pub version: Option<String>,
    /// `time` or `effect`; absent: by time.
    pub order: Option<String>,
    /// Which part of the list.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deployments {
    /// The deployments.
    #[serde(flatten)]
    pub deployments: Listed<DeploymentLine>,
    /// What the answer is complete to.
    pub completeness: Completeness,
    /// How they are ordered, for the text.
    #[serde(skip)]
    order: Order,
}

/// How deployments are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    Time,
    /// The worst verdict first, of the same verdict the one that made metrics worse by more, then the newest.
    Effect,
}

const ORDERS: [(&str, Order); 2] = [("time", Order::Time), ("effect", Order::Effect)];

const STATUSES: [&str; 4] = ["running", "success", "failed", "rolled_back"];

/// A deployment's place in the list: its effect if that is the order, its start, colony and id.
type Key = (Option<Rank>, Reverse<TimeMs>, String, String);
/// How bad a deployment was, the worst first: its verdict, then by how much metrics got worse.
pub type Rank = (u8, u64);

/// The rank of a verdict, with a score of 0 to 1. A deployment that is not judged yet ranks as a pending one.
pub fn rank(verdict: Option<Verdict>, impact_score: Option<f64>) -> Rank {
    let severity = match verdict {
        Some(Verdict::Failed) => 0,
        Some(Verdict::Degraded) => 1,
        Some(Verdict::Pending) | None => 2,
        Some(Verdict::Success) => 3,
    };
    // numbers that are not negative are in the order of their bits, which a cursor carries without rounding
    let score = Real(impact_score.unwrap_or_default().max(0.0));
    (severity, u64::MAX - score.unsigned_zero().to_bits())
}

fn rank_of(line: &DeploymentLine) -> Rank {
    let stored = line.stored.as_ref();
    rank(stored.map(|it| it.verdict), stored.and_then(|it| it.impact_score).map(|score| score.0))
}

impl Order {
    fn of(name: Option<&str>) -> Result<Order, Refusal> {
        let Some(name) = name.map(str::trim) else { return Ok(Order::Time) };
        let known = ORDERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, order)) = known {
            return Ok(*order);
        }
        names::check(name).map_err(|refusal| refusal.at("order"))?;
        let hint = format!("one of: {}", ORDERS.map(|(name, _)| name).join(", "));
        Err(Refusal::invalid(format!("deployments have no order {name:?}"), hint).at("order"))
    }

    fn key(self, line: &DeploymentLine) -> Key {
        let rank = match self {
            Order::Time => None,
            Order::Effect => Some(rank_of(line)),
        };
        (rank, Reverse(line.start), line.colony_id.clone(), line.deployment_id.clone())
    }

    /// Brings deployments into this order.
    pub(crate) fn sort(self, lines: &mut [DeploymentLine]) {
        lines.sort_by_cached_key(|line| self.key(line));
    }
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn deployments(
    question: &DeploymentsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Deployments, AnswerError> {
    let asked = part::asked("deployments", &DeploymentsQuestion { part: Part::default(), ..question.clone() });
    let (limit, place) = (question.part.reach()?, question.part.place::<Key>(&asked)?);
    let order = Order::of(question.order.as_deref())?;
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let status = question.status.as_ref().map(|status| status.to_lowercase().replace(['-', ' '], "_"));
    if let Some(status) = status.as_ref().filter(|status| !STATUSES.contains(&status.as_str())) {
        names::check(status).map_err(|refusal| refusal.at("status"))?;
        let hint = format!("one of: {}", STATUSES.join(", "));
        return Err(Refusal::invalid(format!("no deployment has the status {status:?}"), hint).at("status").into());
    }
    let (mut lines, completeness) = taken(filter, &fleet, reader).await?;
    lines.retain(|line| {
        place.as_ref().is_none_or(|place| order.key(line) > place.after)
            && status.as_ref().is_none_or(|status| *status == line.status)
            && question.version.as_ref().is_none_or(|version| Version::are_same(version, &line.to_version))
    });
    let counts = (place.map_or(0, |place| place.before), lines.len());
    order.sort(&mut lines);
    lines.truncate(limit);
    let cursor =
        |line: &DeploymentLine, before: usize| Place { to: None, before, after: order.key(line) }.cursor(&asked);
    Ok(Deployments { deployments: Listed::of(&question.part, lines, counts, cursor), completeness, order })
}

/// The deployments of a filter that were in progress in a range, the first `most` in this order, and how many the filter has
/// at any time.
///
/// # Errors
/// Those of the store, and a filter that names something unknown.
pub(crate) async fn within(
    (filter, range): (&Filter, Range),
    (order, most): (Order, usize),
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<(Deployments, usize), AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let (mut lines, completeness) = taken(filter.resolved(&fleet)?, &fleet, reader).await?;
    let known = lines.len();
    lines.retain(|line| line.start < range.to && line.end.unwrap_or(line.start) >= range.from);
    let total = lines.len();
    order.sort(&mut lines);
    lines.truncate(most);
    let deployments = Listed { truncated: lines.len() < total, items: lines, total, next_cursor: None };
    Ok((Deployments { deployments, completeness, order }, known))
}

/// The deployments that a filter takes, and what they are complete to.
async fn taken(
    filter: Narrowed,
    fleet: &Fleet,
    reader: &dyn StoreReader,
) -> Result<(Vec<DeploymentLine>, Completeness), AnswerError> {
    let mut lines = timeline::read(reader).await?;
    lines.iter_mut().for_each(|line| line.identify(fleet.identity(&line.colony_id)));
    let deployed = lines.iter().map(|line| line.service_id.clone()).collect();
    let filter = services::resolved(filter, ("deployment and no topology", deployed), reader).await?;
    lines.retain(|line| {
        filter.takes_colony(&line.colony_id, &line.application_name, &line.environment)
            && filter.takes_service(&line.service_id)
    });
    let completeness =
        Completeness::of(fleet, |id, colony| filter.takes_colony(id, &colony.application_name, &colony.environment));
    Ok((lines, completeness))
}

impl Deployments {
    /// For people.
    pub fn text(&self) -> String {
        let Listed { items, total, .. } = &self.deployments;
        let first = match self.order {
            Order::Time => "the newest first",
            Order::Effect => "the greatest effect first",
        };
        let mut text = match (total, items.len()) {
            (0, _) => {
                "No deployment.\n\nDeployments come from events of the types deploy, deployment, release, rollout and \
                       rollback,\nand from versions in the topology of a colony.\n"
                    .to_owned()
            }
            (total, shown) if shown < *total => format!("Deployments ({shown} of {total}, {first}):\n"),
            (total, _) => format!("Deployments ({total}, {first}):\n"),
        };
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        text.push_str(&page::table(&rows));
        if let Some(cursor) = &self.deployments.next_cursor {
            text.push_str(&format!("\nMore: --cursor {cursor}, or --limit up to {}\n", part::LIMIT_MAX));
        }
        let unjudged = items.iter().filter(|line| line.verdict.is_none()).count();
        if self.order == Order::Effect && unjudged > 0 {
            let (are, they) = if unjudged == 1 { ("is", "it is") } else { ("are", "they are") };
            let begin = format!("\n{unjudged} of these {are} not judged yet");
            text.push_str(&format!("{begin}; without a verdict {they} listed as pending.\n"));
        }
        if !items.is_empty() {
            text.push_str("\nOne of them: coral reef deployment <id>\n");
        }
        text.push_str(&format!("{}\n", self.completeness.line()));
        text
    }
}

fn row(line: &DeploymentLine) -> Vec<String> {
    let took = match (line.kind.as_str(), line.duration_seconds) {
        ("observed", _) => "observed".to_owned(),
        (_, Some(seconds)) if seconds > 0 => format_duration_ms(seconds * 1_000),
        _ => "–".to_owned(),
    };
    // what its metrics say, where that is not how it ended
    let status = match line.verdict.as_deref() {
        Some(verdict @ ("degraded" | "failed")) if !["failed", "rolled_back"].contains(&line.status.as_str()) => {
            format!("{}, {verdict}", line.shown_status())
        }
        _ => line.shown_status(),
    };
    let kind = if line.kind == "rollback" { " (rollback)" } else { "" };
    vec![
        page::time(line.start),
        status,
        line.colony_id.clone(),
        page::or_dash(&line.service_id).to_owned(),
        format!("{}{kind}", line.shown_versions()),
        took,
        line.deployment_id.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_comes_first_then_the_greatest_score() {
        let ranks = [
            rank(Some(Verdict::Failed), Some(0.1)),
            rank(Some(Verdict::Degraded), Some(0.9)),
            rank(Some(Verdict::Degraded), Some(0.2)),
            rank(Some(Verdict::Degraded), Some(-0.0)),
            rank(None, None),
            rank(Some(Verdict::Success), Some(0.3)),
            rank(Some(Verdict::Success), Some(0.0)),
        ];
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(rank(None, None), rank(Some(Verdict::Pending), None));
    }
}
