//! Meet: at the start each process finds the others, in any order of starting.
//!
//! A process listens on its own address and dials the processes before it in `engine.hosts`. The dialling process sends
//! its identity and settings; the other side accepts, or returns the reason for refusing. A process that is restarted
//! while the others still connect replaces its first start. Once all are connected, no process listens any more.

use super::settings::{Settings, differences};
use super::wire::{Answer, Hello, MAGIC, Purpose, read_greeting, write_greeting};
use super::{Place, Tell};
use crate::error::ClusterError;
use crate::error::Peer;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Between two tries to reach a process that is not there yet.
const DIAL_EVERY: Duration = Duration::from_millis(100);
/// A connection that takes longer than this for its greeting is not one of ours, or hangs.
const GREETING_WAIT: Duration = Duration::from_secs(5);
/// Processes missing after this are reported.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// The connections of a cluster whose processes have met.
pub(super) struct Met {
    /// Control connections: to every other process from 0, to process 0 from the others.
    pub controls: Vec<(Peer, TcpStream)>,
    /// Data connections by process; none to this one.
    pub streams: Vec<Option<std::net::TcpStream>>,
}

type Connections = BTreeMap<(usize, Purpose), TcpStream>;

struct Meeting<'a> {
    place: &'a Place,
    settings: &'a Settings,
    missing: Mutex<BTreeSet<usize>>,
}

/// Waits for all other processes, at most as long as the configuration says.
pub(super) async fn meet(place: &Place, settings: &Settings, tell: &Tell) -> Result<Met, ClusterError> {
    let me = place.me();
    let listen = TcpListener::bind(&me.host).await;
    let listener = listen.map_err(|cause| ClusterError::Listen { me: me.clone(), cause: Arc::new(cause) })?;
    let meeting = Meeting { place, settings, missing: Mutex::new(place.others().collect()) };
    let all = async { tokio::try_join!(meeting.accept(&listener), meeting.dial()) };
    tokio::pin!(all);
    let deadline = sleep(place.wait);
    tokio::pin!(deadline);
    let telling = sleep(TELL_AFTER);
    tokio::pin!(telling);
    let mut is_told = false;
    let (mut accepted, mut dialled) = loop {
        tokio::select! {
            met = &mut all => break met?,
            () = &mut deadline => {
                return Err(ClusterError::Absent { me, missing: meeting.missing(), waited_s: place.wait.as_secs() });
            }
            () = &mut telling, if !is_told => {
                is_told = true;
                tell(&format!("{me} waits for {}, at most {} s", meeting.missing(), place.wait.as_secs()));
            }
        }
    };
    accepted.append(&mut dialled);
    into_met(place, accepted)
}

