//! `coral colony secret …`: the secrets that admit reefs. A secret is shown once, when it is created.

use super::{ColonyChoice, failure};
use crate::confirm::ConfirmArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::text::table;
use colony::Peering;
use colony::config::Places;
use mesh::registry::{Grant, RevokedSecret, State};
use model::clock::{Clock, SystemClock};
use model::time::{TimeMs, parse_duration_ms};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Commands of `secret`.
#[derive(Debug, clap::Subcommand)]
pub enum SecretCommand {
    /// Create a secret for one reef, and print it once
    Create(CreateArgs),
    /// Replace the colony's own secret, and print the new one once
    Rotate(RotateArgs),
    /// Revoke a secret; its reefs are disconnected within a second
    Revoke(RevokeArgs),
    /// List names, rights and users of secrets, never the secrets
    List(ListArgs),
}

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony secret create auditors --read-only --expires 90d")]
pub struct CreateArgs {
    /// Its name: letters, digits, `-`, `_` and `.`
    name: String,
    /// Admit to reading only
    #[arg(long)]
    read_only: bool,
    /// How long it is valid, for example 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    /// The reef it is for, also one that was revoked [default: the first that registers with it]
    #[arg(long, value_name = "REEF")]
    reef: Option<String>,
    /// Write it to this new private file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    colony: ColonyChoice,
}

/// Arguments of `rotate`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony secret rotate --grace 24h")]
pub struct RotateArgs {
    /// How long the former secret stays valid [default: it ends now]
    #[arg(long, value_name = "DURATION")]
    grace: Option<String>,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    colony: ColonyChoice,
}

/// Arguments of `revoke`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony secret revoke auditors --yes")]
pub struct RevokeArgs {
    /// Its name, as `coral colony secret list` shows it
    name: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    colony: ColonyChoice,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony secret list")]
pub struct ListArgs {
    #[command(flatten)]
    colony: ColonyChoice,
}

/// Runs one of them.
pub fn run(command: &SecretCommand, places: &Places, output: &Output) -> Result<(), Failure> {
    match command {
        SecretCommand::Create(args) => create(args, places, output),
        SecretCommand::Rotate(args) => rotate(args, places, output),
        SecretCommand::Revoke(args) => revoke(args, places, output),
        SecretCommand::List(args) => list(args, places, output),
    }
}

fn open(choice: &ColonyChoice, places: &Places) -> Result<Peering, Failure> {
    let resolved = choice.resolve(places)?;
    Peering::open(places, &resolved.colony, SystemClock::shared()).map_err(|error| failure::peering(&error))
}

fn duration(flag: &str, text: Option<&String>) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |why: String| Failure::new(Exit::Usage, "usage", format!("{flag}: {why}"));
    match parse_duration_ms(text).map_err(|error| wrong(error.to_string()))? {
        ms if ms > 0 => Ok(Some(ms)),
        _ => Err(wrong(format!("{text:?} is no time to come; write for example 24h or 90d"))),
    }
}

fn create(args: &CreateArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let expires_at = duration("--expires", args.expires.as_ref())?.map(|ms| SystemClock.now() + ms);
    if let Some(path) = args.out.as_ref().filter(|path| path.exists()) {
        let message = format!("{} exists; a secret does not replace a file", path.display());
        return Err(Failure::new(Exit::Usage, "file_exists", message));
    }
    let peering = open(&args.colony, places)?;
    if args.dry_run {
        peering.registry().check_new_secret(&args.name).map_err(|error| failure::mesh(&error))?;
        let value = json!({
            "dry_run": true, "name": args.name, "read_only": args.read_only, "reef_id": args.reef,
            "expires_at": expires_at.map(|at| at.to_string()),
        });
        return output.result(&value, |_| format!("secret {} would be created; nothing was changed", args.name));
    }
    let state = peering.registry().state();
    let is_revoked = |id: &&str| state.reef(id).is_some_and(|reef| reef.revoked_at.is_some());
    let revoked = args.reef.as_deref().filter(is_revoked);
    let secret = peering
        .registry()
        .create_secret(&args.name, args.read_only, expires_at, args.reef.as_deref())
        .map_err(|error| failure::mesh(&error))?;
    if let Some(path) = &args.out {
        secret.store(path).map_err(|error| {
            // one that no reef has is of no use
            let _ = peering.registry().revoke_secret(&args.name);
            // and a reef that was revoked stays so
            if let Some(reef_id) = revoked {
                let _ = peering.registry().unpeer(reef_id);
            }
            failure::mesh(&error)
        })?;
    }
    let value = json!({
        "name": args.name,
        "secret": args.out.is_none().then(|| secret.reveal()),
        "file": args.out.as_ref().map(|path| path.display().to_string()),
        "read_only": args.read_only,
        "expires_at": expires_at.map(|at| at.to_string()),
        "reef_id": args.reef,
        "public_key": peering.public_key().to_string(),
    });
    if args.out.is_none() {
        output.message(&format!("secret {} created; it is shown this once, and never sent", args.name));
    }
    output.result(&value, |_| match &args.out {
        Some(path) => format!("secret {} written to {}", args.name, path.display()),
        None => secret.reveal().to_owned(),
    })
}

