//! Page: a page of the documentation that a test carries out: its fences, its commands, a shell that runs them.

use super::program;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// The text of a page, e.g. `docs/mesh.md`.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The bodies of the page's fences of a language, in order.
pub fn fences(page: &str, language: &str) -> Vec<String> {
    let head = format!("```{language}");
    let mut bodies = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == head {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            bodies.push(body.join("\n") + "\n");
        }
    }
    bodies
}

/// The commands of a console block, without remarks.
pub fn commands(block: &str) -> Vec<String> {
    let command = |line: &str| {
        let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("a command begins with $: {line}"));
        command.split(" #").next().unwrap().trim().to_owned()
    };
    block.lines().map(command).collect()
}

/// A command line of the page, in `folder`, with our programs on the path.
pub fn shell(folder: &Path, line: &str) -> Command {
    let programs = Path::new(program("coral-pipeline")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-ec", line]).current_dir(folder).env("PATH", path);
    command.env("CORAL_HOME", folder.join("home")).env_remove("CORAL_STORAGE_PATH").env_remove("CORAL_REEF");
    command
}

/// Runs it to its end; panics with all its output if it fails.
pub fn run(folder: &Path, line: &str) -> Output {
    let output = shell(folder, line).output().unwrap();
    assert!(
        output.status.success(),
        "{line}\nexit {:?}\n{}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A process of the page that runs until it is stopped. Ended when dropped.
pub struct Background {
    child: Child,
    /// Open as long as the process: one that cannot print may end.
    stdout: BufReader<ChildStdout>,
}

impl Background {
    pub fn start(folder: &Path, line: &str) -> Background {
        // the shell becomes the command: what is killed is the command itself
        let line = format!("exec {line}");
        let mut child = shell(folder, &line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Background { child, stdout }
    }

    /// Waits for its next line.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
