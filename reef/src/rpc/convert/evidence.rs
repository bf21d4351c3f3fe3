//! Evidence: stored rows that an answer rests on, each with a statement that gives the row again.

use crate::answers::deployment::Incident;
use crate::rpc::wire;
use crate::statement::statement;

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

fn data<M: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> M {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
