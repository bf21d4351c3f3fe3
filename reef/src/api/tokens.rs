//! Tokens: who may call the services from another machine. A token is shown once; the file keeps its SHA-256.
//!
//! A token has 256 random bits, so a fast hash is enough: it cannot be guessed from its hash. It is looked up by its id, and
//! hashes are compared in constant time; an unknown id costs as much as a wrong secret.

use crate::access::Role;
use model::clock::SharedClock;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq;

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// The public part by which it is found.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// SHA-256 of the whole token, in hexadecimal digits.
    pub sha256: String,
    /// When it was made; RFC 3339.
    pub created_at: String,
}

/// The file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the tokens in {}", .file.display())]
pub struct TokensError {
    doing: &'static str,
    file: PathBuf,
    #[source]
    cause: io::Error,
}

/// The tokens of a file. A change of the file takes effect at the next request.
#[derive(Clone)]
pub struct Tokens {
    file: PathBuf,
    clock: SharedClock,
    read: Arc<Mutex<Read>>,
}

/// What was read last, and what tells that the file has changed.
#[derive(Default)]
struct Read {
    version: Option<(u64, i64, i64, u64)>,
    entries: Vec<TokenEntry>,
}

impl Tokens {
    /// The tokens of `file`, which may not exist.
    pub fn of(file: &Path, clock: SharedClock) -> Tokens {
        Tokens { file: file.to_owned(), clock, read: Arc::default() }
    }

