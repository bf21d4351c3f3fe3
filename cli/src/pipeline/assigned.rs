//! Addresses that colonies have assigned to a running reef: stored in its file where it has none.

use crate::reef_file;
use colony::config::EditedFile;
use mesh::Network;
use pipelines::config::{Format, ReefConfig};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// Between two looks at the tunnels.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The colonies behind a mesh that have no address in the file yet.
pub struct Assigned<'a> {
    path: &'a Path,
    network: &'a Network,
    open: BTreeSet<String>,
}

impl<'a> Assigned<'a> {
    /// Those of a configuration.
    pub fn of((config, path): (&ReefConfig, &'a Path), network: &'a Network) -> Assigned<'a> {
        let is_open = |colony: &&pipelines::config::ColonyConfig| {
            colony.mesh.is_some() && colony.endpoint.is_none() && colony.reef_mesh_ip.is_none()
        };
        let open = config.colonies.iter().filter(is_open).map(|colony| colony.colony_id.clone()).collect();
        Assigned { path, network, open }
    }

    /// Stores addresses as they are assigned; ends once every colony has one. A file that cannot be changed costs a log
    /// line each and never the run: the colony assigns the same address again.
    pub async fn watch(&mut self) {
        while !self.open.is_empty() {
            self.look().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stores those that are assigned now.
    pub async fn look(&mut self) {
        if self.open.is_empty() {
            return;
        }
        for link in self.network.status().await {
            let Some(address) = link.reef_mesh_ip.filter(|_| self.open.remove(&link.colony_id)) else { continue };
            let (path, colony_id) = (self.path.to_owned(), link.colony_id);
            // it waits for a disk; a panic in it would be reported by the hook of the process
            let _ = tokio::task::spawn_blocking(move || write(&path, &colony_id, address)).await;
        }
    }
}

fn write(path: &Path, colony_id: &str, address: Ipv4Addr) {
    let written = EditedFile::open(path).and_then(|edited| {
        let format = Format::of_path(path).unwrap_or(Format::Yaml);
        match reef_file::with_address((edited.text(), format, path), colony_id, address) {
            Some(new) => edited.replace(&new).map(|()| true),
            None => Ok(false),
        }
    });
    let path = path.display();
    match written {
        Ok(true) => tracing::info!(colony_id, %address, %path, "the colony's address for this reef is stored"),
        Ok(false) => tracing::warn!(
            colony_id,
            %path,
            "add reef_mesh_ip: \"{address}\" to this colony: the file is in a form that the reef does not extend"
        ),
        Err(error) => tracing::warn!(colony_id, %path, %error, "reef_mesh_ip: \"{address}\" cannot be stored"),
    }
}
