//! Where text goes: results on stdout, messages and progress on stderr, errors on either; JSON and colours.

use crate::exit::{Exit, Failure};
use crate::harmless::{harmless, harmless_json};
use crate::local::localised;
use crate::screen;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Flags that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OutputArgs {
    /// Print the result (and any error) as JSON on stdout
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Form of the result: text or json
    #[arg(
        long,
        global = true,
        help_heading = "Output",
        value_enum,
        default_value = "text",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub format: Format,
    /// No colours, no moving progress (also: NO_COLOR)
    #[arg(long, global = true, help_heading = "Output")]
    pub no_color: bool,
    /// More messages on stderr; repeat for more
    #[arg(short, long, global = true, help_heading = "Output", action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print help
    // the short form, which fits a screen
    #[arg(short, long, global = true, help_heading = "Output", action = clap::ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// Form of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How a stream may be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Escape codes for colour are welcome.
    pub colour: bool,
}

impl Style {
    /// No escape codes.
    pub const PLAIN: Style = Style { colour: false };

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Headings.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Side remarks.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Something good.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something to look at.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Something wrong.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }
}

type Writer = Arc<Mutex<Box<dyn Write + Send>>>;

/// The two streams of a command and how to write to them.
#[derive(Clone)]
pub struct Output {
    json: bool,
    /// Each document is one line: there will be several.
    lines: Arc<AtomicBool>,
    stdout: Writer,
    stderr: Writer,
    stdout_style: Style,
    stderr_style: Style,
    animated: bool,
    /// Pages show times in the zone of this machine.
    is_local: bool,
    /// People see stdout as it is written.
    is_screen: bool,
    /// The streams are those of a process, whose user may wonder whether it works.
    is_attended: bool,
}

impl Output {
    /// The streams of this process.
    pub fn of_process(args: &OutputArgs) -> Output {
        let plain = args.no_color
            || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let stderr_terminal = io::stderr().is_terminal();
        Output {
            json: args.json || args.format == Format::Json,
            lines: Arc::default(),
            stdout: Arc::new(Mutex::new(Box::new(io::stdout()))),
            stderr: Arc::new(Mutex::new(Box::new(io::stderr()))),
            stdout_style: Style { colour: !plain && io::stdout().is_terminal() },
            stderr_style: Style { colour: !plain && stderr_terminal },
            animated: !plain && stderr_terminal,
            is_local: true,
            is_screen: io::stdout().is_terminal(),
            is_attended: true,
        }
    }

    /// In-memory streams, for tests.
    pub fn captured(json: bool) -> (Output, Captured) {
        let captured = Captured::default();
        let output = Output {
            json,
            lines: Arc::default(),
            stdout: Arc::new(Mutex::new(Box::new(captured.stdout.clone()))),
            stderr: Arc::new(Mutex::new(Box::new(captured.stderr.clone()))),
            stdout_style: Style::PLAIN,
            stderr_style: Style::PLAIN,
            animated: false,
            is_local: false,
            is_screen: false,
            is_attended: false,
        };
        (output, captured)
    }

    /// From now on each document is one line, including the last one and errors: the output is a stream.
    pub fn begin_lines(&self) {
        self.lines.store(true, Ordering::Relaxed);
    }

    /// A document in the form that is due.
    fn text_of(&self, value: &impl Serialize) -> Result<String, serde_json::Error> {
        match self.lines.load(Ordering::Relaxed) {
            true => serde_json::to_string(value),
            false => serde_json::to_string_pretty(value),
        }
    }

    /// Whether results are wanted as JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Style of results.
    pub fn style(&self) -> Style {
        self.stdout_style
    }

    /// Style of messages.
    pub fn message_style(&self) -> Style {
        self.stderr_style
    }

    /// Whether a user or a program waits for what is written.
    pub fn is_attended(&self) -> bool {
        self.is_attended
    }

    /// Whether stderr is a terminal on which lines may be redrawn.
    pub fn animated(&self) -> bool {
        self.animated
    }

    /// Writes the one result of a command: `value` with `--json`, otherwise the text that `page` makes.
    pub fn result(&self, value: &impl Serialize, page: impl FnOnce(Style) -> String) -> Result<(), Failure> {
        if !self.json {
            return self.write_stdout(&page(self.stdout_style));
        }
        let text = self.text_of(value).map_err(|error| Failure::from_error(Exit::Failed, "output", &error))?;
        self.write_stdout(&text)
    }

    /// Writes the result of a command that may still have failed. With `--json` there is one document: the result, or
    /// the failure with the result as its report.
    pub fn concluded(
        &self,
        value: &impl Serialize,
        page: impl FnOnce(Style) -> String,
        failure: Option<Failure>,
    ) -> Result<(), Failure> {
        let Some(failure) = failure else { return self.result(value, page) };
        if !self.json {
            self.write_stdout(&page(self.stdout_style))?;
            return Err(failure);
        }
        let report =
            serde_json::to_value(value).map_err(|error| Failure::from_error(Exit::Failed, "output", &error))?;
        Err(failure.report(report))
    }

