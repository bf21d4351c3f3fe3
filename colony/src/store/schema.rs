//! The six tables of RFD 010 and their sixteen indexes, created in one transaction.
//!
//! Departures from the RFD's text, each because the text does not work: ids of events and insights come from a sequence
//! and are 64 bits wide (an INTEGER id has no default and ends at 2^31), counts are 64 bits wide like the wire's, and
//! insights have the `resolved_at` that their clean-up needs.
//!
//! Fields of an event beyond the RFD's columns (event_id, severity, description, metadata, version, withdrawn) are in
//! `details`. The database's session, which makes resume positions valid in this database only, is the comment on
//! `events`.

use duckdb::{Connection, params};

/// All statements in order; each skips existing objects.
pub(crate) const STATEMENTS: [&str; 24] = [
    "CREATE SEQUENCE IF NOT EXISTS events_id_seq",
    "CREATE SEQUENCE IF NOT EXISTS insights_id_seq",
    "CREATE TABLE IF NOT EXISTS services (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        app_id TEXT NOT NULL,
        version TEXT,
        agent_id TEXT NOT NULL,
        labels TEXT,
        last_seen TIMESTAMP NOT NULL,
        status TEXT NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS idx_services_agent_id ON services(agent_id)",
    "CREATE INDEX IF NOT EXISTS idx_services_status ON services(status)",
    "CREATE INDEX IF NOT EXISTS idx_services_last_seen ON services(last_seen)",
    "CREATE TABLE IF NOT EXISTS metric_summaries (
        timestamp TIMESTAMP NOT NULL,
        service_id TEXT NOT NULL,
        metric_name TEXT NOT NULL,
        interval TEXT NOT NULL,
        p50 DOUBLE,
        p95 DOUBLE,
        p99 DOUBLE,
        mean DOUBLE,
        max DOUBLE,
        count BIGINT,
        PRIMARY KEY (timestamp, service_id, metric_name, interval)
    )",
    "CREATE INDEX IF NOT EXISTS idx_metric_summaries_service_id ON metric_summaries(service_id)",
    "CREATE INDEX IF NOT EXISTS idx_metric_summaries_metric_name ON metric_summaries(metric_name)",
    "CREATE TABLE IF NOT EXISTS events (
        id BIGINT PRIMARY KEY DEFAULT nextval('events_id_seq'),
        timestamp TIMESTAMP NOT NULL,
        service_id TEXT NOT NULL,
        event_type TEXT NOT NULL,
        details TEXT,
        correlation_group TEXT
    )",
    "CREATE INDEX IF NOT EXISTS idx_events_service_id ON events(service_id)",
    "CREATE INDEX IF NOT EXISTS idx_events_type ON events(event_type)",
    "CREATE INDEX IF NOT EXISTS idx_events_timestamp ON events(timestamp)",
    "CREATE INDEX IF NOT EXISTS idx_events_correlation ON events(correlation_group)",
    "CREATE TABLE IF NOT EXISTS insights (
        id BIGINT PRIMARY KEY DEFAULT nextval('insights_id_seq'),
        created_at TIMESTAMP NOT NULL,
        insight_type TEXT NOT NULL,
        priority TEXT NOT NULL,
        title TEXT NOT NULL,
        summary TEXT NOT NULL,
        details TEXT,
        affected_services TEXT,
        status TEXT NOT NULL,
        confidence DOUBLE,
        expires_at TIMESTAMP,
        resolved_at TIMESTAMP
    )",
    "CREATE INDEX IF NOT EXISTS idx_insights_status ON insights(status)",
    "CREATE INDEX IF NOT EXISTS idx_insights_priority ON insights(priority)",
    "CREATE INDEX IF NOT EXISTS idx_insights_created_at ON insights(created_at)",
    "CREATE TABLE IF NOT EXISTS service_connections (
        from_service TEXT NOT NULL,
        to_service TEXT NOT NULL,
        protocol TEXT NOT NULL,
        first_observed TIMESTAMP NOT NULL,
        last_observed TIMESTAMP NOT NULL,
        connection_count BIGINT NOT NULL,
        PRIMARY KEY (from_service, to_service, protocol)
    )",
    "CREATE INDEX IF NOT EXISTS idx_service_connections_from ON service_connections(from_service)",
    "CREATE INDEX IF NOT EXISTS idx_service_connections_to ON service_connections(to_service)",
    "CREATE TABLE IF NOT EXISTS baselines (
        service_id TEXT NOT NULL,
        metric_name TEXT NOT NULL,
        time_window TEXT NOT NULL,
        mean DOUBLE,
        stddev DOUBLE,
        p50 DOUBLE,
        p95 DOUBLE,
        p99 DOUBLE,
        sample_count BIGINT,
        last_updated TIMESTAMP NOT NULL,
        PRIMARY KEY (service_id, metric_name, time_window)
    )",
    "CREATE INDEX IF NOT EXISTS idx_baselines_service_id ON baselines(service_id)",
    "CREATE INDEX IF NOT EXISTS idx_baselines_metric_name ON baselines(metric_name)",
];

/// The six tables.
pub const TABLES: [&str; 6] =
    ["services", "metric_summaries", "events", "insights", "service_connections", "baselines"];

const SESSION_PREFIX: &str = "session:";

/// Runs `statements` in one transaction: all of them take effect, or none.
pub(crate) fn apply(connection: &Connection, statements: &[&str]) -> duckdb::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for statement in statements {
        transaction.execute_batch(statement)?;
    }
    ensure_session(&transaction)?;
    transaction.commit()
}

/// Creates the database's session when it is first opened.
fn ensure_session(connection: &Connection) -> duckdb::Result<()> {
    if session(connection)?.is_some() {
        return Ok(());
    }
    let fresh: String = connection.query_row("SELECT replace(uuid()::VARCHAR, '-', '')", [], |row| row.get(0))?;
    // DDL takes no parameters; the text is ours and hexadecimal
    assert!(fresh.bytes().all(|b| b.is_ascii_hexdigit()), "DuckDB's uuid() gives hexadecimal digits");
    // sql: identifiers only; the session is created above, of letters and digits
    connection.execute_batch(&format!("COMMENT ON TABLE events IS '{SESSION_PREFIX}{fresh}'"))
}

/// The session of the database; `None` before the schema exists.
pub(super) fn session(connection: &Connection) -> duckdb::Result<Option<String>> {
    let mut statement = connection
        .prepare("SELECT comment FROM duckdb_tables() WHERE table_name = ? AND NOT temporary AND NOT internal")?;
    let mut rows = statement.query(params!["events"])?;
    let comment: Option<String> = rows.next()?.map(|row| row.get(0)).transpose()?.flatten();
    Ok(comment.and_then(|text| text.strip_prefix(SESSION_PREFIX).map(str::to_owned)))
}
