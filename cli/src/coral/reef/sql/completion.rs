//! Completion: what the name before the cursor may become.

use super::lexer::{Kind, Part, parts};
use super::names::{KEYWORDS, NamedTable, Names, is_keyword, written, written_path};
use std::collections::BTreeSet;

/// Most that is offered.
const OFFERED_MAX: usize = 1_000;
/// What a statement begins with.
const BEGINNINGS: [&str; 3] = ["EXPLAIN", "SELECT", "WITH"];
/// Words that begin a part of a statement; a comma belongs to the nearest one before it.
const CLAUSES: [&str; 10] = ["select", "from", "join", "on", "using", "where", "by", "having", "limit", "values"];

/// Where what is replaced begins, and what it may become.
pub fn completed(names: &Names, text: &str, cursor: usize) -> (usize, Vec<String>) {
    let Some(place) = Place::of(text, cursor) else { return (cursor, Vec::new()) };
    let (begin, mut offered) = match place.is_of_table() {
        true => (place.begin, tables(names, &place.path)),
        false => (place.last, place.words(names)),
    };
    offered.truncate(OFFERED_MAX);
    (begin, offered)
}

/// The name at the cursor, and the statement around it.
struct Place<'a> {
    /// Parts of the statement before the name, without blanks and comments.
    before: Vec<Part<'a>>,
    /// All parts of the statement, also without them.
    statement: Vec<Part<'a>>,
    /// The parts of the name; the last one as far as it has been typed.
    path: Vec<String>,
    /// The last one as it has been typed.
    typed: &'a str,
    /// Where the name begins, and where its last part does.
    begin: usize,
    last: usize,
}

