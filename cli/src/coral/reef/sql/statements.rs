//! Statements: those of a text, each up to its semicolon.

use super::lexer::{Kind, parts};

/// The statements of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Statements<'a> {
    /// Each without its semicolon.
    pub whole: Vec<&'a str>,
    /// Nothing but blanks and comments follows the last semicolon.
    pub is_complete: bool,
}

/// Splits a text.
pub fn statements(text: &str) -> Statements<'_> {
    let parts = parts(text);
    let (mut whole, mut begin, mut is_empty) = (Vec::new(), 0, true);
    for part in &parts {
        if part.kind == Kind::Mark && part.text == ";" {
            if !is_empty {
                whole.push(text[begin..part.at].trim());
            }
            (begin, is_empty) = (part.at + 1, true);
        } else if !part.is_silent() {
            is_empty = false;
        }
    }
    Statements { whole, is_complete: is_empty && !parts.last().is_some_and(|last| last.is_open) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Vec<&str> {
        let found = statements(text);
        assert!(found.is_complete, "{text}");
        found.whole
    }

    #[test]
    fn a_statement_ends_with_a_semicolon_that_is_no_part_of_anything_else() {
        assert_eq!(whole("SELECT 1;"), ["SELECT 1"]);
        assert_eq!(whole("SELECT 1;\nSELECT ';' ; -- done;"), ["SELECT 1", "SELECT ';'"]);
        assert_eq!(
            whole("SELECT \"a;b\", 'it''s;', $$;$$ /* ; /* ; */ */;"),
            ["SELECT \"a;b\", 'it''s;', $$;$$ /* ; /* ; */ */"]
        );
        assert_eq!(whole("SELECT -- one;\n  1;"), ["SELECT -- one;\n  1"]);
    }

    #[test]
    fn blanks_and_comments_are_no_statement() {
        for text in ["", "  \n", ";;", "-- only this", "/* ; */ ;"] {
            assert_eq!(whole(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn a_statement_is_incomplete_until_its_semicolon() {
        for text in ["SELECT 1", "SELECT 1; SELECT 2", "SELECT ';", "SELECT \";", "SELECT 1 -- ;", "/* ;", "SELECT $$;"]
        {
            assert!(!statements(text).is_complete, "{text}");
        }
        assert_eq!(statements("SELECT 1; SELECT 2").whole, ["SELECT 1"]);
    }
}
