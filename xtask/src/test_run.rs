//! Runs all tests and documentation examples: counts them, finds the skipped ones, and times each test program.

use crate::checkout;
use crate::parts::{Part, Watch, tests_started};
use crate::report::{Report, announce};
use crate::test_tools::Tools;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

/// All tests; `args` go to cargo.
///
/// They are not compiled by clippy's driver, which would lint them in the same pass: it turns off the optimisations of
/// MIR, and what it compiles needs up to four times the processor time.
pub fn run(report: &mut Report, tools: Tools, args: &[String]) -> Result<()> {
    let mut cargo = checkout::cargo();
    // without colours, since its lines are read
    cargo.args(["--color", "never", "test", "--workspace", "--locked", "--no-fail-fast"]);
    cargo.args(args).args(["--", "--show-output"]);
    tools.hand_to(&mut cargo);
    announce("tests", &cargo);
    let mut whole = Watch::start();
    let spawned = cargo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("cannot start {cargo:?}"))?;
    let programs = Arc::new(Mutex::new(Programs::new(child.id())));
    follow(child.stderr.take().context("cargo has no standard error")?, Arc::clone(&programs))?;
    let mut in_passed_output = false;
    for line in BufReader::new(child.stdout.take().context("the tests have no output")?).split(b'\n') {
        let line = line.context("cannot read the tests' output")?;
        let line = String::from_utf8_lossy(&line);
        if report.read_test_line(&line, &mut in_passed_output) {
            println!("{line}");
        }
    }
    // before the wait, after which nothing says any more what cargo's children took
    let parts = programs.lock().unwrap_or_else(PoisonError::into_inner).end();
    let status = child.wait().context("cannot wait for the tests")?;
    for part in parts {
        report.took(Part { name: format!("tests: {}", part.name), ..part });
    }
    report.ended(whole.lap("tests"), status.success());
    Ok(())
}

/// Prints what cargo says, and measures the programs that it names.
///
/// The thread is not joined: a program that a test has left behind could keep its end open.
fn follow(errors: impl Read + Send + 'static, programs: Arc<Mutex<Programs>>) -> Result<()> {
    let read = move || {
        for line in BufReader::new(errors).split(b'\n').map_while(std::result::Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some(program) = tests_started(&line) {
                programs.lock().unwrap_or_else(PoisonError::into_inner).start(program);
            }
            eprintln!("{line}");
        }
    };
    std::thread::Builder::new().name("cargo-errors".to_owned()).spawn(read).context("cannot start a thread")?;
    Ok(())
}

/// The test programs that have run and the one that runs. Cargo starts them one after another.
struct Programs {
    watch: Watch,
    running: String,
    ended: Vec<Part>,
}

impl Programs {
    fn new(cargo: u32) -> Programs {
        Programs { watch: Watch::of_process(cargo), running: "cargo".to_owned(), ended: Vec::new() }
    }

    fn start(&mut self, program: String) {
        let former = std::mem::replace(&mut self.running, program);
        self.ended.push(self.watch.lap(former));
    }

    fn end(&mut self) -> Vec<Part> {
        self.start(String::new());
        std::mem::take(&mut self.ended)
    }
}
