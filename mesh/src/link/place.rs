//! A colony's addresses: configured, from discovery, and the last one that responded.

use super::target::CONNECT_PORT_DEFAULT;
use super::{Shared, Step};
use crate::discovery::{Discovery, DiscoveryError};
use crate::error::MeshError;
use crate::noise::keys::PublicKey;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;
use tokio::time::Instant;

/// Between two look-ups of one colony.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: PublicKey,
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) mesh_address: SocketAddrV4,
}

impl Shared {
    /// The colony's addresses, configured or from discovery, and the last one that responded.
    pub(super) async fn place(&self, steps: &(impl Fn(Step) + Send + Sync)) -> Result<Place, MeshError> {
        let colony_id = || self.colony.colony_id.clone();
        let mut place = match (&self.colony.endpoint, self.colony.public_key, &self.reef.discovery) {
            (Some(endpoint), Some(key), _) => {
                steps(Step::LookingUp { discovery: None });
                let ip = self.colony.mesh_ip.ok_or_else(|| MeshError::BadSettings {
                    what: format!("colony {}: `mesh.endpoint` needs `mesh.mesh_ip` beside it", colony_id()),
                })?;
                let mesh_address = SocketAddrV4::new(ip, self.colony.port());
                Place { key, candidates: resolve(endpoint).await?, mesh_address }
            }
            (_, _, Some(discovery)) => {
                steps(Step::LookingUp { discovery: Some(discovery.url().to_owned()) });
                self.look_up(discovery).await?
            }
            _ => return Err(MeshError::NoWay { colony_id: colony_id() }),
        };
        if let Some(last) = self.known().endpoint.filter(|last| !place.candidates.contains(last)) {
            place.candidates.push(last);
        }
        Ok(place)
    }

    async fn look_up(&self, discovery: &Discovery) -> Result<Place, MeshError> {
        let before = self.known().looked_up.clone();
        if let Some((_, place)) = before.as_ref().filter(|(at, _)| at.elapsed() < LOOK_UP_EVERY) {
            return Ok(place.clone());
        }
        let colony_id = || self.colony.colony_id.clone();
        let found = match (discovery.look_up(&self.colony.colony_id).await, before) {
            (Ok(found), _) => found,
            (Err(error), Some((_, place))) => {
                tracing::warn!(colony_id = self.colony.colony_id, %error, "calling the colony at its last address");
                return Ok(place);
            }
            (Err(DiscoveryError::Unknown { url }), None) => {
                return Err(MeshError::UnknownColony { colony_id: colony_id(), discovery: url });
            }
            (Err(cause), None) => return Err(MeshError::LookUp { colony_id: colony_id(), cause }),
        };
        if let Some(expected) = self.colony.public_key.filter(|expected| *expected != found.key) {
            let (expected, found) = (expected.to_string(), found.key.to_string());
            return Err(MeshError::OtherKey { colony_id: colony_id(), expected, found });
        }
        let ip = self.colony.mesh_ip.or(found.mesh_ip).ok_or_else(|| MeshError::BadSettings {
            what: format!("colony {}: discovery shows no mesh address; write `mesh.mesh_ip`", colony_id()),
        })?;
        let port = self.colony.connect_port.or(found.connect_port);
        let mesh_address = SocketAddrV4::new(ip, port.unwrap_or(CONNECT_PORT_DEFAULT));
        let place = Place { key: found.key, candidates: found.endpoints, mesh_address };
        self.known().looked_up = Some((Instant::now(), place.clone()));
        Ok(place)
    }
}

async fn resolve(endpoint: &str) -> Result<Vec<SocketAddr>, MeshError> {
    let bad = |why: String| MeshError::BadSettings {
        what: format!("mesh.endpoint {endpoint:?} cannot be used ({why}); write host:port of the colony's UDP port"),
    };
    let found = tokio::net::lookup_host(endpoint).await.map_err(|error| bad(error.to_string()))?;
    let found: Vec<SocketAddr> = found.take(16).collect();
    if found.is_empty() { Err(bad("the name has no address".to_owned())) } else { Ok(found) }
}
