//! Rows of a range: what may be asked, and how much of it.

use super::*;
use crate::answers::events::{EventsQuestion, events};
use crate::answers::metrics::{MetricsQuestion, metrics};

fn refused<T: std::fmt::Debug>(answer: Result<T, AnswerError>) -> Refusal {
    match answer.unwrap_err() {
        AnswerError::Refused(refusal) => refusal,
        AnswerError::Store(error) => panic!("{error}"),
    }
}

/// The field that is meant, and what is wrong.
fn said(refusal: &Refusal) -> (&str, &str) {
    (refusal.field.as_deref().unwrap_or_default(), refusal.message.as_str())
}

#[tokio::test]
async fn long_lists_and_long_names_are_refused_at_their_field() {
    let store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let (many, long) = (vec!["latency".to_owned(); 201], "x".repeat(250_000));
    let of_metrics = async |question: MetricsQuestion| refused(metrics(&question, reader.as_ref(), &scope).await);
    let refusal = of_metrics(MetricsQuestion { metric_names: many.clone(), ..MetricsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("metric_names", "201 names are too many"));
    let refusal = of_metrics(MetricsQuestion { metric_names: vec![long.clone()], ..MetricsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("metric_names[0]", "a name of 250000 bytes is too long"));
    let of_events = async |question: EventsQuestion| refused(events(&question, reader.as_ref(), &scope).await);
    let refusal = of_events(EventsQuestion { event_types: many.clone(), ..EventsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("event_types", "201 names are too many"));
    let refusal = of_events(EventsQuestion { severity: Some(long.clone()), ..EventsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("severity", "a name of 250000 bytes is too long"));
    for (filter, field) in [
        (Filter { colonies: many, ..Filter::default() }, "colony_ids"),
        (Filter { colonies: vec![long.clone()], ..Filter::default() }, "colony_ids[0]"),
        (Filter { environment: Some(long.clone()), ..Filter::default() }, "environment"),
        (Filter { application: Some(long.clone()), ..Filter::default() }, "application_name"),
        (Filter { service: Some(long.clone()), ..Filter::default() }, "service_id"),
    ] {
        let refusal = ask_of(Question::Topology(TopologyQuestion { filter }), &scope).await.unwrap_err();
        assert_eq!((refusal.kind, said(&refusal).0), (RefusalKind::Invalid, field));
        assert!(refusal.message.len() < 100 && refusal.hint.len() < 100, "{field}");
    }
    for question in [
        Question::Deployment(DeploymentQuestion { id: long.clone() }),
        Question::Correlation(CorrelationQuestion { id: long.clone() }),
        Question::Deployments(DeploymentsQuestion { status: Some(long.clone()), ..DeploymentsQuestion::default() }),
        Question::Correlations(CorrelationsQuestion { state: Some(long), ..CorrelationsQuestion::default() }),
    ] {
        let refusal = ask_of(question, &scope).await.unwrap_err();
        assert_eq!(refusal.message, "a name of 250000 bytes is too long");
    }
}
