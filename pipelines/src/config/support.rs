//! Options of the schema that this version does not implement yet.

use super::types::{ClickHouseProtocol, ReefConfig, StorageKind};

/// What to do about ClickHouse's other protocol.
pub(crate) const NATIVE_PROTOCOL_HINT: &str = "this program speaks ClickHouse's HTTP interface and not its native \
     protocol; set storage.connection.protocol = \"http\" and port = 8123 (with TLS 8443)";

impl ReefConfig {
    /// Everything this configuration asks for that a run of this version refuses, each with what to do instead.
    pub fn unsupported(&self) -> Vec<String> {
        let store = match &self.storage.kind {
            StorageKind::ClickHouse { host, port, protocol: ClickHouseProtocol::Native, .. } => {
                Some(format!("ClickHouse {host}:{port}: {NATIVE_PROTOCOL_HINT}"))
            }
            StorageKind::ClickHouse { .. } | StorageKind::DuckDb { .. } => None,
        };
        store.into_iter().collect()
    }
}
