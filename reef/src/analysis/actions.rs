//! Actions: what could be done. Commands only read; what changes something has no command and needs approval.

use serde::Serialize;

/// One thing that could be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// In words.
    pub description: String,
    /// A command of `coral` that reads; empty where there is none.
    pub command: String,
    /// Whether a person must agree first: it changes something.
    pub requires_approval: bool,
}

impl Action {
    /// A command that reads, with its arguments; `None` where an argument could be read as something else.
    pub fn look(description: impl Into<String>, words: &[&str]) -> Option<Action> {
        if !words.iter().all(|word| is_plain(word)) {
            return None;
        }
        let command = format!("coral reef {}", words.join(" "));
        Some(Action { description: description.into(), command, requires_approval: false })
    }

    /// Something that a person does elsewhere.
    pub fn change(description: impl Into<String>) -> Action {
        Action { description: description.into(), command: String::new(), requires_approval: true }
    }
}

/// Whether a shell and our own parser read it as one argument. A leading `-` only of our own flags.
fn is_plain(word: &str) -> bool {
    let is_flag = matches!(
        word,
        "--metric" | "--app" | "--environment" | "--service" | "--time-window" | "--colony" | "--from" | "--to"
    );
    is_flag
        || (!word.is_empty()
            && !word.starts_with('-')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "._:/@+-".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_colony_becomes_no_second_command() {
        let look = |id: &str| Action::look("look", &["deployment", id]).map(|action| action.command);
        assert_eq!(look("my-shop/e-3").as_deref(), Some("coral reef deployment my-shop/e-3"));
        for hostile in ["x; rm -rf /", "$(id)", "--json", "", "a b", "`id`", "a\nb", "a'b", "é"] {
            assert_eq!(look(hostile), None, "{hostile:?}");
        }
    }
}
