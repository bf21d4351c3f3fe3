//! Wire: the frames of a control connection, each a length and its bytes.
//!
//! The handshake is JSON, so that different versions can still report their difference; everything else uses timely's
//! encoding of rows.

use super::settings::Settings;
use model::position::Positions;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sources::Batch;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A frame that claims to be longer is not one of ours.
const FRAME_BYTES_MAX: u32 = 256 * 1024 * 1024;
/// The same for a greeting, whose sender is unknown.
const GREETING_BYTES_MAX: u32 = 64 * 1024;
/// What a greeting starts with.
pub(super) const MAGIC: &str = "coral-pipeline cluster";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Purpose {
    /// Between process 0 and another.
    Control,
    /// Between the workers of two processes.
    Data,
}

/// The first words of the process that dials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub magic: String,
    pub process: usize,
    pub purpose: Purpose,
    pub settings: Settings,
}

/// The answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Why the connection is refused; `None` when it is welcome.
    pub refused: Option<String>,
}

/// A source of another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceFacts {
    pub name: String,
    pub is_finite: bool,
    pub is_acknowledged: bool,
}

/// Messages between process 0 and another after the handshake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// Still there.
    Beat,
    /// From 0: where sources resume.
    Start { positions: BTreeMap<String, Positions> },
    /// To 0: what this process will read; numbered in this order.
    Sources(Vec<SourceFacts>),
    /// To 0: what a source delivered.
    Batch { source: usize, batch: Box<Batch>, bytes: Option<(u64, u64)>, outage: Option<String> },
    /// To 0: a finite source has delivered everything.
    SourceEnded { source: usize },
    /// From 0: a batch was accepted, one more may be sent.
    Taken,
    /// From 0: everything of a source up to these positions is stored.
    Committed { source: usize, positions: Positions },
    /// To 0: this process was stopped.
    Stop,
    /// From 0: the run has completed.
    End { is_stopped: bool },
    /// To 0: understood; nothing more comes from here.
    Ended,
    /// The sender ends with this error; nothing more comes from it.
    Failed { message: String },
}

impl Frame {
    /// Whether the sender says nothing after it.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Frame::Ended | Frame::Failed { .. })
    }
}

/// Writes one frame.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> Result<()> {
    let bytes = bincode::serialize(frame).map_err(Error::other)?;
    write_bytes(to, &bytes).await
}

/// Reads one frame. An end of the connection is [`ErrorKind::UnexpectedEof`].
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Frame> {
    let bytes = read_bytes(from, FRAME_BYTES_MAX).await?;
    bincode::deserialize(&bytes).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

/// Writes a greeting or its answer.
pub(super) async fn write_greeting(to: &mut (impl AsyncWrite + Unpin), greeting: &impl Serialize) -> Result<()> {
    write_bytes(to, &serde_json::to_vec(greeting)?).await
}

/// Reads a greeting or its answer.
pub(super) async fn read_greeting<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> Result<T> {
    Ok(serde_json::from_slice(&read_bytes(from, GREETING_BYTES_MAX).await?)?)
}

async fn write_bytes(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a frame is too long"))?;
    to.write_all(&length.to_le_bytes()).await?;
    to.write_all(bytes).await?;
    to.flush().await
}

async fn read_bytes(from: &mut (impl AsyncRead + Unpin), bytes_max: u32) -> Result<Vec<u8>> {
    let length = from.read_u32_le().await?;
    if length > bytes_max {
        return Err(Error::new(ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    let mut bytes = Vec::new();
    // grows with received data, not with the claimed length
    if from.take(u64::from(length)).read_to_end(&mut bytes).await? < length as usize {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
