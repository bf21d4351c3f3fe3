//! `coral reef sql`: one SELECT over the reef's tables, its rows in the form that is wanted; or several at a prompt.
//!
//! | file | owns |
//! |---|---|
//! | `prompt` | statements typed at a terminal, answered one after the other |
//! | `commands` | lines of the prompt that are no SQL |
//! | `assistant` | what the line editor asks while a statement is typed |
//! | `history` | what was typed before, in a private file |
//! | `completion` | what the name before the cursor may become |
//! | `names` | the tables of a reef with their columns |
//! | `statements` | the statements of a text |
//! | `lexer` | the parts of a text in SQL |
//! | `place` | the line of a statement that an error is about |
//! | `out` | a file that gets the rows, complete or not at all |

mod assistant;
mod commands;
mod completion;
mod history;
mod lexer;
mod names;
mod out;
mod place;
mod prompt;
mod statements;

use super::ask::{AskArgs, incomplete_as_required};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::ask::caller;
use crate::pipeline::ask::question::Question;
use crate::waiting::Waiting;
use model::time::parse_duration_ms;
use reef::sql::{SqlError, SqlQuestion, Table};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Arguments of `sql`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef sql \"SELECT environment, count(*) FROM federated_events GROUP BY 1\"",
    after_help = "One SELECT, or EXPLAIN of one; nothing is changed. A running reef answers; a stopped reef's store is \
                  read, and a store in ClickHouse always. Without a statement a terminal gets a prompt. Tables and \
                  columns: SELECT * FROM information_schema.columns. Details: docs/sql.md"
)]
pub struct SqlArgs {
    /// The statement [default: a prompt, on a terminal]
    #[arg(conflicts_with = "file")]
    statement: Option<String>,
    /// Read the statement from a file; - for standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Most rows [default: 1000]
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
    /// How long it may take: 5s, 30s [default: 30s]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Form of the rows
    #[arg(long = "as", value_name = "FORM", value_enum, default_value = "table")]
    form: Form,
    /// Write the rows to this file
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Fail instead of asking for the statement
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    ask: AskArgs,
}

/// Form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Aligned columns
    Table,
    /// Comma-separated values with a line of names
    Csv,
    /// One JSON object per line
    Ndjson,
    /// A Parquet file; needs --out
    Parquet,
}

/// Asks, and prints or writes the rows; without a statement, until the user leaves the prompt.
pub fn run(args: &SqlArgs, output: &Output) -> Result<(), Failure> {
    if args.form == Form::Parquet && args.out.is_none() {
        let message = "a Parquet file is not printed";
        return Err(Failure::new(Exit::Usage, "out_missing", message).hint("name a file: --out rows.parquet"));
    }
    let sql = match (&args.statement, &args.file) {
        (Some(statement), _) => statement.clone(),
        (None, Some(file)) => read(file)?,
        (None, None) => return prompt::run(args, output),
    };
    let question = Question::Sql { about: question(args, sql.clone())? };
    let (config, path) = args.ask.reef.load()?;
    let waiting = Waiting::start("waiting for the answer", None, output);
    // a signal ends this process, and with its connection the statement
    let answered = runtime()?.block_on(caller::answer(&question, (&config, &path)));
    drop(waiting);
    let (document, _) = answered.map_err(|failure| place::pointed(failure, &sql))?;
    show(args, &document, output)
}

fn question(args: &SqlArgs, sql: String) -> Result<SqlQuestion, Failure> {
    let timeout_ms = args.timeout.as_ref().map(|text| {
        parse_duration_ms(text).ok().and_then(|ms| u64::try_from(ms).ok()).ok_or_else(|| {
            Failure::new(Exit::Usage, "duration_invalid", format!("--timeout {text:?} is not a duration"))
                .hint("write for example 5s or 30s")
        })
    });
    Ok(SqlQuestion { sql, limit: args.limit, timeout_ms: timeout_ms.transpose()? })
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file == Path::new("-") {
        true => io::stdin().read_to_string(&mut text),
        false => File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    let failed = |error: io::Error| {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, "statement_unreadable", format!("cannot read the statement from {}", file.display()))
            .caused_by(Some(&error))
    };
    read.map(|_| text).map_err(failed)
}

/// The rows of an answer.
fn rows(document: &Value) -> Result<Table, Failure> {
    reef::rpc::sql_table(document).map_err(|error| Failure::from_error(Exit::Failed, "not_answered", &error))
}

/// Prints an answer: what is to be known about it, its rows, how many.
fn show(args: &SqlArgs, document: &Value, output: &Output) -> Result<(), Failure> {
    let table = rows(document)?;
    for note in document["notes"].as_array().into_iter().flatten() {
        output.message(&format!("Note: {}", note["message"].as_str().unwrap_or_default()));
    }
    let incomplete = incomplete_as_required(document, &args.ask).or_else(|| noted(document, args));
    if let Some(path) = &args.out {
        let text = text(args.form, &table)?;
        let written = out::write(path, |file| match &text {
            Some(text) => file.write_all(text.as_bytes()),
            None => table.write_parquet(file),
        });
        written.map_err(|error| {
            Failure::new(Exit::Failed, "not_written", format!("cannot write {}", path.display()))
                .caused_by(Some(&error))
        })?;
        let value = json!({ "path": path.display().to_string(), "row_count": table.len(), "notes": document["notes"] });
        return output.concluded(&value, |_| format!("Wrote {} rows to {}", table.len(), path.display()), incomplete);
    }
    if output.json() {
        let mut whole = document.clone();
        whole["rows"] = json!(table.json_rows());
        whole["arrow"] = json!("");
        return output.concluded(&whole, |_| String::new(), incomplete);
    }
    match args.form {
        Form::Table => {
            output.result(&Value::Null, |_| table.page())?;
            output.message(&match table.len() {
                1 => "1 row".to_owned(),
                rows => format!("{rows} rows"),
            });
        }
        form => text(form, &table)?.map_or(Ok(()), |text| output.data(&text))?,
    }
    incomplete.map_or(Ok(()), Err)
}

/// The rows in a form that is text.
fn text(form: Form, table: &Table) -> Result<Option<String>, Failure> {
    let refused = |error: SqlError| Failure::new(Exit::Usage, "invalid_argument", error.to_string()).hint(error.hint());
    Ok(match form {
        Form::Table => Some(table.page() + "\n"),
        Form::Csv => Some(table.csv()),
        Form::Ndjson => Some(table.ndjson().map_err(refused)?),
        Form::Parquet => None,
    })
}

/// The failure of an answer that lacks something, where it is required to be complete.
fn noted(document: &Value, args: &SqlArgs) -> Option<Failure> {
    let notes: Vec<&Value> = document["notes"].as_array()?.iter().collect();
    if notes.is_empty() || !args.ask.requires_complete() {
        return None;
    }
    let mut failure = Failure::new(Exit::Incomplete, "incomplete", "the rows are not all there are");
    for note in notes {
        failure = failure.detail(note["message"].as_str().unwrap_or_default());
    }
    Some(
        failure
            .hint("raise --limit or narrow the statement; without --require-complete the rows are printed as they are"),
    )
}
