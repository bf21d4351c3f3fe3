//! Evidence: stored rows that an answer rests on, each with a statement that gives the row again.
//!
//! The statements are for people and programs that have the store; a reef does not run them. Their values are quoted,
//! because one text has to hold all of it. They are read alike by DuckDB and ClickHouse: `DISTINCT`, because ClickHouse
//! may still hold copies of a row, and no backslash, which only ClickHouse takes for the beginning of an escape.

use crate::answers::deployment::Incident;
use crate::rpc::wire;

/// The events that followed a deployment, and the patterns that join them with it.
pub(super) fn of_incidents(incidents: &[Incident]) -> Vec<wire::Evidence> {
    incidents.iter().flat_map(|one| [Some(event(one)), pattern(one)].into_iter().flatten()).collect()
}

fn event(one: &Incident) -> wire::Evidence {
    wire::Evidence {
        r#type: "event".to_owned(),
        colony_id: one.colony_id.clone(),
        description: format!("{} {} at {}", one.event_type, one.event_id, one.occurred_at),
        query: statement(
            "SELECT DISTINCT event_id, event_type, service_id FROM federated_events",
            &[("colony_id", &one.colony_id), ("event_id", &one.event_id)],
        ),
        data: data(&[("event_id", &one.event_id), ("event_type", &one.event_type), ("service_id", &one.service_id)]),
        ..Default::default()
    }
}

fn pattern(one: &Incident) -> Option<wire::Evidence> {
    let id = one.correlation_id.as_ref()?;
    Some(wire::Evidence {
        r#type: "correlation".to_owned(),
        colony_id: one.colony_id.clone(),
        description: format!("the confirmed pattern {id} joins {} with the deployment", one.event_id),
        query: statement("SELECT DISTINCT correlation_id, state FROM correlations", &[("correlation_id", id)]),
        data: data(&[("correlation_id", id), ("state", "confirmed")]),
        ..Default::default()
    })
}

/// `… WHERE column = 'value' AND …`. A value with a character that both engines do not read alike becomes a pattern
/// that has any character in its place.
fn statement(select: &str, equal: &[(&str, &str)]) -> String {
    let is_ambiguous = |c: char| c == '\\' || c.is_control();
    let condition = |(column, value): &(&str, &str)| {
        let compared = if value.contains(is_ambiguous) { " LIKE '" } else { " = '" };
        [column, compared, &value.replace(is_ambiguous, "_").replace('\'', "''"), "'"].concat()
    };
    let conditions: Vec<String> = equal.iter().map(condition).collect();
    [select, " WHERE ", &conditions.join(" AND ")].concat()
}

fn data<M: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> M {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_no_statement() {
        let text = statement("SELECT a FROM t", &[("b", "x'; DROP TABLE t; --"), ("c", "")]);
        assert_eq!(text, "SELECT a FROM t WHERE b = 'x''; DROP TABLE t; --' AND c = ''");
        let text = statement("SELECT a FROM t", &[("b", "\\' OR 1=1 -- "), ("c", "x\ny")]);
        assert_eq!(text, "SELECT a FROM t WHERE b LIKE '_'' OR 1=1 -- ' AND c LIKE 'x_y'");
    }
}
