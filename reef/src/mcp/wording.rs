//! Wording: hints of the command line and fields of the RPC in words of the tools.

/// Longer ones first.
const COMMANDS: [(&str, &str); 19] = [
    ("coral reef correlations --state all", "reef_list_correlations with state all"),
    ("coral reef correlations", "reef_list_correlations"),
    ("coral reef correlation ", "reef_explain_correlation "),
    ("coral reef predictions", "reef_list_predictions"),
    ("coral reef deployments", "reef_list_deployments"),
    ("coral reef deployment ", "reef_get_deployment_impact "),
    ("coral reef health", "reef_list_colonies"),
    ("coral reef versions", "reef_list_services"),
    ("coral reef topology", "reef_get_topology"),
    ("coral reef status", "reef_get_status"),
    ("coral reef compare", "reef_compare_environments"),
    ("coral-pipeline report --all", "reef_list_correlations with state all"),
    ("--state all", "state all"),
    ("--outcome open", "outcome open"),
    ("--pattern ID", "correlation_id"),
    ("--app:", "application:"),
    ("--behind", "with behind"),
    ("--colony ", "with colonies "),
    ("--service ", "with service "),
];
const FIELDS: [(&str, &str); 10] = [
    ("application_name", "application"),
    ("colony_ids", "colonies"),
    ("environment", "environments"),
    ("environment_a", "environments[0]"),
    ("environment_b", "environments[1]"),
    ("metric_names", "metrics"),
    ("service_id", "service"),
    ("start_time", "start"),
    ("end_time", "end"),
    ("time_window", "start"),
];
/// Begins a line that says how the command line continues a list.
const MORE: &str = "More: --cursor ";

/// A page in words of the tools; how to continue is said elsewhere.
pub(super) fn of_tools(text: &str) -> String {
    let kept: String = text.split_inclusive('\n').filter(|line| !line.starts_with(MORE)).collect();
    COMMANDS.iter().fold(kept, |text, (from, to)| text.replace(from, to))
}

/// The argument that a field of the RPC is here, with its place in a list.
pub(super) fn argument(field: &str) -> String {
    let (name, place) = field.split_at(field.find('[').unwrap_or(field.len()));
    let name = FIELDS.iter().find(|(from, _)| *from == name).map_or(name, |(_, to)| to);
    format!("{name}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_fields_are_tools_and_arguments() {
        assert_eq!(
            of_tools(
                "A\n\nMore: --cursor 20, or --limit up to 200\nThe rows behind one of them: coral reef correlation <id>"
            ),
            "A\n\nThe rows behind one of them: reef_explain_correlation <id>"
        );
        assert_eq!(
            of_tools("coral reef deployments --service api, coral reef versions --behind"),
            "reef_list_deployments with service api, reef_list_services with behind"
        );
        for (field, name) in [
            ("colony_ids[2]", "colonies[2]"),
            ("environment", "environments"),
            ("environments[1]", "environments[1]"),
            ("environment_b", "environments[1]"),
            ("limit", "limit"),
            ("start_time", "start"),
        ] {
            assert_eq!(argument(field), name);
        }
    }
}
