//! The state of a registry and its changes. No IO; time is a parameter.

use super::range::Range;
use crate::error::REVOKED;
use crate::noise::keys::PublicKey;
use crate::noise::psk::Psk;
use model::time::{DAY_MS, TimeMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

/// Peers not seen for this time are removed.
const UNSEEN_MS: i64 = 30 * DAY_MS;
/// How long a secret that has ended is still recognised, so that the reef gets a specific error.
const ENDED_KNOWN_MS: i64 = 30 * DAY_MS;
/// Longest id of a reef.
const REEF_ID_MAX: usize = 128;

/// A secret that admits reefs. Only the key derived from it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub name: String,
    #[serde(with = "psk_text")]
    pub(crate) psk: Psk,
    /// True when it admits to reading only.
    #[serde(default)]
    pub read_only: bool,
    /// True when any number of reefs may use it; otherwise it belongs to the first one that registers with it.
    #[serde(default)]
    pub shared: bool,
    /// The reef it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reef_id: Option<String>,
    /// When it was created.
    pub created_at: TimeMs,
    /// When it ends; `None` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<TimeMs>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({}, expires {:?})", self.name, self.expires_at)
    }
}

impl Grant {
    /// True once its time is over.
    pub fn is_expired(&self, now: TimeMs) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A named secret that was revoked: it opens a tunnel to the refusal and nothing else.
///
/// Not a flag of [`Grant`]: a program that does not know the flag would admit its reefs again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSecret {
    /// Its name; a later secret may have the same one.
    pub name: String,
    #[serde(with = "psk_text")]
    pub(crate) psk: Psk,
    /// When it was revoked.
    pub revoked_at: TimeMs,
}

impl fmt::Debug for RevokedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevokedSecret({}, {})", self.name, self.revoked_at)
    }
}

/// A reef that is registered, or was and is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reef {
    /// Its id.
    pub reef_id: String,
    /// Its address, the same each time it registers.
    pub address: Ipv4Addr,
    #[serde(with = "key_text")]
    pub(crate) key: PublicKey,
    /// Name of the secret it has proved.
    pub secret: String,
    /// When it registered first.
    pub registered_at: TimeMs,
    /// When it was last seen, to the hour.
    pub seen_at: TimeMs,
    /// When it was revoked; it is not admitted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<TimeMs>,
}

/// Why a reef is not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It means another colony.
    #[error("this is colony {here}")]
    WrongColony {
        /// The colony that it has reached.
        here: String,
    },
    /// The key in the message is not that of the tunnel.
    #[error("the key in the registration is not that of the tunnel")]
    WrongKey,
    /// A secret was sent.
    #[error("a secret was sent; the tunnel proves it, and it must stay where it is")]
    SecretSent,
    /// No id, or one that cannot be shown.
    #[error("a reef id has 1 to {REEF_ID_MAX} printable characters without spaces")]
    BadReefId,
    /// It was revoked.
    #[error("revoked on {at}; ask for a new secret")]
    Revoked {
        /// When.
        at: TimeMs,
    },
    /// Its secret has ended.
    #[error("the secret {secret:?} expired on {at}; ask for a new one (`coral colony secret create`)")]
    SecretExpired {
        /// Which one.
        secret: String,
        /// When.
        at: TimeMs,
    },
    /// Its secret belongs to another reef.
    #[error("the secret {secret:?} belongs to another reef; each reef needs its own")]
    SecretOfAnotherReef {
        /// Which one.
        secret: String,
    },
    /// No address is left.
    #[error("mesh network {network} is full ({addresses} addresses)")]
    NetworkFull {
        /// The mesh.
        network: String,
        /// How many peers it can have.
        addresses: u32,
    },
    /// As many peers as allowed.
    #[error("there are {max} peers, as many as `mesh.peers_max` allows")]
    TooManyPeers {
        /// The limit.
        max: usize,
    },
}

impl Refusal {
    /// The reason as a code, as sent over the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::WrongColony { .. } => "wrong_colony",
            Refusal::WrongKey => "wrong_key",
            Refusal::SecretSent => "secret_sent",
            Refusal::BadReefId => "bad_reef_id",
            Refusal::Revoked { .. } => REVOKED,
            Refusal::SecretExpired { .. } => "secret_expired",
            Refusal::SecretOfAnotherReef { .. } => "secret_of_another_reef",
            Refusal::NetworkFull { .. } => "network_full",
            Refusal::TooManyPeers { .. } => "too_many_peers",
        }
    }
}

/// Everything a registry knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Secrets, the colony's own first.
    pub grants: Vec<Grant>,
    /// Reefs, in the order in which they came.
    pub reefs: Vec<Reef>,
    /// Named secrets that were revoked in the last 30 days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<RevokedSecret>,
}