    /// Writes data for programs exactly as it is; on a terminal nothing in it acts.
    pub fn data(&self, text: &str) -> Result<(), Failure> {
        let mut stream = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if self.is_screen { harmless(text, false) } else { text.into() };
        written(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()))
    }

    /// Writes one item of a stream of results: one line of NDJSON with `--json`, otherwise the text of `page`.
    pub fn item(&self, value: &impl Serialize, page: impl FnOnce(Style) -> String) -> Result<(), Failure> {
        if !self.json {
            return self.write_stdout(&page(self.stdout_style));
        }
        let text = serde_json::to_string(value).map_err(|error| Failure::from_error(Exit::Failed, "output", &error))?;
        self.write_stdout(&text)
    }

    /// Writes a message for people to stderr. A closed stderr is no reason to stop.
    pub fn message(&self, line: &str) {
        let mut stream = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let line = harmless(line.trim_end_matches('\n'), self.stderr_style.colour);
        let _ = screen::between_frames(|| writeln!(stream, "{line}"));
    }

    /// Writes an error: JSON on stdout with `--json`, otherwise text on stderr.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let document = serde_json::json!({ "error": failure });
            // nothing is left to try when stdout does not take the error either
            let _ = self.text_of(&document).map(|text| self.write_stdout(&text));
        } else {
            self.message(&failure_page(failure, self.stderr_style));
        }
    }

    fn write_stdout(&self, text: &str) -> Result<(), Failure> {
        let mut stream = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.trim_end_matches('\n');
        let localised = (self.is_local && !self.json).then(|| localised(text));
        let text = localised.as_deref().unwrap_or(text);
        let text = if self.json { harmless_json(text) } else { harmless(text, self.stdout_style.colour) };
        written(writeln!(stream, "{text}").and_then(|()| stream.flush()))
    }
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        // the reader (head, less) has seen enough
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Exit::Failed, "output", "cannot write to stdout").caused_by(Some(&error))),
        Ok(()) => Ok(()),
    }
}

/// An error as people read it: what, why, what to do, where to read on.
pub fn failure_page(failure: &Failure, style: Style) -> String {
    let mut lines = vec![format!("{} {}", style.red("error:"), failure.message)];
    lines.extend(failure.details.iter().map(|detail| format!("  {}", detail.replace('\n', "\n  "))));
    if let Some(hint) = &failure.hint {
        lines.push(format!("{} {hint}", style.yellow("hint:")));
    }
    if let Some(docs) = &failure.docs {
        lines.push(style.dim(&format!("more: {docs}")));
    }
    lines.join("\n")
}

/// What a command wrote, for tests.
#[derive(Clone, Default)]
pub struct Captured {
    stdout: Buffer,
    stderr: Buffer,
}

impl Captured {
    /// Text of stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Text of stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Failure {
        Failure::new(Exit::NotFound, "file_missing", "reef.toml does not exist")
            .detail("No such file or directory")
            .hint("start from config/reef.toml")
            .docs("coral-pipeline help config")
    }

    #[test]
    fn errors_for_people_go_to_stderr_with_cause_and_hint() {
        let (output, captured) = Output::captured(false);
        output.failure(&failure());
        assert_eq!(captured.stdout(), "");
        assert_eq!(
            captured.stderr(),
            "error: reef.toml does not exist\n  No such file or directory\nhint: start from config/reef.toml\n\
             more: coral-pipeline help config\n"
        );
    }

    #[test]
    fn errors_for_programs_go_to_stdout_as_one_document() {
        let (output, captured) = Output::captured(true);
        output.failure(&failure());
        assert_eq!(captured.stderr(), "");
        let document: serde_json::Value = serde_json::from_str(&captured.stdout()).unwrap_or_default();
        assert_eq!(document["error"]["code"], "file_missing");
        assert_eq!(document["error"]["hint"], "start from config/reef.toml");
    }

    #[test]
    fn a_result_that_falls_short_is_shown_and_fails() {
        let (output, captured) = Output::captured(false);
        assert_eq!(output.concluded(&1, |_| "page".to_owned(), Some(failure())), Err(failure()));
        assert_eq!(captured.stdout(), "page\n");
        let (output, captured) = Output::captured(true);
        let concluded = output.concluded(&1, |_| "page".to_owned(), Some(failure()));
        assert_eq!((captured.stdout().as_str(), concluded), ("", Err(failure().report(serde_json::json!(1)))));
        assert_eq!(output.concluded(&1, |_| "page".to_owned(), None), Ok(()));
        assert_eq!(captured.stdout(), "1\n");
    }

    #[test]
    fn only_a_colour_style_writes_escape_codes() {
        assert!(!failure_page(&failure(), Style::PLAIN).contains('\x1b'));
        assert!(failure_page(&failure(), Style { colour: true }).contains("\x1b[31merror:\x1b[0m"));
    }

    #[test]
    fn items_are_one_line_each() {
        let (output, captured) = Output::captured(true);
        for n in [1, 2] {
            assert!(output.item(&serde_json::json!({ "n": n }), |_| String::new()).is_ok());
        }
        assert_eq!(captured.stdout(), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn in_a_stream_the_last_document_and_an_error_are_lines_too() {
        let (output, captured) = Output::captured(true);
        output.begin_lines();
        assert!(output.result(&serde_json::json!({ "summary": { "n": 1 } }), |_| String::new()).is_ok());
        output.clone().failure(&failure());
        let lines: Vec<serde_json::Value> =
            captured.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["summary"]["n"], &lines[1]["error"]["code"]), (&1.into(), &"file_missing".into()));
    }
}
