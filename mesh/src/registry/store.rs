//! The registry's file: read, changed under a lock, replaced atomically; also by several processes.

use super::range::Range;
use super::state::{Grant, Reef, Refusal, State};
use crate::error::MeshError;
use crate::noise::keys::PublicKey;
use crate::noise::psk::Psk;
use crate::private_file;
use crate::secret::Secret;
use model::clock::SharedClock;
use model::time::TimeMs;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Name of the secret that is the colony's own.
pub const OWN: &str = "colony";
/// Name of the one before it while both are valid; where there are several, others have `-2`, `-3` … behind it.
const FORMER: &str = "colony-before";

/// The registry of one colony. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Registry {
    path: Arc<Path>,
    colony_id: Arc<str>,
    colony_key: PublicKey,
    clock: SharedClock,
    /// The last state read, and the file's stamp at that time.
    seen: Arc<Mutex<(Option<Stamp>, State)>>,
}

/// Identifies the content of a file: a replaced file has another inode number.
type Stamp = (u64, i64, i64, u64);

impl Registry {
    /// The registry in `path`; the file comes with the first change. Secrets are bound to the colony's id and key.
    pub fn open(
        path: &Path,
        colony_id: &str,
        colony_key: PublicKey,
        clock: SharedClock,
    ) -> Result<Registry, MeshError> {
        let registry =
            Registry { path: path.into(), colony_id: colony_id.into(), colony_key, clock, seen: Arc::default() };
        registry.refresh()?;
        Ok(registry)
    }