impl State {
    /// The secret with a name.
    pub fn grant(&self, name: &str) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.name == name)
    }

    /// The reef with an id.
    pub fn reef(&self, reef_id: &str) -> Option<&Reef> {
        self.reefs.iter().find(|reef| reef.reef_id == reef_id)
    }

    /// Reefs that are not revoked.
    pub fn peers(&self) -> impl Iterator<Item = &Reef> {
        self.reefs.iter().filter(|reef| reef.revoked_at.is_none())
    }

    /// Registers a reef with the key of its tunnel and the secret that it has proved there: the same address as before,
    /// or a free one.
    pub(crate) fn register(
        &mut self,
        reef_id: &str,
        key: PublicKey,
        proved: &Psk,
        limits: (&Range, usize),
        now: TimeMs,
    ) -> Result<Reef, Refusal> {
        let (range, peers_max) = limits;
        let printable = |c: char| !c.is_whitespace() && !c.is_control();
        if reef_id.is_empty() || reef_id.len() > REEF_ID_MAX || !reef_id.chars().all(printable) {
            return Err(Refusal::BadReefId);
        }
        let secret = &self.check(reef_id, proved, now)?;
        let known = self.reefs.iter().position(|reef| reef.reef_id == reef_id);
        let index = match known {
            Some(index) => {
                // a network that was changed has other addresses
                if !range.contains(self.reefs[index].address) {
                    self.reefs[index].address = self.free(range)?;
                }
                index
            }
            None => {
                if self.peers().count() >= peers_max {
                    return Err(Refusal::TooManyPeers { max: peers_max });
                }
                let address = self.free(range)?;
                self.reefs.push(Reef {
                    reef_id: reef_id.to_owned(),
                    address,
                    key,
                    secret: secret.clone(),
                    registered_at: now,
                    seen_at: now,
                    revoked_at: None,
                });
                self.reefs.len() - 1
            }
        };
        if let Some(grant) = self.grants.iter_mut().find(|grant| grant.name == *secret && !grant.shared) {
            grant.reef_id = Some(reef_id.to_owned());
        }
        let reef = &mut self.reefs[index];
        (reef.key, reef.seen_at) = (key, now);
        secret.clone_into(&mut reef.secret);
        Ok(reef.clone())
    }

    /// The name of the secret that admits this reef.
    fn check(&self, reef_id: &str, proved: &Psk, now: TimeMs) -> Result<String, Refusal> {
        if let Some(at) = self.reef(reef_id).and_then(|reef| reef.revoked_at) {
            return Err(Refusal::Revoked { at });
        }
        // by what the tunnel has proved: names change when the colony's own secret is rotated
        let Some(grant) = self.grants.iter().find(|grant| grant.psk == *proved) else {
            // it existed when the tunnel proved it, but may have been removed since
            let revoked = self.revoked.iter().find(|it| it.psk == *proved);
            return Err(Refusal::Revoked { at: revoked.map_or(now, |it| it.revoked_at) });
        };
        let secret = grant.name.clone();
        if let Some(at) = grant.expires_at.filter(|at| *at <= now) {
            return Err(Refusal::SecretExpired { secret, at });
        }
        match &grant.reef_id {
            Some(owner) if !grant.shared && owner != reef_id => Err(Refusal::SecretOfAnotherReef { secret }),
            _ => Ok(secret),
        }
    }

    fn free(&self, range: &Range) -> Result<Ipv4Addr, Refusal> {
        let taken: BTreeSet<Ipv4Addr> = self.reefs.iter().map(|reef| reef.address).collect();
        let full = || Refusal::NetworkFull { network: range.to_string(), addresses: range.addresses() };
        range.free(&taken).ok_or_else(full)
    }

    /// Revokes a reef: it is not admitted again, and its own secret ends with it. False if it is unknown.
    pub fn unpeer(&mut self, reef_id: &str, now: TimeMs) -> bool {
        let Some(reef) = self.reefs.iter_mut().find(|reef| reef.reef_id == reef_id) else { return false };
        reef.revoked_at.get_or_insert(now);
        self.revoke_grants(|grant| !grant.shared && grant.reef_id.as_deref() == Some(reef_id), now);
        true
    }

    /// Lifts the revocation of a reef. False when there is none.
    pub fn readmit(&mut self, reef_id: &str) -> bool {
        let revoked = self.reefs.iter_mut().find(|reef| reef.reef_id == reef_id && reef.revoked_at.is_some());
        revoked.map(|reef| reef.revoked_at = None).is_some()
    }

    /// Takes away a secret. Its reefs may register with another one. False when there is none of that name.
    pub fn revoke_grant(&mut self, name: &str, now: TimeMs) -> bool {
        let before = self.grants.len();
        self.revoke_grants(|grant| grant.name == name, now);
        self.grants.len() < before
    }

    fn revoke_grants(&mut self, is_meant: impl Fn(&Grant) -> bool, now: TimeMs) {
        let revoked = self.grants.extract_if(.., |grant| is_meant(grant));
        self.revoked.extend(revoked.map(|grant| RevokedSecret { name: grant.name, psk: grant.psk, revoked_at: now }));
    }

    /// Removes peers not seen for 30 days and secrets that ended 30 days ago. Revocations of reefs and their addresses stay, so
    /// that no other reef receives traffic for the former one.
    pub(crate) fn prune(&mut self, now: TimeMs) {
        self.reefs.retain(|reef| reef.revoked_at.is_some() || now.0 < reef.seen_at.0 + UNSEEN_MS);
        self.grants.retain(|grant| grant.expires_at.is_none_or(|at| now.0 < at.0 + ENDED_KNOWN_MS));
        self.revoked.retain(|secret| now.0 < secret.revoked_at.0 + ENDED_KNOWN_MS);
    }
}

mod psk_text {
    use super::Psk;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(psk: &Psk, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&psk.to_base64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Psk, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // the text itself must not appear in the error
        Psk::from_base64(&text).ok_or_else(|| D::Error::custom("a derived key is 32 bytes in base64"))
    }
}

mod key_text {
    use super::PublicKey;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
