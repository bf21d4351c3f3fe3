//! Commands of the prompt: lines that are no SQL.

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Which tables there are.
    Tables,
    /// The columns of a table.
    Table(&'a str),
    /// Say how long each statement takes, or no longer.
    Timing,
    /// Which commands there are.
    Help,
    /// Leave.
    Quit,
    /// No command.
    Unknown(&'a str),
}

/// What the commands do, for people.
pub const HELP: &str = "\
SELECT …;     one statement; it may have several lines and ends with ;
\\d            tables
\\d TABLE      columns of a table
\\timing       say how long each statement takes, or no longer
\\?            this list
\\q, Ctrl-D    leave
Tab completes keywords, tables and columns. Ctrl-C clears the line, or cancels the statement that runs.
A line that begins with a blank is not kept in the history.";

impl Command<'_> {
    /// The command of a line, if it is none of SQL.
    pub fn of(line: &str) -> Option<Command<'_>> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let Some(command) = line.strip_prefix('\\') else {
            return match line.to_ascii_lowercase().as_str() {
                "quit" | "exit" => Some(Command::Quit),
                "help" => Some(Command::Help),
                _ => None,
            };
        };
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        Some(match (name, rest.trim()) {
            ("d", "") => Command::Tables,
            ("d", table) => Command::Table(table),
            ("timing", "") => Command::Timing,
            ("?", "") => Command::Help,
            ("q", "") => Command::Quit,
            _ => Command::Unknown(line),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_with_and_without_a_semicolon() {
        for (line, command) in [
            ("\\d", Command::Tables),
            (" \\d  colony.\"a-b\".metrics ; ", Command::Table("colony.\"a-b\".metrics")),
            ("\\timing", Command::Timing),
            ("\\?", Command::Help),
            ("\\q", Command::Quit),
            ("exit;", Command::Quit),
            ("HELP", Command::Help),
            ("\\dt", Command::Unknown("\\dt")),
            ("\\q now", Command::Unknown("\\q now")),
        ] {
            assert_eq!(Command::of(line), Some(command), "{line}");
        }
        for line in ["SELECT 1;", "", "exits", "SELECT '\\d'"] {
            assert_eq!(Command::of(line), None, "{line}");
        }
    }
}
