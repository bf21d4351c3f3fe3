//! One good and one bad value for every key.

use crate::config::*;
use model::meaning::{Better, Unit};
use model::time::TimeMs;
use sources::kafka::Offsets;
use std::path::Path;

pub fn colony(config: &ReefConfig) -> &ColonyConfig {
    &config.colonies[0]
}

pub fn mesh(config: &ReefConfig) -> &MeshConfig {
    colony(config).mesh.as_ref().unwrap()
}

fn kafka(config: &ReefConfig) -> (&str, Option<&str>, Option<&str>, KafkaStart, KafkaEnd) {
    match &config.sources[0] {
        SourceConfig::Kafka { brokers, metrics_topic, events_topic, start, end, .. } => {
            (brokers, metrics_topic.as_deref(), events_topic.as_deref(), start.clone(), end.clone())
        }
        SourceConfig::Files { .. } => panic!("files"),
    }
}

fn options(config: &ReefConfig) -> (Vec<String>, Vec<String>) {
    let SourceConfig::Kafka { options, options_env, .. } = &config.sources[0] else { panic!("files") };
    let shown = options.iter().map(|(name, value)| format!("{name}={}", value.reveal()));
    (shown.collect(), options_env.iter().map(|(name, variable)| format!("{name}={variable}")).collect())
}

pub fn store(config: &ReefConfig) -> String {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => path.display().to_string(),
        StorageKind::ClickHouse { host, port, protocol, database, user, password_env, cluster } => {
            let cluster = cluster.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
            format!("{host}:{port} {protocol:?} {database} {user} {password_env:?}{cluster}")
        }
    }
}

/// A key, a good snippet, and what it must lead to.
pub type Good = (&'static str, &'static str, fn(&ReefConfig) -> bool);

const DAY: i64 = 86_400_000;

