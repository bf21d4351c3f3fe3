//! Client of a running colony: connects and checks its identity.

use mesh::{MeshError, Network};
use model::check::TIMESTAMP_MIN;
use proto::convert::time_to_wire;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use proto::reef::v1::{GetSummaryRequest, GetSummaryResponse};
use tonic::transport::Channel;

/// Why a request to a running colony failed.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No response.
    #[error("no colony answers")]
    Dial(#[source] MeshError),
    /// The colony refused.
    #[error("the colony at {endpoint} refused: {}", status.message())]
    Refused {
        /// The endpoint.
        endpoint: String,
        /// Its response.
        status: Box<tonic::Status>,
    },
    /// Another colony is at this endpoint.
    #[error("the colony at {endpoint} is {found}, not {wanted}: check --endpoint and --colony-id")]
    WrongColony {
        /// Where it was dialled.
        endpoint: String,
        /// Who answered.
        found: String,
        /// Who was meant.
        wanted: String,
    },
}

impl AskError {
    pub(crate) fn refused(endpoint: &str, status: tonic::Status) -> AskError {
        AskError::Refused { endpoint: endpoint.to_owned(), status: Box::new(status) }
    }
}

/// Dials `endpoint` and checks that colony `colony_id` is there. Returns the connection and the colony's current
/// identity, health and topology (no metrics and no events).
pub async fn ask(
    network: &Network,
    endpoint: &str,
    colony_id: &str,
) -> Result<(Channel, GetSummaryResponse), AskError> {
    let channel = network.dial_plain(endpoint).await.map_err(AskError::Dial)?;
    let nothing = Some(time_to_wire(TIMESTAMP_MIN));
    let answer = ColonyFederationClient::new(channel.clone())
        .get_summary(GetSummaryRequest { start_time: nothing, end_time: nothing, ..GetSummaryRequest::default() })
        .await
        .map_err(|status| AskError::refused(endpoint, status))?
        .into_inner();
    if answer.colony_id != colony_id {
        return Err(AskError::WrongColony {
            endpoint: endpoint.to_owned(),
            found: answer.colony_id,
            wanted: colony_id.to_owned(),
        });
    }
    Ok((channel, answer))
}
