//! The kind of a metric, from its name. Names are split into words; no product's names are known.

/// The words of a name, in lower case: `HTTP_requests-total` is `http`, `requests`, `total`.
fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase)
}

/// Whether the metric is a delay.
///
/// ```
/// use coral_operators::metrics::kinds::is_latency;
/// assert!(is_latency("server_latency_ms") && is_latency("request.duration"));
/// assert!(!is_latency("requests_per_minute"));
/// ```
pub fn is_latency(name: &str) -> bool {
    const LATENCY: [&str; 6] = ["latency", "duration", "delay", "rtt", "ttfb", "elapsed"];
    words(name).any(|word| LATENCY.contains(&word.as_str()))
        || words(name).collect::<Vec<_>>().join(" ").contains("response time")
}

/// Whether the metric counts the work that arrives: requests, calls, messages, traffic. Work arrives from outside, so two
/// services that see more of it at the same moment need not depend on each other.
///
/// ```
/// use coral_operators::metrics::kinds::is_demand;
/// assert!(is_demand("requests_per_minute") && is_demand("qps") && is_demand("network_receive_bytes"));
/// assert!(!is_demand("failed_requests") && !is_demand("request_duration_ms") && !is_demand("memory_bytes"));
/// ```
pub fn is_demand(name: &str) -> bool {
    const DEMAND: [&str; 27] = [
        "request",
        "requests",
        "rps",
        "rpm",
        "rpc",
        "rpcs",
        "qps",
        "tps",
        "call",
        "calls",
        "query",
        "queries",
        "hits",
        "visits",
        "sessions",
        "connections",
        "transactions",
        "messages",
        "throughput",
        "traffic",
        "bandwidth",
        "network",
        "net",
        "received",
        "sent",
        "orders",
        "load",
    ];
    const NOT_DEMAND: [&str; 20] = [
        "error",
        "errors",
        "failed",
        "failures",
        "dropped",
        "retries",
        "timeouts",
        "success",
        "ratio",
        "pct",
        "percent",
        "size",
        "queue",
        "wait",
        "time",
        "seconds",
        "ms",
        "memory",
        "cpu",
        "availability",
    ];
    let has = |list: &[&str]| words(name).any(|word| list.contains(&word.as_str()));
    has(&DEMAND) && !has(&NOT_DEMAND) && !is_latency(name)
}
