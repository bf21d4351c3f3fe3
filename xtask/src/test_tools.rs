//! What the tests need beside the programs: fetched or built once, and named to them.

use crate::browser::{self, Browser};
use crate::{conformance, flight_clients, kafka, mcp_conformance, setup};
use anyhow::{Context, Result, anyhow};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;

/// The tools of the tests. A test that lacks its own says for itself that it is skipped.
pub struct Tools {
    conformance: Option<PathBuf>,
    mcp_conformance: Option<PathBuf>,
    browser: Option<Browser>,
    buf: Option<OsString>,
}

impl Tools {
    /// Fetches all tools beside the compiler, which leaves the network alone: on a fresh machine that takes minutes.
    pub fn fetch() -> Result<JoinHandle<Result<Tools>>> {
        let thread = std::thread::Builder::new().name("tools".to_owned());
        thread.spawn(Tools::find).context("cannot start a thread")
    }

    /// The tools, once they are there.
    pub fn wait(thread: JoinHandle<Result<Tools>>) -> Result<Tools> {
        thread.join().map_err(|_| anyhow!("the thread that fetches the tools of the tests panicked"))?
    }

    fn find() -> Result<Tools> {
        setup::clickhouse()?;
        or_say("kafka", kafka::jars()?);
        or_say("flight-clients", flight_clients::adbc()?);
        or_say("flight-clients", flight_clients::jdbc()?);
        Ok(Tools {
            mcp_conformance: or_say("mcp-conformance", mcp_conformance::folder()?),
            browser: or_say("browser", browser::browser()?),
            conformance: or_say("conformance", conformance::runner()?),
            buf: setup::buf()?.ok().map(|buf| buf.get_program().to_owned()),
        })
    }

    /// Names them to the tests that `cargo` runs.
    pub fn hand_to(&self, cargo: &mut Command) {
        let folders = [(conformance::RUNNER, &self.conformance), (mcp_conformance::FOLDER, &self.mcp_conformance)];
        cargo.envs(folders.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?))));
        cargo.envs(self.buf.iter().map(|buf| ("BUF", buf)));
        if let Some(Browser { tools, program }) = &self.browser {
            cargo.env(browser::FOLDER, tools).env(browser::BROWSER, program);
        }
    }
}

fn or_say<T>(tool: &str, found: std::result::Result<T, String>) -> Option<T> {
    found.map_err(|reason| println!("{tool}: {reason}")).ok()
}
