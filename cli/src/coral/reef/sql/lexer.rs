//! Lexer: the parts of a text in SQL, cut where the engine's parser cuts it; also of a text that is still being typed.

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name, a keyword or a number.
    Word,
    /// A name in double quotes or backquotes.
    Quoted,
    /// A text in single quotes or between dollars.
    Text,
    /// A comment.
    Comment,
    /// Blanks.
    Blank,
    /// One other character.
    Mark,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it is.
    pub kind: Kind,
    /// As written, with its quotes.
    pub text: &'a str,
    /// Its first byte in the whole text.
    pub at: usize,
    /// The whole text ends before its closing quote.
    pub is_open: bool,
}

impl Part<'_> {
    /// The name that it is, as the engine compares it: without quotes, and in small letters where it has none.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_ascii_lowercase()),
            Kind::Quoted => {
                let quote = &self.text[..1];
                let inner = &self.text[1..];
                let inner = if self.is_open { inner } else { inner.strip_suffix(quote).unwrap_or(inner) };
                Some(inner.replace(&quote.repeat(2), quote))
            }
            _ => None,
        }
    }

    /// Whether it is this word, in whatever letters.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether the parser skips it.
    pub fn is_silent(&self) -> bool {
        matches!(self.kind, Kind::Blank | Kind::Comment)
    }
}

/// The parts of a text, without a gap.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        // E'…' has escapes
        let escapes = parts.last().is_some_and(|last| last.is_word("e"));
        let (kind, length, is_open) = first(rest, c, escapes);
        parts.push(Part { kind, text: &rest[..length], at, is_open });
        at += length;
    }
    parts
}

/// The first part of a text that begins with `c`: what it is, its bytes, whether its end is missing.
fn first(rest: &str, c: char, escapes: bool) -> (Kind, usize, bool) {
    let while_so = |is_so: fn(char) -> bool| rest.find(|c: char| !is_so(c)).unwrap_or(rest.len());
    match c {
        '\'' => quoted(Kind::Text, rest, c, escapes),
        '"' | '`' => quoted(Kind::Quoted, rest, c, false),
        '-' if rest.starts_with("--") => (Kind::Comment, while_so(|c| c != '\n'), false),
        '/' if rest.starts_with("/*") => block_comment(rest),
        '$' => dollars(rest),
        c if c.is_whitespace() => (Kind::Blank, while_so(char::is_whitespace), false),
        c if is_of_word(c) => (Kind::Word, while_so(is_of_word), false),
        c => (Kind::Mark, c.len_utf8(), false),
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '#' | '@')
}

/// A quoted part. The quote twice is one character of it; with `escapes`, so is what follows a backslash.
fn quoted(kind: Kind, rest: &str, quote: char, escapes: bool) -> (Kind, usize, bool) {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return (kind, at + quote.len_utf8(), false);
        }
    }
    (kind, rest.len(), true)
}

/// A comment that may hold others.
fn block_comment(rest: &str) -> (Kind, usize, bool) {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(c) = rest[at..].chars().next() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth.saturating_sub(1), at + 2);
            if depth == 0 {
                return (Kind::Comment, at, false);
            }
        } else {
            at += c.len_utf8();
        }
    }
    (Kind::Comment, rest.len(), true)
}

/// `$$…$$` or `$tag$…$tag$`; anything else with a dollar is a mark.
fn dollars(rest: &str) -> (Kind, usize, bool) {
    let tag = rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map(|at| at + 1);
    let Some(tag) = tag.filter(|at| rest[*at..].starts_with('$')) else { return (Kind::Mark, 1, false) };
    let (mark, body) = rest.split_at(tag + 1);
    match body.find(mark) {
        Some(at) => (Kind::Text, mark.len() + at + mark.len(), false),
        None => (Kind::Text, rest.len(), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        parts(text).iter().filter(|part| part.kind != Kind::Blank).map(|part| (part.kind, part.text)).collect()
    }

    #[test]
    fn a_text_is_cut_without_a_gap() {
        let statement = "SELECT a.b, 'it''s', \"x\"\"y\" FROM t -- é\n;";
        for text in [statement, "", "  ", "/* /* */ é", "$é$ 'é", "a$b$c \\d x", "É§"] {
            let joined: String = parts(text).iter().map(|part| part.text).collect();
            assert_eq!(joined, text);
            let mut at = 0;
            for part in parts(text) {
                assert_eq!((part.at, part.text.is_empty()), (at, false), "{text}");
                at += part.text.len();
            }
        }
    }

    #[test]
    fn quotes_comments_and_dollars_are_parts() {
        assert_eq!(
            kinds("m.p95 > 'a;''b' -- c;'\n/* d /* ; */ ' */ $$e;'$$ $x$f$$;$x$ $1"),
            [
                (Kind::Word, "m"),
                (Kind::Mark, "."),
                (Kind::Word, "p95"),
                (Kind::Mark, ">"),
                (Kind::Text, "'a;''b'"),
                (Kind::Comment, "-- c;'"),
                (Kind::Comment, "/* d /* ; */ ' */"),
                (Kind::Text, "$$e;'$$"),
                (Kind::Text, "$x$f$$;$x$"),
                (Kind::Mark, "$"),
                (Kind::Word, "1"),
            ]
        );
        assert_eq!(
            kinds(r"E'it\'s;' e'\\' 'a\'"),
            [
                (Kind::Word, "E"),
                (Kind::Text, r"'it\'s;'"),
                (Kind::Word, "e"),
                (Kind::Text, r"'\\'"),
                (Kind::Text, r"'a\'"),
            ]
        );
    }

    #[test]
    fn what_is_not_closed_is_open() {
        for text in ["'a", "'a''", "\"a", "`a", "/* a", "/* /* */", "$$a$", "$x$a$$", "E'a\\'"] {
            assert!(parts(text).last().is_some_and(|last| last.is_open), "{text}");
        }
        for text in ["'a'", "'a'''", "\"a\"", "/* a */", "-- a", "$$a$$", "$x", "E'a\\\\'"] {
            assert!(parts(text).last().is_some_and(|last| !last.is_open), "{text}");
        }
    }

    #[test]
    fn a_name_has_no_quotes() {
        let name = |text: &str| parts(text)[0].name();
        assert_eq!(name("P95").as_deref(), Some("p95"));
        assert_eq!(name("\"My \"\"Shop\"\"\"").as_deref(), Some("My \"Shop\""));
        assert_eq!(name("\"my-sh").as_deref(), Some("my-sh"), "still being typed");
        assert_eq!((name("'a'"), name(",")), (None, None));
    }
}
