//! Checks between options, and the finished configuration.

use super::decode::Scope;
use super::errors::ConfigError;
use super::kinds::{Setting, is_host_and_port};
use super::node::Place;
use super::secret::{Secret, SecretSource};
use super::types::*;
use model::meaning::{Better, Meanings, StatedMeaning, Unit};
use model::time::format_duration_ms;
use sources::kafka::reserved;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Workers when nothing is written: one per core, but no more than this.
const WORKERS_DEFAULT_MAX: usize = 4;
/// What is said of a reef without colonies and other sources.
pub(super) const NOTHING_TO_READ: &str = "nothing to read: a reef needs at least one entry in colonies or in sources";

/// Builds the configuration. It is right only if no error was added.
pub fn build(scope: &Scope, origin: &Path, errors: &mut Vec<ConfigError>) -> ReefConfig {
    let base_dir = match origin.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let reef_id = scope.text("reef_id");
    check_file_name(scope, &reef_id, origin, errors);
    let config = ReefConfig {
        name: scope.optional_text("name").unwrap_or_else(|| reef_id.clone()),
        description: scope.text("description"),
        colonies: colonies(scope, &base_dir, errors),
        sources: sources(scope, errors),
        storage: storage(scope, &reef_id, &base_dir, errors),
        collection: Collection {
            summary_interval_ms: scope.duration_ms("collection.summary_interval"),
            event_stream: scope.flag("collection.event_stream"),
            allowed_lateness_ms: scope.duration_ms("collection.allowed_lateness"),
        },
        correlation: correlation(scope, errors),
        ai: super::ai::ai(scope, &reef_id, &base_dir, errors),
        dashboard: DashboardConfig { enabled: scope.flag("dashboard.enabled"), port: port(scope, "dashboard.port") },
        metrics: metrics(scope, errors),
        discovery: scope.text("discovery.endpoint"),
        api: api(scope, &reef_id, &base_dir),
        engine: engine(scope, errors),
        reef_id,
        base_dir,
    };
    check_input(scope, errors);
    check_topics(scope, errors);
    check_spans(&config, scope, errors);
    config
}

/// Under `.coral/reefs` a file is named after its reef.
fn check_file_name(scope: &Scope, reef_id: &str, origin: &Path, errors: &mut Vec<ConfigError>) {
    let is_reefs_folder = origin.parent().is_some_and(|folder| folder.ends_with(".coral/reefs"));
    let stem = origin.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if let (true, Some(place)) = (is_reefs_folder && stem != reef_id, scope.place_of("reef_id")) {
        let message = format!(
            "reef_id {reef_id:?} differs from the file name {stem:?}; files in .coral/reefs are named <reef_id>.yaml"
        );
        errors.push(ConfigError::at(place, message));
    }
}

fn check_input(scope: &Scope, errors: &mut Vec<ConfigError>) {
    if items(scope, "colonies").is_empty() && items(scope, "sources").is_empty() {
        errors.push(ConfigError::at(scope.place, NOTHING_TO_READ));
    }
}

fn items<'a>(scope: &'a Scope, list: &str) -> &'a [Scope] {
    scope.lists.get(list).map_or(&[], Vec::as_slice)
}

fn colonies(scope: &Scope, base_dir: &Path, errors: &mut Vec<ConfigError>) -> Vec<ColonyConfig> {
    let mut first_use: BTreeMap<String, Place> = BTreeMap::new();
    let mut colonies = Vec::new();
    for item in items(scope, "colonies") {
        let colony_id = item.text("colonies[].colony_id");
        if let Some(place) = item.place_of("colonies[].colony_id") {
            match first_use.get(&colony_id) {
                Some(first) if !colony_id.is_empty() => {
                    let message = format!("colony_id {colony_id:?} is already used on line {}", first.line);
                    errors.push(ConfigError::at(place, message));
                }
                _ => drop(first_use.insert(colony_id.clone(), place)),
            }
        }
        let has_mesh = item.sections.contains_key("colonies[].mesh");
        if !has_mesh && item.place_of("colonies[].endpoint").is_none() {
            let message = format!("colony {colony_id:?} cannot be reached: give endpoint or mesh");
            errors.push(ConfigError::at(item.place, message));
        }
        colonies.push(ColonyConfig {
            colony_id,
            endpoint: item.optional_text("colonies[].endpoint"),
            mesh: if has_mesh { mesh(item, base_dir, errors) } else { None },
            reef_mesh_ip: ip(item, "colonies[].reef_mesh_ip"),
        });
    }
    colonies
}

