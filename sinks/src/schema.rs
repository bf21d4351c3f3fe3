//! The schema: the tables that every store has, with their columns and keys.

use arrow::datatypes::{self, DataType, Field, SchemaRef};
use std::sync::Arc;

use Kind::{I32, I64, Real, Text, Texts, Time, Truth, U32, U64};

/// The type of a column, independent of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A list of texts.
    Texts,
    /// Milliseconds since 1970 UTC.
    Time,
    /// A float.
    Real,
    /// A whole number.
    I32,
    /// A whole number.
    I64,
    /// A count.
    U32,
    /// A count.
    U64,
    /// Yes or no.
    Truth,
}

impl Kind {
    /// How a page holds it.
    pub fn data_type(self) -> DataType {
        match self {
            Text => DataType::Utf8,
            Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            Time | I64 => DataType::Int64,
            Real => DataType::Float64,
            I32 => DataType::Int32,
            U32 => DataType::UInt32,
            U64 => DataType::UInt64,
            Truth => DataType::Boolean,
        }
    }
}

/// A table as every store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// How many of the first columns are its identity. Pages are in their order. None of them is ever null.
    pub key: usize,
    /// All columns.
    pub columns: &'static [(&'static str, Kind)],
}

/// Every table that is copied, ordered so that a reader of the target never sees a row before the rows it refers to.
#[rustfmt::skip]
pub const TABLES: &[Table] = &[
    Table { name: "federated_metrics", key: 7, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("service_id", Text), ("metric_name", Text), ("interval_seconds", U32),
        ("application_name", Text), ("environment", Text), ("p50", Real), ("p95", Real), ("p99", Real), ("mean", Real),
        ("max_value", Real), ("sample_count", U64), ("version", U64), ("late", Truth),
    ] },
    Table { name: "federated_events", key: 3, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("event_id", Text), ("application_name", Text), ("environment", Text),
        ("event_type", Text), ("service_id", Text), ("severity", Text), ("description", Text), ("metadata", Text),
        ("correlation_group", Text), ("correlation_score", Real), ("version", U64), ("late", Truth), ("withdrawn", Truth),
    ] },
    Table { name: "late_metric_copies", key: 7, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("service_id", Text), ("metric_name", Text), ("interval_seconds", U32),
        ("application_name", Text), ("environment", Text), ("p50", Real), ("p95", Real), ("p99", Real), ("mean", Real),
        ("max_value", Real), ("sample_count", U64), ("version", U64), ("late", Truth),
    ] },
    Table { name: "late_event_copies", key: 3, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("event_id", Text), ("application_name", Text), ("environment", Text),
        ("event_type", Text), ("service_id", Text), ("severity", Text), ("description", Text), ("metadata", Text),
        ("version", U64), ("late", Truth), ("withdrawn", Truth),
    ] },
    Table { name: "env_metric_summary", key: 4, columns: &[
        ("hour", Time), ("application_name", Text), ("environment", Text), ("metric_name", Text), ("mean_p95", Real),
        ("max_value", Real), ("total_samples", U64), ("points", U64),
    ] },
    Table { name: "correlation_evidence", key: 6, columns: &[
        ("correlation_id", Text), ("source_ref", Text), ("target_ref", Text), ("source_timestamp", Time),
        ("target_timestamp", Time), ("lag_ms", I64), ("weight", Real), ("role", Text), ("lag_weight", Real),
    ] },
    Table { name: "event_correlations", key: 4, columns: &[
        ("correlation_id", Text), ("colony_id", Text), ("event_id", Text), ("role", Text), ("score", Real),
    ] },
    Table { name: "correlations", key: 1, columns: &[
        ("correlation_id", Text), ("correlation_type", Text), ("source_colony_id", Text), ("source_service", Text),
        ("source_timestamp", Time), ("target_colony_id", Text), ("target_service", Text), ("target_timestamp", Time),
        ("correlation_score", Real), ("confidence", Real), ("lag_seconds", I32), ("pattern_description", Text),
        ("occurrence_count", U32), ("first_observed", Time), ("last_observed", Time), ("source_kind", Text),
        ("target_kind", Text), ("source_signal", Text), ("target_signal", Text), ("source_application", Text),
        ("source_environment", Text), ("target_application", Text), ("target_environment", Text), ("state", Text),
        ("coefficient", Real), ("e_value", Real), ("q_value", Real), ("lag_low_seconds", I32), ("lag_high_seconds", I32),
        ("sample_count", U64), ("explained_by", Text), ("reason", Text), ("chance_level", Real), ("effective_points", Real),
        ("judged_coefficient", Real), ("part_of", Text), ("open_count", U32), ("open_until", Time), ("revision", U64),
        ("updated_at", Time),
    ] },
    Table { name: "service_nodes", key: 2, columns: &[
        ("colony_id", Text), ("service_id", Text), ("name", Text), ("version", Text), ("status", Text),
        ("first_seen_at", Time), ("last_seen_at", Time),
    ] },
    Table { name: "service_edges", key: 4, columns: &[
        ("colony_id", Text), ("from_service", Text), ("to_service", Text), ("protocol", Text), ("request_count", U64),
        ("first_seen_at", Time), ("last_seen_at", Time),
    ] },
    Table { name: "colony_status", key: 1, columns: &[
        ("colony_id", Text), ("application_name", Text), ("environment", Text), ("health", Text),
        ("total_services", U32), ("healthy_services", U32), ("degraded_services", U32), ("unhealthy_services", U32),
        ("agent_count", U32), ("last_success_at", Time), ("complete_to", Time), ("last_error", Text), ("updated_at", Time),
    ] },
    Table { name: "rejects", key: 2, columns: &[
        ("source", Text), ("place", Text), ("colony_id", Text), ("reason", Text), ("detail", Text), ("raw", Text),
        ("rejected_at", Time), ("part", Text),
    ] },
    Table { name: "rejects_omitted", key: 3, columns: &[
        ("source", Text), ("part", Text), ("reason", Text), ("omitted", U64), ("counted_to", Text), ("updated_at", Time),
    ] },
    Table { name: "source_positions", key: 2, columns: &[
        ("source", Text), ("part", Text), ("position", Text), ("updated_at", Time),
    ] },
];

