//! The bytes of an open file from any offset, up to its length when it was first seen.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// An open file.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub file: Arc<File>,
    pub len_bytes: u64,
}

impl Input {
    /// Reads from byte `from` on. Data appended in the meantime is for the next run, which sees a changed file.
    pub(crate) fn reader(&self, from: u64) -> Box<dyn Read + Send> {
        Box::new(Bytes { file: self.file.clone(), at: from, end: self.len_bytes })
    }
}

/// Reads by position, so that several readers of one file do not disturb one another.
struct Bytes {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = (buffer.len() as u64).min(self.end.saturating_sub(self.at)) as usize;
        let read = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
