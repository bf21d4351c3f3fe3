//! Key pairs of the tunnels: X25519, base64 as WireGuard writes them; private keys are never printed.

use crate::error::MeshError;
use crate::noise;
use crate::private_file;
use crate::random::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The public half of a key pair. It names a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(crate) [u8; 32]);

impl PublicKey {
    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a WireGuard public key is 32 bytes in base64 (44 characters) of a point that is not of small order")]
pub struct BadKey;

impl FromStr for PublicKey {
    type Err = BadKey;

    /// Reads base64; refuses the points that make every shared secret zero.
    fn from_str(text: &str) -> Result<PublicKey, BadKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BadKey)?;
        let key = PublicKey(bytes.try_into().map_err(|_| BadKey)?);
        if noise::is_of_small_order(&key) { Err(BadKey) } else { Ok(key) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The private half. Its bytes are overwritten when it is dropped.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<[u8; 32]>);

impl PrivateKey {
    /// A new one.
    pub fn generate() -> PrivateKey {
        PrivateKey(Zeroizing::new(random()))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        noise::public_of(self)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the key in `path`, or makes one there (mode 0600) when there is none.
    ///
    /// Fails when the file cannot be read or written, when it holds no key, or when others may read it.
    pub fn load_or_create(path: &Path) -> Result<PrivateKey, MeshError> {
        let text = match private_file::read(path)? {
            Some(text) => text,
            None => {
                let text = Zeroizing::new(STANDARD.encode(PrivateKey::generate().bytes()));
                // two starts at once: the file of the first counts for both
                private_file::create(path, text.as_bytes())?;
                private_file::read(path)?.unwrap_or_default()
            }
        };
        let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
        let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        key.map(|key| PrivateKey(Zeroizing::new(key))).ok_or_else(|| MeshError::BadKeyFile { path: path.to_owned() })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}
