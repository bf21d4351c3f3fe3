//! Address, credentials and retention of a ClickHouse store.

use crate::schema::Schema;
use model::clock::{SharedClock, SystemClock};
use std::fmt;
use std::time::Duration;

/// Settings of a ClickHouse store.
#[derive(Clone, Debug)]
pub struct ClickHouseConfig {
    /// Host name or address.
    pub host: String,
    /// Port of the HTTP interface; 8443 is spoken to with TLS.
    pub port: u16,
    /// Database; it must exist.
    pub database: String,
    /// User.
    pub user: String,
    /// The user's password; empty for none.
    pub password: Password,
    /// The reef that opens it: the store of another one is refused. `None` where tables are copied whole.
    pub reef_id: Option<String>,
    /// Name of the cluster on which tables are created; `None` for one server, or a database with the Replicated engine.
    pub cluster: Option<String>,
    /// Retention; `None` leaves the tables' TTLs unchanged.
    pub retention: Option<Retention>,
    /// The longest time one statement may take.
    pub statement_limit: Duration,
    /// How long after its last renewal a writer's lease expires.
    pub lease_term: Duration,
    /// The tables.
    pub schema: Schema,
    /// By which versions of rows rise and the lease is renewed.
    pub clock: SharedClock,
}

/// Retention in whole seconds after the later of a row's own time and its storage time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `federated_metrics`, `env_metric_summary`.
    pub metrics_seconds: u64,
    /// `federated_events`.
    pub events_seconds: u64,
    /// `correlations` after their last observation, and their evidence.
    pub correlations_seconds: u64,
    /// `deployment_timeline`.
    pub deployments_seconds: u64,
}

/// A password that debug output does not show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl ClickHouseConfig {
    /// A database on a server, as the user `default` without a password, with the clock of this machine.
    pub fn at(host: impl Into<String>, port: u16, database: impl Into<String>) -> ClickHouseConfig {
        ClickHouseConfig {
            host: host.into(),
            port,
            database: database.into(),
            user: "default".to_owned(),
            password: Password::default(),
            reef_id: None,
            cluster: None,
            retention: None,
            statement_limit: Duration::from_secs(300),
            lease_term: Duration::from_secs(30),
            schema: Schema::default(),
            clock: SystemClock::shared(),
        }
    }

    /// `http://host:port`, or `https` on the port of HTTPS.
    pub(super) fn url(&self) -> String {
        let scheme = if self.port == HTTPS_PORT { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Host and port; an IPv6 address contains colons and is put in brackets.
    fn authority(&self) -> String {
        let ClickHouseConfig { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The store's name, for people: `ClickHouse localhost:8123, database reef, user default`.
    pub fn name(&self) -> String {
        format!("ClickHouse {}, database {}, user {}", self.authority(), self.database, self.user)
    }
}

const HTTPS_PORT: u16 = 8443;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_https_is_spoken_to_with_tls() {
        assert_eq!(ClickHouseConfig::at("ch", 8443, "d").url(), "https://ch:8443");
        let ipv6 = ClickHouseConfig::at("::1", 8123, "d");
        assert_eq!(ipv6.url(), "http://[::1]:8123");
        assert!(ipv6.name().starts_with("ClickHouse [::1]:8123,"), "{}", ipv6.name());
    }

    #[test]
    fn a_password_does_not_show() {
        let config = ClickHouseConfig { password: Password("hunter2".into()), ..ClickHouseConfig::at("h", 1, "d") };
        assert!(!format!("{config:?} {}", config.name()).contains("hunter2"));
    }
}
