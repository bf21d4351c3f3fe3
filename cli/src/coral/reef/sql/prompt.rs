//! Prompt: statements typed at a terminal, answered one after the other until the user leaves.

use super::assistant::Assistant;
use super::commands::{Command, HELP};
use super::history::{ENTRIES_MAX, History};
use super::names::{NAMES_MAX, NAMES_SQL, Names, written_path};
use super::place::pointed;
use super::statements::statements;
use super::{SqlArgs, question, rows, show};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::pipeline::ask::caller;
use crate::pipeline::ask::question::Question;
use crate::text::table;
use colony::config::Places;
use pipelines::config::ReefConfig;
use reef::sql::SqlQuestion;
use rustyline::Editor;
use rustyline::config::{ColorMode, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use serde_json::Value;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

const PROMPT: &str = "sql> ";

/// Answers what is typed, until the user leaves.
pub fn run(args: &SqlArgs, output: &Output) -> Result<(), Failure> {
    check(args, output)?;
    Session::open(args, output)?.serve()
}

/// Refuses where there is no terminal to type at.
fn check(args: &SqlArgs, output: &Output) -> Result<(), Failure> {
    let is_terminal = || std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let why = if args.no_input {
        "--no-input forbids to ask for it"
    } else if args.out.is_some() {
        "--out is for the rows of one"
    } else if output.json() || !is_terminal() {
        "there is no terminal to type it at"
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Usage, "statement_missing", format!("the statement is missing, and {why}"))
        .hint("give it: coral reef sql \"SELECT …\", or -f FILE; -f - reads standard input"))
}

/// How lines are edited.
pub fn editor_config(colour: bool) -> Result<Config, ReadlineError> {
    let builder = Config::builder().max_history_size(ENTRIES_MAX)?.history_ignore_dups(true)?;
    let colours = if colour { ColorMode::Enabled } else { ColorMode::Disabled };
    Ok(builder.history_ignore_space(true).completion_type(CompletionType::List).color_mode(colours).build())
}

fn terminal_failed(error: &ReadlineError) -> Failure {
    Failure::new(Exit::Failed, "terminal_failed", "cannot read from the terminal").caused_by(Some(error))
}

/// The prompt of one reef.
struct Session<'a> {
    args: &'a SqlArgs,
    output: &'a Output,
    reef: (ReefConfig, PathBuf),
    runtime: Runtime,
    /// Ctrl-C while a statement runs. Its handler stays, so that no Ctrl-C ends the process.
    interrupts: Signal,
    names: Rc<Names>,
    editor: Editor<Assistant, FileHistory>,
    /// Gone when its file cannot be used.
    history: Option<History>,
    is_timed: bool,
}

