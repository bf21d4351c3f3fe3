//! Opens the services of a reef for a command, and says where they are.

use super::rules::known;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use model::clock::SystemClock;
use model::instruments::Registry;
use pipelines::config::ReefConfig;
use reef::analysis::Analyst;
use reef::api::{ApiError, Groups, Listening, Pages, Reading, Services};
use reef::sql::SqlEngine;
use std::sync::Arc;

/// Opens the services where the configuration says; `pages` are those of the configuration, or more.
pub async fn open(
    (config, pages): (&ReefConfig, Pages),
    (reading, analyst, sql): (Reading, Arc<Analyst>, SqlEngine),
    registry: &Registry,
    output: &Output,
) -> Result<Services, Failure> {
    let api = &config.api;
    let (require_token, tokens) = (api.require_token, api.tokens_file.clone());
    let groups = Groups::of(&api.mcp_groups);
    let listening = Listening { listen: api.listen, require_token, tokens, pages, groups };
    let read = (reading, known(config).scope);
    let opened = Services::open_with(&listening, read, (analyst, sql), registry.clone(), SystemClock::shared()).await;
    let services = opened.map_err(|error| failure(&error))?;
    output.message(&format!("services at http://{}: RPC, /mcp, /healthz, /readyz, /metrics", services.address()));
    if let Some(url) = &services.doors().dashboard {
        output.message(&format!("dashboard at {url}"));
    }
    Ok(services)
}

/// The pages that a configuration asks for.
pub fn pages(config: &ReefConfig) -> Pages {
    if config.dashboard.enabled { Pages::AtPort(config.dashboard.port) } else { Pages::Closed }
}

fn failure(error: &ApiError) -> Failure {
    let (exit, code, hint) = match error {
        ApiError::Listen { .. } => {
            (Exit::Failed, "api_address", "set api.listen to a free address of this machine, e.g. 127.0.0.1:3102")
        }
        ApiError::NeedsTokens { .. } => (
            Exit::Usage,
            "api_tokens",
            "name a file with tokens in api.tokens_file, or listen on 127.0.0.1 without api.require_token",
        ),
        ApiError::Tokens(_) => (Exit::Failed, "api_tokens", "repair the file, or remove it and make new tokens"),
    };
    Failure::from_error(exit, code, error).hint(hint)
}
