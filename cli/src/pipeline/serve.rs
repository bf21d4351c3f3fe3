//! `coral-pipeline serve`: the services of a reef over its store, without the engine.

use super::analyst;
use super::load::load;
use super::services;
use super::sql;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::signals::watch_shutdown;
use model::instruments::Registry;
use pipelines::open::store;
use reef::api::{Pages, Reading};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline serve reef.toml",
    after_help = "Opens the services and the dashboard at api.listen over the store, whether or not api.enabled is set, until SIGTERM, SIGHUP \
                  or Ctrl-C. Nothing is read from sources, and nothing is changed. A DuckDB file belongs to one process: \
                  while the reef runs, set api.enabled instead, and its process opens the same services."
)]
pub struct ServeArgs {
    /// The reef: a .toml or .yaml file
    #[arg(default_value = "reef.toml")]
    pub config: PathBuf,
}

/// Serves until it is asked to stop.
pub fn run(args: &ServeArgs, output: &Output) -> Result<(), Failure> {
    let config = load(&args.config)?;
    runtime()?.block_on(async {
        let notices = output.clone();
        let mut shutdown = watch_shutdown(output, move || notices.message("stopping"))?;
        let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
        let reader = store::open_for_reading(&config).await.map_err(failed)?;
        // somebody who asks for the services of a store wants to look at it
        let pages = match services::pages(&config) {
            Pages::Closed => Pages::Beside,
            asked => asked,
        };
        let reading = (Reading::Store(Arc::clone(&reader)), analyst::of(&config, output), sql::beside_a_run(&config));
        let services = services::open((&config, pages), reading, &Registry::new(), output).await?;
        let address = services.address();
        // also when the sender has been dropped
        let _ = shutdown.wait_for(|stop| *stop).await;
        services.close().await;
        let page = |_: Style| format!("served {} at http://{address}", store::describe(&config));
        output.concluded(&json!({ "served": { "store": store::describe(&config), "address": address } }), page, None)
    })
}