fn mesh(item: &Scope, base_dir: &Path, errors: &mut Vec<ConfigError>) -> Option<MeshConfig> {
    let written = ["colony_secret", "colony_secret_env", "colony_secret_file"]
        .into_iter()
        .filter_map(|name| item.place_of(&format!("colonies[].mesh.{name}")))
        .collect::<Vec<_>>();
    match written.as_slice() {
        [_] => {}
        [] => {
            let place = item.sections.get("colonies[].mesh").copied().unwrap_or(item.place);
            let message = "the mesh needs colony_secret_env, colony_secret_file or colony_secret";
            errors.push(ConfigError::at(place, message));
        }
        [.., last] => {
            let message = "give one of colony_secret, colony_secret_env and colony_secret_file";
            errors.push(ConfigError::at(*last, message));
        }
    }
    let secret = item.optional_text("colonies[].mesh.colony_secret").map(Secret::new).map(SecretSource::Inline);
    let env = || item.optional_text("colonies[].mesh.colony_secret_env").map(SecretSource::Env);
    let file = || item.optional_text("colonies[].mesh.colony_secret_file");
    let file = || file().map(|path| SecretSource::File(base_dir.join(path)));
    let mesh_ip = match ip(item, "colonies[].mesh.mesh_ip")? {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => {
            let place = item.place_of("colonies[].mesh.mesh_ip").unwrap_or(item.place);
            let message = format!("colonies.mesh.mesh_ip: {ip} is IPv6; meshes have IPv4 addresses");
            errors.push(ConfigError::at(place, message));
            return None;
        }
    };
    let (endpoint, public_key) =
        (item.optional_text("colonies[].mesh.endpoint"), item.optional_text("colonies[].mesh.public_key"));
    if let (Some(place), None) =
        (item.place_of("colonies[].mesh.endpoint"), item.place_of("colonies[].mesh.public_key"))
    {
        let message = "colonies.mesh.endpoint needs public_key beside it (`coral colony status` shows the key)";
        errors.push(ConfigError::at(place, message));
    }
    Some(MeshConfig {
        mesh_ip,
        connect_port: port(item, "colonies[].mesh.connect_port"),
        colony_secret: secret.or_else(env).or_else(file)?,
        endpoint,
        public_key,
        mtu: port(item, "colonies[].mesh.mtu"),
        keepalive_ms: item.duration_ms("colonies[].mesh.keepalive"),
    })
}

/// What the file states about metrics.
fn metrics(scope: &Scope, errors: &mut Vec<ConfigError>) -> Meanings {
    let mut stated = Vec::new();
    for (pattern, place, table) in scope.named.get("metrics").into_iter().flatten() {
        let unit = match table.text("metrics.*.unit").as_str() {
            "ms" => Some(Unit::Milliseconds),
            "s" => Some(Unit::Seconds),
            "share" => Some(Unit::Share),
            "percent" => Some(Unit::Percent),
            "bytes" => Some(Unit::Bytes),
            "req/s" => Some(Unit::RequestsPerSecond),
            "none" => Some(Unit::None),
            _ => None,
        };
        let better = match table.text("metrics.*.better").as_str() {
            "lower" => Some(Better::Lower),
            "higher" => Some(Better::Higher),
            "unknown" => Some(Better::Unknown),
            _ => None,
        };
        let is_written = ["metrics.*.unit", "metrics.*.better"].iter().any(|path| table.place_of(path).is_some());
        if pattern.trim().is_empty() {
            errors.push(ConfigError::at(*place, "metrics: a metric's name is empty; * stands for any text"));
        } else if !is_written {
            errors.push(ConfigError::at(*place, format!("metrics.{pattern:?} states nothing: give unit or better")));
        }
        stated.push(StatedMeaning { pattern: pattern.clone(), unit, better });
    }
    Meanings(stated)
}

