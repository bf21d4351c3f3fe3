//! Address: a store named on a command line, `duckdb:PATH` or `clickhouse:URL`.

use crate::config::{ClickHouseProtocol, StorageKind};
use std::net::Ipv6Addr;
use std::path::PathBuf;

/// Why a text is not an address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No known kind in front.
    #[error("{0:?} names no store; write duckdb:PATH or clickhouse:http://user@host:8123/database")]
    Kind(String),
    /// A part of the URL is missing or wrong.
    #[error("{address:?}: {problem}; write clickhouse:http://user@host:8123/database, or …/database?cluster=name")]
    Url {
        /// As given, without a password.
        address: String,
        /// The error.
        problem: &'static str,
    },
}

/// Parses an address. An IPv6 address is in brackets; `?cluster=name` after the database names the cluster of its
/// tables. Passwords are never part of it: `password_env` names the environment variable that holds one.
///
/// ```
/// use coral_pipelines::config::StorageKind;
/// use coral_pipelines::open::address::parse;
/// assert_eq!(parse("duckdb:a.duckdb", None), Ok(StorageKind::DuckDb { path: "a.duckdb".into() }));
/// assert!(parse("clickhouse:http://host/", None).is_err());
/// ```
pub fn parse(text: &str, password_env: Option<&str>) -> Result<StorageKind, AddressError> {
    // without the kind the text may contain a password
    let unknown = || AddressError::Kind(without_user(text));
    match text.split_once(':').ok_or_else(unknown)? {
        ("duckdb", path) if !path.is_empty() => Ok(StorageKind::DuckDb { path: PathBuf::from(path) }),
        ("clickhouse", url) => click_house(text, url, password_env),
        _ => Err(unknown()),
    }
}

fn click_house(address: &str, url: &str, password_env: Option<&str>) -> Result<StorageKind, AddressError> {
    let refused = |problem| AddressError::Url { address: without_user(address), problem };
    let (default_port, rest) = if let Some(rest) = url.strip_prefix("http://") {
        (8123, rest)
    } else if let Some(rest) = url.strip_prefix("https://") {
        (8443, rest)
    } else {
        return Err(refused("it needs http:// or https:// in front of the host"));
    };
    // a password, which is refused below, may hold a slash
    let (user, rest) = rest.rsplit_once('@').unwrap_or(("default", rest));
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (database, cluster) = match path.split_once('?') {
        None => (path, None),
        Some((database, setting)) => match setting.strip_prefix("cluster=") {
            Some(name) if !name.is_empty() && !name.contains('&') => (database, Some(name.to_owned())),
            _ => return Err(refused("only ?cluster=name may follow the database")),
        },
    };
    if user.contains(':') {
        let address = without_user(address);
        let problem = "a password on the command line is seen by everyone on this machine: put it into an environment \
                       variable and name that with --password-env";
        return Err(AddressError::Url { address, problem });
    }
    let (host, port) = host_and_port(server).map_err(refused)?;
    if host.is_empty() {
        return Err(refused("the host is missing"));
    }
    if database.is_empty() || database.contains('/') {
        return Err(refused("the name of the database is missing or has a slash"));
    }
    Ok(StorageKind::ClickHouse {
        host: host.to_owned(),
        port: port.unwrap_or(default_port),
        protocol: ClickHouseProtocol::Http,
        database: database.to_owned(),
        user: user.to_owned(),
        password_env: password_env.map(str::to_owned),
        cluster,
    })
}

/// `host`, `host:port`, `[address of IPv6]` or that with a port.
fn host_and_port(server: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("the bracket of the address is not closed")?,
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    if server.starts_with('[') && host.parse::<Ipv6Addr>().is_err() {
        return Err("the text in brackets is not an IPv6 address");
    }
    if server.parse::<Ipv6Addr>().is_ok() || (!server.starts_with('[') && port.matches(':').count() > 1) {
        return Err("an IPv6 address must be in brackets: http://[::1]:8123");
    }
    match port.strip_prefix(':') {
        Some(port) => Ok((host, Some(port.parse().map_err(|_| "the port is no number up to 65535")?))),
        None if port.is_empty() => Ok((host, None)),
        None => Err("only :port may follow the bracket"),
    }
}

/// The address without the part before the host, which may contain a password.
fn without_user(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_server_has_the_usual_port_and_user_where_none_is_given() {
        let StorageKind::ClickHouse { host, port, user, database, .. } =
            parse("clickhouse:http://h/reef", None).unwrap()
        else {
            panic!("not ClickHouse");
        };
        assert_eq!((host.as_str(), port, user.as_str(), database.as_str()), ("h", 8123, "default", "reef"));
        let StorageKind::ClickHouse { port, user, password_env, .. } =
            parse("clickhouse:https://me@h:9440/reef", Some("PW")).unwrap()
        else {
            panic!("not ClickHouse");
        };
        assert_eq!((port, user.as_str(), password_env.as_deref()), (9440, "me", Some("PW")));
    }

    #[test]
    fn addresses_of_ipv6_and_clusters_are_read() {
        for (text, expected) in [
            ("clickhouse:http://[::1]/reef", ("::1", 8123, None)),
            (
                "clickhouse:http://me@[2001:db8::7]:8124/reef?cluster=three_replicas",
                ("2001:db8::7", 8124, Some("three_replicas")),
            ),
            ("clickhouse:https://h/reef?cluster=c", ("h", 8443, Some("c"))),
        ] {
            let StorageKind::ClickHouse { host, port, cluster, database, .. } = parse(text, None).unwrap() else {
                panic!("not ClickHouse");
            };
            assert_eq!((host.as_str(), port, cluster.as_deref()), expected, "{text}");
            assert_eq!(database, "reef");
        }
    }

    #[test]
    fn mistakes_are_reported_and_a_password_is_not_repeated() {
        for (text, problem) in [
            ("reef.duckdb", "names no store"),
            ("duckdb:", "names no store"),
            ("clickhouse:h/reef", "http://"),
            ("clickhouse:http://h", "database is missing"),
            ("clickhouse:http://h:99999/reef", "port"),
            ("clickhouse:http://:1/reef", "host is missing"),
            ("clickhouse:http://::1:8123/reef", "in brackets"),
            ("clickhouse:http://[::1/reef", "not closed"),
            ("clickhouse:http://[::1]8123/reef", "only :port"),
            ("clickhouse:http://[h]:8123/reef", "is not an IPv6 address"),
            ("clickhouse:http://h/reef?cluster=", "?cluster=name"),
            ("clickhouse:http://h/reef?shards=2", "?cluster=name"),
            ("clickhouse:http://h/?cluster=c", "database is missing"),
        ] {
            let error = parse(text, None).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("write"), "{error}");
        }
        for address in ["clickhouse:http://me:secret@h/reef", "clickhouse:http://me:sec/secret@h/reef"] {
            let error = parse(address, None).unwrap_err().to_string();
            assert!(error.contains("--password-env") && !error.contains("secret"), "{error}");
        }
        for address in ["http://me:secret@h/reef", "clickhouse:me:secret@h/reef"] {
            let error = parse(address, None).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
