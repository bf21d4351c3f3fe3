//! Whether the colonies of a reef respond, and have the configured ids.

use super::checklist::{Check, Outcome};
use mesh::Network;
use model::error::one_line;
use pipelines::config::{ColonyConfig, ReefConfig};
use proto::reef::v1::GetSummaryRequest;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A colony that has not answered by then counts as unreachable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks every colony, all at the same time.
pub fn check_all(config: &ReefConfig, runtime: &Runtime) -> Vec<Check> {
    runtime.block_on(async {
        let network = Network::plain();
        let colonies = config.colonies.iter().cloned();
        let asked: Vec<_> = colonies.map(|colony| tokio::spawn(check(network.clone(), colony))).collect();
        let mut checks = Vec::with_capacity(asked.len());
        for answer in asked {
            checks.extend(answer.await);
        }
        checks
    })
}

async fn check(network: Network, colony: ColonyConfig) -> Check {
    let name = format!("colony {}", colony.colony_id);
    let Some(endpoint) = &colony.endpoint else {
        return Check::new(name, Outcome::Skipped, "only reachable through its mesh");
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, ask(&network, endpoint)).await;
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

/// The id of the colony at `endpoint`. The requested range is empty, so the response is small.
async fn ask(network: &Network, endpoint: &str) -> Result<String, String> {
    let channel = network.dial_plain(endpoint).await.map_err(|error| one_line(&error))?;
    let long_ago = prost_types::Timestamp { seconds: 0, nanos: 0 };
    let request = GetSummaryRequest { start_time: Some(long_ago), end_time: Some(long_ago) };
    match ColonyFederationClient::new(channel).get_summary(request).await {
        Ok(answer) => Ok(answer.into_inner().colony_id),
        Err(status) => Err(format!("{endpoint} answers, but refuses GetSummary: {}", status.message())),
    }
}