    /// Its state, as last read or written by this process.
    pub fn state(&self) -> State {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    pub(crate) fn now(&self) -> TimeMs {
        self.clock.now()
    }

    /// Its colony.
    pub fn colony_id(&self) -> &str {
        &self.colony_id
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
    }

    /// Reads the file when another process has changed it; true when it has.
    pub fn refresh(&self) -> Result<bool, MeshError> {
        let stamp = self.stamp();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 == stamp {
            return Ok(false);
        }
        *seen = (stamp, self.read()?);
        Ok(true)
    }

    fn read(&self) -> Result<State, MeshError> {
        match private_file::read(&self.path)? {
            None => Ok(State::default()),
            Some(text) => serde_json::from_str(&text)
                .map_err(|cause| MeshError::BadRegistry { path: self.path.to_path_buf(), cause }),
        }
    }

    /// Changes it: reads under a lock, applies `change`, writes. Nothing is written if `change` fails.
    pub fn update<T, E: From<MeshError>>(&self, change: impl FnOnce(&mut State) -> Result<T, E>) -> Result<T, E> {
        let _lock = self.lock()?;
        let mut state = self.read()?;
        let before = state.clone();
        let result = change(&mut state)?;
        if state != before || self.stamp().is_none() {
            let text = serde_json::to_vec_pretty(&state)
                .map(zeroize::Zeroizing::new)
                .map_err(|cause| MeshError::BadRegistry { path: self.path.to_path_buf(), cause })?;
            private_file::replace(&self.path, &text)?;
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (self.stamp(), state);
        Ok(result)
    }

    fn lock(&self) -> Result<File, MeshError> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let path: PathBuf = self.path.with_file_name(name);
        let failed = |cause| MeshError::File { what: "lock", path: path.clone(), cause };
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// Makes `secret` the colony's own. The former one stays valid for `grace`, and those before it until the end that
    /// each of them was given. Without `grace` all of them end now.
    pub fn set_own_secret(&self, secret: &Secret, grace: Option<Duration>) -> Result<(), MeshError> {
        let psk = self.psk(secret);
        let now = self.clock.now();
        self.update(|state| {
            let own = state.grant(OWN).cloned();
            if own.as_ref().is_some_and(|own| own.psk == psk) {
                return Ok(());
            }
            // a secret is in one place: one that was valid before may come back, and its reefs with it
            let before = state.grants.iter().find(|grant| grant.psk == psk).map(|grant| grant.name.clone());
            let of_before = |reef: &Reef| before.as_ref() == Some(&reef.secret);
            let back: Vec<usize> = (0..state.reefs.len()).filter(|at| of_before(&state.reefs[*at])).collect();
            state.grants.retain(|grant| grant.name != OWN && grant.psk != psk && (!grant.shared || grace.is_some()));
            state.revoked.retain(|revoked| revoked.psk != psk);
            if let (Some(own), Some(grace)) = (own, grace) {
                let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
                let ends = TimeMs(now.0.saturating_add(grace_ms));
                let name = former_name(state);
                for reef in state.reefs.iter_mut().filter(|reef| reef.secret == OWN) {
                    name.clone_into(&mut reef.secret);
                }
                state.grants.insert(0, Grant { name, expires_at: Some(ends), ..own });
            }
            for at in back {
                OWN.clone_into(&mut state.reefs[at].secret);
            }
            let own = Grant {
                name: OWN.to_owned(),
                psk,
                read_only: false,
                shared: true,
                reef_id: None,
                created_at: now,
                expires_at: None,
            };
            state.grants.insert(0, own);
            Ok(())
        })
    }

    fn psk(&self, secret: &Secret) -> Psk {
        Psk::derive(secret, &self.colony_id, &self.colony_key)
    }

    /// Creates a secret for one reef and returns it. Only the key derived from it is stored.
    ///
    /// It belongs to `reef_id`, whose revocation ends with it; otherwise to the first reef that registers with it.
    pub fn create_secret(
        &self,
        name: &str,
        read_only: bool,
        expires_at: Option<TimeMs>,
        reef_id: Option<&str>,
    ) -> Result<Secret, MeshError> {
        let secret = Secret::generate();
        let (psk, created_at) = (self.psk(&secret), self.clock.now());
        self.update(|state| -> Result<(), MeshError> {
            can_be_created(state, name)?;
            if let Some(reef_id) = reef_id {
                state.readmit(reef_id);
            }
            let (name, reef_id) = (name.to_owned(), reef_id.map(str::to_owned));
            state.grants.push(Grant { name, psk, read_only, shared: false, reef_id, created_at, expires_at });
            Ok(())
        })?;
        Ok(secret)
    }

    /// Whether a secret of this name can be created.
    pub fn check_new_secret(&self, name: &str) -> Result<(), MeshError> {
        can_be_created(&self.state(), name)
    }

    /// Revokes a secret; its peers are removed at once.
    pub fn revoke_secret(&self, name: &str) -> Result<(), MeshError> {
        if name == OWN {
            let what = "the colony's own secret would be valid again at its next start: \
                        `coral colony secret rotate` replaces it";
            return Err(MeshError::BadSettings { what: what.to_owned() });
        }
        let now = self.clock.now();
        self.update(|state| {
            if state.revoke_grant(name, now) {
                return Ok(());
            }
            let known: Vec<&str> = state.grants.iter().map(|grant| grant.name.as_str()).collect();
            Err(MeshError::Unknown { what: "secret", name: name.to_owned(), known: listed(&known) })
        })
    }

    /// Revokes a reef at once and remembers it. Doing so again changes nothing.
    pub fn unpeer(&self, reef_id: &str) -> Result<(), MeshError> {
        let now = self.clock.now();
        self.update(|state| {
            if state.unpeer(reef_id, now) {
                return Ok(());
            }
            let known: Vec<&str> = state.reefs.iter().map(|reef| reef.reef_id.as_str()).collect();
            Err(MeshError::Unknown { what: "reef", name: reef_id.to_owned(), known: listed(&known) })
        })
    }

    /// Registers a reef; see [`State::register`].
    pub(crate) fn register(
        &self,
        reef_id: &str,
        key: PublicKey,
        proved: &Psk,
        limits: (&Range, usize),
    ) -> Result<Result<Reef, Refusal>, MeshError> {
        let now = self.clock.now();
        self.update(|state| Ok(state.register(reef_id, key, proved, limits, now)))
    }

    /// Removes expired entries and updates last-seen times.
    pub(crate) fn keep(&self, seen: &[String]) -> Result<(), MeshError> {
        let now = self.clock.now();
        self.update(|state| {
            for reef in state.reefs.iter_mut().filter(|reef| seen.contains(&reef.reef_id)) {
                reef.seen_at = now;
            }
            state.prune(now);
            Ok(())
        })
    }
}

/// A name for a former secret that no other one has.
fn former_name(state: &State) -> String {
    let numbered = (2_u32..).map(|number| format!("{FORMER}-{number}"));
    let mut names = std::iter::once(FORMER.to_owned()).chain(numbered);
    names.find(|name| state.grant(name).is_none()).unwrap_or_else(|| FORMER.to_owned())
}

fn can_be_created(state: &State, name: &str) -> Result<(), MeshError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let what = if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
        format!("{name:?} is no name of a secret; use 1 to 64 letters, digits, `-`, `_` and `.`")
    } else if state.grant(name).is_some() || name == OWN || name.starts_with(FORMER) {
        format!("there is a secret {name:?}; revoke it first, or choose another name")
    } else {
        return Ok(());
    };
    Err(MeshError::BadSettings { what })
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
