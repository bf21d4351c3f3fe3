//! `coral colony status`: contents and health of a colony.

use super::{ColonyChoice, failure, identity_of};
use crate::entry::runtime;
use crate::exit::Failure;
use crate::output::Output;
use colony::config::{Places, Resolved};
use colony::store::{Totals, database_path};
use colony::{Peering, Store, StoreError, ask};
use mesh::Network;
use model::clock::SystemClock;
use proto::reef::v1::GetSummaryResponse;
use serde_json::{Value, json};
use std::path::Path;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony status --endpoint http://127.0.0.1:9000")]
pub struct StatusArgs {
    #[command(flatten)]
    colony: ColonyChoice,
    /// Address of the running colony; shows its response
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

/// State of the colony's database.
enum Found {
    Running(Box<GetSummaryResponse>),
    /// Some process has the file open.
    InUse,
    Stopped(Totals),
    /// Never started.
    NotCreated,
}

/// Shows the colony.
pub fn run(args: &StatusArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let resolved = args.colony.resolve(places)?;
    let path = database_path(&resolved.storage_path, &resolved.colony.colony_id);
    let found = runtime()?.block_on(async {
        match &args.endpoint {
            Some(endpoint) => ask(&Network::plain(), endpoint, &resolved.colony.colony_id)
                .await
                .map(|(_, answer)| Found::Running(Box::new(answer)))
                .map_err(|error| failure::ask(&error)),
            None => look(&path).await,
        }
    })?;
    let peering = mesh_of(&resolved, places)?;
    let mut value = as_json(&resolved, &path, &found);
    value["mesh"] = peering.as_ref().map_or(Value::Null, |peering| {
        json!({
            "listen": peering.settings().listen.to_string(),
            "public_key": peering.public_key().to_string(),
            "mesh_ip": peering.settings().range.own().to_string(),
            "connect_port": peering.settings().connect_port,
            "peers": peering.registry().state().peers().count(),
        })
    });
    output.result(&value, |style| {
        let identity = identity_of(&resolved);
        let (state, lines) = as_lines(&found);
        let mut page = format!("{} {state}", style.bold(&format!("colony {}", identity.colony_id)));
        page.push_str(&format!("\n  application  {} ({})", identity.application_name, identity.environment));
        page.push_str(&format!("\n  database     {}", path.display()));
        if let Some(peering) = &peering {
            let settings = peering.settings();
            page.push_str(&format!(
                "\n  mesh         UDP {}, {}:{}",
                settings.listen,
                settings.range.own(),
                settings.connect_port
            ));
            page.push_str(&format!("\n  public key   {}", peering.public_key()));
        }
        lines.iter().for_each(|line| page.push_str(&format!("\n  {line}")));
        page
    })
}

fn mesh_of(resolved: &Resolved, places: &Places) -> Result<Option<Peering>, Failure> {
    let open = || Peering::open(places, &resolved.colony, SystemClock::shared());
    let opened = resolved.colony.mesh.is_some().then(open).transpose();
    opened.map_err(|error| failure::peering(&error))
}

async fn look(path: &Path) -> Result<Found, Failure> {
    if !path.exists() {
        return Ok(Found::NotCreated);
    }
    let store = match Store::open_read_only(path) {
        Ok(store) => store,
        Err(StoreError::Locked { .. }) => return Ok(Found::InUse),
        Err(error) => return Err(failure::store(&error)),
    };
    let totals = store.totals().await.map_err(|error| failure::store(&error))?;
    store.close().map_err(|error| failure::store(&error))?;
    Ok(Found::Stopped(totals))
}

fn as_json(resolved: &Resolved, path: &Path, found: &Found) -> Value {
    let mut value = json!({
        "colony_id": resolved.colony.colony_id,
        "application_name": resolved.colony.application_name,
        "environment": resolved.colony.environment,
        "database": path.display().to_string(),
        "database_bytes": std::fs::metadata(path).ok().map(|data| data.len()),
    });
    let rest = match found {
        Found::NotCreated => json!({ "state": "not_created" }),
        Found::InUse => json!({ "state": "in_use" }),
        Found::Stopped(totals) => json!({
            "state": "stopped",
            "rows": totals.rows.iter().map(|(table, rows)| ((*table).to_owned(), json!(rows))).collect::<serde_json::Map<_, _>>(),
            "newest_event": totals.newest_event.map(|time| time.to_string()),
            "newest_metric": totals.newest_metric.map(|time| time.to_string()),
        }),
        Found::Running(answer) => {
            let health = answer.health.clone().unwrap_or_default();
            json!({
                "state": "running",
                "health": health.overall_status,
                "services": {
                    "total": health.total_services,
                    "healthy": health.healthy_services,
                    "degraded": health.degraded_services,
                    "unhealthy": health.unhealthy_services,
                },
                "agents": health.agent_count,
            })
        }
    };
    if let (Some(value), Value::Object(rest)) = (value.as_object_mut(), rest) {
        value.extend(rest);
    }
    value
}

fn as_lines(found: &Found) -> (&'static str, Vec<String>) {
    match found {
        Found::NotCreated => ("not started yet", vec!["start it: coral colony start".to_owned()]),
        Found::InUse => ("in use by a running process", vec!["ask it: coral colony status --endpoint URL".to_owned()]),
        Found::Stopped(totals) => {
            let mut lines: Vec<String> =
                totals.rows.iter().map(|(table, rows)| format!("{table:<20} {rows:>9} rows")).collect();
            let newest =
                |time: Option<model::time::TimeMs>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
            lines.push(format!(
                "newest event {}, newest metric {}",
                newest(totals.newest_event),
                newest(totals.newest_metric)
            ));
            ("stopped", lines)
        }
        Found::Running(answer) => {
            let health = answer.health.clone().unwrap_or_default();
            let agents = health.agent_count.map_or_else(|| "–".to_owned(), |count| count.to_string());
            let line = format!("{}: {} services, {agents} agents", health.overall_status, health.total_services);
            ("running", vec![line])
        }
    }
}