/// The description of a table.
pub(crate) fn table(name: &str) -> &'static Table {
    TABLES.iter().find(|table| table.name == name).unwrap_or_else(|| unreachable!("there is no table {name}"))
}

/// How long rows of a derived table are kept: as long as rows of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionClass {
    /// Metric buckets.
    Metrics,
    /// Events.
    Events,
    /// Correlations.
    Correlations,
    /// Deployments.
    Deployments,
}

/// The output of an operator beside correlations: a table that stores create, write, read, count, copy and age by this
/// description alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DerivedTable {
    /// Its columns; those after the key may be null. Stores add `stored_at`.
    pub table: Table,
    /// How long its rows are kept.
    pub retention: RetentionClass,
    /// The time that retention counts from; that and the key are never null.
    pub time: &'static str,
}

/// Columns of `analyses`. The texts come last: a list leaves them out.
#[rustfmt::skip]
const ANALYSES: &[(&str, Kind)] = &[
    ("asked_at", Time), ("analysis_id", Text), ("caller", Text), ("role", Text), ("question", Text), ("outcome", Text),
    ("provider", Text), ("model", Text), ("input_tokens", U32), ("output_tokens", U32), ("tokens_estimated", Truth),
    ("cost_micros", U64), ("evidence_ids", Texts), ("answer_sha256", Text), ("sentences_dropped", U32),
    ("streamed", Truth), ("duration_ms", U64), ("reason", Text), ("answer", Text), ("sent", Text), ("evidence", Text),
];
/// How many of them are texts.
const ANALYSES_TEXTS: usize = 3;

/// The rows of `analyses` without their texts.
pub static ANALYSES_LISTED: DerivedTable = DerivedTable {
    table: Table { name: "analyses", key: 2, columns: ANALYSES.split_at(ANALYSES.len() - ANALYSES_TEXTS).0 },
    retention: RetentionClass::Correlations,
    time: "asked_at",
};