fn sources(scope: &Scope, errors: &mut Vec<ConfigError>) -> Vec<SourceConfig> {
    let mut sources = Vec::new();
    for item in items(scope, "sources") {
        match item.text("sources[].kind").as_str() {
            "files" => {
                let (metrics, events) = (item.texts("sources[].metrics"), item.texts("sources[].events"));
                let given = item.place_of("sources[].metrics").or(item.place_of("sources[].events"));
                if metrics.is_empty() && events.is_empty() {
                    let message = "a files source needs metrics or events: a list of files";
                    errors.push(ConfigError::at(given.unwrap_or(item.place), message));
                }
                let version = item.integer("sources[].version").and_then(|number| u64::try_from(number).ok());
                sources.push(SourceConfig::Files { metrics, events, version: version.unwrap_or_default() });
            }
            "kafka" => sources.push(kafka(item, errors)),
            // already reported: kind is missing or unknown
            _ => {}
        }
    }
    sources
}

fn kafka(item: &Scope, errors: &mut Vec<ConfigError>) -> SourceConfig {
    let metrics_topic = item.optional_text("sources[].topics.metrics");
    let events_topic = item.optional_text("sources[].topics.events");
    if metrics_topic.is_none() && events_topic.is_none() {
        let message = "a kafka source needs topics: metrics, events or both";
        errors.push(ConfigError::at(item.place, message));
    }
    let start = match item.setting("sources[].start") {
        Setting::Time(time) => KafkaStart::Time(time),
        Setting::Offsets(offsets) => KafkaStart::Offsets(offsets),
        Setting::Text(word) if word == "earliest" => KafkaStart::Earliest,
        Setting::Text(word) if word == "latest" => KafkaStart::Latest,
        _ => KafkaStart::Committed,
    };
    let end = match item.setting("sources[].end") {
        Setting::Time(time) => KafkaEnd::Time(time),
        Setting::Offsets(offsets) => KafkaEnd::Offsets(offsets),
        Setting::Text(word) if word == "now" => KafkaEnd::Now,
        _ => KafkaEnd::Never,
    };
    if let (KafkaStart::Time(from), KafkaEnd::Time(to), Some(place)) = (&start, &end, item.place_of("sources[].end"))
        && from >= to
    {
        errors.push(ConfigError::at(place, format!("end ({to}) is not after start ({from})")));
    }
    let map = |path: &str| match item.setting(path) {
        Setting::Map(map) => map,
        _ => BTreeMap::new(),
    };
    let (options, options_env) = (map("sources[].options"), map("sources[].options_env"));
    for (path, names) in [("sources[].options", &options), ("sources[].options_env", &options_env)] {
        let place = item.place_of(path).unwrap_or(item.place);
        errors.extend(names.keys().filter_map(|name| reserved(name)).map(|problem| ConfigError::at(place, problem)));
    }
    let options = options.into_iter().map(|(name, text)| (name, Secret::new(text))).collect();
    let brokers = item.text("sources[].brokers");
    SourceConfig::Kafka { brokers, metrics_topic, events_topic, start, end, options, options_env }
}

/// Positions are kept by topic and partition: a topic can be read by one source only, and as one kind of rows.
fn check_topics(scope: &Scope, errors: &mut Vec<ConfigError>) {
    let mut first_use: BTreeMap<String, Place> = BTreeMap::new();
    for item in items(scope, "sources") {
        for path in ["sources[].topics.metrics", "sources[].topics.events"] {
            let (Some(topic), Some(place)) = (item.optional_text(path), item.place_of(path)) else { continue };
            match first_use.get(&topic) {
                Some(first) => {
                    let message = format!("topic {topic:?} is already read on line {}", first.line);
                    errors.push(ConfigError::at(place, message));
                }
                None => drop(first_use.insert(topic, place)),
            }
        }
    }
}

