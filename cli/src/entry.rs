//! From command line to exit code, the same way for both programs.

use crate::exit::{Exit, Failure};
use crate::output::{Output, OutputArgs};
use crate::panics::end_on_panic;
use crate::screen;
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::process::ExitCode;

/// A program: its flags and its main function.
pub trait Program: Parser {
    /// Name as typed, for hints.
    const NAME: &'static str;

    /// Whether a panic in any thread or task ends the process.
    const ENDS_ON_PANIC: bool = false;

    /// What is logged by default besides warnings: directives of a log filter.
    const LOGS_ALSO: &'static str = "";

    /// The flags for output.
    fn output_args(&self) -> &OutputArgs;

    /// Does what the command line says.
    fn run(self, output: &Output) -> Result<(), Failure>;
}

/// Runs a program with the arguments of this process.
pub fn main<P: Program>() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if P::ENDS_ON_PANIC {
        let output = OutputArgs { json: wants_json(&arguments), ..OutputArgs::default() };
        end_on_panic(Output::of_process(&output));
    }
    ExitCode::from(run::<P>(&arguments, Output::of_process).code())
}

/// Runs a program with `arguments` (the first is the program's name), writing to the output that `open` makes.
pub fn run<P: Program>(arguments: &[OsString], open: impl FnOnce(&OutputArgs) -> Output) -> Exit {
    let program = match P::try_parse_from(arguments) {
        Ok(program) => program,
        Err(error) => return usage(&error, arguments, P::NAME, open),
    };
    let output = open(program.output_args());
    start_log(program.output_args().verbose, P::LOGS_ALSO, &output);
    match program.run(&output) {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            if !failure.is_answered {
                output.failure(&failure);
            }
            failure.exit
        }
    }
}

/// A tokio runtime for a command that needs one.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "runtime", "cannot start worker threads").caused_by(Some(&error)))
}

/// Help and version are results; anything else clap has to say is a wrong command line.
fn usage(error: &clap::Error, arguments: &[OsString], name: &str, open: impl FnOnce(&OutputArgs) -> Output) -> Exit {
    let json = wants_json(arguments);
    let asked =
        OutputArgs { json, no_color: arguments.iter().any(|word| word == "--no-color"), ..OutputArgs::default() };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let output = open(&asked);
        let page = error.render().to_string();
        let value = if error.kind() == ErrorKind::DisplayVersion {
            serde_json::json!({ "name": name, "version": env!("CARGO_PKG_VERSION") })
        } else {
            serde_json::json!({ "help": page })
        };
        return match output.result(&value, |_| page.clone()) {
            Ok(()) => Exit::Ok,
            Err(failure) => failure.exit,
        };
    }
    let output = open(&asked);
    let text = error.render().to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json {
        output.message(&text);
    } else {
        output.failure(&usage_failure(&text, name));
    }
    Exit::Usage
}

/// Clap's text taken apart: the first line is the message, `tip:` lines are the hint, the usage line is detail.
fn usage_failure(text: &str, name: &str) -> Failure {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("wrong command line");
    let mut failure = Failure::new(Exit::Usage, "usage", first.trim_start_matches("error: "));
    let mut help = format!("{name} --help");
    let mut tips = Vec::new();
    for line in lines {
        if let Some(tip) = line.strip_prefix("tip: ") {
            tips.push(tip.to_owned());
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            failure = failure.detail(format!("usage: {usage}"));
            let command: Vec<&str> = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
            help = format!("{} --help", command.join(" "));
        } else if !line.starts_with("For more information") {
            failure = failure.detail(line);
        }
    }
    if !tips.is_empty() {
        failure = failure.hint(tips.join("; "));
    }
    failure.docs(help)
}

/// Whether a command line that could not be parsed has --json.
fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    words.iter().any(|word| *word == "--json" || *word == "--format=json")
        || words.windows(2).any(|pair| pair == ["--format", "json"])
}

/// The WireGuard library logs routine events as errors; the crate `mesh` has its own messages.
const QUIET: &str = "boringtun=off";

/// Log lines go to stderr; `RUST_LOG` decides which, otherwise the number of `-v`.
fn start_log(verbose: u8, also: &str, output: &Output) {
    let level = ["warn", "info", "debug", "trace"][usize::from(verbose).min(3)];
    let default = [level, QUIET, also].join(",");
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default.trim_end_matches(',')));
    // a second call (tests) keeps the first subscriber
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output.message_style().colour)
        .with_writer(|| screen::LogWriter)
        .try_init();
}
