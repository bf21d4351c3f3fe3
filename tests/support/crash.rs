//! Kills a program again and again until it has done its work: at random moments, and in each of its phases.
//!
//! The program logs its phase on standard error (`RUST_LOG=coral_pipelines=debug`, field `phase`). The harness is
//! independent of the command: the caller passes a closure that builds one, and compares the final state.

use fixtures::random::Random;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// The phases of `coral-pipeline run`.
pub const PHASES: [&str; 7] = ["open", "restore", "read", "tick", "commit", "drain", "close"];

/// Those of `replay` and `backfill`, which open and close stores of their own.
pub const REPLAY_PHASES: [&str; 5] = ["restore", "read", "tick", "commit", "drain"];

/// The seed of a crash test: the one in `CRASH_SEED`, else this one. It is printed with every result.
pub fn seed_or(default: u64) -> u64 {
    match std::env::var("CRASH_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("CRASH_SEED={text:?} is no number")),
        Err(_) => default,
    }
}

/// A run that has neither ended nor been killed by then is a failure.
const RUN_MAX: Duration = Duration::from_secs(120);

/// Kills in one journey at most; then the command is left to end.
const KILLS_PER_JOURNEY: u32 = 12;

/// After the line of a phase the kill waits at most this long: most phases are over sooner, commits are not.
const DELAY_MAX: Duration = Duration::from_millis(6);

/// A line of one of these phases is awaited up to this number of times, so that a run makes progress between kills.
const REPEATS_MAX: u64 = 9;

/// Misses beyond this number shorten a pause no further.
const MISSES_MAX: u32 = 16;

/// Hits per phase.
pub struct Crashes {
    seed: u64,
    random: Random,
    commit_delay_max: Duration,
    hits: BTreeMap<&'static str, u32>,
    /// Misses in a row of the kills aimed at a phase: each halves the pause and the repeats of the next one, since how
    /// long a phase takes depends on what else the machine does.
    misses: BTreeMap<&'static str, u32>,
    kills: u32,
    journeys: u32,
}

