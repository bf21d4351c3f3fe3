//! Versions: which version of each service runs in which colony, and which are behind the newest.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::page;
use super::refusal::AnswerError;
use super::services;
use super::timeline;
use crate::printable::printable;
use model::time::TimeMs;
use model::version;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Whose versions are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionsQuestion {
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
    /// Only those that are behind, or differ.
    #[serde(default)]
    pub behind: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Versions {
    /// By application, service and environment.
    pub services: Vec<ServiceVersion>,
    /// What the answer is complete to: all colonies of the applications, since any of them may have the newest version.
    pub completeness: Completeness,
}

/// The version of a service in a colony.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceVersion {
    /// The application.
    pub application_name: String,
    /// The service.
    pub service_id: String,
    /// The environment.
    pub environment: String,
    /// The colony.
    pub colony_id: String,
    /// The version.
    pub version: String,
    /// Since when, if a deployment says so; RFC 3339.
    pub since: Option<String>,
    /// `topology` or `deployment`: who says so.
    pub known_from: &'static str,
    /// `newest`, `behind`, `differs` (where versions have no order), or `only` (in no other colony).
    pub standing: &'static str,
    /// The newest version of the service, where versions have an order.
    pub newest: Option<String>,
    #[serde(skip)]
    since_at: Option<TimeMs>,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn versions(
    question: &VersionsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Versions, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let lines = timeline::read(reader).await?;
    let deployed = lines.iter().map(|line| line.service_id.clone()).collect();
    let filter = services::resolved(filter, ("deployment and no topology", deployed), reader).await?;
    // by colony and service
    let mut known: BTreeMap<(String, String), ServiceVersion> = BTreeMap::new();
    for mut line in lines.into_iter().rev() {
        line.identify(fleet.identity(&line.colony_id));
        let is_in_effect = line.status == "success" || (line.status == "rolled_back" && line.kind == "rollback");
        if !is_in_effect || line.to_version.is_empty() {
            continue;
        }
        let version = ServiceVersion {
            application_name: line.application_name,
            service_id: line.service_id,
            environment: line.environment,
            colony_id: line.colony_id,
            version: line.to_version,
            since: Some(line.started_at),
            known_from: "deployment",
            standing: "only",
            newest: None,
            since_at: Some(line.start),
        };
        known.insert((version.colony_id.clone(), version.service_id.clone()), version);
    }
    for node in reader.services().await? {
        let node = node.latest;
        if node.version.trim().is_empty() {
            continue;
        }
        let (application, environment) = fleet.identity(&node.colony_id);
        let deployed = known.get(&(node.colony_id.clone(), node.service_id.clone()));
        if deployed.is_some_and(|deployed| deployed.since_at.is_some_and(|since| since > node.seen_at)) {
            continue;
        }
        let is_same = deployed.filter(|deployed| version::Version::are_same(&deployed.version, &node.version));
        let version = ServiceVersion {
            application_name: application.to_owned(),
            environment: environment.to_owned(),
            version: node.version,
            since: is_same.and_then(|deployed| deployed.since.clone()),
            since_at: is_same.and_then(|deployed| deployed.since_at),
            known_from: "topology",
            standing: "only",
            newest: None,
            colony_id: node.colony_id,
            service_id: node.service_id,
        };
        known.insert((version.colony_id.clone(), version.service_id.clone()), version);
    }
    let mut services: Vec<ServiceVersion> = known.into_values().collect();
    services.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut judged = Vec::with_capacity(services.len());
    for group in services.chunk_by(|a, b| (&a.application_name, &a.service_id) == (&b.application_name, &b.service_id))
    {
        judged.extend(judge(group));
    }
    judged.retain(|one| {
        filter.takes_colony(&one.colony_id, &one.application_name, &one.environment)
            && filter.takes_service(&one.service_id)
            && (!question.behind || ["behind", "differs"].contains(&one.standing))
    });
    // a newer version may run in any colony of an application
    let taken = fleet
        .colonies
        .iter()
        .filter(|(id, colony)| filter.takes_colony(id, &colony.application_name, &colony.environment));
    let taken = taken.map(|(_, colony)| &colony.application_name);
    let applications: BTreeSet<&String> = taken.chain(judged.iter().map(|one| &one.application_name)).collect();
    let completeness = Completeness::of(&fleet, |_, colony| applications.contains(&colony.application_name));
    Ok(Versions { services: judged, completeness })
}

fn key(one: &ServiceVersion) -> [&str; 4] {
    [&one.application_name, &one.service_id, &one.environment, &one.colony_id]
}

impl ServiceVersion {
    /// Its place in the list.
    pub(crate) fn key(&self) -> [String; 4] {
        key(self).map(str::to_owned)
    }
}

/// The standing of each version of one service. Where two versions have no order, none of them is called behind.
fn judge(group: &[ServiceVersion]) -> Vec<ServiceVersion> {
    let order = |a: &str, b: &str| {
        if version::Version::are_same(a, b) { Some(Ordering::Equal) } else { version::order(a, b) }
    };
    let have_order = group.iter().all(|a| order(&group[0].version, &a.version).is_some());
    let newest = group
        .iter()
        .map(|one| &one.version)
        .reduce(|newest, one| if order(newest, one) == Some(Ordering::Less) { one } else { newest });
    let are_equal = group.iter().all(|one| order(&group[0].version, &one.version) == Some(Ordering::Equal));
    let standing = |one: &ServiceVersion| match (group.len(), newest) {
        (1, _) | (_, None) => "only",
        _ if are_equal => "newest",
        (_, Some(newest)) if have_order => {
            if order(&one.version, newest) == Some(Ordering::Less) {
                "behind"
            } else {
                "newest"
            }
        }
        _ => "differs",
    };
    let newest_of = newest.filter(|_| have_order && group.len() > 1);
    group
        .iter()
        .map(|one| ServiceVersion { standing: standing(one), newest: newest_of.cloned(), ..one.clone() })
        .collect()
}

impl Versions {
    /// For people.
    pub fn text(&self) -> String {
        let behind = self.services.iter().filter(|one| one.standing == "behind").count();
        let differ = self.services.iter().filter(|one| one.standing == "differs").count();
        let mut text = match (self.services.len(), behind + differ) {
            (0, _) => {
                "No version is known, or none is behind.\n\nVersions come from the topology of colonies and from \
                       deployments.\n"
                    .to_owned()
            }
            (all, 0) => format!("Versions ({all}, none is behind):\n"),
            (all, _) => format!("Versions ({all}, {behind} behind, {differ} differ):\n"),
        };
        let row = |one: &ServiceVersion| {
            let standing = match (one.standing, &one.newest) {
                ("behind", Some(newest)) => format!("⚠ behind {newest}"),
                ("differs", _) => "⚠ differs".to_owned(),
                ("newest", _) => "✓ newest".to_owned(),
                _ => "–".to_owned(),
            };
            let since = one.since_at.map_or(String::new(), |since| format!("since {}", page::time(since)));
            vec![
                one.application_name.clone(),
                page::or_dash(&one.service_id).to_owned(),
                page::or_dash(&one.environment).to_owned(),
                page::short_version(&one.version),
                standing,
                since,
            ]
        };
        text.push_str(&page::table(&self.services.iter().map(row).collect::<Vec<_>>()));
        let shown = self.services.iter().find(|one| one.standing == "behind").or(self.services.first());
        let more = shown.map_or(String::new(), |one| {
            let flag = if one.service_id.is_empty() { String::new() } else { format!(" --service {}", one.service_id) };
            printable(&format!("How they came there: coral reef deployments{flag}")) + "\n"
        });
        text.push_str(&format!("\n{more}{}\n", self.completeness.line()));
        text
    }
}
