//! `cargo xtask`: developer and CI tasks besides `cargo build` and `cargo run`.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command line tool: printing is its output

mod bench;
mod browser;
mod check;
mod checkout;
mod chosen;
mod conformance;
mod demo;
mod eval;
mod fetch;
mod flight_clients;
mod fuzz;
mod kafka;
mod maven;
mod mcp_conformance;
mod parts;
mod report;
mod setup;
mod test_run;
mod test_tools;

use anyhow::bail;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  setup            fetch the prebuilt DuckDB library once and link it to .deps/duckdb
  demo [args]      setup, then `coral-pipeline demo [args]`
  bench peers      pyscamp, stumpy and DuckDB's corr() beside the kernels, on the same series; --series N [default: 50]
                   (needs python3 with venv; pyscamp is compiled: cmake and a C++ compiler)
  eval WHAT        run a long evaluation (deployments, analysis, events, metrics, dashboard) and write its figures to
                   docs/evaluation; --data DIR for the recordings [default: ../shared/data], --release to measure
                   optimised programs; dashboard needs npm and chromium
  fuzz TARGET S    feed a decoder (csv, ndjson, parquet, kafka, config, grpc) with broken input for S seconds
  conformance      run the official Connect suite against the RPC (needs Go; `test` does the same)
  mcp-conformance  run the official MCP suite against the tools (needs npm; `test` does the same)
  screenshots      pictures of the dashboard into docs/dashboard (needs npm and chromium)
  kafka            fetch Apache Kafka for the tests (needs java and mvn; `test` does the same)
  flight-clients   fetch ADBC's and a JDBC driver for the tests (needs python3 with pip, java and mvn; `test` does the
                   same)
  test [args]      setup, the tools the tests need, then format, lints, dependency rules, wire rules and
                   all tests; args go to the cargo commands (`--features bundled` compiles DuckDB instead)
  ci               what CI runs: `.ci/run`
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    run(&command, &rest).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    match command {
        "setup" => {
            let done = setup::run(args)?;
            browser::announce()?;
            Ok(done)
        }
        "demo" => demo::run(args),
        "bench" => bench::run(args),
        "eval" => eval::run(args),
        "fuzz" => fuzz::run(args),
        "conformance" => conformance::run(args),
        "mcp-conformance" => mcp_conformance::run(args),
        "screenshots" => browser::screenshots(args),
        "kafka" => kafka::run(args),
        "flight-clients" => flight_clients::run(args),
        "test" => check::run(args),
        "ci" => checkout::run(std::process::Command::new("bash").arg(".ci/run")),
        "" | "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown command `{other}`\n\n{USAGE}"),
    }
}
