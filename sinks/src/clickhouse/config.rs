//! Address, credentials and retention of a ClickHouse store.

use crate::retention::Retention;
use crate::schema::Schema;
use model::clock::{SharedClock, SystemClock};
use model::secret::Secret;
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
    pub password: Secret,
    /// The reef that opens it: the store of another one is refused. `None` where tables are copied whole.
    pub reef_id: Option<String>,
    /// Name of the cluster on which tables are created; `None` for one server, or a database with the Replicated engine.
    pub cluster: Option<String>,
    /// Retention, in whole seconds; `None` leaves the tables' TTLs unchanged.
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

impl ClickHouseConfig {
    /// A database on a server, as the user `default` without a password, with the clock of this machine.
    pub fn at(host: impl Into<String>, port: u16, database: impl Into<String>) -> ClickHouseConfig {
        ClickHouseConfig {
            host: host.into(),
            port,
            database: database.into(),
            user: "default".to_owned(),
            password: Secret::default(),
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
        let config = ClickHouseConfig { password: Secret::new("hunter2"), ..ClickHouseConfig::at("h", 1, "d") };
        assert!(!format!("{config:?} {}", config.name()).contains("hunter2"));
    }
}
