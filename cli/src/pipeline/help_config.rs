//! `help config`: every option, from the table that decoding uses.

use crate::exit::Failure;
use crate::output::{Output, Style};
use pipelines::config::keys::{Default, Expands, KEYS, Key};
use serde_json::{Value, json};

/// Prints the options.
pub fn print(output: &Output) -> Result<(), Failure> {
    let options: Vec<Value> = KEYS.iter().map(option_value).collect();
    output.result(&json!({ "options": options }), page)
}

fn option_value(key: &Key) -> Value {
    json!({
        "key": key.path,
        "type": key.kind.describe(),
        "default": match key.default { Default::Value(text) => Some(text), _ => None },
        "default_is": match key.default { Default::Computed(how) => Some(how), _ => None },
        "required": key.default == Default::Required,
        "only_for": key.only.map(|(selector, choice)| format!("{selector} = {choice}")),
        "variables": key.expands != Expands::Never,
        "home": key.expands == Expands::Path,
        "meaning": key.meaning,
    })
}

fn page(style: Style) -> String {
    let mut lines = vec![
        "A reef's configuration: TOML or YAML by extension, the same options in both.".to_owned(),
        "Durations carry their unit (500ms, 90s, 15m, 2h15m, 30d, 1y). Example: config/reef.toml".to_owned(),
        "If marked \"variables\", ${NAME} and $NAME are environment variables, ${NAME:-text} has a default, and"
            .to_owned(),
        "$$ is a dollar sign; an unset variable is an error. If marked \"~\", ~/ is the home folder as well."
            .to_owned(),
    ];
    let mut section = None;
    for key in KEYS {
        let (this, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if section != Some(this) {
            lines.push(String::new());
            lines.push(style.bold(&heading(this)));
            section = Some(this);
        }
        lines.push(format!("  {name:28} {}", key.meaning));
        lines.push(style.dim(&format!("  {:28} {}", "", facts(key))));
    }
    lines.join("\n")
}

fn heading(section: &str) -> String {
    match section.strip_suffix("[]") {
        Some(list) => format!("[[{list}]]"),
        None if section.is_empty() => "top level".to_owned(),
        None => format!("[{}]", section.replace("[]", "")),
    }
}

fn facts(key: &Key) -> String {
    let default = match key.default {
        Default::Required => "required".to_owned(),
        Default::None => "optional".to_owned(),
        Default::Value(text) => format!("default {text:?}"),
        Default::Computed(how) => format!("default: {how}"),
    };
    let only = key.only.map(|(selector, choice)| {
        let name = selector.rsplit('.').next().unwrap_or(selector);
        format!("; only for {name} = {choice:?}")
    });
    let expands = match key.expands {
        Expands::Never => "",
        Expands::Variables => "; variables",
        Expands::Path => "; variables, ~",
    };
    format!("{}; {default}{}{expands}", key.kind.describe(), only.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_on_the_page_with_type_and_default() {
        let (output, captured) = Output::captured(false);
        assert!(print(&output).is_ok());
        let text = captured.stdout();
        for key in KEYS {
            assert!(text.contains(key.meaning), "{}", key.path);
        }
        assert!(text.contains("default: .coral/<reef_id>.duckdb; only for type = \"duckdb\"; variables, ~"), "{text}");
        assert!(text.contains("an id (text without blanks); required; variables"), "{text}");
        assert!(text.contains("\n[[colonies]]\n  colony_id  "), "{text}");
        assert!(text.contains("a duration from 1s to 1d; default \"60s\""), "{text}");
    }
}