impl<'a> Place<'a> {
    /// `None` within a text or a comment, and after a name that has been closed.
    fn of(text: &'a str, cursor: usize) -> Option<Place<'a>> {
        let all = parts(text.get(..cursor)?);
        let (mut path, mut index) = (vec![String::new()], all.len());
        match all.last() {
            Some(part) if matches!(part.kind, Kind::Text | Kind::Comment) => return None,
            Some(part) if part.kind == Kind::Quoted && !part.is_open => return None,
            Some(part) => {
                if let Some(name) = part.name() {
                    (path, index) = (vec![name], index - 1);
                }
            }
            None => {}
        }
        let last = all.get(index).map_or(cursor, |part| part.at);
        while let Some(before) = index.checked_sub(2)
            && all[before + 1].text == "."
            && let Some(name) = all[before].name()
        {
            path.insert(0, name);
            index = before;
        }
        let begin = all.get(index).map_or(cursor, |part| part.at);
        let is_end = |part: &Part<'_>| part.kind == Kind::Mark && part.text == ";";
        let is_said = |part: &Part<'_>| !part.is_silent();
        let from = all[..index].iter().rposition(is_end).map_or(0, |at| at + 1);
        let before = all[from..index].iter().filter(|part| is_said(part)).copied().collect();
        // the rest by itself: a quote that is still open at the cursor would take all of it
        let rest = parts(&text[cursor..]).into_iter().take_while(|part| !is_end(part));
        let statement = all[from..].iter().copied().chain(rest).filter(is_said).collect();
        Some(Place { before, statement, path, typed: &text[last..cursor], begin, last })
    }

    /// Whether a table is named here: after FROM and JOIN, and by the command that describes one.
    fn is_of_table(&self) -> bool {
        let is_from = |part: &Part<'_>| part.is_word("from") || part.is_word("join");
        match self.before.as_slice() {
            [backslash, command] if backslash.text == "\\" && command.text == "d" => true,
            [.., last] if is_from(last) => true,
            [before @ .., comma] if comma.text == "," => {
                let mut depth = 0_usize;
                for part in before.iter().rev() {
                    match part.text {
                        ")" => depth += 1,
                        "(" if depth == 0 => return false,
                        "(" => depth -= 1,
                        _ if depth == 0 && CLAUSES.iter().any(|clause| part.is_word(clause)) => return is_from(part),
                        _ => {}
                    }
                }
                false
            }
            _ => false,
        }
    }

    /// Columns of the tables that the statement names, what these are called there, and keywords.
    fn words(&self, names: &Names) -> Vec<String> {
        let named = named(names, &self.statement);
        let Some((prefix, qualifier)) = self.path.split_last() else { return Vec::new() };
        let mut found = BTreeSet::new();
        for (table, alias) in &named {
            let called = alias.as_ref().or(table.path.last());
            let is_meant = match qualifier {
                [] => true,
                [one] => Some(one) == called,
                several => several == table.path,
            };
            let columns = table.columns.iter().filter(|(column, _)| is_meant && begins(column, prefix));
            found.extend(columns.map(|(column, _)| written(column)));
            if qualifier.is_empty() {
                found.extend(alias.as_ref().filter(|alias| begins(alias, prefix)).map(|alias| written(alias)));
            }
        }
        // at a blank only the columns, where there are any
        if qualifier.is_empty() && !self.typed.starts_with(['"', '`']) && (!prefix.is_empty() || found.is_empty()) {
            let keywords = if self.before.is_empty() { &BEGINNINGS[..] } else { &KEYWORDS[..] };
            let is_small = self.typed.contains(char::is_lowercase);
            let fitting = keywords.iter().filter(|keyword| begins(keyword, prefix));
            found.extend(fitting.map(|it| if is_small { it.to_lowercase() } else { (*it).to_owned() }));
        }
        found.into_iter().collect()
    }
}

/// Names of tables as far as the name has been typed; one with further parts ends with a period.
fn tables(names: &Names, path: &[String]) -> Vec<String> {
    let Some((prefix, before)) = path.split_last() else { return Vec::new() };
    let mut found = BTreeSet::new();
    for table in names.paths() {
        let is_so = table.get(before.len()).is_some_and(|part| begins(part, prefix))
            && before.iter().zip(&table).all(|(typed, part)| typed == part);
        if is_so {
            let end = if table.len() > path.len() { "." } else { "" };
            found.insert(written_path(&table[..path.len()]) + end);
        }
    }
    found.into_iter().collect()
}

/// The tables that a statement names, each with its other name there.
fn named<'n>(names: &'n Names, statement: &[Part<'_>]) -> Vec<(&'n NamedTable, Option<String>)> {
    let (mut found, mut index) = (Vec::new(), 0);
    while let Some(part) = statement.get(index) {
        index += 1;
        let Some(name) = part.name() else { continue };
        let mut path = vec![name];
        while let [dot, next, ..] = &statement[index..]
            && dot.text == "."
            && let Some(name) = next.name()
        {
            path.push(name);
            index += 2;
        }
        let Some(table) = names.find(&path) else { continue };
        let after = match &statement[index..] {
            [word, alias, ..] if word.is_word("as") => Some(alias),
            [alias, ..] => Some(alias),
            [] => None,
        };
        let alias = after.filter(|part| part.kind == Kind::Quoted || !is_keyword(part.text));
        found.push((table, alias.and_then(Part::name)));
    }
    found
}

fn begins(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::names::tests::names;
    use super::*;

    /// What is offered where `|` is: the text before what is replaced, and each word.
    fn offered(text: &str) -> (String, Vec<String>) {
        let cursor = text.find('|').unwrap_or(text.len());
        let text = text.replacen('|', "", 1);
        let (begin, words) = completed(&names(), &text, cursor);
        (text[..begin].to_owned(), words)
    }

    fn words(text: &str) -> Vec<String> {
        offered(text).1
    }

    #[test]
    fn tables_follow_from_and_join() {
        assert_eq!(offered("SELECT * FROM federated_e"), ("SELECT * FROM ".into(), vec!["federated_events".into()]));
        let all = ["colony.", "federated_events", "federated_metrics", "information_schema."];
        for text in ["SELECT 1 FROM |", "SELECT 1 FROM a JOIN |", "select 1 from a, (select 1, 2) b, |", "\\d |"] {
            assert_eq!(words(text), all, "{text}");
        }
        assert_eq!(
            words("SELECT 1 FROM information_schema.|"),
            ["information_schema.columns", "information_schema.tables"]
        );
        assert_eq!(words("SELECT 1; SELECT 2 FROM FEDERATED_M|; SELECT 3"), ["federated_metrics"]);
    }

    #[test]
    fn names_of_colonies_are_quoted_step_by_step() {
        assert_eq!(words("SELECT 1 FROM col"), ["colony."]);
        let colonies = ["colony.\"my-shop-production\".", "colony.\"my-shop-staging\"."];
        for text in ["SELECT 1 FROM colony.|", "SELECT 1 FROM colony.my|", "SELECT 1 FROM colony.\"my-shop-|"] {
            assert_eq!(offered(text), ("SELECT 1 FROM ".to_owned(), colonies.map(str::to_owned).to_vec()), "{text}");
        }
        let text = "SELECT 1 FROM colony.\"my-shop-staging\".me";
        assert_eq!(words(text), ["colony.\"my-shop-staging\".metrics"]);
        assert_eq!(words("SELECT 1 FROM colony.\"my-shop-staging\""), Vec::<String>::new(), "closed");
    }

    #[test]
    fn columns_are_those_of_the_tables_that_the_statement_names() {
        assert_eq!(
            offered("SELECT p| FROM federated_metrics"),
            ("SELECT ".to_owned(), ["p50", "p95", "partition", "preceding"].map(str::to_owned).to_vec())
        );
        assert_eq!(words("SELECT  | FROM federated_metrics"), ["colony_id", "p50", "p95"]);
        assert_eq!(words("SELECT eve| FROM federated_metrics"), Vec::<String>::new());
        assert_eq!(words("SELECT p95 FROM federated_metrics WHERE p5"), ["p50"]);
        assert_eq!(words("SELECT \"or| FROM federated_events"), ["\"order\""]);
        let joined = "FROM federated_metrics AS m JOIN colony.\"my-shop-staging\".metrics live ON m.p95 = live.|";
        assert_eq!(offered(joined).1, ["p95", "service_id"]);
        assert_eq!(offered("SELECT m.p| FROM federated_metrics m").0, "SELECT m.");
        assert_eq!(words("SELECT m.p| FROM federated_metrics m"), ["p50", "p95"]);
        assert_eq!(words("SELECT federated_metrics.p5| FROM federated_metrics"), ["p50"]);
        assert_eq!(words("SELECT x.p| FROM federated_metrics m"), Vec::<String>::new());
        assert_eq!(words("SELECT 1 FROM federated_metrics; SELECT p5|"), Vec::<String>::new(), "another statement");
    }

    #[test]
    fn keywords_have_the_letters_that_were_typed() {
        assert_eq!(
            (words("sel"), words("SEL"), words("S")),
            (vec!["select".into()], vec!["SELECT".into()], vec!["SELECT".into()])
        );
        assert_eq!(words("SELECT 1 gro"), ["group"]);
        assert_eq!(words(""), BEGINNINGS);
    }

    #[test]
    fn nothing_is_offered_within_texts_and_comments() {
        for text in ["SELECT 'fr", "SELECT 'fr'", "SELECT 1 -- fr", "SELECT /* fr", "SELECT $$fr", "SELECT \"fr\""] {
            assert_eq!(offered(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }
}
