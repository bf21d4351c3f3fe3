//! Nested statements: one that reads like the statement in its FROM is computed as well. The engine by itself does not
//! do so; the expected rows are therefore those of a statement without nesting.

use super::answered;
use crate::sql::engine::SqlEngine;
use sinks::StoreReader;
use std::sync::Arc;

/// Nested statements, and statements that mean the same.
const PAIRS: &[(&str, &str)] = &[
    (
        "SELECT x + 1 AS x FROM (SELECT x + 1 AS x FROM (SELECT value AS x FROM generate_series(1, 3)))",
        "SELECT value + 2 AS x FROM generate_series(1, 3)",
    ),
    (
        "SELECT x + x AS x FROM (SELECT x + x AS x FROM (SELECT value AS x FROM generate_series(1, 3)))",
        "SELECT value * 4 AS x FROM generate_series(1, 3)",
    ),
    (
        "SELECT x * 3 AS x FROM (SELECT x * 3 AS x FROM (SELECT x * 3 AS x FROM (SELECT x * 3 AS x FROM \
         (SELECT value AS x FROM generate_series(1, 3)))))",
        "SELECT value * 81 AS x FROM generate_series(1, 3)",
    ),
    (
        "SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM (SELECT event_id AS a, service_id AS b \
         FROM federated_events))",
        "SELECT event_id AS a, service_id AS b FROM federated_events",
    ),
    (
        "SELECT concat(a, 'x') AS a FROM (SELECT concat(a, 'x') AS a FROM (SELECT event_id AS a \
         FROM federated_events))",
        "SELECT concat(event_id, 'xx') AS a FROM federated_events",
    ),
    // the condition is moved to the store, and the projections meet
    (
        "SELECT concat(a, a) AS a FROM (SELECT concat(a, a) AS a FROM (SELECT event_id AS a FROM federated_events) \
         WHERE a <> '') WHERE a <> ''",
        "SELECT concat(event_id, event_id, event_id, event_id) AS a FROM federated_events WHERE event_id <> ''",
    ),
    (
        "SELECT (SELECT max(x) FROM (SELECT x + 1 AS x FROM (SELECT x + 1 AS x FROM (SELECT value AS x \
         FROM generate_series(1, 3))))) AS highest",
        "SELECT 5 AS highest",
    ),
];

pub(super) async fn a_statement_that_reads_like_the_one_below_it_is_computed(reader: &Arc<dyn StoreReader>) {
    let engine = SqlEngine::default();
    for (nested, same) in PAIRS {
        let expected = answered(&engine, reader, same).await.unwrap_or_else(|error| panic!("{same}: {error}"));
        let found = answered(&engine, reader, nested).await.unwrap_or_else(|error| panic!("{nested}: {error}"));
        assert!(!expected.is_empty(), "{same}");
        assert_eq!(found, expected, "{nested}");
    }
}
