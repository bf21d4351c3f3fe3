//! `coral reef dashboard`: where the pages of a running reef are; opened in a browser on request.

use super::choice::ReefChoice;
use super::status;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use colony::config::Places;
use serde_json::json;
use std::process::{Command, Stdio};

/// Arguments of `dashboard`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef dashboard --open",
    after_help = "A reef has a dashboard while it runs with dashboard.enabled. The store of a stopped reef has one with \
                  `coral-pipeline serve FILE`."
)]
pub struct DashboardArgs {
    #[command(flatten)]
    reef: ReefChoice,
    /// Open it in a browser
    #[arg(long)]
    open: bool,
}

/// Prints its address.
pub fn run(args: &DashboardArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let path = args.reef.resolve(places)?;
    let (status, _) = status::of(&path, places, output)?;
    let url = status["dashboard_url"].as_str().unwrap_or_default().to_owned();
    if url.is_empty() {
        let state = status["state"].as_str().unwrap_or("stopped");
        let hint = match state {
            "stopped" => {
                format!("start it: coral reef start; or show its store: coral-pipeline serve {}", path.display())
            }
            _ => "set api.enabled and dashboard.enabled in its configuration, then coral reef reload".to_owned(),
        };
        let message = format!("the reef is {state} and has no dashboard");
        return Err(Failure::new(Exit::NotFound, "no_dashboard", message).hint(hint));
    }
    if args.open {
        open(&url)?;
    }
    output.result(&json!({ "dashboard_url": url }), |_| url.clone())
}

/// Hands the address to the desktop, which has the user's browser.
fn open(url: &str) -> Result<(), Failure> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let status =
        Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let message = format!("{program} could not open {url}");
    Err(Failure::new(Exit::Failed, "no_browser", message).hint("open the address in a browser"))
}