impl Crashes {
    /// The same seed aims at the same phases after the same pauses; `CRASH_SEED` sets another one.
    pub fn new(seed: u64, phases: &[&'static str]) -> Crashes {
        let seed = seed_or(seed);
        let none: BTreeMap<&'static str, u32> = phases.iter().map(|phase| (*phase, 0)).collect();
        let random = Random(seed);
        Crashes { seed, random, commit_delay_max: DELAY_MAX, hits: none.clone(), misses: none, kills: 0, journeys: 0 }
    }

    /// For a store whose commits take up to this time: kills are spread over all of it.
    pub fn with_commits_of(self, commit_delay_max: Duration) -> Crashes {
        Crashes { commit_delay_max, ..self }
    }

    /// Whether there were that many kills, with at least `each` in every phase.
    pub fn are_enough(&self, kills: u32, each: u32) -> bool {
        assert!(self.kills < 3 * kills, "some phase is hardly ever hit: {self}");
        self.kills >= kills && self.hits.values().all(|hits| *hits >= each)
    }

    /// Starts `command` and kills it repeatedly, until one run completes successfully.
    pub fn journey(&mut self, command: impl Fn() -> Command) {
        self.journeys += 1;
        for _ in 0..KILLS_PER_JOURNEY {
            if self.run_and_kill(&mut command()) {
                return;
            }
        }
        let output = command().output().unwrap();
        assert!(output.status.success(), "seed {}: {}", self.seed, String::from_utf8_lossy(&output.stderr));
    }

    /// One run; returns whether it completed before the kill.
    fn run_and_kill(&mut self, command: &mut Command) -> bool {
        let (aim, repeats, delay) = self.aim();
        command.env("RUST_LOG", "coral_pipelines=debug").stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = phase_lines(&mut child);
        let started = Instant::now();
        let mut last = None;
        let mut seen = 0;
        // up to the target phase, recording the phases before it
        while aim.is_some() && seen < repeats {
            match lines.recv_timeout(RUN_MAX.saturating_sub(started.elapsed())) {
                Ok(Line::Phase(phase)) => {
                    seen += u64::from(Some(phase.as_str()) == aim);
                    last = Some(phase);
                }
                Ok(Line::End(text)) => {
                    self.aimed(aim, false);
                    return self.ended(child, &text);
                }
                Err(_) => panic!("seed {}: a run hangs after phase {last:?}", self.seed),
            }
        }
        // then a little further
        let kill_at = Instant::now() + delay;
        loop {
            match lines.recv_timeout(kill_at.saturating_duration_since(Instant::now())) {
                Ok(Line::Phase(phase)) => last = Some(phase),
                Ok(Line::End(text)) => {
                    self.aimed(aim, false);
                    return self.ended(child, &text);
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => panic!("the end of standard error is reported"),
            }
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        // its last output names the phase that was hit
        for line in lines {
            match line {
                Line::Phase(phase) => last = Some(phase),
                Line::End(_) => break,
            }
        }
        self.aimed(aim, !status.success() && last.as_deref() == aim);
        if status.success() {
            return true;
        }
        self.kills += 1;
        if let Some(hits) = last.and_then(|phase| self.hits.iter_mut().find(|(known, _)| **known == phase)) {
            *hits.1 += 1;
        }
        false
    }

    /// A phase, how often its line is awaited, and the pause after it; or no phase and a pause after the start.
    fn aim(&mut self) -> (Option<&'static str>, u64, Duration) {
        let phases: Vec<&'static str> = self.hits.keys().copied().collect();
        let rarest = self.hits.iter().min_by_key(|(_, hits)| **hits).map(|(phase, _)| *phase);
        let aim = match self.random.below(4) {
            0 => None,
            1 => rarest,
            // long commits have the most possible interruptions
            2 if self.commit_delay_max > DELAY_MAX => Some("commit"),
            _ => Some(phases[self.random.below(phases.len() as u64) as usize]),
        };
        let misses = aim.map_or(0, |phase| self.misses[phase]);
        let repeats = match aim {
            Some("read" | "tick" | "commit") => 1 + self.random.below((REPEATS_MAX >> misses).max(1)),
            _ => 1,
        };
        let delay_max = match aim {
            None => Duration::from_millis(1_500),
            // the next batch waits already: this phase is over in no time
            Some("read") => Duration::from_micros(100),
            Some("commit" | "drain") => self.commit_delay_max,
            Some(_) => DELAY_MAX,
        };
        let delay_max = (delay_max.as_micros() as u64 >> misses).max(1);
        (aim, repeats, Duration::from_micros(self.random.below(delay_max)))
    }

    /// Records whether a kill hit the phase it was aimed at.
    fn aimed(&mut self, aim: Option<&'static str>, hit: bool) {
        if let Some(misses) = aim.and_then(|phase| self.misses.get_mut(phase)) {
            *misses = if hit { 0 } else { (*misses + 1).min(MISSES_MAX) };
        }
    }

    fn ended(&self, mut child: Child, text: &str) -> bool {
        let status = child.wait().unwrap();
        assert!(status.success(), "seed {}: a run failed ({status}):\n{text}", self.seed);
        true
    }
}

impl fmt::Display for Crashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crashes { seed, kills, journeys, hits, .. } = self;
        write!(f, "seed {seed}: {kills} kills in {journeys} runs until done; hits: {hits:?}")
    }
}

/// Events from standard error.
pub enum Line {
    Phase(String),
    /// It was closed; the last output except phases.
    End(String),
}

/// Reads the child's standard error on a separate thread, which ends with the child.
pub fn phase_lines(child: &mut Child) -> Receiver<Line> {
    let stderr = child.stderr.take().unwrap();
    let (sender, lines) = sync_channel(100_000);
    let read = move || {
        let mut reader = BufReader::new(stderr);
        let mut others = String::new();
        let mut line = Vec::new();
        while reader.by_ref().read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            match phase_of(&text) {
                // a line truncated by the kill names no phase
                Some(phase) => drop(sender.send(Line::Phase(phase))),
                None => others += &text,
            }
            line.clear();
        }
        let _ = sender.send(Line::End(others));
    };
    std::thread::Builder::new().name("stderr".to_owned()).spawn(read).unwrap();
    lines
}

/// The value of ` phase="…"`.
fn phase_of(line: &str) -> Option<String> {
    let rest = &line[line.find("phase=\"")? + "phase=\"".len()..];
    rest.split_once('"').map(|(phase, _)| phase.to_owned())
}