fn storage(scope: &Scope, reef_id: &str, base_dir: &Path, errors: &mut Vec<ConfigError>) -> StorageConfig {
    let kind = if scope.text("storage.type") == "clickhouse" {
        clickhouse(scope, errors)
    } else {
        let path = scope.optional_text("storage.path").unwrap_or_else(|| format!(".coral/{reef_id}.duckdb"));
        StorageKind::DuckDb { path: base_dir.join(path) }
    };
    StorageConfig {
        kind,
        retention: Retention {
            aggregated_metrics_ms: scope.duration_ms("storage.retention.aggregated_metrics"),
            events_ms: scope.duration_ms("storage.retention.events"),
            correlations_ms: scope.duration_ms("storage.retention.correlations"),
            deployment_timeline_ms: scope.duration_ms("storage.retention.deployment_timeline"),
        },
    }
}

fn clickhouse(scope: &Scope, errors: &mut Vec<ConfigError>) -> StorageKind {
    if !scope.sections.contains_key("storage.connection") {
        let place = scope.sections.get("storage").copied().unwrap_or(scope.place);
        errors.push(ConfigError::at(place, "storage.connection is missing: host, database and user of the server"));
    }
    let written_port = scope.integer("storage.connection.port").and_then(|port| u16::try_from(port).ok());
    let is_native_port = matches!(written_port, Some(9000 | 9440));
    let is_http_port = matches!(written_port, Some(8123 | 8443));
    let protocol = match scope.optional_text("storage.connection.protocol").as_deref() {
        Some("native") => ClickHouseProtocol::Native,
        None if is_native_port => ClickHouseProtocol::Native,
        _ => ClickHouseProtocol::Http,
    };
    let mismatch = match protocol {
        ClickHouseProtocol::Http if is_native_port => Some(("native", "http", 8123)),
        ClickHouseProtocol::Native if is_http_port => Some(("http", "native", 9000)),
        _ => None,
    };
    if let (Some((is, wanted, other)), Some(place)) = (mismatch, scope.place_of("storage.connection.port")) {
        let number = written_port.unwrap_or_default();
        let message = format!("port {number} speaks ClickHouse's {is} protocol; for {wanted} use port {other}");
        errors.push(ConfigError::at(place, message));
    }
    let default_port = if protocol == ClickHouseProtocol::Native { 9000 } else { 8123 };
    StorageKind::ClickHouse {
        host: scope.text("storage.connection.host"),
        port: written_port.unwrap_or(default_port),
        protocol,
        database: scope.text("storage.connection.database"),
        user: scope.text("storage.connection.user"),
        password_env: scope.optional_text("storage.connection.password_env"),
        cluster: scope.optional_text("storage.connection.cluster"),
    }
}

fn correlation(scope: &Scope, errors: &mut Vec<ConfigError>) -> CorrelationConfig {
    let enabled = spelling(scope, "correlation.enabled", "ai.correlation_enabled", errors);
    let interval = spelling(scope, "correlation.interval", "ai.correlation_interval", errors);
    CorrelationConfig {
        enabled: scope.flag(enabled),
        interval_ms: scope.duration_ms(interval),
        max_lag_ms: scope.duration_ms("correlation.max_lag"),
        horizon_ms: scope.duration_ms("correlation.horizon"),
        min_occurrences: u32::try_from(scope.integer("correlation.min_occurrences").unwrap_or(0)).unwrap_or(u32::MAX),
        false_discovery_rate: scope.number("correlation.false_discovery_rate"),
        metric_window_ms: scope.duration_ms("correlation.metric_window"),
        metric_threshold: scope.number("correlation.metric_threshold"),
        metric_pairs: match scope.text("correlation.metric_pairs").as_str() {
            "same-metric" => MetricPairs::SameMetric,
            _ => MetricPairs::All,
        },
        derived_events: scope.flag("correlation.derived_events"),
        deployment_impact: scope.flag("correlation.deployment_impact"),
    }
}

