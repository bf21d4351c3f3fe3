//! A valid configuration: plain values, durations in milliseconds.

use super::secret::{Secret, SecretSource};
use model::meaning::Meanings;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use sources::kafka::{KafkaEnd, KafkaStart};

/// A reef: its inputs, its store, and the parameters of correlation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReefConfig {
    /// Unique id.
    pub reef_id: String,
    /// Name for people.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Live colonies.
    pub colonies: Vec<ColonyConfig>,
    /// Files and Kafka topics.
    pub sources: Vec<SourceConfig>,
    /// The store.
    pub storage: StorageConfig,
    /// How colonies are read.
    pub collection: Collection,
    /// The parameters of correlation.
    pub correlation: CorrelationConfig,
    /// Language model and its limits.
    pub ai: AiConfig,
    /// Dashboard.
    pub dashboard: DashboardConfig,
    /// What is stated about metrics.
    pub metrics: Meanings,
    /// The service that says where colonies are.
    pub discovery: String,
    /// The services over HTTP.
    pub api: ApiConfig,
    /// Workers and limits of the engine.
    pub engine: EngineConfig,
    /// The folder of the configuration file; relative paths start here.
    pub base_dir: PathBuf,
}

impl ReefConfig {
    /// Whether all input has an end, so that a run completes.
    pub fn is_finite(&self) -> bool {
        let has_end = |source: &SourceConfig| !matches!(source, SourceConfig::Kafka { end: KafkaEnd::Never, .. });
        self.colonies.is_empty() && self.sources.iter().all(has_end)
    }
}

/// One live colony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColonyConfig {
    /// The colony's id.
    pub colony_id: String,
    /// Address on a trusted network, e.g. `http://127.0.0.1:9000`. Used instead of the mesh when given.
    pub endpoint: Option<String>,
    /// Address inside the colony's WireGuard mesh.
    pub mesh: Option<MeshConfig>,
    /// This reef's own address in that mesh; absent until peered.
    pub reef_mesh_ip: Option<IpAddr>,
}

/// Where a colony is in its mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeshConfig {
    /// The colony's address.
    pub mesh_ip: Ipv4Addr,
    /// Port of its federation service.
    pub connect_port: u16,
    /// The secret that admits this reef.
    pub colony_secret: SecretSource,
    /// `host:port` of its door (UDP); without it discovery is asked.
    pub endpoint: Option<String>,
    /// Its public key, in base64.
    pub public_key: Option<String>,
    /// Largest packet inside the tunnel, in bytes.
    pub mtu: u16,
    /// How often a quiet tunnel is used.
    pub keepalive_ms: i64,
}

/// Input other than live colonies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SourceConfig {
    /// Files; ends when they have been read.
    Files {
        /// Parquet, CSV or NDJSON files of metrics, globs allowed, as written.
        metrics: Vec<String>,
        /// Parquet, CSV or NDJSON files of events, globs allowed, as written.
        events: Vec<String>,
        /// Minimum version of all their rows: they win over rows of a lower version.
        version: u64,
    },
    /// Kafka topics.
    Kafka {
        /// `host:port`, several separated by commas.
        brokers: String,
        /// Topic of metrics.
        metrics_topic: Option<String>,
        /// Topic of events.
        events_topic: Option<String>,
        /// Where to start where nothing is committed.
        start: KafkaStart,
        /// Where to stop.
        end: KafkaEnd,
        /// Properties of librdkafka.
        options: BTreeMap<String, Secret>,
        /// Properties whose values environment variables hold.
        options_env: BTreeMap<String, String>,
    },
}

/// The store and its retention.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StorageConfig {
    /// Which store.
    pub kind: StorageKind,
    /// For how long.
    pub retention: Retention,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StorageKind {
    /// One file on this machine.
    DuckDb {
        /// Absolute, or relative to the working directory (the configuration's folder is already joined).
        path: PathBuf,
    },
    /// A ClickHouse server.
    ClickHouse {
        /// Host name.
        host: String,
        /// Port.
        port: u16,
        /// Protocol spoken on that port.
        protocol: ClickHouseProtocol,
        /// Database.
        database: String,
        /// User.
        user: String,
        /// Environment variable that holds the password.
        password_env: Option<String>,
        /// Name of the cluster on which tables are created, for replicated and distributed tables.
        cluster: Option<String>,
    },
}

/// The two protocols of ClickHouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClickHouseProtocol {
    /// HTTP, port 8123 (TLS: 8443).
    Http,
    /// Native, port 9000 (TLS: 9440).
    Native,
}

