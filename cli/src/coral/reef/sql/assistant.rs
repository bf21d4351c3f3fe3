//! Assistant: what the line editor asks while a statement is typed: whether it is whole, and what a name may become.

use super::commands::Command;
use super::completion::completed;
use super::names::Names;
use super::statements::statements;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};
use std::rc::Rc;

/// Knows the names of a reef.
pub struct Assistant {
    /// The names.
    pub names: Rc<Names>,
}

impl Helper for Assistant {}

impl Highlighter for Assistant {}

impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let text = context.input();
        let is_whole = Command::of(text).is_some() || statements(text).is_complete;
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        Ok(completed(&self.names, line, pos))
    }
}