/// The derived tables. A new one is added here, and nowhere else.
#[rustfmt::skip]
pub const DERIVED: &[DerivedTable] = &[
    DerivedTable {
        table: Table { name: "deployment_timeline", key: 2, columns: &[
            ("colony_id", Text), ("deployment_id", Text), ("application_name", Text), ("environment", Text),
            ("service_id", Text), ("from_version", Text), ("to_version", Text), ("started_at", Time),
            ("completed_at", Time), ("status", Text), ("impact_score", Real), ("issues_detected", Texts),
            ("related_events", Texts), ("kind", Text), ("reported_by", Texts), ("reported_as", Texts), ("verdict", Text),
            ("verdict_reason", Text), ("look_minutes", I64),
        ] },
        retention: RetentionClass::Deployments,
        time: "started_at",
    },
    DerivedTable {
        table: Table { name: "correlation_revisions", key: 2, columns: &[
            ("correlation_id", Text), ("learnt_at", Time), ("as_of", Time), ("correlation_type", Text),
            ("source_colony_id", Text), ("source_service", Text), ("source_timestamp", Time), ("target_colony_id", Text),
            ("target_service", Text), ("target_timestamp", Time), ("correlation_score", Real), ("confidence", Real),
            ("lag_seconds", I32), ("pattern_description", Text), ("occurrence_count", U32), ("first_observed", Time),
            ("last_observed", Time), ("source_kind", Text), ("target_kind", Text), ("source_signal", Text),
            ("target_signal", Text), ("source_application", Text), ("source_environment", Text),
            ("target_application", Text), ("target_environment", Text), ("state", Text), ("coefficient", Real),
            ("e_value", Real), ("q_value", Real), ("lag_low_seconds", I32), ("lag_high_seconds", I32),
            ("sample_count", U64), ("explained_by", Text), ("reason", Text), ("chance_level", Real),
            ("effective_points", Real), ("judged_coefficient", Real), ("part_of", Text), ("open_count", U32),
            ("open_until", Time), ("is_listed", Truth), ("old_state", Text), ("old_score", Real),
            ("old_confidence", Real), ("old_lag_seconds", I32), ("old_occurrence_count", U32), ("caused_by", Texts),
            ("caused_count", U32),
        ] },
        retention: RetentionClass::Correlations,
        time: "learnt_at",
    },
    DerivedTable {
        table: Table { name: "prediction_revisions", key: 2, columns: &[
            ("prediction_id", Text), ("learnt_at", Time), ("is_listed", Truth), ("correlation_id", Text),
            ("source_colony_id", Text), ("source_event_id", Text), ("target_colony_id", Text), ("target_service", Text),
            ("target_signal", Text), ("issued_at", Time), ("expected_from", Time), ("expected_to", Time),
            ("expires_at", Time), ("probability", Real), ("outcome", Text), ("matched_event_id", Text),
            ("resolved_at", Time), ("source_service", Text), ("source_signal", Text), ("source_application", Text),
            ("source_environment", Text), ("target_application", Text), ("target_environment", Text),
            ("chance_level", Real),
        ] },
        retention: RetentionClass::Correlations,
        time: "learnt_at",
    },
    DerivedTable {
        table: Table { name: "predictions", key: 1, columns: &[
            ("prediction_id", Text), ("correlation_id", Text), ("source_colony_id", Text), ("source_event_id", Text),
            ("target_colony_id", Text), ("target_service", Text), ("target_signal", Text), ("issued_at", Time),
            ("expected_from", Time), ("expected_to", Time), ("expires_at", Time), ("probability", Real),
            ("outcome", Text), ("matched_event_id", Text), ("resolved_at", Time), ("source_service", Text),
            ("source_signal", Text), ("source_application", Text), ("source_environment", Text),
            ("target_application", Text), ("target_environment", Text), ("chance_level", Real),
        ] },
        retention: RetentionClass::Correlations,
        time: "expires_at",
    },
    DerivedTable {
        table: Table { name: "prediction_days", key: 2, columns: &[
            ("correlation_id", Text), ("day", Time), ("probability", Real), ("chance_level", Real),
            ("expected_from_seconds", U32), ("expected_to_seconds", U32), ("target_count", U64), ("muted", Text),
        ] },
        retention: RetentionClass::Correlations,
        time: "day",
    },
    DerivedTable {
        table: Table { name: "deployment_impact", key: 4, columns: &[
            ("colony_id", Text), ("deployment_id", Text), ("metric_name", Text), ("service_id", Text),
            ("before_value", Real), ("after_value", Real), ("percent_change", Real), ("sample_count", U64),
            ("change_low", Real), ("change_high", Real), ("q_value", Real), ("cliffs_delta", Real),
            ("significance", Text), ("look_minutes", I64), ("change", Real), ("effective_points", Real),
            ("adjusted_for", Texts), ("started_at", Time),
        ] },
        retention: RetentionClass::Deployments,
        time: "started_at",
    },
    DerivedTable {
        table: Table { name: "derived_events", key: 2, columns: &[
            ("colony_id", Text), ("event_id", Text), ("application_name", Text), ("environment", Text),
            ("timestamp", Time), ("event_type", Text), ("service_id", Text), ("metric_name", Text), ("value", Real),
            ("usual", Real),
        ] },
        retention: RetentionClass::Events,
        time: "timestamp",
    },
    DerivedTable {
        table: Table { name: "analyses", key: 2, columns: ANALYSES },
        retention: RetentionClass::Correlations,
        time: "asked_at",
    },
];