/// How long rows are kept, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// `federated_metrics`, `env_metric_summary`.
    pub aggregated_metrics_ms: i64,
    /// `federated_events`.
    pub events_ms: i64,
    /// `correlations`, counted from the last observation.
    pub correlations_ms: i64,
    /// `deployment_timeline`.
    pub deployment_timeline_ms: i64,
}

/// How colonies are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Time between two pulls of summaries.
    pub summary_interval_ms: i64,
    /// Whether event streams are opened.
    pub event_stream: bool,
    /// How far behind its colony's watermark a row may be and still be correlated.
    pub allowed_lateness_ms: i64,
}

/// The parameters of correlation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CorrelationConfig {
    /// Off: rows are collected but not correlated.
    pub enabled: bool,
    /// How old a published confidence may be.
    pub interval_ms: i64,
    /// Largest evaluated lag.
    pub max_lag_ms: i64,
    /// History used for event patterns.
    pub horizon_ms: i64,
    /// Fewest matched occurrences of a pattern.
    pub min_occurrences: u32,
    /// Share of chance findings accepted among confirmed patterns.
    pub false_discovery_rate: f64,
    /// Length of the window of metric correlations.
    pub metric_window_ms: i64,
    /// |r| from which a metric pair is reported.
    pub metric_threshold: f64,
    /// Which metrics are compared.
    pub metric_pairs: MetricPairs,
    /// Whether metrics become events where they show something by themselves.
    pub derived_events: bool,
    /// Whether a run judges deployments and stores what it finds; costs a few range reads for each look at each of them.
    pub deployment_impact: bool,
}

/// Which metrics of two services are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricPairs {
    /// Every metric with every other.
    All,
    /// Only metrics of the same name.
    SameMetric,
}

/// Language model and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AiConfig {
    /// The model, when one is configured.
    pub llm: Option<LlmConfig>,
    /// Questions one user may ask in an hour.
    pub requests_per_user_per_hour: u32,
    /// Questions answered at the same time.
    pub max_concurrent_requests: u32,
    /// What a model is sent.
    pub privacy: AiPrivacy,
    /// Tokens of models in a day.
    pub tokens_per_day: Option<u64>,
    /// What they may cost in a day, in US cents.
    pub cost_cents_per_day: Option<u64>,
    /// The file that records each question.
    pub journal_file: PathBuf,
}

/// What a model is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AiPrivacy {
    /// Pseudonyms in place of names.
    Mask,
    /// Everything that the evidence has.
    Off,
    /// Nothing, unless it runs on this machine.
    LocalOnly,
}

/// What tokens of a model cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelPrice {
    /// The model, without its vendor.
    pub model: String,
    /// US cents for a million tokens that it is given.
    pub input_cents_per_million: u32,
    /// The same for those that it writes.
    pub output_cents_per_million: u32,
}

/// A language model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LlmConfig {
    /// `vendor:model`.
    pub provider: String,
    /// Environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// `vendor:model` used when the first fails.
    pub fallback_provider: Option<String>,
    /// Where the model is; none for the usual address of its vendor.
    pub endpoint: Option<String>,
    /// Where the fallback is.
    pub fallback_endpoint: Option<String>,
    /// Environment variable that holds the fallback's key.
    pub fallback_api_key_env: Option<String>,
    /// How long one reply may take.
    pub timeout_ms: i64,
    /// Prices that the file states.
    pub prices: Vec<ModelPrice>,
}

/// Dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DashboardConfig {
    /// Whether its port is opened.
    pub enabled: bool,
    /// Its port.
    pub port: u16,
}

/// The services over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiConfig {
    /// Whether a run opens them.
    pub enabled: bool,
    /// Where they listen.
    pub listen: SocketAddr,
    /// Whether callers on this machine need a token too.
    pub require_token: bool,
    /// The file of tokens.
    pub tokens_file: PathBuf,
    /// Folders whose Parquet files statements may read.
    pub sql_files: Vec<PathBuf>,
    /// Optional groups of tools for MCP clients: `analyze`, `sql`.
    pub mcp_groups: Vec<String>,
}

/// Workers and limits of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineConfig {
    /// Worker threads of the dataflow. Results do not depend on it.
    pub workers: usize,
    /// Memory the store may use, in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Most rows in a tick. Results do not depend on it.
    pub tick_rows_max: usize,
    /// Maximum duration of a tick.
    pub tick_interval_ms: i64,
    /// `host:port` of every process, in the order of `--process`; empty for one process.
    pub hosts: Vec<String>,
    /// How long a process waits at its start for the others.
    pub peer_wait_ms: i64,
    /// A process that is silent for longer is lost.
    pub peer_silence_ms: i64,
}