#[rustfmt::skip]
pub const GOOD: &[Good] = &[
    ("reef_id", "reef_id: my-reef-x7y8z9", |c| c.reef_id == "my-reef-x7y8z9" && c.name == "my-reef-x7y8z9"),
    ("name", "name: infra", |c| c.name == "infra"),
    ("description", "description: ''", |c| c.description.is_empty()),
    ("colonies[].colony_id", "colonies: [{colony_id: a, endpoint: 'http://a:1'}]", |c| colony(c).colony_id == "a"),
    ("colonies[].endpoint", "colonies: [{colony_id: a, endpoint: 'http://a:9000'}]", |c| colony(c).endpoint.as_deref() == Some("http://a:9000") && colony(c).mesh.is_none()),
    ("colonies[].reef_mesh_ip", "colonies: [{colony_id: a, endpoint: 'http://a:1', reef_mesh_ip: 'fd00::2'}]", |c| colony(c).reef_mesh_ip.unwrap().to_string() == "fd00::2"),
    ("colonies[].mesh.mesh_ip", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}}]", |c| mesh(c).mesh_ip.to_string() == "10.42.0.1" && colony(c).reef_mesh_ip.is_none()),
    ("colonies[].mesh.connect_port", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}}]", |c| mesh(c).connect_port == 9000),
    ("colonies[].mesh.colony_secret", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret: hunter2}}]", |c| mesh(c).colony_secret == SecretSource::Inline(Secret::new("hunter2"))),
    ("colonies[].mesh.colony_secret_env", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}}]", |c| mesh(c).colony_secret == SecretSource::Env("S".into())),
    ("colonies[].mesh.colony_secret_file", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_file: s.txt}}]", |c| mesh(c).colony_secret == SecretSource::File("dir/s.txt".into())),
    ("sources[].kind", "sources: [{kind: files, events: e.csv}]", |c| c.sources == [SourceConfig::Files { metrics: vec![], events: vec!["e.csv".into()], version: 0 }]),
    ("sources[].metrics", "sources: [{kind: files, metrics: [a.parquet, 'b/*.csv']}]", |c| c.sources == [SourceConfig::Files { metrics: vec!["a.parquet".into(), "b/*.csv".into()], events: vec![], version: 0 }]),
    ("sources[].events", "sources: [{kind: files, events: [e.ndjson]}]", |c| c.sources == [SourceConfig::Files { metrics: vec![], events: vec!["e.ndjson".into()], version: 0 }]),
    ("sources[].version", "sources: [{kind: files, events: e.csv, version: 3}]", |c| c.sources == [SourceConfig::Files { metrics: vec![], events: vec!["e.csv".into()], version: 3 }]),
    ("sources[].brokers", "sources: [{kind: kafka, brokers: 'a:1,b:2', topics: {metrics: m}}]", |c| kafka(c).0 == "a:1,b:2"),
    ("sources[].topics.metrics", "sources: [{kind: kafka, brokers: 'a:1', topics: {metrics: m}}]", |c| kafka(c).1 == Some("m") && kafka(c).2.is_none()),
    ("sources[].topics.events", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}}]", |c| kafka(c).2 == Some("e")),
    ("sources[].start", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, start: earliest}]", |c| kafka(c).3 == KafkaStart::Earliest),
    ("sources[].start", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}}]", |c| kafka(c).3 == KafkaStart::Committed && kafka(c).4 == KafkaEnd::Never),
    ("sources[].end", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, end: '1970-01-01T00:00:01Z'}]", |c| kafka(c).4 == KafkaEnd::Time(TimeMs(1000))),
    ("sources[].start", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, start: 'offset:7'}]", |c| kafka(c).3 == KafkaStart::Offsets(Offsets::Every(7))),
    ("sources[].end", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, end: 'offset:0=9,e/1=3'}]", |c| kafka(c).4 == KafkaEnd::Offsets(Offsets::Of([("0".to_owned(), 9), ("e/1".to_owned(), 3)].into()))),
    ("sources[].options", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, options: {security.protocol: SSL, fetch: {min.bytes: 5}, check.crcs: true}}]", |c| options(c).0 == ["check.crcs=true", "fetch.min.bytes=5", "security.protocol=SSL"]),
    ("sources[].options_env", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, options_env: {sasl.password: KAFKA_PASSWORD}}]", |c| options(c).1 == ["sasl.password=KAFKA_PASSWORD"]),
    ("storage.type", "storage: {type: duckdb}", |c| store(c) == "dir/.coral/r.duckdb"),
    ("storage.path", "storage: {path: /data/x.duckdb}", |c| store(c) == "/data/x.duckdb"),
    ("storage.path", "storage: {path: x.duckdb}", |c| store(c) == "dir/x.duckdb"),
    ("storage.connection.host", "storage: {type: clickhouse, connection: {host: h, database: d}}", |c| store(c) == "h:8123 Http d default None"),
    ("storage.connection.port", "storage: {type: clickhouse, connection: {host: h, database: d, port: 9440}}", |c| store(c) == "h:9440 Native d default None"),
    ("storage.connection.protocol", "storage: {type: clickhouse, connection: {host: h, database: d, protocol: native}}", |c| store(c) == "h:9000 Native d default None"),
    ("storage.connection.database", "storage: {type: clickhouse, connection: {host: h, database: reef}}", |c| store(c) == "h:8123 Http reef default None"),
    ("storage.connection.user", "storage: {type: clickhouse, connection: {host: h, database: d, user: u}}", |c| store(c) == "h:8123 Http d u None"),
    ("storage.connection.password_env", "storage: {type: clickhouse, connection: {host: h, database: d, password_env: P}}", |c| store(c).ends_with("Some(\"P\")")),
    ("storage.connection.cluster", "storage: {type: clickhouse, connection: {host: h, database: d, cluster: three}}", |c| store(c).ends_with("None on three")),
    ("storage.retention.aggregated_metrics", "storage: {retention: {aggregated_metrics: 30d}}", |c| c.storage.retention.aggregated_metrics_ms == 30 * DAY),
    ("storage.retention.events", "storage: {retention: {events: 45d}}", |c| c.storage.retention.events_ms == 45 * DAY && c.storage.retention.aggregated_metrics_ms == 90 * DAY),
    ("storage.retention.correlations", "storage: {retention: {correlations: 2y}}", |c| c.storage.retention.correlations_ms == 730 * DAY),
    ("storage.retention.deployment_timeline", "storage: {}", |c| c.storage.retention.deployment_timeline_ms == 730 * DAY),
    ("collection.summary_interval", "collection: {summary_interval: 1s}", |c| c.collection.summary_interval_ms == 1_000),
    ("collection.event_stream", "collection: {event_stream: false}", |c| !c.collection.event_stream && c.collection.summary_interval_ms == 60_000),
    ("collection.allowed_lateness", "collection: {allowed_lateness: 0s}", |c| c.collection.allowed_lateness_ms == 0),
    ("correlation.enabled", "correlation: {enabled: false}", |c| !c.correlation.enabled),
    ("correlation.interval", "correlation: {interval: 1m}", |c| c.correlation.interval_ms == 60_000),
    ("correlation.max_lag", "correlation: {max_lag: 2h15m}", |c| c.correlation.max_lag_ms == 8_100_000),
    ("correlation.horizon", "correlation: {horizon: 60d}", |c| c.correlation.horizon_ms == 60 * DAY),
    ("correlation.min_occurrences", "correlation: {min_occurrences: 5}", |c| c.correlation.min_occurrences == 5),
    ("correlation.false_discovery_rate", "correlation: {false_discovery_rate: 0.01}", |c| c.correlation.false_discovery_rate == 0.01),
    ("correlation.metric_window", "correlation: {metric_window: 2d}", |c| c.correlation.metric_window_ms == 2 * DAY),
    ("correlation.metric_threshold", "correlation: {metric_threshold: 0.9}", |c| c.correlation.metric_threshold == 0.9),
    ("correlation.metric_pairs", "correlation: {metric_pairs: same-metric}", |c| c.correlation.metric_pairs == MetricPairs::SameMetric),
    ("correlation.deployment_impact", "correlation: {deployment_impact: false}", |c| !c.correlation.deployment_impact),
    ("correlation.derived_events", "correlation: {derived_events: true}", |c| c.correlation.derived_events),
    ("ai.llm.provider", "ai: {llm: {provider: 'openai-compatible:z', endpoint: 'http://127.0.0.1:8000/v1'}}", |c| c.ai.llm.as_ref().unwrap().provider == "openai-compatible:z"),
    ("ai.llm.api_key_env", "ai: {llm: {provider: 'openai:x', api_key_env: KEY}}", |c| c.ai.llm.as_ref().unwrap().api_key_env.as_deref() == Some("KEY")),
    ("ai.llm.fallback_provider", "ai: {llm: {provider: 'openai:x', fallback_provider: 'anthropic:y'}}", |c| c.ai.llm.as_ref().unwrap().fallback_provider.as_deref() == Some("anthropic:y")),
    ("ai.llm.endpoint", "ai: {llm: {provider: 'ollama:x', endpoint: 'http://127.0.0.1:1'}}", |c| c.ai.llm.as_ref().unwrap().endpoint.as_deref() == Some("http://127.0.0.1:1")),
    ("ai.llm.fallback_endpoint", "ai: {llm: {provider: 'openai:x', fallback_provider: 'openai-compatible:y', fallback_endpoint: 'http://a/v1'}}", |c| c.ai.llm.as_ref().unwrap().fallback_endpoint.as_deref() == Some("http://a/v1")),
    ("ai.llm.fallback_api_key_env", "ai: {llm: {provider: 'openai:x', fallback_api_key_env: KEY}}", |c| c.ai.llm.as_ref().unwrap().fallback_api_key_env.as_deref() == Some("KEY")),
    ("ai.llm.timeout", "ai: {llm: {provider: 'openai:x', timeout: 5s}}", |c| c.ai.llm.as_ref().unwrap().timeout_ms == 5_000),
    ("ai.llm.prices", "ai: {llm: {provider: 'openai:x', prices: ['x=3.00/15']}}", |c| c.ai.llm.as_ref().unwrap().prices == [ModelPrice { model: "x".to_owned(), input_cents_per_million: 300, output_cents_per_million: 1_500 }]),
    ("ai.privacy", "ai: {privacy: local-only}", |c| c.ai.privacy == AiPrivacy::LocalOnly),
    ("ai.limits.tokens_per_day", "ai: {limits: {tokens_per_day: 1000}}", |c| c.ai.tokens_per_day == Some(1_000) && c.ai.cost_cents_per_day.is_none()),
    ("ai.limits.cost_cents_per_day", "ai: {limits: {cost_cents_per_day: 50}}", |c| c.ai.cost_cents_per_day == Some(50)),
    ("ai.journal_file", "ai: {journal_file: a.ndjson}", |c| c.ai.journal_file.ends_with("a.ndjson")),
    ("ai.correlation_enabled", "ai: {correlation_enabled: false}", |c| !c.correlation.enabled),
    ("ai.correlation_interval", "ai: {correlation_interval: 10s}", |c| c.correlation.interval_ms == 10_000),
    ("ai.rate_limit.requests_per_user_per_hour", "ai: {rate_limit: {requests_per_user_per_hour: 7}}", |c| c.ai.requests_per_user_per_hour == 7 && c.ai.max_concurrent_requests == 10),
    ("ai.rate_limit.max_concurrent_requests", "ai: {rate_limit: {max_concurrent_requests: 2}}", |c| c.ai.max_concurrent_requests == 2 && c.ai.requests_per_user_per_hour == 100),
    ("dashboard.enabled", "dashboard: {enabled: true}", |c| c.dashboard.enabled && c.dashboard.port == 3100),
    ("dashboard.port", "dashboard: {port: 3101}", |c| c.dashboard.port == 3101),
    ("colonies[].mesh.endpoint", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, endpoint: 'a.example.com:41580', public_key: '93huH0DopXhN7eGvL2+g/whTyrnrg30eu7X1lGKmxfo='}}]", |c| mesh(c).endpoint.as_deref() == Some("a.example.com:41580")),
    ("colonies[].mesh.public_key", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, public_key: '93huH0DopXhN7eGvL2+g/whTyrnrg30eu7X1lGKmxfo='}}]", |c| mesh(c).public_key.as_deref() == Some("93huH0DopXhN7eGvL2+g/whTyrnrg30eu7X1lGKmxfo=") && mesh(c).endpoint.is_none()),
    ("colonies[].mesh.mtu", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, mtu: 1280}}]", |c| mesh(c).mtu == 1280 && mesh(c).keepalive_ms == 25_000),
    ("colonies[].mesh.keepalive", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, keepalive: 10s}}]", |c| mesh(c).keepalive_ms == 10_000 && mesh(c).mtu == 1420),
    ("metrics.*.unit", "metrics: {'*latency*': {unit: s}, up: {unit: none}}", |c| c.metrics.of("a.latency").unit == Unit::Seconds && c.metrics.of("up").unit == Unit::None),
    ("metrics.*.better", "metrics: {'*': {better: higher}, 'a.b.c': {better: lower}}", |c| c.metrics.of("x").better == Better::Higher && c.metrics.of("A.b.c").better == Better::Lower),
    ("metrics.*.better", "metrics: {}", |c| c.metrics.0.is_empty()),
    ("discovery.endpoint", "discovery: {endpoint: 'https://discovery.example.com'}", |c| c.discovery == "https://discovery.example.com"),
    ("discovery.endpoint", "discovery: {}", |c| c.discovery == "http://127.0.0.1:18080"),
    ("api.enabled", "api: {enabled: true}", |c| c.api.enabled && c.api.listen.to_string() == "127.0.0.1:3101" && !c.api.require_token),
    ("api.listen", "api: {listen: '[::]:3102'}", |c| !c.api.enabled && c.api.listen.to_string() == "[::]:3102"),
    ("api.require_token", "api: {require_token: true}", |c| c.api.require_token && c.api.tokens_file == Path::new("dir/.coral/r.tokens.json")),
    ("api.tokens_file", "api: {tokens_file: t.json}", |c| c.api.tokens_file == Path::new("dir/t.json")),
    ("api.sql_files", "api: {sql_files: [exports, /data]}", |c| c.api.sql_files == [Path::new("dir/exports"), Path::new("/data")]),
    ("api.mcp_groups", "api: {mcp_groups: [analyze, sql]}", |c| c.api.mcp_groups == ["analyze", "sql"]),
    ("api.mcp_groups", "api: {mcp_groups: sql}", |c| c.api.mcp_groups == ["sql"]),
    ("api.mcp_groups", "api: {enabled: true}", |c| c.api.mcp_groups.is_empty()),
    ("engine.workers", "engine: {workers: 3}", |c| c.engine.workers == 3),
    ("engine.workers", "engine: {}", |c| (1..=4).contains(&c.engine.workers)),
    ("engine.memory_limit", "engine: {memory_limit: 4GiB}", |c| c.engine.memory_limit_bytes == Some(4 << 30)),
    ("engine.tick_rows_max", "engine: {tick_rows_max: 1}", |c| c.engine.tick_rows_max == 1),
    ("engine.tick_interval", "engine: {tick_interval: 1s}", |c| c.engine.tick_interval_ms == 1_000),
    ("engine.hosts", "engine: {hosts: ['127.0.0.1:2101', 'b.example.com:2102']}", |c| c.engine.hosts == ["127.0.0.1:2101", "b.example.com:2102"]),
    ("engine.peer_wait", "engine: {peer_wait: 5m}", |c| c.engine.peer_wait_ms == 300_000),
    ("engine.peer_silence", "engine: {peer_silence: 30s}", |c| c.engine.peer_silence_ms == 30_000),
];

