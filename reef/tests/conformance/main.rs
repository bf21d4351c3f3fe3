//! The official Connect conformance suite against the RPC libraries, hosted as a reef hosts them: `cargo xtask conformance`.
//!
//! | file | owns |
//! |---|---|
//! | `service` | the service that the suite calls |
//! | `wire` | its messages, and the exchange with the runner |
//!
//! The runner starts this program once for each configuration, with `serve`. It speaks on stdin and stdout, so that this
//! test brings no harness.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that meets what it did not expect has to fail")]

mod service;
mod wire;

use connectrpc::Limits;
use coral_reef::access::{Caller, Role};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use tokio::net::TcpListener;
use wire::ConformanceServiceExt;

/// Where the runner is: set by `cargo xtask conformance`.
const RUNNER: &str = "CONNECTCONFORMANCE";
const NAME: &str = "conformance";
/// The name of the suite's service.
const SERVICE: &str = "connectrpc.conformance.v1.ConformanceService";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "serve") {
        return serve();
    }
    if words.iter().any(|word| word == "--list") || !is_wanted(&words) {
        return ExitCode::SUCCESS;
    }
    let Some(runner) = std::env::var_os(RUNNER) else {
        println!("SKIPPED {NAME}: {RUNNER} names no runner; `cargo xtask conformance` fetches it and runs this");
        return ExitCode::SUCCESS;
    };
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/config.yaml");
    let mut run = Command::new(runner);
    run.args(["--mode", "server", "--conf", config, "--"]).arg(std::env::current_exe().unwrap()).arg("serve");
    let status = run.status().expect("the runner can be started");
    let (word, passed, failed) = if status.success() { ("ok", 1, 0) } else { ("FAILED", 0, 1) };
    println!("test {NAME} ... {word}\n\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the command line asks for this test, as the usual harness reads it: words without a flag are parts of names.
fn is_wanted(words: &[String]) -> bool {
    let (mut filters, mut is_value) = (Vec::new(), false);
    for word in words {
        if !word.starts_with('-') && !is_value {
            filters.push(word.as_str());
        }
        is_value = ["--test-threads", "--skip", "--format", "--color", "--logfile"].contains(&word.as_str());
    }
    filters.is_empty() || filters.iter().any(|part| NAME.contains(part))
}

/// Opens what the runner asks for, until it ends this process.
#[tokio::main]
async fn serve() -> ExitCode {
    let mut registry = buffa::type_registry::TypeRegistry::new();
    wire::register_types(&mut registry);
    buffa::type_registry::set_type_registry(registry);
    let request: wire::ServerCompatRequest = wire::read(&mut std::io::stdin()).unwrap();
    let routes = Arc::new(service::Suite).register(connectrpc::Router::new());
    let limits = match request.message_receive_limit {
        0 => Limits::default(),
        limit => Limits::default().with_max_message_size(limit as usize),
    };
    let app =
        coral_reef::rpc::hosting::hosted(routes, &[SERVICE], limits).layer(axum::Extension(Caller(Ok(Role::Readonly))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let response = wire::ServerCompatResponse {
        host: address.ip().to_string(),
        port: address.port().into(),
        ..Default::default()
    };
    wire::write(&mut std::io::stdout(), &response).unwrap();
    coral_reef::listener::serve(listener, app, std::future::pending()).await;
    ExitCode::SUCCESS
}
