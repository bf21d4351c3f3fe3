//! Place: the line of a statement that an error is about, with a mark below the character.

use crate::exit::Failure;

/// Most characters of the line that are shown.
const SHOWN_MAX: usize = 76;
/// At most so many of them are before the place.
const BEFORE_MAX: usize = 50;

/// The failure, with the place in the statement where its message names one.
pub fn pointed(failure: Failure, sql: &str) -> Failure {
    match named(&failure.message).and_then(|(line, column)| marked(sql, line, column)) {
        Some(lines) => failure.detail(lines),
        None => failure,
    }
}

/// Line and column of a message, from 1: `… at Line: 2, Column: 14`.
fn named(message: &str) -> Option<(usize, usize)> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, rest) = place.split_once(", Column: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((line.parse().ok()?, rest[..digits].parse().ok()?))
}

fn marked(sql: &str, line: usize, column: usize) -> Option<String> {
    let before = column.checked_sub(1)?;
    let text: Vec<char> = sql.lines().nth(line.checked_sub(1)?)?.chars().collect();
    if before > text.len() {
        return None;
    }
    let skipped = before.saturating_sub(BEFORE_MAX);
    let plain = |c: &char| if c.is_whitespace() { ' ' } else { *c };
    let shown: String = text.iter().skip(skipped).take(SHOWN_MAX).map(plain).collect();
    Some(format!("{}\n{}^", shown.trim_end(), " ".repeat(before - skipped)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn details(message: &str, sql: &str) -> Vec<String> {
        pointed(Failure::new(Exit::Usage, "invalid_argument", message), sql).details
    }

    #[test]
    fn a_mark_is_below_the_place() {
        let message = "ParserError(\"Expected: end of statement, found: x at Line: 2, Column: 9\")";
        assert_eq!(details(message, "SELECT *\nFORM\té x, y"), ["FORM é x, y\n        ^"]);
        let end = "Unterminated string literal at Line: 1, Column: 8";
        assert_eq!(details(end, "SELECT '"), ["SELECT '\n       ^"]);
        let sql = format!("SELECT {}FORM x {}", "a, ".repeat(40), "b".repeat(90));
        let shown = details("found: x at Line: 1, Column: 133", &sql);
        let (line, mark) = shown[0].split_once('\n').unwrap_or_default();
        assert_eq!((line.chars().count(), mark.len()), (SHOWN_MAX, BEFORE_MAX + 1));
        assert_eq!(line.chars().nth(BEFORE_MAX), Some('x'));
    }

    #[test]
    fn a_message_without_a_place_in_the_statement_stays_as_it_is() {
        for message in [
            "no field named x",
            "at Line: 7, Column: 1",
            "at Line: 1, Column: 99",
            "Line: a, Column: 1",
            "Line: 0, Column: 0",
        ] {
            assert_eq!(details(message, "SELECT x"), Vec::<String>::new(), "{message}");
        }
    }
}