/// Names of derived tables that older versions had: they are dropped.
pub const RETIRED: &[&str] = &[];

/// The tables of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The derived ones.
    pub derived: &'static [DerivedTable],
    /// Those that are dropped.
    pub retired: &'static [&'static str],
}

impl Default for Schema {
    /// That of this version.
    fn default() -> Self {
        Schema { derived: DERIVED, retired: RETIRED }
    }
}

impl Schema {
    /// All tables whose rows are counted and copied.
    pub fn tables(self) -> impl Iterator<Item = &'static Table> {
        TABLES.iter().chain(self.derived.iter().map(|derived| &derived.table))
    }

    /// The description of a derived table.
    pub fn derived(self, name: &str) -> Option<&'static DerivedTable> {
        self.derived.iter().find(|derived| derived.table.name == name)
    }
}

impl DerivedTable {
    /// Whether a column is never null.
    pub fn is_required(&self, column: &str) -> bool {
        column == self.time || self.table.key_columns().iter().any(|(name, _)| *name == column)
    }
}

impl Table {
    /// The columns of its identity.
    pub fn key_columns(&self) -> &'static [(&'static str, Kind)] {
        &self.columns[..self.key]
    }

    /// What a column holds.
    pub(crate) fn kind(&self, column: &str) -> Kind {
        self.columns.iter().find(|(name, _)| *name == column).map_or(Text, |(_, kind)| *kind)
    }

    /// The columns of a page.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|(name, kind)| Field::new(*name, kind.data_type(), true)).collect();
        Arc::new(datatypes::Schema::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::derived::EXAMPLE;
    use std::collections::BTreeSet;

    /// What the stores rely on.
    #[test]
    fn derived_tables_have_names_of_their_own_a_key_and_a_time() {
        let mut names: BTreeSet<&str> = TABLES.iter().map(|table| table.name).collect();
        for derived in DERIVED.iter().chain([&EXAMPLE]) {
            let DerivedTable { table, time, .. } = derived;
            assert!(names.insert(table.name) && !RETIRED.contains(&table.name), "{}", table.name);
            assert!(table.key > 0 && table.key <= table.columns.len(), "{}", table.name);
            assert!(table.key_columns().iter().all(|(_, kind)| *kind != Kind::Texts), "{}", table.name);
            assert_eq!(table.kind(time), Kind::Time, "{}", table.name);
            let columns: BTreeSet<&str> = table.columns.iter().map(|(name, _)| *name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
            assert!(["stored_at", "ingest_version", "removed"].iter().all(|own| !columns.contains(own)));
        }
    }
}
