//! Options of the schema that this version does not implement yet.

use super::types::{ClickHouseProtocol, ReefConfig, StorageKind};

/// What to do about ClickHouse's other protocol.
pub(crate) const NATIVE_PROTOCOL_HINT: &str = "this program speaks ClickHouse's HTTP interface and not its native \
     protocol; set storage.connection.protocol = \"http\" and port = 8123 (with TLS 8443)";

impl ReefConfig {
    /// Everything this configuration asks for that a run of this version refuses, each with what to do instead.
    pub fn unsupported(&self) -> Vec<String> {
        let mesh_only = self.colonies.iter().filter(|colony| colony.endpoint.is_none()).map(|colony| {
            let id = &colony.colony_id;
            format!(
                "colony {id}: this version does not include the WireGuard mesh; give endpoint = \"http://host:port\""
            )
        });
        let store = match &self.storage.kind {
            StorageKind::ClickHouse { host, port, protocol: ClickHouseProtocol::Native, .. } => {
                Some(format!("ClickHouse {host}:{port}: {NATIVE_PROTOCOL_HINT}"))
            }
            StorageKind::ClickHouse { .. } | StorageKind::DuckDb { .. } => None,
        };
        mesh_only.chain(store).collect()
    }
}
