//! Errors between a reef and a colony, with the address and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a reef that its colony has removed is refused, as a code; also the message with which its streams end.
pub const REVOKED: &str = "revoked";

/// A network fault.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The text is not an address to listen on.
    #[error("{address:?} is not an address to listen on; write host:port, for example 127.0.0.1:9000")]
    BadListenAddress {
        /// As written.
        address: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The address exists and cannot be listened on.
    #[error("cannot listen on {address}: {hint}")]
    Listen {
        /// Where.
        address: String,
        /// What to do.
        hint: &'static str,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The listener does not know its own address.
    #[error("cannot read the address of the listener on {address}")]
    LocalAddress {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The text is not an endpoint to dial.
    #[error("{endpoint:?} is not an endpoint; write for example http://127.0.0.1:9000")]
    BadEndpoint {
        /// As written.
        endpoint: String,
        /// The cause, where there is one.
        #[source]
        cause: Option<tonic::transport::Error>,
    },
    /// No response.
    #[error(
        "cannot reach {endpoint}: check that the colony runs there (`coral colony status`) and that the port is right"
    )]
    Dial {
        /// The endpoint.
        endpoint: String,
        /// The cause.
        #[source]
        cause: tonic::transport::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// The operation.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// A private file that others may read.
    #[error("{0} may be read by others: `chmod 600 {0}`, and make a new key or secret if others have read it", path.display())]
    FileOpenToOthers {
        /// Which file.
        path: PathBuf,
    },
    /// A key file without a key.
    #[error("{} holds no WireGuard key (44 characters of base64); move it away to create a new key", path.display())]
    BadKeyFile {
        /// Which file.
        path: PathBuf,
    },
    /// A registry file that cannot be read.
    #[error("{} holds no registry of peers; restore it from a backup, or move it away: reefs then register again", path.display())]
    BadRegistry {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: serde_json::Error,
    },
    /// There is no secret where one was expected.
    #[error(
        "there is no colony secret in {found_in}; get one with `coral colony secret create` on the colony's machine"
    )]
    NoSecret {
        /// The path that was searched.
        found_in: String,
    },
    /// The secret can be guessed.
    #[error("the secret in {found_in} cannot be used")]
    WeakSecret {
        /// The path.
        found_in: String,
        /// Why.
        #[source]
        cause: WeakSecret,
    },
    /// Neither a fixed endpoint nor discovery is configured.
    #[error(
        "colony {colony_id}: neither `mesh.endpoint` and `mesh.public_key` nor `[discovery] endpoint` says where it is"
    )]
    NoWay {
        /// Which colony.
        colony_id: String,
    },
    /// Discovery does not know the colony.
    #[error("colony {colony_id}: not known at {discovery}; the colony registers itself when it runs with [discovery]")]
    UnknownColony {
        /// Which colony.
        colony_id: String,
        /// The service.
        discovery: String,
    },
    /// Discovery could not say where the colony is.
    #[error("colony {colony_id}: cannot be looked up")]
    LookUp {
        /// Which colony.
        colony_id: String,
        /// Why.
        #[source]
        cause: DiscoveryError,
    },
    /// Discovery shows another key than the configured one.
    #[error(
        "colony {colony_id}: discovery shows the key {found}, and `mesh.public_key` is {expected}; correct it if the \
         colony has a new key, and distrust the discovery service if it has not"
    )]
    OtherKey {
        /// Which colony.
        colony_id: String,
        /// The configured key.
        expected: String,
        /// The one that was found.
        found: String,
    },
    /// The colony responds, but has another secret.
    #[error(
        "colony {colony_id}: it answers at {at} but the secret does not match (or another colony answers there); check \
         --colony-secret-file (on the colony: `coral colony secret list`)"
    )]
    WrongSecret {
        /// Which colony.
        colony_id: String,
        /// Its address.
        at: String,
    },
    /// There was no response.
    #[error(
        "colony {colony_id}: no answer from {at} after {tries} tries in {seconds} s; is UDP open there and the colony \
         running?"
    )]
    NoAnswer {
        /// Which colony.
        colony_id: String,
        /// Its address.
        at: String,
        /// How often.
        tries: u32,
        /// For how long.
        seconds: u64,
    },
    /// The colony does not let this reef in.
    #[error("colony {colony_id} refused this reef: {detail}")]
    Refused {
        /// Which colony.
        colony_id: String,
        /// The reason as a code, for programs.
        reason: String,
        /// The reason as text, and what to do.
        detail: String,
    },
    /// The registration got no valid response.
    #[error("colony {colony_id}: the tunnel is up, but the registration at {at} got no answer")]
    Register {
        /// Which colony.
        colony_id: String,
        /// Where inside the mesh.
        at: SocketAddr,
        /// The cause.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The mesh has no address left.
    #[error("mesh network {network} is full ({addresses} addresses)")]
    NetworkFull {
        /// The mesh.
        network: String,
        /// How many peers it can have.
        addresses: u32,
    },
    /// Settings of a mesh that cannot be.
    #[error("{what}")]
    BadSettings {
        /// The error and the correction.
        what: String,
    },
    /// The registry has no such reef or secret.
    #[error("there is no {what} {name:?}; known: {known}")]
    Unknown {
        /// The kind of thing.
        what: &'static str,
        /// The requested name.
        name: String,
        /// The existing names.
        known: String,
    },
    /// A link is down and will be built again.
    #[error("colony {colony_id}: no tunnel; it is tried again ({cause})")]
    Down {
        /// Which colony.
        colony_id: String,
        /// Why, with everything below.
        cause: String,
    },
    /// The network was closed.
    #[error("the mesh is closed")]
    Closed,
}

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It failed, and may succeed another time.
    Failed,
    /// Something was written wrongly.
    Usage,
    /// Not let in.
    NotAuthorised,
}

