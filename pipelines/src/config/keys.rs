//! Every option of a configuration, once: name, type, default, meaning. Decoding, help and documentation read this table.

use super::kinds::Kind;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Path with dots; `[]` marks the items of a list, e.g. `colonies[].mesh.mesh_ip`, and `*` tables that the file names.
    pub path: &'static str,
    /// Type and limits.
    pub kind: Kind,
    /// What an absent key means.
    pub default: Default,
    /// Its purpose, in one line.
    pub meaning: &'static str,
    /// The option belongs to one choice of another key: `("sources[].kind", "kafka")`.
    pub only: Option<(&'static str, &'static str)>,
    /// What is expanded in its text.
    pub expands: Expands,
}

/// What is expanded in the text of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expands {
    /// Nothing.
    Never,
    /// `${NAME}` and `$NAME`: variables of the environment.
    Variables,
    /// The same, and `~/` for the home folder.
    Path,
}

/// What an absent key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// The key is required if its section exists.
    Required,
    /// Nothing; the feature is not used.
    None,
    /// This value, as it would be written.
    Value(&'static str),
    /// Worked out; this is how.
    Computed(&'static str),
}

const TEXT: Kind = Kind::Text { may_be_empty: false };
const PORT: Kind = Kind::Integer { min: 1, max: 65_535 };
const YEAR_MS: i64 = 365 * DAY_MS;
const RETENTION: Kind = Kind::Duration { min_ms: HOUR_MS, max_ms: 100 * YEAR_MS };
const FILES: (&str, &str) = ("sources[].kind", "files");
const KAFKA: (&str, &str) = ("sources[].kind", "kafka");
const DUCKDB: (&str, &str) = ("storage.type", "duckdb");
const CLICKHOUSE: (&str, &str) = ("storage.type", "clickhouse");

const fn key(path: &'static str, kind: Kind, default: Default, meaning: &'static str) -> Key {
    Key { path, kind, default, meaning, only: None, expands: Expands::Never }
}

const fn variables(key: Key) -> Key {
    Key { expands: Expands::Variables, ..key }
}

const fn file(key: Key) -> Key {
    Key { expands: Expands::Path, ..key }
}

const fn only(choice: (&'static str, &'static str), key: Key) -> Key {
    Key { only: Some(choice), ..key }
}

const fn value(text: &'static str) -> Default {
    Default::Value(text)
}

const fn between(min_ms: i64, max_ms: i64) -> Kind {
    Kind::Duration { min_ms, max_ms }
}

/// The table.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    variables(key("reef_id", Kind::Id, Default::Required, "unique id of this reef")),
    variables(key("name", TEXT, Default::Computed("reef_id"), "name for people")),
    key("description", Kind::Text { may_be_empty: true }, value(""), "free text"),

    variables(key("colonies[].colony_id", Kind::Id, Default::Required, "the colony's id")),
    variables(key("colonies[].endpoint", Kind::Url, Default::None, "address on a trusted network; used instead of the mesh")),
    key("colonies[].reef_mesh_ip", Kind::Ip, Default::None, "this reef's address in the colony's mesh; absent: not yet peered"),
    key("colonies[].mesh.mesh_ip", Kind::Ip, Default::Required, "address of the colony in its mesh"),
    key("colonies[].mesh.connect_port", PORT, value("9000"), "port of the colony's federation service"),
    key("colonies[].mesh.colony_secret", Kind::Secret, Default::None, "secret that admits this reef; better as _env or _file"),
    key("colonies[].mesh.colony_secret_env", Kind::EnvName, Default::None, "environment variable that holds the secret"),
    file(key("colonies[].mesh.colony_secret_file", TEXT, Default::None, "private file that holds the secret; relative to this file")),
    variables(key("colonies[].mesh.endpoint", Kind::Address, Default::None, "host:port (UDP) of the colony's door; absent: discovery is asked")),
    key("colonies[].mesh.public_key", Kind::PublicKey, Default::None, "the colony's key; needed with endpoint, and compared with discovery's"),
    key("colonies[].mesh.mtu", Kind::Integer { min: 576, max: 1_440 }, value("1420"), "largest packet inside the tunnel, in bytes"),
    key("colonies[].mesh.keepalive", between(SECOND_MS, 5 * MINUTE_MS), value("25s"), "how often a quiet tunnel is used, so that routers keep its path open"),

    key("sources[].kind", Kind::Choice(&["files", "kafka"]), Default::Required, "what is read"),
    only(FILES, file(key("sources[].metrics", Kind::Texts, Default::None, "parquet, csv or ndjson files of metrics; globs allowed; relative to this file"))),
    only(FILES, file(key("sources[].events", Kind::Texts, Default::None, "parquet, csv or ndjson files of events; globs allowed; relative to this file"))),
    only(FILES, key("sources[].version", Kind::Integer { min: 0, max: i64::MAX }, value("0"), "rows of these files win over stored rows of a lower version, whatever their values: raise it for corrected files")),
    only(KAFKA, variables(key("sources[].brokers", Kind::Addresses, Default::Required, "host:port, several separated by commas"))),
    only(KAFKA, variables(key("sources[].topics.metrics", TEXT, Default::None, "topic of metrics"))),
    only(KAFKA, variables(key("sources[].topics.events", TEXT, Default::None, "topic of events"))),
    only(KAFKA, key("sources[].start", Kind::Offsets(&["committed", "earliest", "latest"]), value("committed"), "where reading starts in partitions that the store has no position of; committed: at the earliest record")),
    only(KAFKA, key("sources[].end", Kind::Offsets(&["never", "now"]), value("never"), "where reading stops; any value except never ends the run when it is reached")),
    only(KAFKA, key("sources[].options", Kind::Properties, Default::None, "properties of librdkafka, e.g. \"security.protocol\" = \"SASL_SSL\"")),
    only(KAFKA, key("sources[].options_env", Kind::EnvNames, Default::None, "properties whose values environment variables hold, e.g. \"sasl.password\" = \"KAFKA_PASSWORD\"")),

    key("storage.type", Kind::Choice(&["duckdb", "clickhouse"]), value("duckdb"), "the store"),
    only(DUCKDB, file(key("storage.path", TEXT, Default::Computed(".coral/<reef_id>.duckdb"), "database file; relative to this file"))),
    only(CLICKHOUSE, variables(key("storage.connection.host", TEXT, Default::Required, "host of the server"))),
    only(CLICKHOUSE, key("storage.connection.port", PORT, Default::Computed("8123 for http, 9000 for native"), "port of the server")),
    only(CLICKHOUSE, key("storage.connection.protocol", Kind::Choice(&["http", "native"]), Default::Computed("native on port 9000 or 9440, else http"), "protocol spoken on that port; a run needs http")),
    only(CLICKHOUSE, variables(key("storage.connection.database", TEXT, Default::Required, "database"))),
    only(CLICKHOUSE, variables(key("storage.connection.user", TEXT, value("default"), "user"))),
    only(CLICKHOUSE, key("storage.connection.password_env", Kind::EnvName, Default::None, "environment variable that holds the password")),
    only(CLICKHOUSE, variables(key("storage.connection.cluster", TEXT, Default::None, "cluster on which tables are created, replicated and distributed"))),
    key("storage.retention.aggregated_metrics", RETENTION, value("90d"), "how long metrics are kept"),
    key("storage.retention.events", RETENTION, value("90d"), "how long events are kept"),
    key("storage.retention.correlations", RETENTION, value("1y"), "how long patterns are kept after they were last seen"),
    key("storage.retention.deployment_timeline", RETENTION, value("2y"), "how long deployments are kept"),

    key("collection.summary_interval", between(SECOND_MS, DAY_MS), value("60s"), "time between two pulls of a colony's summaries"),
    key("collection.event_stream", Kind::Bool, value("true"), "whether colonies' events are streamed"),
    key("collection.allowed_lateness", between(0, 30 * DAY_MS), value("10m"), "how far behind its colony's watermark a row may be and still count"),

    key("correlation.enabled", Kind::Bool, value("true"), "false: collect only"),
    key("correlation.interval", between(SECOND_MS, DAY_MS), value("300s"), "how old a published confidence may be"),
    key("correlation.max_lag", between(MINUTE_MS, 7 * DAY_MS), value("4h"), "largest evaluated lag"),
    key("correlation.horizon", between(DAY_MS, 2 * YEAR_MS), value("30d"), "how much history event patterns use"),
    key("correlation.min_occurrences", Kind::Integer { min: 2, max: 1_000_000 }, value("3"), "minimum number of occurrences of a pattern"),
    key("correlation.false_discovery_rate", Kind::Fraction, value("0.05"), "share of chance findings accepted among confirmed patterns"),
    key("correlation.metric_window", between(HOUR_MS, 90 * DAY_MS), value("24h"), "length of the window of metric correlations"),
    key("correlation.metric_threshold", Kind::Fraction, value("0.8"), "|r| from which a metric pair is reported"),
    key("correlation.metric_pairs", Kind::Choice(&["all", "same-metric"]), value("all"), "which metrics are compared"),
    key("correlation.deployment_impact", Kind::Bool, value("true"), "whether a run stores verdicts and impacts of deployments; without it they are computed when asked for"),
    key("correlation.derived_events", Kind::Bool, value("false"), "whether spikes, saturation, shifts and growth of metrics become events"),

    key("ai.llm.provider", Kind::Model, Default::Required, "language model, vendor:model; vendors: anthropic, openai, openai-compatible, ollama"),
    key("ai.llm.api_key_env", Kind::EnvName, Default::None, "environment variable that holds its key"),
    key("ai.llm.fallback_provider", Kind::Model, Default::None, "used when the first fails or times out"),
    key("ai.llm.endpoint", TEXT, Default::Computed("that of the vendor"), "address of the model, e.g. http://127.0.0.1:8000/v1 for openai-compatible"),
    key("ai.llm.fallback_endpoint", TEXT, Default::Computed("that of the vendor"), "address of the fallback"),
    key("ai.llm.fallback_api_key_env", Kind::EnvName, Default::None, "environment variable that holds the fallback's key; absent: api_key_env, where the vendor is the same"),
    key("ai.llm.timeout", between(SECOND_MS, 5 * MINUTE_MS), value("20s"), "how long one reply may take"),
    key("ai.llm.prices", Kind::Texts, Default::None, "US dollars for a million tokens, in and out, over the table that comes with the program: \"MODEL=3.00/15.00\""),
    key("ai.privacy", Kind::Choice(&["mask", "off", "local-only"]), value("mask"), "what a model is sent: pseudonyms in place of names, everything, or nothing unless it runs on this machine"),
    key("ai.limits.tokens_per_day", Kind::Integer { min: 1, max: i64::MAX }, Default::None, "tokens of models in a day (UTC); beyond them the engine's own words are the answer"),
    key("ai.limits.cost_cents_per_day", Kind::Integer { min: 1, max: 1_000_000_000 }, Default::None, "what they may cost in a day, in US cents"),
    file(key("ai.journal_file", TEXT, Default::Computed(".coral/<reef_id>.analyses.ndjson"), "file that records each question; relative to this file")),
    key("ai.correlation_enabled", Kind::Bool, Default::None, "alias of correlation.enabled"),
    key("ai.correlation_interval", between(SECOND_MS, DAY_MS), Default::None, "alias of correlation.interval"),
    key("ai.rate_limit.requests_per_user_per_hour", Kind::Integer { min: 1, max: 1_000_000 }, value("100"), "questions in words of one user in an hour"),
    key("ai.rate_limit.max_concurrent_requests", Kind::Integer { min: 1, max: 10_000 }, value("10"), "questions in words that are answered at once"),

    key("dashboard.enabled", Kind::Bool, value("false"), "whether a run with api.enabled opens the dashboard, at its port and at api.listen"),
    key("dashboard.port", PORT, value("3100"), "port of the dashboard, at the address of api.listen; if it is taken, the dashboard is at api.listen only"),

    key("metrics.*.unit", Kind::Choice(&["ms", "s", "share", "percent", "bytes", "req/s", "none"]), Default::Computed("learnt from the name"), "unit of the metrics of that name; in the name * stands for any text"),
    key("metrics.*.better", Kind::Choice(&["lower", "higher", "unknown"]), Default::Computed("learnt from the name"), "which direction is better; metrics for which that is unknown are never called worse"),

    variables(key("discovery.endpoint", Kind::WebAddress, value("http://127.0.0.1:18080"), "service that says where colonies are that have no mesh.endpoint")),
    key("api.enabled", Kind::Bool, value("false"), "whether a run opens its services: /healthz, /readyz, /metrics"),
    key("api.listen", Kind::Listen, value("127.0.0.1:3101"), "address of the services; any other than 127.0.0.1 or [::1] needs tokens; port 0 takes a free one"),
    key("api.require_token", Kind::Bool, value("false"), "whether callers on this machine need a token too"),
    file(key("api.tokens_file", TEXT, Default::Computed(".coral/<reef_id>.tokens.json"), "file of tokens; relative to this file")),
    file(key("api.sql_files", Kind::Texts, Default::None, "folders whose Parquet files a statement in SQL may read, files('name.parquet'); relative to this file")),
    key("api.mcp_groups", Kind::Choices(&["analyze", "sql"]), Default::None, "groups of tools that MCP clients get beside the usual ones: analyze (reef_analyze), sql (reef_query_sql)"),

    key("engine.workers", Kind::Integer { min: 1, max: 64 }, Default::Computed("number of cores, at most 4"), "worker threads; results do not depend on it"),
    key("engine.memory_limit", Kind::Bytes, Default::None, "memory of the program, store included, e.g. 4GiB; default: what the container allows, or four fifths of the machine"),
    key("engine.tick_rows_max", Kind::Integer { min: 1, max: 10_000_000 }, value("250000"), "maximum number of rows in a tick; results do not depend on it"),
    key("engine.tick_interval", between(1, MINUTE_MS), value("500ms"), "maximum duration of a tick"),
    variables(key("engine.hosts", Kind::Texts, Default::None, "host:port of every process, in the order of --process; absent: one process")),
    key("engine.peer_wait", between(SECOND_MS, HOUR_MS), value("60s"), "how long a process waits for the others at its start"),
    key("engine.peer_silence", between(SECOND_MS, HOUR_MS), value("10s"), "a process that is silent for longer is lost"),
];

/// Looks a path up.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}
