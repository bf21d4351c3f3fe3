//! Colony secrets: their sources, a check of their strength, and protection from printing.

use crate::error::{MeshError, WeakSecret};
use crate::private_file;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Fewest characters: 22 of base64 are 132 bits. Message 2 of the handshake lets anyone who reaches the colony test
/// guesses without it noticing, so a secret must not be guessable.
pub const CHARACTERS_MIN: usize = 22;
/// Fewest different characters; random texts of 22 characters have more.
pub const DISTINCT_MIN: usize = 8;
/// Most characters.
const CHARACTERS_MAX: usize = 1024;

/// What admits a reef to a colony. It is overwritten when it is dropped, and never sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// 32 random bytes as 43 characters of base64url.
    pub fn generate() -> Secret {
        Secret(Zeroizing::new(URL_SAFE_NO_PAD.encode(Zeroizing::new(crate::random::random::<32>()).as_slice())))
    }

    /// Takes a text, without the white space around it; refuses a weak one.
    pub fn parse(text: &str) -> Result<Secret, WeakSecret> {
        let text = text.trim();
        let characters = text.chars().count();
        if characters > CHARACTERS_MAX || text.chars().any(char::is_control) {
            return Err(WeakSecret::NoText { most: CHARACTERS_MAX });
        }
        if characters < CHARACTERS_MIN {
            return Err(WeakSecret::Short { characters, least: CHARACTERS_MIN });
        }
        let mut distinct: Zeroizing<Vec<u32>> = Zeroizing::new(text.chars().map(u32::from).collect());
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < DISTINCT_MIN {
            return Err(WeakSecret::Regular { distinct: distinct.len() });
        }
        Ok(Secret(Zeroizing::new(text.to_owned())))
    }

    /// Reads the secret in `path`, or makes one there (mode 0600) when there is none.
    pub fn load_or_create(path: &Path) -> Result<Secret, MeshError> {
        if private_file::read(path)?.is_none() {
            private_file::create(path, Secret::generate().0.as_bytes())?;
        }
        SecretSource::File(path.to_owned()).read()
    }

    /// Writes it to `path` (mode 0600), in the place of another one.
    pub fn store(&self, path: &Path) -> Result<(), MeshError> {
        private_file::replace(path, self.0.as_bytes())
    }

    /// The text itself, shown once to its creator.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is stored. It is read at each dial, so that a rotated one is used.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The secret itself.
    Text(Secret),
    /// An environment variable.
    Env(String),
    /// A file (mode 0600).
    File(PathBuf),
}

impl SecretSource {
    /// Reads it. Fails when it is not there, readable by others, or weak.
    pub fn read(&self) -> Result<Secret, MeshError> {
        let found_in = self.to_string();
        let weak = |cause| MeshError::WeakSecret { found_in: found_in.clone(), cause };
        match self {
            SecretSource::Text(secret) => Ok(secret.clone()),
            SecretSource::Env(name) => {
                let text = std::env::var(name).map(Zeroizing::new);
                let text = text.map_err(|_| MeshError::NoSecret { found_in: found_in.clone() })?;
                Secret::parse(&text).map_err(weak)
            }
            SecretSource::File(path) => match private_file::read(path)? {
                Some(text) => Secret::parse(&text).map_err(weak),
                None => Err(MeshError::NoSecret { found_in }),
            },
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Text(_) => f.write_str("the configuration"),
            SecretSource::Env(name) => write!(f, "the environment variable {name}"),
            SecretSource::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({self})")
    }
}
