//! The lease of a database: one process writes at a time, and a second one is refused with the name of the first.
//!
//! | file | owns |
//! |---|---|
//! | `claims` | the claims of others: which are live, and whose comes first |
//! | `process` | which process this is, and whether another one still lives |
//!
//! The server has no locks, so a claim is a row with an expiry. To acquire the lease, insert a claim in state `asks`
//! and read the claims of all others. Of two concurrent claims at least one process sees the other: the smaller token
//! proceeds, the other withdraws, so both never believe to be alone. A process that sees no live claim writes `holds`.
//! The holder renews its claim in the background. If renewal has failed for too long (the process was paused, the
//! server was unreachable), it acquires the lease again before the next insert. If another process has it by then, it
//! writes nothing more.

mod claims;
mod process;

use super::fault::Fault;
use super::server::Server;
use claims::{Claim, Verdict, judge, lost, own_tokens, refused};
use model::clock::SharedClock;
use model::time::TimeMs;
use process::Process;
use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Polling interval of another process's claim.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The longest time one statement of the lease may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// A claim to write, renewed until it is dropped.
pub(super) struct Lease {
    client: Arc<LeaseClient>,
    /// Closing it ends the renewal and gives the lease back.
    renewing: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// The claim of this opening of the store.
struct LeaseClient {
    server: Server,
    token: String,
    /// When this process began to ask.
    since: TimeMs,
    /// How long a claim counts.
    term: Duration,
    version: AtomicU64,
    /// One asks or renews at a time.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// Just before the claim was last renewed.
    renewed: SleepAwareInstant,
    /// Who holds it now instead.
    taken_by: Option<Claim>,
}

#[derive(clickhouse::Row, Deserialize)]
struct TokenAnswer {
    token: String,
}

/// A point in time that also passes while the machine sleeps.
#[derive(Clone)]
struct SleepAwareInstant(Instant, TimeMs, SharedClock);

impl SleepAwareInstant {
    fn now(clock: &SharedClock) -> SleepAwareInstant {
        SleepAwareInstant(Instant::now(), clock.now(), clock.clone())
    }

    fn elapsed(&self) -> Duration {
        let wall_ms = u64::try_from(self.2.now() - self.1).unwrap_or(0);
        self.0.elapsed().max(Duration::from_millis(wall_ms))
    }
}

impl Lease {
    /// Acquires the lease of a database. A holder on this machine that has ended is succeeded at once; one
    /// elsewhere is watched until it is renewed, which is a refusal, or has run out.
    pub(super) async fn acquire(server: &Server) -> Result<Lease, Fault> {
        let token = server.rows::<TokenAnswer>(server.query("SELECT toString(generateUUIDv4()) AS token")).await?;
        let Some(TokenAnswer { token }) = token.into_iter().next() else {
            return Err(Fault::stop("the server gives no random number", "an empty answer"));
        };
        own_tokens().insert(token.clone());
        let client = LeaseClient {
            server: server.with_statement_limit(STATEMENT_LIMIT.min(server.config.statement_limit)),
            token,
            since: server.config.clock.now(),
            term: server.config.lease_term,
            version: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::new(State { renewed: SleepAwareInstant::now(&server.config.clock), taken_by: None }),
        };
        let mut lease = Lease { client: Arc::new(client), renewing: None };
        lease.client.acquire().await?;
        let (stop, stopped) = oneshot::channel();
        lease.renewing = Some((stop, tokio::spawn(keep_renewing(Arc::clone(&lease.client), stopped))));
        Ok(lease)
    }

    /// To be called before every insert: an error when this process may no longer write. It costs nothing as long as the
    /// claim has been renewed in time.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        self.client.check().await
    }

    /// Lets the next one write at once.
    pub(super) async fn release(&mut self) {
        if let Some((stop, renewing)) = self.renewing.take() {
            drop(stop);
            // ends after one statement, which has its limit
            let _ = renewing.await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        own_tokens().remove(&self.client.token);
    }
}

/// Renews until the lease is dropped or lost, then gives it back.
async fn keep_renewing(client: Arc<LeaseClient>, mut stopped: oneshot::Receiver<()>) {
    let mut pause = tokio::time::interval(client.term / 6);
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    pause.tick().await;
    let until_lost = async {
        loop {
            pause.tick().await;
            if let Err(fault) = client.renew().await {
                if client.state().taken_by.is_some() {
                    return;
                }
                tracing::warn!(hint = fault.hint, cause = %fault.cause, "the claim to write could not be renewed");
            }
        }
    };
    tokio::select! {
        () = until_lost => {}
        _ = &mut stopped => {}
    }
    if client.state().taken_by.is_some() {
        return;
    }
    if let Err(fault) = client.write("released").await {
        tracing::debug!(hint = fault.hint, "the lease expires on its own");
    }
}

impl LeaseClient {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the claim was renewed recently enough to be still exclusive: part of its term is reserved for the next
    /// statement.
    fn is_within_term(&self) -> bool {
        self.state().renewed.elapsed() < self.term * 2 / 3
    }