/// An option with two spellings: which one is written. Both are fine as long as they agree.
fn spelling(scope: &Scope, path: &'static str, other: &'static str, errors: &mut Vec<ConfigError>) -> &'static str {
    let (Some(first), Some(second)) = (scope.place_of(path), scope.place_of(other)) else {
        return if scope.place_of(other).is_some() { other } else { path };
    };
    if scope.setting(path) != scope.setting(other) {
        let message = format!("{other} says something else than {path} on line {}; keep one of them", first.line);
        errors.push(ConfigError::at(second, message));
    }
    path
}

fn api(scope: &Scope, reef_id: &str, base_dir: &Path) -> ApiConfig {
    let tokens_file = scope.optional_text("api.tokens_file");
    let tokens_file = tokens_file.unwrap_or_else(|| format!(".coral/{reef_id}.tokens.json"));
    ApiConfig {
        enabled: scope.flag("api.enabled"),
        // reported already if it is none
        listen: scope.text("api.listen").parse().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        require_token: scope.flag("api.require_token"),
        tokens_file: base_dir.join(tokens_file),
        sql_files: scope.texts("api.sql_files").iter().map(|folder| base_dir.join(folder)).collect(),
        mcp_groups: scope.texts("api.mcp_groups"),
    }
}

fn engine(scope: &Scope, errors: &mut Vec<ConfigError>) -> EngineConfig {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = |path: &str| scope.integer(path).and_then(|number| usize::try_from(number).ok());
    EngineConfig {
        workers: count("engine.workers").unwrap_or(cores.min(WORKERS_DEFAULT_MAX)),
        memory_limit_bytes: match scope.setting("engine.memory_limit") {
            Setting::Bytes(bytes) => Some(bytes),
            _ => None,
        },
        tick_rows_max: count("engine.tick_rows_max").unwrap_or(1),
        tick_interval_ms: scope.duration_ms("engine.tick_interval"),
        hosts: hosts(scope, errors),
        peer_wait_ms: scope.duration_ms("engine.peer_wait"),
        peer_silence_ms: scope.duration_ms("engine.peer_silence"),
    }
}

/// The processes of a cluster: at least two, each with its own address.
fn hosts(scope: &Scope, errors: &mut Vec<ConfigError>) -> Vec<String> {
    let hosts = scope.texts("engine.hosts");
    let Some(place) = scope.place_of("engine.hosts") else { return hosts };
    for (index, host) in hosts.iter().enumerate() {
        if !is_host_and_port(host) {
            let message = format!("engine.hosts: {host:?} is not host:port; write for example \"127.0.0.1:2101\"");
            errors.push(ConfigError::at(place, message));
        } else if hosts[..index].contains(host) {
            let message = format!("engine.hosts: {host} is named twice; each process needs its own address");
            errors.push(ConfigError::at(place, message));
        }
    }
    if hosts.len() == 1 {
        let message = "engine.hosts names one process; name all of them, or leave the key out for one process";
        errors.push(ConfigError::at(place, message));
    }
    hosts
}

/// The longest lag must fit into the history used for it.
fn check_spans(config: &ReefConfig, scope: &Scope, errors: &mut Vec<ConfigError>) {
    let (inner, outer) = ("correlation.max_lag", "correlation.horizon");
    let (inner_ms, outer_ms) = (config.correlation.max_lag_ms, config.correlation.horizon_ms);
    // reported at the one that is configured; an invalid value was already reported and counts as its default
    if let (true, Some(place)) = (inner_ms > outer_ms, scope.place_of(inner).or(scope.place_of(outer))) {
        let (inner_text, outer_text) = (format_duration_ms(inner_ms), format_duration_ms(outer_ms));
        errors.push(ConfigError::at(place, format!("{inner} ({inner_text}) is longer than {outer} ({outer_text})")));
    }
}

fn ip(scope: &Scope, path: &str) -> Option<IpAddr> {
    match scope.setting(path) {
        Setting::Ip(ip) => Some(ip),
        _ => None,
    }
}

/// A checked port; the table of keys keeps it in 1..=65535.
fn port(scope: &Scope, path: &str) -> u16 {
    scope.integer(path).and_then(|number| u16::try_from(number).ok()).unwrap_or(0)
}