impl MeshError {
    /// Its exit code: 1, 2 or 4.
    pub fn class(&self) -> Class {
        match self {
            MeshError::WrongSecret { .. } | MeshError::Refused { .. } => Class::NotAuthorised,
            MeshError::BadListenAddress { .. }
            | MeshError::BadEndpoint { .. }
            | MeshError::NoSecret { .. }
            | MeshError::WeakSecret { .. }
            | MeshError::NoWay { .. }
            | MeshError::BadSettings { .. }
            | MeshError::FileOpenToOthers { .. } => Class::Usage,
            _ => Class::Failed,
        }
    }

    /// Whether the colony has revoked this reef.
    pub fn is_revoked(&self) -> bool {
        matches!(self, MeshError::Refused { reason, .. } if reason == REVOKED)
    }

    /// Whether trying again later may help.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            MeshError::Dial { .. }
                | MeshError::NoAnswer { .. }
                | MeshError::WrongSecret { .. }
                | MeshError::Refused { .. }
                | MeshError::LookUp { .. }
                | MeshError::UnknownColony { .. }
                | MeshError::Register { .. }
                | MeshError::Down { .. }
        )
    }
}

/// Why an address cannot be listened on, and what to do.
pub(crate) fn listen_refused(transport: &str, address: &str, cause: io::Error) -> MeshError {
    let hint = match cause.kind() {
        io::ErrorKind::InvalidInput => return MeshError::BadListenAddress { address: address.to_owned(), cause },
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it or choose another port (port 0 takes a free one)"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need more rights; choose a higher one",
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; 127.0.0.1 is local, 0.0.0.0 is every address"
        }
        _ => "check host and port",
    };
    let address = if transport == "TCP" { address.to_owned() } else { format!("{transport} {address}") };
    MeshError::Listen { address, hint, cause }
}

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Too short to be unguessable.
    #[error(
        "the secret has {characters} characters; a mesh secret needs {least} random ones, make one with \
         `coral colony secret create`"
    )]
    Short {
        /// How many it has.
        characters: usize,
        /// How many it needs.
        least: usize,
    },
    /// Too regular to be random.
    #[error(
        "the secret has only {distinct} different characters; a mesh secret must be random, make one with \
         `coral colony secret create`"
    )]
    Regular {
        /// How many it has.
        distinct: usize,
    },
    /// Not a text that a file or a variable should hold.
    #[error("the secret has more than {most} characters, or control characters; is it the right file?")]
    NoText {
        /// How many characters it may have.
        most: usize,
    },
}

/// Why discovery is of no help.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The address of the service cannot be used.
    #[error("{url:?} is not the address of a discovery service; write for example https://discovery.example.com")]
    BadUrl {
        /// As written.
        url: String,
    },
    /// It does not respond.
    #[error("discovery {url} does not answer: {cause}")]
    NoAnswer {
        /// Which service.
        url: String,
        /// Why, with everything below.
        cause: String,
    },
    /// It does not know the colony.
    #[error("discovery {url} does not know the colony")]
    Unknown {
        /// Which service.
        url: String,
    },
    /// It returns an error.
    #[error("discovery {url} answers {message:?} ({code})")]
    Fault {
        /// Which service.
        url: String,
        /// Connect's code.
        code: String,
        /// Its words.
        message: String,
    },
    /// It returns an invalid response.
    #[error("discovery {url} answers with {what}")]
    BadAnswer {
        /// Which service.
        url: String,
        /// The error.
        what: String,
    },
}

/// External text, made safe for a message.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
