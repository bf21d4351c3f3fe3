//! A list of checks with their results: the output of `validate`.

use crate::output::Style;
use serde::Serialize;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Fine.
    Ok,
    /// Worth a look; a run may still work.
    Warning,
    /// A run would fail.
    Failed,
    /// Not checked.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The checked item.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// The result, and what to do.
    pub note: String,
}

impl Check {
    /// A check.
    pub fn new(name: impl Into<String>, outcome: Outcome, note: impl Into<String>) -> Check {
        Check { name: name.into(), outcome, note: note.into() }
    }
}

/// How many failed.
pub fn failed(checks: &[Check]) -> usize {
    checks.iter().filter(|check| check.outcome == Outcome::Failed).count()
}

/// The list as text; a symbol is never shown without its word.
pub fn page(checks: &[Check], style: Style) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let lines = checks.iter().map(|check| {
        let mark = match check.outcome {
            Outcome::Ok => style.green("✓ ok     "),
            Outcome::Warning => style.yellow("⚠ warning"),
            Outcome::Failed => style.red("✗ failed "),
            Outcome::Skipped => style.dim("- skipped"),
        };
        format!("{mark}  {:width$}  {}", check.name, check.note).trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_check_with_symbol_and_word() {
        let checks = [
            Check::new("configuration", Outcome::Ok, "1 source"),
            Check::new("files", Outcome::Failed, "\"a.csv\" matches no file"),
            Check::new("colony a", Outcome::Skipped, "--no-network"),
        ];
        assert_eq!(
            page(&checks, Style::PLAIN),
            "✓ ok       configuration  1 source\n\
             ✗ failed   files          \"a.csv\" matches no file\n\
             - skipped  colony a       --no-network"
        );
        assert_eq!(failed(&checks), 1);
    }
}
