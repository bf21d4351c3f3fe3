//! The pre-shared key of a tunnel, derived from secret, colony id and colony key; and the hint that identifies it.

use crate::noise::keys::PublicKey;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{hkdf, hmac};
use std::fmt;
use zeroize::Zeroizing;

const SALT: &[u8] = b"coral-mesh/v1";
const INFO: &[u8] = b"wireguard-psk";

/// What both ends must hold before one byte of data is accepted. It is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Psk(Zeroizing<[u8; 32]>);

impl Psk {
    /// HKDF-SHA256 (RFC 5869) of the secret, with the salt `coral-mesh/v1` and the info `wireguard-psk` ‖ 0 ‖ colony id
    /// ‖ 0 ‖ colony key. Another key or id gives another pre-shared key, so an impostor learns nothing that opens the
    /// real colony.
    pub fn derive(secret: &Secret, colony_id: &str, colony_key: &PublicKey) -> Psk {
        let mut psk = Zeroizing::new([0; 32]);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret.reveal().as_bytes());
        let info = [INFO, &[0], colony_id.as_bytes(), &[0], colony_key.as_bytes().as_slice()];
        let filled = prk.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(psk.as_mut_slice()));
        assert!(filled.is_ok(), "32 bytes are within what HKDF-SHA256 gives");
        Psk(psk)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 24 bits in the index of a reef's handshakes, so that the colony tries only this key instead of all. They depend
    /// on a public key that only a reader of the handshake knows.
    pub(crate) fn hint(&self, initiator: &PublicKey) -> u32 {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()), initiator.as_bytes());
        let bytes = tag.as_ref();
        u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
    }

    pub(crate) fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    pub(crate) fn from_base64(text: &str) -> Option<Psk> {
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        Some(Psk(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(…)")
    }
}
