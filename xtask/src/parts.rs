//! The time that each part of the checks takes: on the clock, and of all processors together.

use std::time::{Duration, Instant};

/// Length of a tick of `/proc/PID/stat`: a hundredth of a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// One part that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is called in the list of parts.
    pub name: String,
    /// Time on the clock.
    pub clock: Duration,
    /// Time of all processors that its programs took. Zero where the system does not say.
    pub processors: Duration,
}

/// Measures parts that follow each other.
pub struct Watch {
    /// Whose children are measured: `self`, or the number of a process.
    process: String,
    since: Instant,
    processors: Duration,
}

impl Watch {
    /// Measures the programs that this process starts.
    pub fn start() -> Watch {
        Watch::of("self".to_owned())
    }

    /// Measures the programs that the process with this number starts, while it has not been waited for.
    pub fn of_process(id: u32) -> Watch {
        Watch::of(id.to_string())
    }

    fn of(process: String) -> Watch {
        let processors = of_children(&process);
        Watch { process, since: Instant::now(), processors }
    }

    /// The part that ends now; the next one begins.
    pub fn lap(&mut self, name: impl Into<String>) -> Part {
        let (now, processors) = (Instant::now(), of_children(&self.process));
        let part = Part {
            name: name.into(),
            clock: now.duration_since(self.since),
            processors: processors.saturating_sub(self.processors),
        };
        (self.since, self.processors) = (now, processors);
        part
    }
}

/// Processor time of the children of a process that have ended, with that of their own children.
fn of_children(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    ticks_of_children(&stat).and_then(|ticks| TICK.checked_mul(ticks)).unwrap_or_default()
}

/// The sum of `cutime` and `cstime` of a line of `/proc/PID/stat`.
fn ticks_of_children(stat: &str) -> Option<u32> {
    // the program's name, in parentheses, may contain spaces and parentheses
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(13).map(|field| field.parse::<u32>());
    times.next()?.ok()?.checked_add(times.next()?.ok()?)
}

/// The program in a line by which cargo says which tests it starts; `None` for any other line.
///
/// `     Running tests/main.rs (target/debug/deps/all-0a1b2c3d)` is `all`, `   Doc-tests coral_model` is
/// `coral_model (examples)`.
pub fn tests_started(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(library) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{library} (examples)"));
    }
    let (_, path) = line.strip_prefix("Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
    let program = path.rsplit('/').next()?;
    Some(program.rsplit_once('-').map_or(program, |(name, _)| name).to_owned())
}

/// A line for each part, in the order in which they ran.
pub fn table(parts: &[Part]) -> String {
    let line = |part: &Part| {
        format!("{:9.1} {:9.1}  {}\n", part.clock.as_secs_f64(), part.processors.as_secs_f64(), part.name)
    };
    parts.iter().fold(" on clock processor  part, in seconds\n".to_owned(), |text, part| text + &line(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_is_read_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 900 8000 0 10 5 7 1234 66 20 0 1 0 100 1000 200";
        assert_eq!(ticks_of_children(stat), Some(1300));
        for broken in ["", "42 (a) S 1", "42 (a) S 1 42 42 0 -1 4194560 900 8000 0 10 5 7 x 66"] {
            assert_eq!(ticks_of_children(broken), None, "{broken}");
        }
    }

    #[test]
    fn children_that_were_waited_for_are_measured() {
        let mut watch = Watch::start();
        let first = watch.lap("first");
        // enough work for several ticks on any machine
        let counted = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", counted]).status().unwrap().success());
        let second = watch.lap("second");
        assert_eq!((first.name.as_str(), second.name.as_str()), ("first", "second"));
        assert!(!cfg!(target_os = "linux") || second.processors > Duration::ZERO, "{second:?}");
    }

    #[test]
    fn cargo_says_which_tests_it_starts() {
        let started = |line: &str| tests_started(line);
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(started("     Running unittests src/lib.rs (target/debug/deps/coral_cli-8f3e)"), named("coral_cli"));
        assert_eq!(started("     Running tests/main.rs (/a b (c)/debug/deps/all-8f3e)"), named("all"));
        assert_eq!(
            started("     Running unittests src/bin/x.rs (t/deps/coral-pipeline-8f3e)"),
            named("coral-pipeline")
        );
        assert_eq!(started("   Doc-tests coral_model"), named("coral_model (examples)"));
        for other in ["Running", "   Compiling coral-model v0.1.0 (model)", "running 3 tests", "Running without end (a"]
        {
            assert_eq!(started(other), None, "{other}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_part() {
        let part = |name: &str, clock, processors| Part {
            name: name.to_owned(),
            clock: Duration::from_millis(clock),
            processors: Duration::from_millis(processors),
        };
        assert_eq!(
            table(&[part("lints", 1_300, 2_300), part("tests: all", 472_000, 800_010)]),
            " on clock processor  part, in seconds\n      1.3       2.3  lints\n    472.0     800.0  tests: all\n"
        );
    }
}
