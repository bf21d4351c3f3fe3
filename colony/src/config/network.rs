//! The sections `mesh` and `discovery` of a colony's file: its own address and the one that others are given.

use super::error::ConfigError;
use super::yaml::Keys;
use mesh::registry::Range;
use model::time::parse_duration_ms;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The known keys of `mesh`: a misspelt one must not open a door that was meant to be narrower.
const KEYS: [&str; 11] = [
    "listen",
    "network",
    "mesh_ip",
    "first_ip",
    "connect_port",
    "key_file",
    "secret_file",
    "advertise",
    "stun",
    "mtu",
    "peers_max",
];
/// The same of `discovery`.
const DISCOVERY_KEYS: [&str; 2] = ["endpoint", "interval"];

/// The UDP port that upstream's colonies use too.
const LISTEN_DEFAULT: &str = "0.0.0.0:41580";
/// Range of packet sizes: what every path carries, and what a datagram of an Ethernet frame can.
const MTU_MIN: u16 = 576;
const MTU_MAX: u16 = 1_440;

/// `mesh` in `~/.coral/colonies/<id>.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshFile {
    /// `listen`: UDP.
    pub listen: SocketAddr,
    /// `network`, `mesh_ip` and `first_ip`.
    pub range: Range,
    /// `connect_port`: TCP inside the mesh.
    pub connect_port: u16,
    /// `key_file`; by default in the folder of the mesh.
    pub key_file: Option<PathBuf>,
    /// `secret_file`; without it `colony_secret` is the secret.
    pub secret_file: Option<PathBuf>,
    /// `advertise`: addresses for discovery; without it this machine's address towards the service.
    pub advertise: Vec<SocketAddr>,
    /// `stun`: servers, `host:port`, that say which address others see; it is advertised too.
    pub stun: Vec<String>,
    /// `mtu`: largest packet inside the tunnels.
    pub mtu: u16,
    /// `peers_max`
    pub peers_max: usize,
}

/// `discovery` in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryFile {
    /// `endpoint`: the service.
    pub endpoint: String,
    /// `interval`: between two renewals.
    pub interval: Duration,
}

impl MeshFile {
    /// Reads the section; `None` when there is none. Relative paths start in `folder`.
    pub(super) fn read(file: &Keys<'_>, folder: &Path) -> Result<Option<MeshFile>, ConfigError> {
        let Some(keys) = file.optional_section("mesh", "mesh.")? else { return Ok(None) };
        keys.allow(&KEYS)?;
        let or = |key: &str, default: &str| keys.text(key).map(|text| text.unwrap_or_else(|| default.to_owned()));
        let socket = |key: &str, text: &str| {
            let wrong =
                || keys.error(key, format!("{text:?} is no address; write ip:port, for example {LISTEN_DEFAULT}"));
            text.parse::<SocketAddr>().map_err(|_| wrong())
        };
        let ip = |key: &str, default: &str| {
            let text = or(key, default)?;
            let wrong = || keys.error(key, format!("{text:?} is no IPv4 address; write for example {default}"));
            text.parse::<Ipv4Addr>().map_err(|_| wrong())
        };
        let number = |key: &str, default: u16, (min, max): (u16, u16)| {
            let text = or(key, &default.to_string())?;
            let wrong = || keys.error(key, format!("must be a whole number from {min} to {max}, not {text:?}"));
            text.parse::<u16>().ok().filter(|number| (min..=max).contains(number)).ok_or_else(wrong)
        };
        let network = or("network", "10.42.0.0/16")?;
        let range = Range::new(&network, ip("mesh_ip", "10.42.0.1")?, ip("first_ip", "10.42.0.100")?);
        let advertise = keys.texts("advertise")?;
        let advertise = advertise.iter().map(|text| {
            let address = socket("advertise", text)?;
            if address.port() == 0 || address.ip().is_unspecified() {
                return Err(keys.error("advertise", format!("{text:?} leads nowhere; write an address with its port")));
            }
            Ok(address)
        });
        let stun = keys.texts("stun")?;
        let is_server = |text: &str| {
            let parts = text.rsplit_once(':');
            parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
        };
        if let Some(wrong) = stun.iter().find(|text| !is_server(text)) {
            let problem = format!("{wrong:?} is no server; write host:port, for example stun.example.com:3478");
            return Err(keys.error("stun", problem));
        }
        let path = |key: &str| Ok::<_, ConfigError>(keys.text(key)?.map(|path| folder.join(path)));
        Ok(Some(MeshFile {
            listen: socket("listen", &or("listen", LISTEN_DEFAULT)?)?,
            range: range.map_err(|error| keys.error("network", error.to_string()))?,
            connect_port: number("connect_port", 9_000, (1, u16::MAX))?,
            key_file: path("key_file")?,
            secret_file: path("secret_file")?,
            advertise: advertise.collect::<Result<_, _>>()?,
            stun,
            mtu: number("mtu", 1_420, (MTU_MIN, MTU_MAX))?,
            peers_max: number("peers_max", 64, (1, 10_000))?.into(),
        }))
    }
}

impl DiscoveryFile {
    /// Reads the section; `None` when there is none.
    pub(super) fn read(file: &Keys<'_>) -> Result<Option<DiscoveryFile>, ConfigError> {
        let Some(keys) = file.optional_section("discovery", "discovery.")? else { return Ok(None) };
        keys.allow(&DISCOVERY_KEYS)?;
        let endpoint = keys.required("endpoint")?;
        mesh::Discovery::new(&endpoint).map_err(|error| keys.error("endpoint", error.to_string()))?;
        let text = keys.text("interval")?.unwrap_or_else(|| "60s".to_owned());
        let interval_ms = parse_duration_ms(&text).map_err(|error| keys.error("interval", error.to_string()))?;
        if !(1_000..=300_000).contains(&interval_ms) {
            return Err(keys.error("interval", format!("{text:?} is out of range; allowed is 1s to 5m")));
        }
        Ok(Some(DiscoveryFile { endpoint, interval: Duration::from_millis(interval_ms.unsigned_abs()) }))
    }
}
