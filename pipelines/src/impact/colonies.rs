//! Colonies: whose they are, and up to when their metrics are known.

use model::colony::{ColonyIdentity, identity_in_id};
use model::time::TimeMs;
use model::topology::ColonyStatus;
use sinks::{SinkError, StoreReader, Watermarks};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a colony.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Colony {
    /// Its application.
    pub application_name: String,
    /// Its environment; may be empty.
    pub environment: String,
    /// Its newest metric bucket on time.
    pub newest_metric: Option<TimeMs>,
}

/// By id.
pub type Colonies = BTreeMap<String, Colony>;

/// The colonies that a store knows.
///
/// # Errors
/// Those of the store.
pub async fn read(reader: &dyn StoreReader) -> Result<Colonies, SinkError> {
    let Watermarks { events, metrics } = reader.watermarks().await?;
    let states: BTreeMap<String, ColonyStatus> =
        reader.colony_status().await?.into_iter().map(|status| (status.colony_id.clone(), status)).collect();
    let ids: BTreeSet<&String> = events.keys().chain(metrics.keys()).chain(states.keys()).collect();
    let of_rows = match ids.iter().all(|id| is_named(states.get(*id))) {
        true => BTreeMap::new(),
        false => reader.identities().await?,
    };
    let known = |id: &String| {
        let (application_name, environment) = identity(id, states.get(id), of_rows.get(id));
        (id.clone(), Colony { application_name, environment, newest_metric: metrics.get(id).copied() })
    };
    Ok(ids.into_iter().map(known).collect())
}

/// Whether its status states both names.
pub fn is_named(status: Option<&ColonyStatus>) -> bool {
    status.is_some_and(|status| !status.application_name.is_empty() && !status.environment.is_empty())
}

/// Application and environment of a colony: what its status states, else its rows, else what its id looks like.
pub fn identity(id: &str, status: Option<&ColonyStatus>, of_rows: Option<&ColonyIdentity>) -> (String, String) {
    let (application, environment) = identity_in_id(id);
    let first = |names: [Option<&String>; 2], of_id: &str| {
        names.into_iter().flatten().find(|name| !name.is_empty()).cloned().unwrap_or_else(|| of_id.to_owned())
    };
    let applications = [status.map(|one| &one.application_name), of_rows.map(|one| &one.application_name)];
    let environments = [status.map(|one| &one.environment), of_rows.map(|one| &one.environment)];
    (first(applications, application), first(environments, environment))
}
