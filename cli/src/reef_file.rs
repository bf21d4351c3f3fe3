//! One more line in the text of a reef's file: everything else stays as it is written.

use pipelines::config::{self, Format};
use std::net::Ipv4Addr;
use std::path::Path;

/// The text with `reef_mesh_ip` of a colony that has none. `None` if the text is written in a form that one more line
/// does not extend: the parser judges the result.
pub fn with_address((text, format, path): (&str, Format, &Path), colony_id: &str, address: Ipv4Addr) -> Option<String> {
    let mut expected = config::parse(text, format, path).ok()?;
    let is_it = |colony: &&mut config::ColonyConfig| colony.colony_id == colony_id && colony.reef_mesh_ip.is_none();
    expected.colonies.iter_mut().find(is_it)?.reef_mesh_ip = Some(address.into());
    let lines: Vec<&str> = text.split('\n').collect();
    let sign = match format {
        Format::Toml => " =",
        Format::Yaml => ":",
    };
    lines.iter().enumerate().filter(|(_, line)| line.contains(colony_id)).find_map(|(at, line)| {
        let indent = " ".repeat(line[..line.find("colony_id")?].chars().count());
        let end = if line.ends_with('\r') { "\r" } else { "" };
        let own = format!("{indent}reef_mesh_ip{sign} \"{address}\"{end}");
        let new = [&lines[..=at], &[own.as_str()], &lines[at + 1..]].concat().join("\n");
        (config::parse(&new, format, path).ok()? == expected).then_some(new)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stored(text: &str, format: Format) -> Option<String> {
        with_address((text, format, Path::new("reef.conf")), "shop", Ipv4Addr::new(10, 42, 0, 100))
    }

    const YAML: &str = "reef_id: r\ncolonies:\n  # the first\n  - colony_id: workshop\n    endpoint: 'http://a:1'\n  \
                        - colony_id: 'shop' # ours\n    mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}\n";
    const TOML: &str = "reef_id = \"r\"\n[[colonies]] # ours\ncolony_id = \"shop\"\n\
                        mesh = { mesh_ip = \"10.42.0.1\", colony_secret_env = \"S\" }\n\n[collection]\n";

    #[test]
    fn one_line_is_added_after_the_id_of_the_colony() {
        let yaml = stored(YAML, Format::Yaml).unwrap();
        assert_eq!(yaml.replace("    reef_mesh_ip: \"10.42.0.100\"\n", ""), YAML);
        assert!(yaml.contains("'shop' # ours\n    reef_mesh_ip: \"10.42.0.100\"\n    mesh:"), "{yaml}");
        let toml = stored(TOML, Format::Toml).unwrap();
        assert_eq!(toml.replace("reef_mesh_ip = \"10.42.0.100\"\n", ""), TOML);
        // there is one now
        assert_eq!((stored(&yaml, Format::Yaml), stored(&toml, Format::Toml)), (None, None));
    }

    #[test]
    fn a_form_that_takes_no_line_is_left_alone() {
        let flow = "reef_id: r\ncolonies: [{colony_id: shop, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}}]\n";
        assert_eq!(stored(flow, Format::Yaml), None);
        let split =
            "reef_id: r\ncolonies:\n  - mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}\n    colony_id: shop\n";
        assert!(stored(split, Format::Yaml).unwrap().ends_with("    reef_mesh_ip: \"10.42.0.100\"\n"));
        assert_eq!(stored("reef_id: r\n", Format::Yaml), None);
    }
}
