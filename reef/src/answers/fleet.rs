//! The fleet: which colonies there are, whose they are, and up to when each is known.

use super::names::{check, check_count, resolve};
use super::refusal::Refusal;
use crate::impact::colonies::{identity, is_named};
use model::meaning::Meanings;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use serde::{Deserialize, Serialize};
use sinks::{SinkError, StoreReader, Watermarks};
use std::collections::{BTreeMap, BTreeSet};

/// Whose answers are wanted: what a store does not know about its reef.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The reef.
    pub reef_id: String,
    /// Colonies that are expected, whether or not they have been heard.
    pub colonies: Vec<String>,
    /// What is stated about metrics.
    #[serde(default)]
    pub metrics: Meanings,
}

/// What is known of a colony.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownColony {
    /// Its application.
    pub application_name: String,
    /// Its environment; may be empty.
    pub environment: String,
    /// Its last state, if it is a live one.
    pub status: Option<ColonyStatus>,
    /// Its newest event on time.
    pub newest_event: Option<TimeMs>,
    /// Its newest metric bucket on time.
    pub newest_metric: Option<TimeMs>,
}

/// The colonies of a reef.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// By id.
    pub colonies: BTreeMap<String, KnownColony>,
}

impl Fleet {
    /// The colonies that the store knows and that `scope` expects.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(reader: &dyn StoreReader, scope: &Scope) -> Result<Fleet, SinkError> {
        let Watermarks { events, metrics } = reader.watermarks().await?;
        let mut states: BTreeMap<String, ColonyStatus> =
            reader.colony_status().await?.into_iter().map(|status| (status.colony_id.clone(), status)).collect();
        let ids: BTreeSet<String> =
            events.keys().chain(metrics.keys()).chain(states.keys()).chain(&scope.colonies).cloned().collect();
        let of_rows =
            if ids.iter().all(|id| is_named(states.get(id))) { BTreeMap::new() } else { reader.identities().await? };
        let known = |id: String| {
            let status = states.remove(&id);
            let (application_name, environment) = identity(&id, status.as_ref(), of_rows.get(&id));
            let known = KnownColony {
                application_name,
                environment,
                newest_event: events.get(&id).copied(),
                newest_metric: metrics.get(&id).copied(),
                status,
            };
            (id, known)
        };
        Ok(Fleet { colonies: ids.into_iter().map(known).collect() })
    }

    /// Names of environments.
    pub fn environments(&self) -> BTreeSet<String> {
        self.colonies.values().map(|colony| colony.environment.clone()).filter(|name| !name.is_empty()).collect()
    }

    /// Names of applications.
    pub fn applications(&self) -> BTreeSet<String> {
        self.colonies.values().map(|colony| colony.application_name.clone()).collect()
    }

    /// Application and environment of a colony.
    pub fn identity(&self, colony_id: &str) -> (&str, &str) {
        match self.colonies.get(colony_id) {
            Some(colony) => (&colony.application_name, &colony.environment),
            None => ("", ""),
        }
    }
}

impl KnownColony {
    /// Its newest row on time.
    pub fn newest_row(&self) -> Option<TimeMs> {
        self.newest_event.max(self.newest_metric)
    }

    /// Up to when everything has been received, as far as that can be known.
    pub fn complete_to(&self) -> Option<TimeMs> {
        let stated = self.status.as_ref().and_then(|status| status.complete_to);
        stated.or_else(|| self.newest_row())
    }
}

/// Which colonies, services or environments a question is about; empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Ids of colonies.
    #[serde(default)]
    pub colonies: Vec<String>,
    /// An environment.
    pub environment: Option<String>,
    /// The same of several: any of them.
    #[serde(default)]
    pub environments: Vec<String>,
    /// An application.
    pub application: Option<String>,
    /// A service.
    pub service: Option<String>,
}

/// A filter with names as the store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowed {
    colonies: BTreeSet<String>,
    environments: BTreeSet<String>,
    environment: Option<String>,
    application: Option<String>,
    service: Option<String>,
}

impl Filter {
    /// The filter with names as the store has them.
    ///
    /// # Errors
    /// When a name is unknown or too long, several names begin so, or there are too many.
    pub fn resolved(&self, fleet: &Fleet) -> Result<Narrowed, Refusal> {
        check_count(&self.colonies, "colony_ids")?;
        check_count(&self.environments, "environments")?;
        if let Some(service) = &self.service {
            check(service).map_err(|refusal| refusal.at("service_id"))?;
        }
        let ids: BTreeSet<String> = fleet.colonies.keys().cloned().collect();
        let resolved = |(what, field): (&str, &str), name: &Option<String>, known: BTreeSet<String>| {
            name.as_ref().map(|name| resolve(what, name, &known).map_err(|refusal| refusal.at(field))).transpose()
        };
        let colony = |(place, id): (usize, &String)| {
            resolve("colony", id, &ids).map_err(|refusal| refusal.at(&format!("colony_ids[{place}]")))
        };
        let environments = fleet.environments();
        let one_of = |(place, name): (usize, &String)| {
            let found = resolve("environment", name, &environments);
            found.map_err(|refusal| refusal.at(&format!("environments[{place}]")))
        };
        Ok(Narrowed {
            colonies: self.colonies.iter().enumerate().map(colony).collect::<Result<_, _>>()?,
            environments: self.environments.iter().enumerate().map(one_of).collect::<Result<_, _>>()?,
            environment: resolved(("environment", "environment"), &self.environment, fleet.environments())?,
            application: resolved(("application", "application_name"), &self.application, fleet.applications())?,
            service: self.service.clone(),
        })
    }
}

impl Narrowed {
    /// Whether a colony is wanted.
    pub fn takes_colony(&self, colony_id: &str, application: &str, environment: &str) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        (self.colonies.is_empty() || self.colonies.contains(colony_id))
            && (self.environments.is_empty() || self.environments.contains(environment))
            && is(&self.application, application)
            && is(&self.environment, environment)
    }

    /// The wanted colonies that the store knows; `None` for all, also one that only late rows name.
    pub fn colonies(&self, fleet: &Fleet) -> Option<Vec<String>> {
        if self.colonies.is_empty() && self.environment.is_none() && self.application.is_none() {
            return None;
        }
        let known = fleet.colonies.iter();
        let taken = known.filter(|(id, colony)| self.takes_colony(id, &colony.application_name, &colony.environment));
        Some(taken.map(|(id, _)| id.clone()).collect())
    }

    /// The service that is wanted, if one is named.
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The same with another service.
    pub fn with_service(self, service: String) -> Narrowed {
        Narrowed { service: Some(service), ..self }
    }

    /// Whether a service is wanted.
    pub fn takes_service(&self, service_id: &str) -> bool {
        self.service.as_ref().is_none_or(|wanted| wanted == service_id)
    }
}