    fn refuse_if_taken(&self) -> Result<(), Fault> {
        match &self.state().taken_by {
            Some(claim) => Err(lost(claim)),
            None => Ok(()),
        }
    }

    async fn check(&self) -> Result<(), Fault> {
        self.refuse_if_taken()?;
        if self.is_within_term() { Ok(()) } else { self.renew().await }
    }

    fn now(&self) -> SleepAwareInstant {
        SleepAwareInstant::now(&self.server.config.clock)
    }

    /// Renews the claim, or acquires the lease again when it may have expired.
    async fn renew(&self) -> Result<(), Fault> {
        let turn = self.turn.lock().await;
        self.refuse_if_taken()?;
        if self.is_within_term() {
            let (before, began) = (self.state().renewed.clone(), self.now());
            self.write("holds").await?;
            // else it had expired before this renewal
            if before.elapsed() < self.term {
                self.state().renewed = began;
                return Ok(());
            }
        }
        drop(turn);
        self.acquire().await
    }

    /// See the module.
    async fn acquire(&self) -> Result<(), Fault> {
        let _turn = self.turn.lock().await;
        self.refuse_if_taken()?;
        let had_it = self.version.load(Ordering::Relaxed) > 0;
        if had_it && self.is_within_term() {
            return Ok(());
        }
        let expired_at = if had_it { Some(claims::expires_at(&self.server, &self.token).await?) } else { None };
        let mut first_look: Option<Claim> = None;
        loop {
            let asked = self.now();
            self.write("asks").await?;
            let others = claims::others(&self.server, &self.token).await?;
            match judge(&self.token, &others, first_look.as_ref()) {
                Verdict::Free => {
                    // another process that had the lease in between has written too: this process's memory is stale
                    if let Some(until) = expired_at
                        && let Some(claim) = claims::held_after(&self.server, &self.token, until).await?
                    {
                        return Err(self.withdraw(&claim, had_it).await?);
                    }
                    self.write("holds").await?;
                    // otherwise another process may have acquired it in between
                    if asked.elapsed() < self.term * 2 / 3 {
                        self.state().renewed = asked;
                        return Ok(());
                    }
                }
                Verdict::Taken(claim) => return Err(self.withdraw(claim, had_it).await?),
                Verdict::Unclear(claim) => {
                    if first_look.as_ref().is_none_or(|first| first.token != claim.token) {
                        let Process { host, id, .. } = &claim.process;
                        let seconds = claim.left_ms / 1_000 + 1;
                        tracing::warn!(
                            host,
                            process = id,
                            seconds,
                            "another process wrote here last: waiting whether it lives"
                        );
                        first_look = Some(claim.clone());
                    }
                    tokio::time::sleep(LOOK_EVERY.min(self.term / 6)).await;
                }
            }
        }
    }

    /// Gives up the lease; returns the error for the caller.
    async fn withdraw(&self, claim: &Claim, had_it: bool) -> Result<Fault, Fault> {
        self.write("stepped_back").await?;
        if !had_it {
            return Ok(refused(claim));
        }
        self.state().taken_by = Some(claim.clone());
        Ok(lost(claim))
    }

    async fn write(&self, state: &str) -> Result<(), Fault> {
        let Process { host, id, start, machine } = Process::own();
        let sql = "INSERT INTO writers
                     (token, state, host, process_id, process_start, machine, since, expires_at, ingest_version)
                   SELECT {token:String}, {state:String}, {host:String}, {id:UInt32}, {start:UInt64}, {machine:String},
                          fromUnixTimestamp64Milli({since:Int64}, 'UTC'),
                          now64(3, 'UTC') + toIntervalMillisecond({term:Int64}), {version:UInt64}";
        let query = self
            .server
            .query(sql)
            .param("token", &self.token)
            .param("state", state)
            .param("host", host)
            .param("id", id)
            .param("start", start)
            .param("machine", machine)
            .param("since", self.since.0)
            .param("term", i64::try_from(self.term.as_millis()).unwrap_or(i64::MAX))
            .param("version", self.version.fetch_add(1, Ordering::Relaxed) + 1);
        self.server.execute(query).await
    }
}
