//! Network: how the configured colonies are reached.

use crate::config::{ColonyConfig, MeshConfig, ReefConfig, SecretSource};
use mesh::error::WeakSecret;
use mesh::secret::{self, Secret};
use mesh::{Discovery, MeshColony, MeshError, Network, ReefSettings, Route, Underlay};
use model::clock::SharedClock;
use std::time::Duration;

/// The network of a reef: plain TCP, and the meshes of its colonies if it has any.
pub fn of(config: &ReefConfig, clock: SharedClock) -> Result<Network, MeshError> {
    if config.colonies.iter().all(|colony| colony.mesh.is_none()) {
        return Ok(Network::plain());
    }
    let discovery = Discovery::new(&config.discovery);
    let discovery = discovery.map_err(|error| MeshError::BadSettings { what: error.to_string() })?;
    let reef_id = config.reef_id.clone();
    Ok(Network::of_reef(ReefSettings { reef_id, discovery: Some(discovery), underlay: Underlay::Udp, clock }))
}

/// How a colony is reached: at its endpoint on a trusted network if it has one, else through its mesh.
pub fn route(colony: &ColonyConfig) -> Result<Route, MeshError> {
    match (&colony.endpoint, &colony.mesh) {
        (Some(endpoint), _) => Ok(Route::Plain(endpoint.clone())),
        (None, Some(mesh)) => Ok(Route::Mesh(Box::new(mesh_colony(&colony.colony_id, mesh)?))),
        (None, None) => Err(MeshError::NoWay { colony_id: colony.colony_id.clone() }),
    }
}

fn mesh_colony(colony_id: &str, mesh: &MeshConfig) -> Result<MeshColony, MeshError> {
    let public_key = mesh.public_key.as_ref().map(|text| {
        let what = || format!("colony {colony_id}: mesh.public_key {text:?} is no public key");
        text.parse().map_err(|_| MeshError::BadSettings { what: what() })
    });
    Ok(MeshColony {
        mesh_ip: Some(mesh.mesh_ip),
        connect_port: Some(mesh.connect_port),
        endpoint: mesh.endpoint.clone(),
        public_key: public_key.transpose()?,
        mtu: mesh.mtu,
        keepalive: Duration::from_millis(mesh.keepalive_ms.unsigned_abs()),
        ..MeshColony::new(colony_id, secret_source(&mesh.colony_secret)?)
    })
}

/// Where a colony's secret is read at each dial. One in the configuration is checked now.
pub fn secret_source(source: &SecretSource) -> Result<secret::SecretSource, MeshError> {
    let weak = |cause: WeakSecret| MeshError::WeakSecret { found_in: "the configuration".to_owned(), cause };
    Ok(match source {
        SecretSource::Inline(text) => secret::SecretSource::Text(Secret::parse(text.reveal()).map_err(weak)?),
        SecretSource::Env(name) => secret::SecretSource::Env(name.clone()),
        SecretSource::File(path) => secret::SecretSource::File(path.clone()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Format, parse};
    use std::path::Path;

    const KEY: &str = "93huH0DopXhN7eGvL2+g/whTyrnrg30eu7X1lGKmxfo=";

    fn config(colony: &str) -> ReefConfig {
        parse(&format!("reef_id: r\ncolonies: [{{colony_id: shop, {colony}}}]\n"), Format::Yaml, Path::new("r.yaml"))
            .unwrap()
    }

    #[test]
    fn an_endpoint_of_a_trusted_network_goes_before_the_mesh() {
        let mesh = "mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}";
        let both = config(&format!("endpoint: 'http://a:1', {mesh}"));
        assert_eq!(route(&both.colonies[0]).unwrap(), Route::Plain("http://a:1".to_owned()));
        let Route::Mesh(colony) = route(&config(mesh).colonies[0]).unwrap() else { panic!("plain") };
        assert_eq!((colony.connect_port, colony.mtu, colony.keepalive), (Some(9000), 1420, Duration::from_secs(25)));
        assert_eq!((colony.endpoint, colony.public_key), (None, None));
    }

    #[test]
    fn a_fixed_place_is_taken_with_its_key() {
        let text = format!(
            "mesh: {{mesh_ip: 10.42.0.1, colony_secret_file: s, endpoint: 'shop.example.com:41580', public_key: '{KEY}', \
             mtu: 1280, keepalive: 10s}}"
        );
        let Route::Mesh(colony) = route(&config(&text).colonies[0]).unwrap() else { panic!("plain") };
        assert_eq!(colony.public_key.unwrap().to_string(), KEY);
        assert_eq!((colony.endpoint.as_deref(), colony.mtu), (Some("shop.example.com:41580"), 1280));
        assert_eq!(colony.secret, secret::SecretSource::File("./s".into()));
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused_without_being_shown() {
        let weak = config("mesh: {mesh_ip: 10.42.0.1, colony_secret: hunter2}");
        let error = route(&weak.colonies[0]).unwrap_err();
        assert!(matches!(error, MeshError::WeakSecret { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