impl<'a> Session<'a> {
    fn open(args: &'a SqlArgs, output: &'a Output) -> Result<Session<'a>, Failure> {
        // a wrong flag is reported now, and not with each statement
        question(args, String::new())?;
        let reef = args.ask.reef.load()?;
        let places = Places::of_process().map_err(|error| crate::coral::colony::failure::config(&error))?;
        let runtime = runtime()?;
        let interrupts = {
            let _within = runtime.enter();
            signal(SignalKind::interrupt()).map_err(|error| {
                Failure::new(Exit::Failed, "signals", "cannot install signal handlers").caused_by(Some(&error))
            })?
        };
        let editor = editor_config(output.style().colour).and_then(Editor::with_config);
        let editor = editor.map_err(|error| terminal_failed(&error))?;
        let (names, history) = (Rc::default(), Some(History::of(&places)));
        let mut session = Session { args, output, reef, runtime, interrupts, names, editor, history, is_timed: false };
        session.learn_names()?;
        session.with_history(|history, editor| history.load(editor));
        Ok(session)
    }

    /// Reads which tables there are; also the proof that the reef, or its store, can be asked.
    fn learn_names(&mut self) -> Result<(), Failure> {
        let about = SqlQuestion { sql: NAMES_SQL.to_owned(), limit: Some(NAMES_MAX), timeout_ms: None };
        let found = rows(&self.ask(about)?)?;
        self.names = Rc::new(Names::of(&found.json_rows()));
        self.editor.set_helper(Some(Assistant { names: Rc::clone(&self.names) }));
        Ok(())
    }

    fn serve(mut self) -> Result<(), Failure> {
        let greeting = "A statement ends with ; and may have several lines. \\? lists commands, Ctrl-D leaves.";
        self.output.message(&format!("Reef {}. {greeting}", self.reef.0.reef_id));
        loop {
            self.forget_interrupts();
            match self.editor.readline(PROMPT) {
                Ok(text) => {
                    self.with_history(|history, editor| history.keep(editor, text.trim_end()));
                    if !self.take(&text) {
                        return Ok(());
                    }
                }
                // what was typed is gone
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(terminal_failed(&error)),
            }
        }
    }

    /// Does what was typed; `false` to leave.
    fn take(&mut self, text: &str) -> bool {
        match Command::of(text) {
            Some(Command::Quit) => return false,
            Some(command) => self.obey(command),
            None => {
                for sql in statements(text).whole {
                    if !self.answer(sql) {
                        break;
                    }
                }
            }
        }
        true
    }

    /// Answers a statement; `false` if it was cancelled.
    fn answer(&mut self, sql: &str) -> bool {
        let since = Instant::now();
        let answered = question(self.args, sql.to_owned()).and_then(|about| self.ask(about));
        let took = since.elapsed();
        match answered {
            Ok(document) => {
                if let Err(failure) = show(self.args, &document, self.output) {
                    self.output.failure(&failure);
                }
            }
            Err(failure) if failure.exit == Exit::Interrupted => {
                // the terminal has shown ^C on this line
                self.output.message("\nCancelled");
                return false;
            }
            Err(failure) => self.output.failure(&pointed(failure, sql)),
        }
        if self.is_timed {
            self.output.message(&format!("{:.3} s", took.as_secs_f64()));
        }
        true
    }

    /// Asks the reef until Ctrl-C, which drops the question, and with it its connection or its reads of the store.
    fn ask(&mut self, about: SqlQuestion) -> Result<Value, Failure> {
        let question = Question::Sql { about };
        let reef = (&self.reef.0, self.reef.1.as_path());
        let interrupts = &mut self.interrupts;
        self.runtime.block_on(async {
            tokio::select! {
                answered = caller::answer(&question, reef) => answered.map(|(document, _)| document),
                _ = interrupts.recv() => Err(Failure::new(Exit::Interrupted, "interrupted", "cancelled")),
            }
        })
    }

    /// A Ctrl-C that came after the end of a statement is not for the next one.
    fn forget_interrupts(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(())) = self.interrupts.poll_recv(&mut context) {}
    }

    fn obey(&mut self, command: Command<'_>) {
        let names = Rc::clone(&self.names);
        match command {
            Command::Tables => self.print(|_| {
                let tables: Vec<String> = names.tables().iter().map(|table| written_path(&table.path)).collect();
                tables.join("\n")
            }),
            Command::Table(text) => match names.written_so(text) {
                Some(found) => self.print(|style| {
                    let cells = |(name, kind): &(String, String)| vec![name.clone(), kind.clone()];
                    table(&["column", "type"], &found.columns.iter().map(cells).collect::<Vec<_>>(), style)
                }),
                None => self.output.message(&format!("There is no table {text}. \\d lists the tables.")),
            },
            Command::Timing => {
                self.is_timed = !self.is_timed;
                self.output.message(if self.is_timed { "Timing is on." } else { "Timing is off." });
            }
            Command::Help => self.print(|_| HELP.to_owned()),
            Command::Unknown(line) => self.output.message(&format!("There is no command {line}. \\? lists them.")),
            Command::Quit => {}
        }
    }

    fn print(&self, page: impl FnOnce(Style) -> String) {
        if let Err(failure) = self.output.result(&Value::Null, page) {
            self.output.failure(&failure);
        }
    }

    /// Does something with the history; one that fails is reported once and is not used any more.
    fn with_history(
        &mut self,
        work: impl FnOnce(&History, &mut Editor<Assistant, FileHistory>) -> Result<(), ReadlineError>,
    ) {
        let Some(history) = &self.history else { return };
        if let Err(error) = work(history, &mut self.editor) {
            self.output.message(&format!("Nothing is kept in the history: {error}"));
            self.history = None;
        }
    }
}
