//! `coral reef token …`: tokens with which callers from elsewhere reach the services of a reef.

use super::choice::ReefChoice;
use crate::confirm::ConfirmArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use model::clock::SystemClock;
use reef::access::Role;
use reef::api::tokens::{TokenEntry, Tokens};
use serde_json::json;
use std::path::PathBuf;

/// Commands of tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it; it is shown once
    Create(CreateArgs),
    /// List the tokens of a reef, without their secrets
    List(ListArgs),
    /// Remove a token; a running reef refuses it from the next request on
    Revoke(RevokeArgs),
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RoleArg {
    /// Read what is stored
    Readonly,
    /// The same, and spend tokens of a language model
    Analyst,
    /// Everything
    Admin,
}

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef token create --role readonly --name grafana",
    after_help = "Only the token's SHA-256 is stored, in the file that api.tokens_file names. Send it as \
                  Authorization: Bearer coral_…"
)]
pub struct CreateArgs {
    /// What its holder may do
    #[arg(long, value_enum)]
    role: RoleArg,
    /// A name for people
    #[arg(long, default_value = "")]
    name: String,
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reef: ReefChoice,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral reef token list")]
pub struct ListArgs {
    #[command(flatten)]
    reef: ReefChoice,
}

/// Arguments of `revoke`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral reef token revoke 3f9a0c21 --yes")]
pub struct RevokeArgs {
    /// Its id, as `list` shows it
    id: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    reef: ReefChoice,
}

/// Runs one of them.
pub fn run(command: TokenCommand, output: &Output) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(args) => create(&args, output),
        TokenCommand::List(args) => list(&args, output),
        TokenCommand::Revoke(args) => revoke(&args, output),
    }
}

fn create(args: &CreateArgs, output: &Output) -> Result<(), Failure> {
    let (tokens, file) = tokens_of(&args.reef)?;
    let role = match args.role {
        RoleArg::Readonly => Role::Readonly,
        RoleArg::Analyst => Role::Analyst,
        RoleArg::Admin => Role::Admin,
    };
    if args.dry_run {
        let document =
            json!({ "dry_run": true, "role": role, "name": args.name.trim(), "file": file.display().to_string() });
        return output
            .result(&document, |_| format!("A token would be added to {}; nothing was changed\n", file.display()));
    }
    let token = tokens.create(args.name.trim(), role).map_err(|error| failure(&error))?;
    output.message(&format!("this is the only time that it is shown; {} has its SHA-256", file.display()));
    output.result(&json!({ "token": token, "role": role, "name": args.name.trim() }), |_| format!("{token}\n"))
}

fn list(args: &ListArgs, output: &Output) -> Result<(), Failure> {
    let (tokens, file) = tokens_of(&args.reef)?;
    let entries = tokens.entries().map_err(|error| failure(&error))?;
    let entry = |entry: &TokenEntry| json!({ "id": entry.id, "name": entry.name, "role": entry.role, "created_at": entry.created_at });
    let document = json!({ "tokens": entries.iter().map(entry).collect::<Vec<_>>() });
    output.result(&document, |_| {
        if entries.is_empty() {
            return format!("No token in {}.\n\nMake one: coral reef token create --role readonly\n", file.display());
        }
        let line = |entry: &TokenEntry| {
            let role = json!(entry.role).as_str().unwrap_or_default().to_owned();
            let name = if entry.name.is_empty() { "–" } else { &entry.name };
            format!("  {}  {role:8}  {}  {name}\n", entry.id, entry.created_at)
        };
        format!("Tokens ({}):\n{}", entries.len(), entries.iter().map(line).collect::<String>())
    })
}

fn revoke(args: &RevokeArgs, output: &Output) -> Result<(), Failure> {
    let (tokens, file) = tokens_of(&args.reef)?;
    let is_known = tokens.entries().map_err(|error| failure(&error))?.iter().any(|entry| entry.id == args.id);
    if is_known && !args.confirm.permit(&format!("revoke the token {}", args.id), output)? {
        return output.result(&json!({ "dry_run": true, "id": args.id }), |_| "Nothing was changed".to_owned());
    }
    if !tokens.revoke(&args.id).map_err(|error| failure(&error))? {
        let message = format!("{} has no token {:?}", file.display(), args.id);
        return Err(Failure::new(Exit::NotFound, "token_unknown", message).hint("list them: coral reef token list"));
    }
    output.result(&json!({ "revoked": args.id }), |_| format!("✓ Token {} is revoked\n", args.id))
}

fn tokens_of(choice: &ReefChoice) -> Result<(Tokens, PathBuf), Failure> {
    let file = choice.load_settings()?.api.tokens_file;
    Ok((Tokens::of(&file, SystemClock::shared()), file))
}

fn failure(error: &reef::api::tokens::TokensError) -> Failure {
    Failure::from_error(Exit::Failed, "tokens_failed", error).hint("repair the file, or remove it and make new tokens")
}
