//! One more colony in the text of a configuration; everything that is written stays as it is.

use model::error::one_line;
use pipelines::config::{self, Format, ReefConfig};
use std::net::Ipv4Addr;
use std::path::Path;

/// A colony to write.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub colony_id: &'a str,
    /// Its address in its mesh.
    pub mesh_ip: Ipv4Addr,
    /// Its port there.
    pub connect_port: u16,
    /// The key of the secret (`colony_secret_file` or `colony_secret_env`) and its value.
    pub secret: (&'static str, String),
    /// Its door, if discovery is not asked.
    pub endpoint: Option<&'a str>,
    /// Its key, if one was given.
    pub public_key: Option<&'a str>,
    /// The reef's address there.
    pub reef_mesh_ip: Ipv4Addr,
}

/// JSON strings are strings of TOML and YAML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Entry<'_> {
    fn mesh(&self) -> Vec<(&'static str, String)> {
        let (secret_key, secret) = &self.secret;
        let mut keys = vec![
            ("mesh_ip", quoted(&self.mesh_ip.to_string())),
            ("connect_port", self.connect_port.to_string()),
            (*secret_key, quoted(secret)),
        ];
        keys.extend(self.endpoint.map(|endpoint| ("endpoint", quoted(endpoint))));
        keys.extend(self.public_key.map(|key| ("public_key", quoted(key))));
        keys
    }

    fn toml(&self) -> String {
        let mesh: Vec<String> = self.mesh().iter().map(|(key, value)| format!("{key} = {value}")).collect();
        format!(
            "\n[[colonies]]\ncolony_id = {}\nreef_mesh_ip = \"{}\"\nmesh = {{ {} }}\n",
            quoted(self.colony_id),
            self.reef_mesh_ip,
            mesh.join(", ")
        )
    }

    fn yaml(&self, indent: &str) -> Vec<String> {
        let mut lines = vec![format!("{indent}- colony_id: {}", quoted(self.colony_id)), format!("{indent}  mesh:")];
        lines.extend(self.mesh().iter().map(|(key, value)| format!("{indent}    {key}: {value}")));
        lines.push(format!("{indent}  reef_mesh_ip: \"{}\"", self.reef_mesh_ip));
        lines
    }
}

/// The text with the colony in it, and what it then says. Fails with what is in the way.
pub fn with_colony(
    (text, format, path): (&str, Format, &Path),
    entry: &Entry<'_>,
) -> Result<(String, ReefConfig), String> {
    let before = config::parse(text, format, path).map(|config| config.colonies).unwrap_or_default();
    let new = match format {
        Format::Toml => format!("{}\n{}", text.trim_end_matches('\n'), entry.toml()),
        Format::Yaml => yaml(text, entry)?,
    };
    let after = config::parse(&new, format, path).map_err(|errors| one_line(&errors))?;
    // colonies that were there stay; a text that was invalid before may have lacked only this colony
    let kept = before.iter().all(|colony| after.colonies.contains(colony));
    let is_added = after.colonies.iter().any(|colony| colony.colony_id == entry.colony_id && colony.mesh.is_some());
    match kept && is_added {
        true => Ok((new, after)),
        false => Err("its list of colonies is written in a form that this command does not extend".to_owned()),
    }
}

