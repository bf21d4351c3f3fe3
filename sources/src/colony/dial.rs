//! A connection to a colony. The one place that knows how colonies are dialled.

use super::config::ColonySourceConfig;
use super::fault::LinkFault;
use mesh::{Network, Route};
use model::error::one_line;
use proto::reef::v1::colony_federation_client::ColonyFederationClient;
use std::error::Error;
use tonic::transport::Channel;

/// Largest accepted response; above it a shorter range is requested.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(crate) type Client = ColonyFederationClient<Channel>;

/// Connects, or returns the reason.
pub(crate) async fn dial(network: &Network, config: &ColonySourceConfig) -> Result<Client, LinkFault> {
    let channel = network.dial(&config.route).await.map_err(|error| match (&config.route, error.source()) {
        (Route::Plain(_), Some(cause)) => LinkFault::Passing(one_line(cause)),
        _ if error.is_revoked() => LinkFault::Revoked(one_line(&error)),
        _ => LinkFault::Passing(one_line(&error)),
    })?;
    Ok(ColonyFederationClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
