//! The messages of `coral.discovery.v1.DiscoveryService` as proto JSON. Both spellings of keys are read.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// `RegisterColony`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RegisterColony {
    #[serde(alias = "mesh_id")]
    pub(super) mesh_id: String,
    pub(super) pubkey: String,
    pub(super) endpoints: Vec<String>,
    #[serde(alias = "mesh_ipv4", skip_serializing_if = "String::is_empty")]
    pub(super) mesh_ipv4: String,
    #[serde(alias = "mesh_ipv6", skip_serializing_if = "String::is_empty")]
    pub(super) mesh_ipv6: String,
    #[serde(alias = "connect_port")]
    pub(super) connect_port: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// Its response. `expires_at` is omitted: the hosted service sets it to dates of 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Registered {
    pub(super) success: bool,
    /// Seconds; proto JSON writes 64 bits as text.
    #[serde(deserialize_with = "number")]
    pub(super) ttl: i64,
}

/// `LookupColony`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LookupColony {
    #[serde(alias = "mesh_id")]
    pub(super) mesh_id: String,
}

/// Its response, only the used fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Colony {
    #[serde(alias = "mesh_id")]
    pub(super) mesh_id: String,
    pub(super) pubkey: String,
    pub(super) endpoints: Vec<String>,
    #[serde(alias = "mesh_ipv4")]
    pub(super) mesh_ipv4: String,
    #[serde(alias = "mesh_ipv6", skip_serializing_if = "String::is_empty")]
    pub(super) mesh_ipv6: String,
    #[serde(alias = "connect_port")]
    pub(super) connect_port: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(alias = "observed_endpoints", skip_serializing_if = "Vec::is_empty")]
    pub(super) observed_endpoints: Vec<Observed>,
}

/// An address that a STUN server has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Observed {
    pub(super) ip: String,
    pub(super) port: u32,
    #[serde(alias = "via_relay")]
    pub(super) via_relay: bool,
}

/// The response of `Health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) version: String,
    #[serde(alias = "uptime_seconds", deserialize_with = "number", serialize_with = "text")]
    pub(super) uptime_seconds: i64,
    #[serde(alias = "registered_colonies")]
    pub(super) registered_colonies: i32,
}

/// An error in Connect's form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) message: String,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(i64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Number(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn text<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}