/// Adds an item at the end of the top-level list `colonies`.
fn yaml(text: &str, entry: &Entry<'_>) -> Result<String, String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with("colonies:")) else {
        lines.push("colonies:".to_owned());
        lines.extend(entry.yaml("  "));
        return Ok(lines.join("\n") + "\n");
    };
    let value = lines[at]["colonies:".len()..].split(" #").next().unwrap_or_default().trim().to_owned();
    match value.as_str() {
        "" => {}
        "[]" => lines[at] = "colonies:".to_owned(),
        _ => return Err("its list of colonies is on one line; write one item per line".to_owned()),
    }
    let belongs = |line: &&String| line.trim().is_empty() || line.starts_with([' ', '-', '#']);
    let rest = &lines[at + 1..];
    let length = rest.iter().take_while(belongs).count();
    let is_item = |line: &&String| !line.trim().is_empty() && !line.starts_with('#');
    let end = rest[..length].iter().rposition(|line| is_item(&line)).map_or(0, |last| last + 1);
    let first = rest[..length].iter().find(|line| line.trim_start().starts_with("- "));
    let indent = first.map_or("  ".to_owned(), |line| " ".repeat(line.len() - line.trim_start().len()));
    lines.splice(at + 1 + end..at + 1 + end, entry.yaml(&indent));
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            colony_id: "my-shop-production",
            mesh_ip: Ipv4Addr::new(10, 42, 0, 1),
            connect_port: 9000,
            secret: ("colony_secret_env", "SHOP".to_owned()),
            endpoint: None,
            public_key: None,
            reef_mesh_ip: Ipv4Addr::new(10, 42, 0, 100),
        }
    }

    fn added(text: &str, format: Format) -> String {
        let (new, config) = with_colony((text, format, Path::new("reef.conf")), &entry()).unwrap();
        let colony = config.colonies.last().unwrap();
        assert_eq!(colony.reef_mesh_ip.unwrap().to_string(), "10.42.0.100");
        assert_eq!(colony.mesh.as_ref().unwrap().mesh_ip.to_string(), "10.42.0.1");
        new
    }

    const ITEM: &str = "  - colony_id: \"my-shop-production\"\n    mesh:\n      mesh_ip: \"10.42.0.1\"\n      \
                        connect_port: 9000\n      colony_secret_env: \"SHOP\"\n    reef_mesh_ip: \"10.42.0.100\"\n";

    #[test]
    fn toml_gets_a_table_at_its_end() {
        let text = "reef_id = \"r\" # mine\n[collection]\nevent_stream = true\n";
        let new = added(text, Format::Toml);
        assert!(new.starts_with(text) && new[text.len()..].starts_with("\n[[colonies]]\ncolony_id = "), "{new}");
        assert_eq!(added(&new.replace("my-shop-production", "other"), Format::Toml).matches("[[colonies]]").count(), 2);
    }

    #[test]
    fn yaml_gets_an_item_where_the_list_ends() {
        assert_eq!(added("reef_id: r\n", Format::Yaml), format!("reef_id: r\ncolonies:\n{ITEM}"));
        let empty = added("reef_id: r\ncolonies: []\nname: x\n", Format::Yaml);
        assert_eq!(empty, format!("reef_id: r\ncolonies:\n{ITEM}name: x\n"));
        let before = "reef_id: r\ncolonies:\n  # the first\n  - colony_id: a\n    endpoint: 'http://a:1'\n";
        let after = "\n# storage\nstorage:\n  type: duckdb\n";
        assert_eq!(added(&format!("{before}{after}"), Format::Yaml), format!("{before}{ITEM}{after}"));
        let flush = added("colonies:\n- colony_id: a\n  endpoint: 'http://a:1'\nreef_id: r\n", Format::Yaml);
        assert!(flush.contains("\n- colony_id: \"my-shop-production\"\n  mesh:\n    mesh_ip:"), "{flush}");
    }

    #[test]
    fn a_key_is_kept_with_and_without_an_endpoint() {
        let key = Some("93huH0DopXhN7eGvL2+g/whTyrnrg30eu7X1lGKmxfo=");
        for endpoint in [None, Some("203.0.113.7:41580")] {
            let entry = Entry { endpoint, public_key: key, ..entry() };
            let (_, config) = with_colony(("reef_id: r\n", Format::Yaml, Path::new("r.yaml")), &entry).unwrap();
            let mesh = config.colonies[0].mesh.clone().unwrap();
            assert_eq!((mesh.endpoint.as_deref(), mesh.public_key.as_deref()), (endpoint, key));
        }
    }

    #[test]
    fn a_list_on_one_line_is_refused() {
        let text = "reef_id: r\ncolonies: [{colony_id: a, endpoint: 'http://a:1'}]\n";
        let error = with_colony((text, Format::Yaml, Path::new("r.yaml")), &entry()).unwrap_err();
        assert!(error.contains("one item per line"), "{error}");
        let text = "reef_id = \"r\"\ncolonies = [{ colony_id = \"a\", endpoint = \"http://a:1\" }]\n";
        assert!(with_colony((text, Format::Toml, Path::new("r.toml")), &entry()).is_err());
    }
}
