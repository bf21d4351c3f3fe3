//! Whether the colonies of a reef respond, have the configured ids, and admit the reef.

use super::checklist::{Check, Outcome};
use super::load::network_of;
use crate::exit::Failure;
use mesh::{MeshColony, Network, Route};
use model::error::one_line;
use pipelines::config::{ColonyConfig, ReefConfig};
use pipelines::open::network::route;
use proto::reef::v1::GetSummaryRequest;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A colony that has not answered by then counts as unreachable. Through a mesh it is called five times in 15 s, after a
/// look-up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const MESH_TIMEOUT: Duration = Duration::from_secs(40);

/// Asks every colony, all at the same time.
pub fn check_all(config: &ReefConfig, runtime: &Runtime) -> Result<Vec<Check>, Failure> {
    let network = network_of(config)?;
    Ok(runtime.block_on(async {
        let colonies = config.colonies.iter().cloned();
        let asked: Vec<_> = colonies.map(|colony| tokio::spawn(check(network.clone(), colony))).collect();
        let mut checks = Vec::with_capacity(asked.len());
        for answer in asked {
            checks.extend(answer.await);
        }
        checks
    }))
}

async fn check(network: Network, colony: ColonyConfig) -> Check {
    let name = format!("colony {}", colony.colony_id);
    let endpoint = match route(&colony) {
        Ok(Route::Plain(endpoint)) => endpoint,
        Ok(Route::Mesh(mesh)) => return check_mesh(name, &network, &mesh).await,
        Err(error) => return Check::new(name, Outcome::Failed, one_line(&error)),
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, ask(&network, &endpoint)).await;
    match answer {
        Ok(Ok(id)) if id == colony.colony_id => Check::new(name, Outcome::Ok, format!("answers at {endpoint}")),
        Ok(Ok(id)) => Check::new(
            name,
            Outcome::Failed,
            format!("colony {id:?} answers at {endpoint}; correct colony_id or endpoint"),
        ),
        Ok(Err(problem)) => Check::new(name, Outcome::Failed, problem),
        Err(_) => {
            let note = format!("{endpoint} did not respond within {} s", ANSWER_TIMEOUT.as_secs());
            Check::new(name, Outcome::Failed, note)
        }
    }
}

/// The tunnel proves key, secret and id; the colony then says whether it admits this reef. Nothing is registered, so a
/// reef that runs meanwhile keeps its tunnel.
async fn check_mesh(name: String, network: &Network, colony: &MeshColony) -> Check {
    match tokio::time::timeout(MESH_TIMEOUT, network.visit(colony, |_| {})).await {
        Ok(Ok(visit)) => {
            let at = visit.tunnel.endpoint.map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
            let rights = if visit.read_only { ", for reading" } else { "" };
            let note = format!("answers{at} and admits this reef as {}{rights}", visit.reef_mesh_ip);
            Check::new(name, Outcome::Ok, note)
        }
        Ok(Err(error)) => Check::new(name, Outcome::Failed, one_line(&error)),
        Err(_) => {
            let note = format!("no answer through the mesh within {} s", MESH_TIMEOUT.as_secs());
            Check::new(name, Outcome::Failed, note)
        }
    }
}

/// The id of the colony at `endpoint`. The requested range is empty, so the response is small.
async fn ask(network: &Network, endpoint: &str) -> Result<String, String> {
    let channel = network.dial_plain(endpoint).await.map_err(|error| one_line(&error))?;
    let long_ago = prost_types::Timestamp { seconds: 0, nanos: 0 };
    let request =
        GetSummaryRequest { start_time: Some(long_ago), end_time: Some(long_ago), ..GetSummaryRequest::default() };
    match ColonyFederationClient::new(channel).get_summary(request).await {
        Ok(answer) => Ok(answer.into_inner().colony_id),
        Err(status) => Err(format!("{endpoint} answers, but refuses GetSummary: {}", status.message())),
    }
}