    /// Makes a token and keeps its hash. The token itself is returned once, and never again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn create(&self, name: &str, role: Role) -> Result<String, TokensError> {
        let random = |bytes: &mut [u8]| {
            SystemRandom::new().fill(bytes).map_err(|_| self.error("make", io::Error::other("no random numbers")))
        };
        let (mut id, mut secret) = ([0_u8; 4], [0_u8; 32]);
        random(&mut id)?;
        random(&mut secret)?;
        let token = format!("coral_{}_{}", hex(&id), hex(&secret));
        let _lock = self.lock().map_err(|cause| self.error("keep", cause))?;
        let mut entries = self.entries()?;
        let created_at = self.clock.now().to_string();
        entries.push(TokenEntry { id: hex(&id), name: name.to_owned(), role, sha256: hash(&token), created_at });
        self.write(&entries).map_err(|cause| self.error("keep", cause))?;
        Ok(token)
    }

    /// Removes a token; false if there is none with this id.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn revoke(&self, id: &str) -> Result<bool, TokensError> {
        let _lock = self.lock().map_err(|cause| self.error("keep", cause))?;
        let mut entries = self.entries()?;
        let before = entries.len();
        entries.retain(|entry| entry.id != id);
        if entries.len() == before {
            return Ok(false);
        }
        self.write(&entries).map_err(|cause| self.error("keep", cause))?;
        Ok(true)
    }

    /// All of them, without their secrets.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn entries(&self) -> Result<Vec<TokenEntry>, TokensError> {
        let failed = |cause| self.error("read", cause);
        let version = match fs::metadata(&self.file) {
            Ok(data) => Some((data.ino(), data.mtime(), data.mtime_nsec(), data.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.version != version {
            read.entries = match version {
                None => Vec::new(),
                Some(_) => {
                    let text = fs::read_to_string(&self.file).map_err(failed)?;
                    serde_json::from_str(&text).map_err(|error| failed(error.into()))?
                }
            };
            read.version = version;
        }
        Ok(read.entries.clone())
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> Result<bool, TokensError> {
        Ok(self.entries()?.is_empty())
    }

    /// What the holder of `token` may do; `None` if it is not valid.
    pub(super) fn role_of(&self, token: &str) -> Result<Option<Role>, TokensError> {
        let entries = self.entries()?;
        let id = token.split('_').nth(1).unwrap_or_default();
        let known = entries.iter().find(|entry| entry.id == id);
        let expected = known.map_or_else(|| "0".repeat(64), |entry| entry.sha256.clone());
        let is_right = bool::from(hash(token).as_bytes().ct_eq(expected.as_bytes()));
        Ok(known.filter(|_| is_right).map(|entry| entry.role))
    }

    /// Waits until no other process changes the file, from its reading to its writing. The lock ends with the value.
    fn lock(&self) -> io::Result<File> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.beside(".lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// The path of a file beside the file of tokens.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    }

    /// Replaces the file as a whole; only its owner can read it. The caller has the lock.
    fn write(&self, entries: &[TokenEntry]) -> io::Result<()> {
        let new = self.beside(".new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(serde_json::to_string_pretty(entries)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }

    fn error(&self, doing: &'static str, cause: io::Error) -> TokensError {
        TokensError { doing, file: self.file.clone(), cause }
    }
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::clock::ManualClock;
    use model::time::TimeMs;

    fn tokens(folder: &Path) -> Tokens {
        Tokens::of(&folder.join("reef/tokens.json"), ManualClock::at(TimeMs(1_772_445_600_000)))
    }

    #[test]
    fn a_token_is_valid_as_it_was_made_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = tokens(folder.path());
        assert!(tokens.is_empty().unwrap());
        let (reader, admin) =
            (tokens.create("grafana", Role::Readonly).unwrap(), tokens.create("me", Role::Admin).unwrap());
        assert_eq!(tokens.role_of(&reader).unwrap(), Some(Role::Readonly));
        assert_eq!(tokens.role_of(&admin).unwrap(), Some(Role::Admin));
        let mixed = format!("{}{}", &admin[..15], &reader[15..]);
        let (cut, upper) = (&admin[..admin.len() - 1], admin.to_uppercase());
        for wrong in ["", "coral", "coral__", "coral_00000000_00", cut, mixed.as_str(), upper.as_str()] {
            assert_eq!(tokens.role_of(wrong).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn processes_that_change_the_file_at_once_lose_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (tokens(folder.path()), tokens(folder.path()));
        let make = |tokens: Tokens, name: &'static str| {
            let writes = move || {
                for _ in 0..25 {
                    tokens.create(name, Role::Readonly).unwrap();
                }
            };
            std::thread::Builder::new().name(name.to_owned()).spawn(writes).unwrap()
        };
        let writers = [make(one.clone(), "one"), make(other, "other")];
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let entries = one.entries().unwrap();
        let of = |name| entries.iter().filter(|entry| entry.name == name).count();
        assert_eq!((of("one"), of("other")), (25, 25));
    }

    #[test]
    fn a_revoked_token_is_refused_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = tokens(folder.path());
        let (old, kept) = (tokens.create("old", Role::Admin).unwrap(), tokens.create("new", Role::Readonly).unwrap());
        let id = tokens.entries().unwrap()[0].id.clone();
        assert!(tokens.revoke(&id).unwrap());
        assert_eq!((tokens.role_of(&old).unwrap(), tokens.role_of(&kept).unwrap()), (None, Some(Role::Readonly)));
        assert!(!tokens.revoke(&id).unwrap(), "it is there no longer");
    }

    #[test]
    fn the_file_keeps_no_token_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = tokens(folder.path());
        let token = tokens.create("me", Role::Analyst).unwrap();
        let text = fs::read_to_string(&tokens.file).unwrap();
        let secret = token.rsplit('_').next().unwrap();
        assert!(!text.contains(secret) && text.contains(&hash(&token)), "{text}");
        assert_eq!(fs::metadata(&tokens.file).unwrap().permissions().mode() & 0o777, 0o600);
        // another process sees what this one has made, and what it has taken away
        let other = Tokens::of(&tokens.file, ManualClock::at(TimeMs(0)));
        assert_eq!(other.role_of(&token).unwrap(), Some(Role::Analyst));
        fs::remove_file(&tokens.file).unwrap();
        assert_eq!(other.role_of(&token).unwrap(), None);
    }

    #[test]
    fn a_file_that_holds_something_else_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.json");
        fs::write(&file, "[{\"id\": 7}]").unwrap();
        let tokens = Tokens::of(&file, ManualClock::at(TimeMs(0)));
        let error = tokens.role_of("coral_1_2").unwrap_err();
        assert!(error.to_string().starts_with("cannot read the tokens in "), "{error}");
    }
}
