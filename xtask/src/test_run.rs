//! Runs all tests and documentation examples: counts them, finds the skipped ones, and times each test program.

use crate::checkout;
use crate::parts::{Part, Watch, tests_started};
use crate::report::{Report, announce};
use crate::test_tools::Tools;
use anyhow::{Context, Result, anyhow};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tests that run at the same time as the others.
struct Group {
    /// Which tests, as cargo selects them. They are those that `cargo test` runs without a selection.
    targets: &'static [&'static str],
    /// Whether it leaves most of the processors to the other group.
    is_minor: bool,
}

/// End-to-end tests often wait for programs and at their end for the longest of them; the tests of the crates fill
/// these gaps.
static GROUPS: [Group; 2] = [
    Group { targets: &["--test", "all"], is_minor: false },
    Group { targets: &["--lib", "--bin", "xtask", "--test", "conformance"], is_minor: true },
];
/// After both, since the compiler needs the processors.
const EXAMPLES: Group = Group { targets: &["--doc"], is_minor: false };

/// All tests; `args` go to cargo.
///
/// They are not compiled by clippy's driver, which would lint them in the same pass: it turns off the optimisations of
/// MIR, and what it compiles needs up to four times the processor time.
pub fn run(report: &mut Report, tools: &Tools, args: &[String]) -> Result<()> {
    let mut whole = Watch::start();
    let shared = Mutex::new(report);
    let run = &|group: &Group| group.run(&shared, tools, args);
    let both: Vec<Result<bool>> = std::thread::scope(|scope| {
        let threads = GROUPS.each_ref().map(|group| scope.spawn(move || run(group)));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked")))).collect()
    });
    let mut are_good = run(&EXAMPLES)?;
    for is_good in both {
        are_good &= is_good?;
    }
    lock(&shared).ended(whole.lap("tests"), are_good);
    Ok(())
}

impl Group {
    fn command(&self, tools: &Tools, args: &[String]) -> Command {
        let mut cargo = checkout::cargo();
        // without colours, since its lines are read
        cargo.args(["--color", "never", "test", "--workspace", "--locked", "--no-fail-fast"]);
        cargo.args(self.targets).args(args).args(["--", "--show-output"]);
        if self.is_minor {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            cargo.env("RUST_TEST_THREADS", (processors / 2).max(1).to_string());
        }
        tools.hand_to(&mut cargo);
        cargo
    }

    /// Whether all have passed.
    fn run(&self, report: &Mutex<&mut Report>, tools: &Tools, args: &[String]) -> Result<bool> {
        let mut cargo = self.command(tools, args);
        announce("tests", &cargo);
        let spawned = cargo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("cannot start {cargo:?}"))?;
        let programs = Arc::new(Mutex::new(Programs::new(child.id())));
        follow(child.stderr.take().context("cargo has no standard error")?, Arc::clone(&programs))?;
        read(&mut child, report)?;
        // before the wait, after which nothing says any more what cargo's children took
        let parts = lock(&programs).end();
        let status = child.wait().context("cannot wait for the tests")?;
        for part in parts {
            lock(report).took(Part { name: format!("tests: {}", part.name), ..part });
        }
        Ok(status.success())
    }
}

/// Counts and prints what the tests say. Failures of one program are printed together, whatever else is printed
/// meanwhile.
fn read(child: &mut Child, report: &Mutex<&mut Report>) -> Result<()> {
    let (mut in_passed_output, mut failures) = (false, Vec::new());
    for line in BufReader::new(child.stdout.take().context("the tests have no output")?).split(b'\n') {
        let line = line.context("cannot read the tests' output")?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut report = lock(report);
        if !report.read_test_line(&line, &mut in_passed_output) {
            continue;
        }
        if failures.is_empty() && line != "failures:" {
            println!("{line}");
            continue;
        }
        let is_over = line.starts_with("test result:");
        failures.push(line);
        if is_over {
            failures.drain(..).for_each(|line| println!("{line}"));
        }
    }
    failures.iter().for_each(|line| println!("{line}"));
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
                lock(&programs).start(program);
            }
            eprintln!("{line}");
        }
    };
    std::thread::Builder::new().name("cargo-errors".to_owned()).spawn(read).context("cannot start a thread")?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
