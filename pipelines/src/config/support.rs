//! What the schema knows and this version does not do yet.

use super::types::{ReefConfig, StorageKind};

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
            StorageKind::ClickHouse { host, port, .. } => Some(format!(
                "ClickHouse {host}:{port}: this version stores in DuckDB only; set storage.type = \"duckdb\" and storage.path"
            )),
            StorageKind::DuckDb { .. } => None,
        };
        mesh_only.chain(store).collect()
    }
}
