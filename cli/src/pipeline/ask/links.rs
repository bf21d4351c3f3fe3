//! The tunnels of a running reef, as data and as lines.

use crate::text::bytes;
use mesh::{LinkState, LinkStatus};
use model::error::one_line;
use model::time::format_duration_ms;
use serde_json::{Value, json};
use std::time::Duration;

fn state(link: &LinkStatus) -> (&'static str, Option<String>) {
    match &link.state {
        LinkState::Connecting => ("connecting", None),
        LinkState::Up => ("up", None),
        LinkState::Down { error } => ("down", Some(one_line(error.as_ref()))),
        LinkState::Closed => ("closed", None),
    }
}

/// One document per tunnel.
pub fn as_json(links: &[LinkStatus]) -> Value {
    let seconds = |age: Option<Duration>| age.map(|age| age.as_secs());
    let one = |link: &LinkStatus| {
        let (state, error) = state(link);
        json!({
            "colony_id": link.colony_id,
            "state": state,
            "error": error,
            "reef_mesh_ip": link.reef_mesh_ip.map(|ip| ip.to_string()),
            "mesh_address": link.mesh_address.map(|address| address.to_string()),
            "endpoint": link.tunnel.endpoint.map(|endpoint| endpoint.to_string()),
            "handshake_age_seconds": seconds(link.tunnel.handshake_age),
            "answer_age_seconds": seconds(link.tunnel.answer_age),
            "round_trip_ms": link.tunnel.round_trip.map(|trip| (trip.as_secs_f64() * 1e6).round() / 1e3),
            "received_bytes": link.tunnel.received_bytes,
            "sent_bytes": link.tunnel.sent_bytes,
            "mtu": link.tunnel.mtu,
            "read_only": link.read_only,
            "secret_expires_at": link.secret_expires_at.map(|at| at.to_string()),
            "datagrams_dropped": link.drops.total(),
        })
    };
    links.iter().map(one).collect()
}

/// One line per tunnel.
pub fn as_lines(links: &[LinkStatus]) -> Vec<String> {
    let age = |age: Option<Duration>| {
        let ms = age.and_then(|age| i64::try_from(age.as_secs()).ok()).map(|seconds| seconds * 1_000);
        ms.map_or_else(|| "never".to_owned(), |ms| format_duration_ms(ms) + " ago")
    };
    let line = |link: &LinkStatus| {
        let (state, error) = state(link);
        let tunnel = &link.tunnel;
        let trip = tunnel.round_trip.map(|trip| format!(", round trip {:.1} ms", trip.as_secs_f64() * 1e3));
        let error = error.map(|error| format!(": {error}"));
        format!(
            "Mesh of {}: {state}{}; handshake {}, last answer {}{}, {} received, {} sent",
            link.colony_id,
            error.unwrap_or_default(),
            age(tunnel.handshake_age),
            age(tunnel.answer_age),
            trip.unwrap_or_default(),
            bytes(tunnel.received_bytes),
            bytes(tunnel.sent_bytes),
        )
    };
    links.iter().map(line).collect()
}
