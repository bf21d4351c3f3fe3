//! `coral reef ping`: whether the colonies of a reef answer, how fast, and whether they admit it.

use super::choice::ReefChoice;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::mesh_failure;
use crate::output::{Output, Style};
use crate::pipeline::load::{load, network_of};
use crate::text::table;
use crate::waiting::Waiting;
use colony::config::Places;
use mesh::{Network, Route, Visit};
use pipelines::config::{ColonyConfig, ReefConfig};
use pipelines::open::network::route;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::task::JoinError;

/// Arguments of `ping`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef ping --reef reef.toml",
    after_help = "A colony with a mesh is called as the reef calls it: look-up, handshake, and the question whether it admits \
                  the reef. Nothing is registered, and a reef that runs keeps its tunnels.\n\nExit codes: 4 wrong secret or \
                  refused, 1 no answer or not known at discovery, 3 no such colony in the reef."
)]
pub struct PingArgs {
    /// Id of one colony, or the start of it [default: all colonies of the reef]
    colony: Option<String>,
    #[command(flatten)]
    reef: ReefChoice,
}

/// How one colony answered.
struct Answer {
    colony_id: String,
    route: String,
    result: Result<Found, Failure>,
}

enum Found {
    Plain { round_trip_ms: f64 },
    Mesh(Box<Visit>),
}

/// Calls the colonies, all at the same time.
pub fn run(args: &PingArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let path = args.reef.resolve(places)?;
    let config = load(&path)?;
    let colonies = chosen(&config, args.colony.as_deref())?;
    let network = network_of(&config)?;
    let waiting = Waiting::start("calling the colonies", None, output);
    let answers = runtime()?.block_on(async {
        let asked: Vec<_> = colonies.into_iter().map(|colony| tokio::spawn(ask(network.clone(), colony))).collect();
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            let failed = |error: JoinError| {
                Failure::new(Exit::Failed, "internal", "a call failed by a fault of this program: report it")
                    .caused_by(Some(&error))
            };
            answers.push(answer.await.map_err(failed)?);
        }
        Ok::<_, Failure>(answers)
    })?;
    drop(waiting);
    let value = json!({ "reef_id": config.reef_id, "colonies": answers.iter().map(as_json).collect::<Vec<_>>() });
    output.concluded(&value, |style| page(&answers, style), failure(&answers))
}

fn chosen(config: &ReefConfig, wanted: Option<&str>) -> Result<Vec<ColonyConfig>, Failure> {
    let Some(wanted) = wanted else { return Ok(config.colonies.clone()) };
    let exact = config.colonies.iter().filter(|colony| colony.colony_id == wanted);
    let mut found: Vec<ColonyConfig> = exact.cloned().collect();
    if found.is_empty() {
        found = config.colonies.iter().filter(|colony| colony.colony_id.starts_with(wanted)).cloned().collect();
    }
    if found.is_empty() {
        let known: Vec<&str> = config.colonies.iter().map(|colony| colony.colony_id.as_str()).collect();
        let message = format!("reef {} has no colony {wanted:?}", config.reef_id);
        return Err(
            Failure::new(Exit::NotFound, "colony_unknown", message).hint(format!("its colonies: {}", known.join(", ")))
        );
    }
    Ok(found)
}

async fn ask(network: Network, colony: ColonyConfig) -> Answer {
    let colony_id = colony.colony_id.clone();
    let route = match route(&colony) {
        Ok(route) => route,
        Err(error) => {
            return Answer { colony_id, route: "mesh".to_owned(), result: Err(mesh_failure::failure(&error)) };
        }
    };
    let started = Instant::now();
    let result = match &route {
        Route::Plain(_) => network.dial(&route).await.map(|_| Found::Plain { round_trip_ms: ms(started.elapsed()) }),
        Route::Mesh(colony) => network.visit(colony, |_| {}).await.map(|visit| Found::Mesh(Box::new(visit))),
    };
    Answer { colony_id, route: route.to_string(), result: result.map_err(|error| mesh_failure::failure(&error)) }
}

fn ms(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn as_json(answer: &Answer) -> Value {
    let mut value = json!({ "colony_id": answer.colony_id, "route": answer.route });
    let rest = match &answer.result {
        Err(failure) => json!({ "state": failure.code, "error": failure.message, "details": failure.details }),
        Ok(Found::Plain { round_trip_ms }) => json!({ "state": "ok", "connected_in_ms": round_trip_ms }),
        Ok(Found::Mesh(visit)) => json!({
            "state": "ok",
            "endpoint": visit.tunnel.endpoint.map(|endpoint| endpoint.to_string()),
            "round_trip_ms": visit.tunnel.round_trip.map(ms),
            "mtu": visit.tunnel.mtu,
            "mesh_address": visit.mesh_address.to_string(),
            "public_key": visit.public_key.to_string(),
            "reef_mesh_ip": visit.reef_mesh_ip.to_string(),
            "read_only": visit.read_only,
            "secret_expires_at": visit.secret_expires_at.map(|at| at.to_string()),
        }),
    };
    if let (Some(value), Value::Object(rest)) = (value.as_object_mut(), rest) {
        value.extend(rest);
    }
    value
}

fn page(answers: &[Answer], style: Style) -> String {
    let row = |answer: &Answer| {
        let time = |ms: f64| format!("{ms:.1} ms");
        let (mark, time, note) = match &answer.result {
            Ok(Found::Plain { round_trip_ms }) => {
                ("✓ ok", time(*round_trip_ms), format!("connected to {}", answer.route))
            }
            Ok(Found::Mesh(visit)) => {
                let at = visit.tunnel.endpoint.map_or_else(|| "–".to_owned(), |endpoint| endpoint.to_string());
                let rights = if visit.read_only { ", for reading" } else { "" };
                let ends = visit.secret_expires_at.map(|at| format!(", until {at}")).unwrap_or_default();
                let trip = visit.tunnel.round_trip.map_or_else(|| "–".to_owned(), |trip| time(ms(trip)));
                let note = format!(
                    "{at}, mesh {}; this reef is {}{rights}{ends}; packets of {} bytes",
                    visit.mesh_address, visit.reef_mesh_ip, visit.tunnel.mtu
                );
                ("✓ ok", trip, note)
            }
            Err(failure) => ("✗ failed", "–".to_owned(), one_line_of(failure)),
        };
        vec![mark.to_owned(), answer.colony_id.clone(), time, note]
    };
    let rows: Vec<Vec<String>> = answers.iter().map(row).collect();
    table(&["", "colony", "round trip", ""], &rows, style)
}

fn one_line_of(failure: &Failure) -> String {
    [vec![failure.message.clone()], failure.details.clone()].concat().join(": ")
}

/// The exit code of what failed; where failures differ, it is 1.
fn failure(answers: &[Answer]) -> Option<Failure> {
    let failed: Vec<&Failure> = answers.iter().filter_map(|answer| answer.result.as_ref().err()).collect();
    let first = failed.first()?;
    let same = failed.iter().all(|failure| failure.exit == first.exit);
    let (exit, code) = if same { (first.exit, first.code) } else { (Exit::Failed, "colonies_unreachable") };
    Some(match failed.as_slice() {
        [one] => (*one).clone(),
        _ => Failure::new(exit, code, format!("{} of {} colonies cannot be used", failed.len(), answers.len())),
    })
}
