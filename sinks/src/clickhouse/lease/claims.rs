//! Claims to write in the table `writers`: which are live, which has priority, and the error of the losing process.

use super::super::fault::Fault;
use super::super::server::Server;
use super::process::Process;
use model::time::TimeMs;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The leases that this process itself has now, so that one that was dropped is not taken for another writer.
static OWN_TOKENS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A claim of another opening of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) token: String,
    pub(super) holds: bool,
    pub(super) process: Process,
    pub(super) since: TimeMs,
    /// How long it still counts if it is not renewed.
    pub(super) left_ms: i64,
}

#[derive(clickhouse::Row, Deserialize)]
struct ClaimAnswer {
    token: String,
    state: String,
    host: String,
    process_id: u32,
    process_start: u64,
    machine: String,
    since_ms: i64,
    left_ms: i64,
}

#[derive(clickhouse::Row, Deserialize)]
struct TimeAnswer {
    at_ms: i64,
}

/// What the claims of others mean for an acquiring process.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// There is none that counts.
    Free,
    /// This one is before us, and is known to live or has just come.
    Taken(&'a Claim),
    /// This claim may precede ours; only time decides.
    Unclear(&'a Claim),
}

const CLAIM: &str = "SELECT token, state, host, process_id, process_start, machine,
                            toUnixTimestamp64Milli(since) AS since_ms,
                            toUnixTimestamp64Milli(expires_at) - toUnixTimestamp64Milli(now64(3)) AS left_ms
                     FROM writers FINAL";

impl From<ClaimAnswer> for Claim {
    fn from(row: ClaimAnswer) -> Claim {
        Claim {
            token: row.token,
            holds: row.state == "holds",
            process: Process { host: row.host, id: row.process_id, start: row.process_start, machine: row.machine },
            since: TimeMs(row.since_ms),
            left_ms: row.left_ms,
        }
    }
}

/// Claims of others that count.
pub(super) async fn others(server: &Server, token: &str) -> Result<Vec<Claim>, Fault> {
    // sql: identifiers only
    let sql = format!("{CLAIM} WHERE state IN ('asks', 'holds') AND token != {{token:String}} ORDER BY token");
    let rows = server.rows::<ClaimAnswer>(server.query(&sql).param("token", token)).await?;
    let claims = rows.into_iter().map(Claim::from);
    Ok(claims.filter(|claim| claim.left_ms > 0 && is_alive(claim) != Some(false)).collect())
}

/// When the claim expires or has expired, by the server's clock.
pub(super) async fn expires_at(server: &Server, token: &str) -> Result<TimeMs, Fault> {
    let sql = "SELECT toUnixTimestamp64Milli(max(expires_at)) AS at_ms FROM writers FINAL WHERE token = {token:String}";
    let rows = server.rows::<TimeAnswer>(server.query(sql).param("token", token)).await?;
    Ok(TimeMs(rows.first().map_or(0, |row| row.at_ms)))
}

/// Another process that had the lease after `until`, in any state since.
pub(super) async fn held_after(server: &Server, token: &str, until: TimeMs) -> Result<Option<Claim>, Fault> {
    // sql: identifiers only
    let sql = format!(
        "{CLAIM} WHERE state IN ('holds', 'released') AND token != {{token:String}}
           AND expires_at > fromUnixTimestamp64Milli({{until:Int64}}, 'UTC')
         ORDER BY expires_at DESC LIMIT 1"
    );
    let query = server.query(&sql).param("token", token).param("until", until.0);
    Ok(server.rows::<ClaimAnswer>(query).await?.into_iter().next().map(Claim::from))
}

pub(super) fn own_tokens() -> MutexGuard<'static, BTreeSet<String>> {
    OWN_TOKENS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the process behind a claim lives; `None` when that cannot be seen from here.
fn is_alive(claim: &Claim) -> Option<bool> {
    let own = Process::own();
    if claim.process.id == own.id && claim.process == *own {
        return Some(own_tokens().contains(&claim.token));
    }
    claim.process.is_alive()
}

/// Classifies the valid claims of others. `first_look` is the earlier state of an undecided one.
pub(super) fn judge<'a>(token: &str, others: &'a [Claim], first_look: Option<&Claim>) -> Verdict<'a> {
    let Some(first) = others.iter().max_by_key(|claim| (claim.holds, claim.token.as_str() < token)) else {
        return Verdict::Free;
    };
    // it asks as we do, and sees us
    if !first.holds && first.token.as_str() > token {
        return Verdict::Unclear(first);
    }
    let was_renewed = first_look.is_some_and(|before| before.token == first.token && first.left_ms > before.left_ms);
    match is_alive(first) {
        None if first.holds && !was_renewed => Verdict::Unclear(first),
        _ => Verdict::Taken(first),
    }
}

pub(super) fn refused(claim: &Claim) -> Fault {
    let Claim { process: Process { host, id, .. }, since, holds, .. } = claim;
    let doing = if *holds { "writes" } else { "is about to write" };
    let hint = format!(
        "process {id} on {host} {doing} to this database since {since}, and one process at a time may: end it first, or \
         name another database; after a crash of that host the database is free within half a minute"
    );
    Fault::stop(hint, "the database has another writer")
}

pub(super) fn lost(claim: &Claim) -> Fault {
    let Claim { process: Process { host, id, .. }, since, .. } = claim;
    let hint = format!(
        "process {id} on {host} has taken the database over at {since}, while this process was paused or cut off from the \
         server: what has been committed stands; end the other one before this one is started again"
    );
    Fault::stop(hint, "the database has another writer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(token: &str, holds: bool, left_ms: i64, machine: &str) -> Claim {
        let process = Process { machine: machine.to_owned(), ..Process::own().clone() };
        Claim { token: token.to_owned(), holds, process, since: TimeMs(0), left_ms }
    }

    #[test]
    fn of_two_claims_the_smaller_token_wins() {
        let (a, b) = ([claim("a", false, 9, "x")], [claim("b", false, 9, "x")]);
        assert_eq!(judge("a", &b, None), Verdict::Unclear(&b[0]), "b will see a and step back");
        assert_eq!(judge("b", &a, None), Verdict::Taken(&a[0]));
        assert_eq!(judge("a", &[], None), Verdict::Free);
    }

    #[test]
    fn a_holder_elsewhere_is_watched_until_it_is_renewed() {
        let before = claim("h", true, 5_000, "elsewhere");
        let older = [claim("h", true, 4_000, "elsewhere")];
        let renewed = [claim("h", true, 6_000, "elsewhere")];
        assert_eq!(judge("a", &older, None), Verdict::Unclear(&older[0]));
        assert_eq!(judge("a", &older, Some(&before)), Verdict::Unclear(&older[0]));
        assert_eq!(judge("a", &renewed, Some(&before)), Verdict::Taken(&renewed[0]));
    }

    #[test]
    fn a_holder_comes_before_those_that_ask() {
        let claims =
            [claim("a", false, 9, "x"), claim("h", true, 9, &Process::own().machine), claim("z", false, 9, "x")];
        own_tokens().insert("h".to_owned());
        assert_eq!(judge("b", &claims, None), Verdict::Taken(&claims[1]));
        own_tokens().remove("h");
    }

    #[test]
    fn a_refusal_names_the_other_writer() {
        let text = refused(&claim("h", true, 9, "x")).hint;
        assert!(text.contains(&format!("process {} on ", std::process::id())) && text.contains("1970-01-01"), "{text}");
    }
}