fn rotate(args: &RotateArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let grace_ms = duration("--grace", args.grace.as_ref())?;
    let peering = open(&args.colony, places)?;
    let grace = grace_ms.map(|ms| Duration::from_millis(ms.unsigned_abs()));
    let former_ends_at = SystemClock.now() + grace_ms.unwrap_or_default();
    if args.dry_run {
        let place = peering.secret_place().display().to_string();
        let value = json!({ "dry_run": true, "stored_in": place, "former_ends_at": former_ends_at.to_string() });
        return output.result(&value, |_| {
            format!(
                "a new secret would be stored in {place}, the former one end at {former_ends_at}; nothing was changed"
            )
        });
    }
    let secret = peering.rotate(grace).map_err(|error| failure::peering(&error))?;
    let value = json!({ "secret": secret.reveal(), "former_ends_at": former_ends_at.to_string() });
    output.message(&format!(
        "the colony has a new secret, stored in {}; the former one {}",
        peering.secret_place().display(),
        if grace.is_some() { format!("ends at {former_ends_at}") } else { "has ended".to_owned() }
    ));
    output.result(&value, |_| secret.reveal().to_owned())
}

fn revoke(args: &RevokeArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let peering = open(&args.colony, places)?;
    let state = peering.registry().state();
    let reefs = users(&state, &args.name);
    let what = format!("revoke the secret {} and disconnect {} reefs", args.name, reefs.len());
    if state.grant(&args.name).is_some() && !args.confirm.permit(&what, output)? {
        return output.result(&json!({ "dry_run": true, "name": args.name, "reefs": reefs }), |_| {
            "Nothing was changed".to_owned()
        });
    }
    peering.registry().revoke_secret(&args.name).map_err(|error| failure::mesh(&error))?;
    output.result(&json!({ "name": args.name, "reefs": reefs }), |style| {
        let of = if reefs.is_empty() { String::new() } else { format!(": {} disconnected", reefs.join(", ")) };
        format!("{} {}{of}", style.green("revoked"), args.name)
    })
}

fn list(args: &ListArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let peering = open(&args.colony, places)?;
    let state = peering.registry().state();
    let now = SystemClock.now();
    let as_json = |grant: &Grant| -> Value {
        json!({
            "name": grant.name,
            "read_only": grant.read_only,
            "shared": grant.shared,
            "reef_id": grant.reef_id,
            "created_at": grant.created_at.to_string(),
            "expires_at": grant.expires_at.map(|at| at.to_string()),
            "expired": grant.is_expired(now),
            "used_by": users(&state, &grant.name),
        })
    };
    let revoked = |secret: &RevokedSecret| -> Value {
        json!({ "name": secret.name, "revoked_at": secret.revoked_at.to_string() })
    };
    let value = json!({
        "secrets": state.grants.iter().map(as_json).collect::<Vec<_>>(),
        "revoked": state.revoked.iter().map(revoked).collect::<Vec<_>>(),
    });
    output.result(&value, |style| {
        if state.grants.is_empty() {
            return "no secrets yet; the colony's own one counts from its first start with `mesh:` on".to_owned();
        }
        let mut rows: Vec<Vec<String>> = state.grants.iter().map(|grant| row(grant, &state, now)).collect();
        rows.extend(state.revoked.iter().map(revoked_row));
        table(&["name", "rights", "for", "created", "ends", "used by"], &rows, style)
    })
}

fn row(grant: &Grant, state: &State, now: TimeMs) -> Vec<String> {
    let ends = match grant.expires_at {
        None => "never".to_owned(),
        Some(at) if grant.is_expired(now) => format!("{at} (expired)"),
        Some(at) => at.to_string(),
    };
    let holder = match (&grant.reef_id, grant.shared) {
        (Some(reef_id), _) => reef_id.clone(),
        (None, true) => "any reef".to_owned(),
        (None, false) => "its first reef".to_owned(),
    };
    vec![
        grant.name.clone(),
        if grant.read_only { "read" } else { "all" }.to_owned(),
        holder,
        grant.created_at.to_string(),
        ends,
        users(state, &grant.name).join(", "),
    ]
}

/// One that admits no reef: its reefs are answered that it was revoked.
fn revoked_row(secret: &RevokedSecret) -> Vec<String> {
    let ends = format!("{} (revoked)", secret.revoked_at);
    [secret.name.as_str(), "none", "", "", &ends, ""].map(str::to_owned).to_vec()
}

/// Ids of the peers that have proved a secret.
fn users(state: &State, name: &str) -> Vec<String> {
    state.peers().filter(|reef| reef.secret == name).map(|reef| reef.reef_id.clone()).collect()
}