/// A key, a bad snippet, and a line that must be among the errors.
#[rustfmt::skip]
pub const BAD: &[(&str, &str, &str)] = &[
    ("reef_id", "reef_id: a b", "reef.yaml:1:10: reef_id: \"a b\" is not an id"),
    ("reef_id", "reef_id:", "reef_id: must be an id (text without blanks), not nothing"),
    ("name", "name: 7", "reef.yaml:1:7: name: must be text, not the number 7"),
    ("description", "description: [a]", "description: must be text, not a list"),
    ("colonies[].colony_id", "colonies: [{endpoint: 'http://a:1'}]", "reef.yaml:1:12: colonies.colony_id is missing"),
    ("colonies[].colony_id", "colonies:\n- {colony_id: a, endpoint: 'http://a:1'}\n- {colony_id: a, endpoint: 'http://b:1'}", "reef.yaml:3:4: colony_id \"a\" is already used on line 2"),
    ("colonies[].endpoint", "colonies: [{colony_id: a, endpoint: 'a:9000'}]", "\"a:9000\" does not start with http://"),
    ("colonies[].endpoint", "colonies: [{colony_id: a}]", "reef.yaml:1:12: colony \"a\" cannot be reached: give endpoint or mesh"),
    ("colonies[].endpoint", "colonies: [{colony_id: a, endpoint: 'http://a:0'}]", "lacks a host or a port"),
    ("colonies[].reef_mesh_ip", "colonies: [{colony_id: a, endpoint: 'http://a:1', reef_mesh_ip: 10.42.0}]", "\"10.42.0\" is not an IP address; write for example 10.42.0.1"),
    ("colonies[].mesh.mesh_ip", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.256, colony_secret_env: S}}]", "reef.yaml:1:43: colonies.mesh.mesh_ip: \"10.42.0.256\" is not an IP address"),
    ("colonies[].mesh.connect_port", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, connect_port: 0, colony_secret_env: S}}]", "must be a whole number from 1 to 65535, not the number 0"),
    ("colonies[].mesh.connect_port", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, connect_port: 70000, colony_secret_env: S}}]", "not the number 70000"),
    ("colonies[].mesh.colony_secret", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1}}]", "needs colony_secret_env, colony_secret_file or colony_secret"),
    ("colonies[].mesh.colony_secret", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret: 4711}}]", "must be text; put it in quotes"),
    ("colonies[].mesh.colony_secret_env", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: 'hunter-2'}}]", "not the secret itself"),
    ("colonies[].mesh.colony_secret_file", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret: x, colony_secret_file: y}}]", "give one of colony_secret"),
    ("sources[].kind", "sources: [{kind: kafkaa}]", "\"kafkaa\" is not one of files, kafka; did you mean \"kafka\"?"),
    ("sources[].kind", "sources: [{metrics: [a.csv]}]", "sources.kind is missing"),
    ("sources[].metrics", "sources: [{kind: files, metrics: []}]", "reef.yaml:1:25: a files source needs metrics or events"),
    ("sources[].events", "sources: [{kind: files, events: [1]}]", "must be a list of texts; it contains the number 1"),
    ("sources[].version", "sources: [{kind: files, events: e.csv, version: -1}]", "must be a whole number from 0"),
    ("sources[].brokers", "sources: [{kind: kafka, topics: {events: e}}]", "sources.brokers is missing"),
    ("sources[].brokers", "sources: [{kind: kafka, brokers: 'a:1, b', topics: {events: e}}]", "\" b\" is not host:port"),
    ("sources[].brokers", "sources: [{kind: files, events: [e.csv], brokers: 'a:1'}]", "sources.brokers belongs to sources.kind = \"kafka\"; here it is \"files\""),
    ("sources[].topics.metrics", "sources: [{kind: kafka, brokers: 'a:1'}]", "a kafka source needs topics"),
    ("sources[].topics.events", "sources: [{kind: kafka, brokers: 'a:1', topics: {event: e}}]", "unknown key \"event\" in [sources.topics]; did you mean \"events\"?"),
    ("sources[].start", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, start: begin}]", "\"begin\" is neither committed, earliest, latest nor an RFC 3339 time such as 2023-01-03T19:00:00Z, nor offset:N"),
    ("sources[].end", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, start: '2023-01-02T00:00:00Z', end: '2023-01-01T00:00:00Z'}]", "is not after start"),
    ("sources[].start", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, start: 'offset:0=x'}]", "\"0=x\" is not partition=offset; write for example offset:0=1200,1=88"),
    ("sources[].topics.events", "sources: [{kind: kafka, brokers: 'a:1', topics: {metrics: t, events: t}}]", "topic \"t\" is already read on line 1"),
    ("sources[].options", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, options: {enable.auto.commit: true}}]", "option \"enable.auto.commit\" cannot be set: positions are committed with the rows"),
    ("sources[].options", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, options: {ssl.ca.location: [a]}}]", "sources.options: \"ssl.ca.location\" must be text, a number, true or false"),
    ("sources[].options", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, options: SSL}]", "sources.options: must be a table of names and texts"),
    ("sources[].options_env", "sources: [{kind: kafka, brokers: 'a:1', topics: {events: e}, options_env: {sasl.password: 'hunter-2'}}]", "not the secret itself"),
    ("storage.type", "storage: {type: postgres}", "reef.yaml:1:17: storage.type: \"postgres\" is not one of duckdb, clickhouse"),
    ("storage.type", "storage: {type: clickhouse}", "storage.connection is missing"),
    ("storage.path", "storage: {type: clickhouse, path: x, connection: {host: h, database: d}}", "storage.path belongs to storage.type = \"duckdb\""),
    ("storage.connection.host", "storage: {type: clickhouse, connection: {database: d}}", "storage.connection.host is missing"),
    ("storage.connection.port", "storage: {type: clickhouse, connection: {host: h, database: d, port: 65536}}", "from 1 to 65535"),
    ("storage.connection.protocol", "storage: {type: clickhouse, connection: {host: h, database: d, port: 9000, protocol: http}}", "port 9000 speaks ClickHouse's native protocol; for http use port 8123"),
    ("storage.connection.protocol", "storage: {type: clickhouse, connection: {host: h, database: d, port: 8123, protocol: native}}", "port 8123 speaks ClickHouse's http protocol; for native use port 9000"),
    ("storage.connection.database", "storage: {type: clickhouse, connection: {host: h}}", "storage.connection.database is missing"),
    ("storage.connection.user", "storage: {connection: {user: u}}", "storage.connection.user belongs to storage.type = \"clickhouse\""),
    ("storage.connection.password_env", "storage: {type: clickhouse, connection: {host: h, database: d, password_env: 'a b'}}", "must be the name of an environment variable"),
    ("storage.connection.cluster", "storage: {connection: {cluster: c}}", "storage.connection.cluster belongs to storage.type = \"clickhouse\""),
    ("storage.retention.aggregated_metrics", "storage: {retention: {aggregated_metrics: 90}}", "duration \"90\" has no unit"),
    ("storage.retention.events", "storage: {retention: {events: 7 days}}", "\"7 days\" is not a duration"),
    ("storage.retention.correlations", "storage: {retention: {correlations: 0s}}", "\"0s\" is out of range"),
    ("storage.retention.deployment_timeline", "storage: {retention: {deployment_timeline: 2years}}", "\"2years\" is not a duration"),
    ("collection.summary_interval", "collection: {summary_interval: 0s}", "reef.yaml:1:32: collection.summary_interval: \"0s\" is out of range; allowed is 1s to 1d"),
    ("collection.event_stream", "collection: {event_stream: 'yes'}", "must be true or false, not the text \"yes\""),
    ("collection.allowed_lateness", "collection: {allowed_lateness: 31d}", "out of range"),
    ("correlation.enabled", "correlation: {enabled: 1}", "must be true or false, not the number 1"),
    ("correlation.interval", "correlation: {interval: 0s}", "out of range"),
    ("correlation.max_lag", "correlation: {max_lag: 30h, horizon: 1d}", "correlation.max_lag (1d6h) is longer than correlation.horizon (1d)"),
    ("correlation.horizon", "correlation: {horizon: 1h}", "out of range"),
    ("correlation.min_occurrences", "correlation: {min_occurrences: 0}", "must be a whole number from 2"),
    ("correlation.false_discovery_rate", "correlation: {false_discovery_rate: 5.0}", "must be a number between 0 and 1, not the number 5"),
    ("correlation.metric_window", "correlation: {metric_window: 0s}", "out of range"),
    ("correlation.metric_threshold", "correlation: {metric_threshold: 0.0}", "must be a number between 0 and 1"),
    ("correlation.deployment_impact", "correlation: {deployment_impact: maybe}", "must be true or false"),
    ("correlation.derived_events", "correlation: {derived_events: maybe}", "must be true or false"),
    ("correlation.metric_pairs", "correlation: {metric_pairs: same_metric}", "did you mean \"same-metric\"?"),
    ("ai.llm.provider", "ai: {llm: {provider: foo}}", "\"foo\" is not vendor:model; write for example"),
    ("ai.llm.provider", "ai: {llm: {api_key_env: K}}", "ai.llm.provider is missing"),
    ("ai.llm.api_key_env", "ai: {llm: {provider: 'openai:b', api_key_env: sk-12345}}", "not the secret itself"),
    ("ai.llm.fallback_provider", "ai: {llm: {provider: 'openai:b', fallback_provider: 'a:'}}", "is not vendor:model"),
    ("ai.llm.provider", "ai: {llm: {provider: 'a:b'}}", "the vendor \"a\" is unknown; vendors: anthropic, openai, openai-compatible, ollama"),
    ("ai.llm.provider", "ai: {llm: {provider: 'openai-compatible:b'}}", "openai-compatible needs ai.llm.endpoint"),
    ("ai.llm.endpoint", "ai: {llm: {provider: 'openai:b', endpoint: 'a:1'}}", "does not start with http:// or https://"),
    ("ai.llm.fallback_endpoint", "ai: {llm: {provider: 'openai:b', fallback_provider: 'openai:c', fallback_endpoint: x}}", "does not start with http:// or https://"),
    ("ai.llm.fallback_api_key_env", "ai: {llm: {provider: 'openai:b', fallback_api_key_env: sk-12345}}", "not the secret itself"),
    ("ai.llm.timeout", "ai: {llm: {provider: 'openai:b', timeout: 0s}}", "ai.llm.timeout"),
    ("ai.llm.prices", "ai: {llm: {provider: 'openai:b', prices: ['x=3']}}", "\"x=3\" is no price; write for example \"MODEL=3.00/15.00\""),
    ("ai.privacy", "ai: {privacy: local}", "\"local\" is not one of mask, off, local-only"),
    ("ai.limits.tokens_per_day", "ai: {limits: {tokens_per_day: 0}}", "from 1"),
    ("ai.limits.cost_cents_per_day", "ai: {limits: {cost_cents_per_day: 0}}", "from 1"),
    ("ai.journal_file", "ai: {journal_file: 7}", "must be text"),
    ("ai.correlation_enabled", "correlation: {enabled: true}\nai: {correlation_enabled: false}", "reef.yaml:2:6: ai.correlation_enabled says something else than correlation.enabled on line 1"),
    ("ai.correlation_interval", "ai: {correlation_interval: 300}", "duration \"300\" has no unit"),
    ("ai.rate_limit.requests_per_user_per_hour", "ai: {rate_limit: {requests_per_user_per_hour: 0}}", "from 1"),
    ("ai.rate_limit.max_concurrent_requests", "ai: {rate_limit: {max_concurrent_requests: -1}}", "not the number -1"),
    ("dashboard.enabled", "dashboard: {enabled: maybe}", "must be true or false"),
    ("dashboard.port", "dashboard: {port: 3100a}", "not the text \"3100a\""),
    ("colonies[].mesh.mesh_ip", "colonies: [{colony_id: a, mesh: {mesh_ip: 'fd00::1', colony_secret_env: S}}]", "fd00::1 is IPv6; meshes have IPv4 addresses"),
    ("colonies[].mesh.endpoint", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, endpoint: 'a:1'}}]", "endpoint needs public_key beside it"),
    ("colonies[].mesh.endpoint", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, endpoint: 'a:1,b:1', public_key: '93huH0DopXhN7eGvL2+g/whTyrnrg30eu7X1lGKmxfo='}}]", "must be host:port"),
    ("colonies[].mesh.public_key", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, public_key: abc}}]", "32 bytes in base64"),
    ("colonies[].mesh.mtu", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, mtu: 9000}}]", "from 576 to 1440"),
    ("colonies[].mesh.keepalive", "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S, keepalive: 10m}}]", "out of range; allowed is"),
    ("metrics.*.unit", "metrics:\n  '*latency*': {unti: ms}", "reef.yaml:2:17: unknown key \"unti\" in [metrics.*]; did you mean \"unit\"?"),
    ("metrics.*.unit", "metrics: {a: {unit: msec}}", "metrics.*.unit: "),
    ("metrics.*.unit", "metrics: {a: ms}", "metrics.\"a\" has keys of its own; this is the text \"ms\""),
    ("metrics.*.better", "metrics: {a: {better: less}}", "metrics.*.better: "),
    ("metrics.*.better", "metrics: {a: {}}", "reef.yaml:1:11: metrics.\"a\" states nothing: give unit or better"),
    ("metrics.*.better", "metric: {a: {better: lower}}", "did you mean \"metrics\"?"),
    ("discovery.endpoint", "discovery: {endpoint: 'discovery.example.com'}", "is not the address of a discovery service"),
    ("api.enabled", "api: {enabled: 1}", "must be true or false"),
    ("api.listen", "api: {listen: localhost}", "\"localhost\" is not address:port; write for example 127.0.0.1:3101"),
    ("api.require_token", "api: {require_token: 'no'}", "must be true or false"),
    ("api.tokens_file", "api: {tokens_file: ''}", "must be text"),
    ("api.sql_files", "api: {sql_files: 7}", "must be a list of texts"),
    ("api.mcp_groups", "api: {mcp_groups: [analyse]}", "\"analyse\" is not one of analyze, sql; did you mean \"analyze\"?"),
    ("api.mcp_groups", "api: {mcp_groups: true}", "must be a list of analyze or sql"),
    ("engine.workers", "engine: {workers: 0}", "from 1 to 64"),
    ("engine.memory_limit", "engine: {memory_limit: 4G}", "\"4G\" is not an amount of memory"),
    ("engine.tick_rows_max", "engine: {tick_rows_max: 0}", "must be a whole number from 1"),
    ("engine.tick_interval", "engine: {tick_interval: 2m}", "out of range; allowed is"),
    ("engine.hosts", "engine: {hosts: ['a:1', b]}", "engine.hosts: \"b\" is not host:port"),
    ("engine.hosts", "engine: {hosts: ['a:1']}", "engine.hosts names one process"),
    ("engine.hosts", "engine: {hosts: ['a:1', 'a:1']}", "engine.hosts: a:1 is named twice"),
    ("engine.peer_wait", "engine: {peer_wait: 0s}", "out of range; allowed is"),
    ("engine.peer_silence", "engine: {peer_silence: 10}", "has no unit"),
];
