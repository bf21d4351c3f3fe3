//! `coral colony peers` and `unpeer`: which reefs are peers of the colony's mesh, and the end of one.

use super::live::{self, Live};
use super::{ColonyChoice, failure};
use crate::confirm::ConfirmArgs;
use crate::entry::runtime;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::text::{bytes, table};
use colony::Peering;
use colony::config::Places;
use mesh::registry::{Reef, State};
use model::clock::SystemClock;
use model::time::format_duration_ms;
use serde_json::{Value, json};

/// A tunnel without an answer for this long has no keys: WireGuard drops them.
const SILENT_SECONDS: u64 = 180;

/// Arguments of `peers`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral colony peers",
    after_help = "Handshake and answer are ages: how long ago keys were agreed, and how long ago the reef was last heard. \
                  They are known while the colony runs."
)]
pub struct PeersArgs {
    #[command(flatten)]
    colony: ColonyChoice,
}

/// Arguments of `unpeer`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral colony unpeer my-infrastructure-reef-x7y8z9 --yes",
    after_help = "Ends the reef's streams within a second and refuses it from then on, whether or not the colony runs. A \
                  reef that used the shared secret still knows it: rotate it, or give each reef a secret of its own. \
                  `coral colony secret create NAME --reef REEF` admits the reef again."
)]
pub struct UnpeerArgs {
    /// Id of the reef, as `coral colony peers` shows it
    reef: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    colony: ColonyChoice,
}

/// Lists peers and revoked reefs.
pub fn peers(args: &PeersArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let resolved = args.colony.resolve(places)?;
    let peering =
        Peering::open(places, &resolved.colony, SystemClock::shared()).map_err(|error| failure::peering(&error))?;
    let live = runtime()?.block_on(live::ask(&peering)).map_err(|error| failure::mesh(&error))?;
    let state = peering.registry().state();
    let value = as_json(&peering, &state, live.as_ref());
    output.result(&value, |style| page(&peering, &state, live.as_ref(), style))
}

/// Revokes a reef.
pub fn unpeer(args: &UnpeerArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let resolved = args.colony.resolve(places)?;
    let peering =
        Peering::open(places, &resolved.colony, SystemClock::shared()).map_err(|error| failure::peering(&error))?;
    let is_known = peering.registry().state().reef(&args.reef).is_some();
    if is_known && !args.confirm.permit(&format!("end the streams of reef {} and refuse it", args.reef), output)? {
        return output.result(&json!({ "dry_run": true, "reef_id": args.reef }), |_| "Nothing was changed".to_owned());
    }
    peering.registry().unpeer(&args.reef).map_err(|error| failure::mesh(&error))?;
    let state = peering.registry().state();
    let reef = state.reef(&args.reef);
    let shared = reef.and_then(|reef| state.grant(&reef.secret)).is_some_and(|grant| grant.shared);
    let value = json!({
        "colony_id": resolved.colony.colony_id,
        "reef_id": args.reef,
        "revoked_at": reef.and_then(|reef| reef.revoked_at).map(|at| at.to_string()),
        "knows_shared_secret": shared,
    });
    output.result(&value, |style| {
        let mut page = format!("{} {}: its streams end within a second", style.green("revoked"), args.reef);
        if shared {
            page += "\nit knows the colony's shared secret: `coral colony secret rotate` replaces that";
        }
        page
    })
}

fn as_json(peering: &Peering, state: &State, live: Option<&Live>) -> Value {
    let reef = |reef: &Reef| {
        json!({
            "reef_id": reef.reef_id,
            "mesh_ip": reef.address.to_string(),
            "secret": reef.secret,
            "read_only": state.grant(&reef.secret).is_some_and(|grant| grant.read_only),
            "registered_at": reef.registered_at.to_string(),
            "seen_at": reef.seen_at.to_string(),
            "revoked_at": reef.revoked_at.map(|at| at.to_string()),
            "tunnel": live.and_then(|live| live.peer(&reef.reef_id)),
        })
    };
    json!({
        "mesh_network": peering.settings().range.to_string(),
        "public_key": peering.public_key().to_string(),
        "running": live.map(|live| json!({
            "pid": live.pid,
            "listen": live.listen,
            "observed": live.observed,
            "discovery": live.discovery,
            "dropped": live.dropped,
            "unregistered": live.peers.iter().filter(|peer| peer.reef_id.is_none()).count(),
        })),
        "peers": state.reefs.iter().map(reef).collect::<Vec<_>>(),
    })
}

fn page(peering: &Peering, state: &State, live: Option<&Live>, style: Style) -> String {
    let heading = match live {
        Some(live) => {
            let observed = live.observed.as_ref().map(|address| format!(" (seen from outside at {address})"));
            format!("mesh on UDP {}{}, discovery: {}", live.listen, observed.unwrap_or_default(), live.discovery)
        }
        None => "the colony does not run; the peers it knows:".to_owned(),
    };
    if state.reefs.is_empty() {
        return format!("{heading}\nno reef has registered yet; a reef needs the key {}", peering.public_key());
    }
    let age = |seconds: Option<u64>| {
        let ms = seconds.and_then(|seconds| i64::try_from(seconds).ok()).map(|seconds| seconds * 1_000);
        ms.map_or_else(|| "–".to_owned(), |ms| format_duration_ms(ms) + " ago")
    };
    let rows: Vec<Vec<String>> = state
        .reefs
        .iter()
        .map(|reef| {
            let tunnel = live.and_then(|live| live.peer(&reef.reef_id));
            let now = match (reef.revoked_at, tunnel) {
                (Some(at), _) => format!("revoked {at}"),
                (None, Some(tunnel)) if tunnel.answer_age_seconds.is_some_and(|age| age < SILENT_SECONDS) => {
                    "connected".to_owned()
                }
                (None, _) => format!("last seen {}", reef.seen_at),
            };
            vec![
                reef.reef_id.clone(),
                reef.address.to_string(),
                reef.secret.clone(),
                age(tunnel.and_then(|tunnel| tunnel.handshake_age_seconds)),
                age(tunnel.and_then(|tunnel| tunnel.answer_age_seconds)),
                tunnel.map_or_else(|| "–".to_owned(), |tunnel| bytes(tunnel.received_bytes)),
                tunnel.map_or_else(|| "–".to_owned(), |tunnel| bytes(tunnel.sent_bytes)),
                now,
            ]
        })
        .collect();
    let columns = ["reef", "mesh IP", "secret", "handshake", "answer", "received", "sent", "state"];
    format!("{heading}\n{}", table(&columns, &rows, style))
}