impl Meeting<'_> {
    fn missing(&self) -> String {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.iter().map(|process| self.place.peer(*process).to_string()).collect::<Vec<_>>().join(", ")
    }

    /// A process is connected once its data connection is open, which is the last one.
    fn found(&self, (process, purpose): (usize, Purpose)) {
        if purpose == Purpose::Data {
            self.missing.lock().unwrap_or_else(PoisonError::into_inner).remove(&process);
        }
    }

    /// Accepts the processes after this one.
    async fn accept(&self, listener: &TcpListener) -> Result<Connections, ClusterError> {
        let mut expected: BTreeSet<(usize, Purpose)> = BTreeSet::new();
        for process in self.place.process + 1..self.place.hosts.len() {
            expected.insert((process, Purpose::Data));
            if self.place.process == 0 {
                expected.insert((process, Purpose::Control));
            }
        }
        let mut accepted = Connections::new();
        let mut greetings = JoinSet::new();
        loop {
            if accepted.len() == expected.len() {
                // a process that ended while others connected may be restarted
                for process in self.place.process + 1..self.place.hosts.len() {
                    self.forget_if_gone(process, &mut accepted).await;
                }
            }
            if accepted.len() == expected.len() {
                return Ok(accepted);
            }
            tokio::select! {
                connection = listener.accept() => match connection {
                    Ok((stream, _)) => drop(greetings.spawn(greeting_of(stream))),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(DIAL_EVERY).await;
                    }
                },
                Some(greeted) = greetings.join_next() => {
                    let Ok(Ok((hello, mut stream))) = greeted else {
                        tracing::warn!("someone connected who is no process of this cluster");
                        continue;
                    };
                    let key = (hello.process, hello.purpose);
                    self.forget_if_gone(hello.process, &mut accepted).await;
                    let is_new = expected.contains(&key) && !accepted.contains_key(&key);
                    self.answer(&hello, is_new, &mut stream).await?;
                    if is_new {
                        self.found(key);
                        accepted.insert(key, stream);
                    }
                }
            }
        }
    }

    /// Drops the connections of a process whose first start has ended: none may be mixed with those of the next.
    async fn forget_if_gone(&self, process: usize, accepted: &mut Connections) {
        let mut is_gone = false;
        for purpose in [Purpose::Control, Purpose::Data] {
            if let Some(stream) = accepted.get(&(process, purpose)) {
                is_gone |= is_closed(stream).await;
            }
        }
        if is_gone {
            accepted.retain(|(of, _), _| *of != process);
            self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(process);
        }
    }

    /// Answers a greeting; different settings end the handshake on both sides.
    async fn answer(&self, hello: &Hello, is_new: bool, stream: &mut TcpStream) -> Result<(), ClusterError> {
        // seen from the other side, here is there
        let refused = match differences(&hello.settings, self.settings) {
            Some(differences) => Some(format!("its settings are different: {differences}")),
            None if !is_new => Some(format!(
                "process {} is already connected, or is not expected by {}; give each process its own --process",
                hello.process,
                self.place.me()
            )),
            None => None,
        };
        // a process that has already ended is accepted, or reported missing, later
        let _ = write_greeting(stream, &Answer { refused }).await;
        let Some(differences) = differences(self.settings, &hello.settings) else { return Ok(()) };
        let host = self.place.hosts.get(hello.process).cloned().unwrap_or_else(|| "unknown".to_owned());
        let other = Peer { process: hello.process, host };
        Err(ClusterError::SettingsDiffer { me: self.place.me(), other, differences })
    }

    /// Goes to the processes before this one; the control connection comes first.
    async fn dial(&self) -> Result<Connections, ClusterError> {
        let mut dialled = Connections::new();
        for process in 0..self.place.process {
            let purposes: &[Purpose] = if process == 0 { &[Purpose::Control, Purpose::Data] } else { &[Purpose::Data] };
            for purpose in purposes {
                let key = (process, *purpose);
                dialled.insert(key, self.reach(key).await?);
                self.found(key);
            }
        }
        Ok(dialled)
    }

    /// Retries until the process has answered.
    async fn reach(&self, (process, purpose): (usize, Purpose)) -> Result<TcpStream, ClusterError> {
        let settings = self.settings.clone();
        let hello = Hello { magic: MAGIC.to_owned(), process: self.place.process, purpose, settings };
        let other = self.place.peer(process);
        loop {
            match timeout(GREETING_WAIT, greet(&other.host, &hello)).await {
                Ok(Ok((stream, Answer { refused: None }))) => return Ok(stream),
                Ok(Ok((_, Answer { refused: Some(why) }))) => return Err(ClusterError::Refused { other, why }),
                Ok(Err(error)) => tracing::debug!(%other, %error, "not there yet"),
                Err(_) => tracing::debug!(%other, "no answer yet"),
            }
            sleep(DIAL_EVERY).await;
        }
    }
}

/// Whether the peer has closed the connection. Data it sent before is not consumed.
async fn is_closed(stream: &TcpStream) -> bool {
    match timeout(Duration::ZERO, stream.ready(Interest::READABLE)).await {
        Ok(ready) => ready.map_or(true, |ready| ready.is_read_closed() || ready.is_error()),
        Err(_) => false,
    }
}

/// Reads the greeting of a connection.
async fn greeting_of(mut stream: TcpStream) -> Result<(Hello, TcpStream), Error> {
    let hello: Hello = timeout(GREETING_WAIT, read_greeting(&mut stream)).await??;
    if hello.magic != MAGIC {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok((hello, stream))
}

async fn greet(host: &str, hello: &Hello) -> Result<(TcpStream, Answer), Error> {
    let mut stream = TcpStream::connect(host).await?;
    write_greeting(&mut stream, hello).await?;
    let answer = read_greeting(&mut stream).await?;
    Ok((stream, answer))
}

fn into_met(place: &Place, connections: Connections) -> Result<Met, ClusterError> {
    let mut met = Met { controls: Vec::new(), streams: place.hosts.iter().map(|_| None).collect() };
    for ((process, purpose), stream) in connections {
        let peer = place.peer(process);
        let lost = |error: Error| ClusterError::Lost { peer: peer.clone(), what: error.to_string() };
        stream.set_nodelay(true).map_err(lost)?;
        match purpose {
            Purpose::Control => met.controls.push((peer, stream)),
            Purpose::Data => met.streams[process] = Some(stream.into_std().map_err(lost)?),
        }
    }
    Ok(met)
}
