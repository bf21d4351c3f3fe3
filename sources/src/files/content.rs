//! Fingerprint of a file's content: hashes of its first, last and some middle blocks, or of all of it.
//!
//! Size and time do not identify a file: `cp -p`, `rsync -t` and `tar -x` preserve both. The hashes are stored with the
//! position. Only this program creates and compares them, so an attacker gains nothing from a collision.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Blocks for a quick look: a file of up to 256 KiB is hashed whole.
const QUICK: (u64, u64) = (16, 16 * 1024);
/// Blocks for a thorough look: a file of up to 64 MiB is hashed whole.
const THOROUGH: (u64, u64) = (64, 1024 * 1024);
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The first bytes of a file, recognisable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// How many bytes this is about, from the start.
    pub bytes: u64,
    /// Hash of a quick look.
    pub quick: u64,
    /// Hash of the whole content, computed when a file has been read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thorough: Option<u64>,
}

impl Content {
    /// Hashes the first `bytes` of a file.
    pub(crate) fn of(file: &File, bytes: u64, is_thorough: bool) -> std::io::Result<Content> {
        let thorough = if is_thorough { Some(hash(file, bytes, THOROUGH)?) } else { None };
        Ok(Content { bytes, quick: hash(file, bytes, QUICK)?, thorough })
    }

    /// Whether the file begins with these bytes, by a quick look.
    pub(crate) fn is_start_of(&self, file: &File) -> std::io::Result<bool> {
        Ok(hash(file, self.bytes, QUICK)? == self.quick)
    }

    /// The same by the most thorough look that was taken: for a file that has changed and may merely have grown.
    pub(crate) fn is_surely_start_of(&self, file: &File) -> std::io::Result<bool> {
        match self.thorough {
            Some(thorough) => Ok(hash(file, self.bytes, THOROUGH)? == thorough),
            None => self.is_start_of(file),
        }
    }
}

/// Hashes the first `bytes` of a file: all of them, or `blocks` blocks from the first to the last.
fn hash(file: &File, bytes: u64, (blocks, block_bytes): (u64, u64)) -> std::io::Result<u64> {
    let mut state = bytes.wrapping_mul(MULTIPLIER);
    let mut buffer = vec![0; block_bytes.min(bytes) as usize];
    let is_whole = bytes <= blocks * block_bytes;
    for block in 0..blocks {
        let first = if is_whole { block * block_bytes } else { (bytes - block_bytes) / (blocks - 1) * block };
        // the last block ends with the last byte
        let first = if !is_whole && block == blocks - 1 { bytes - block_bytes } else { first };
        let length = bytes.saturating_sub(first).min(block_bytes) as usize;
        if length == 0 {
            break;
        }
        file.read_exact_at(&mut buffer[..length], first)?;
        state = add(state, &buffer[..length]);
    }
    Ok(state)
}

fn add(state: u64, bytes: &[u8]) -> u64 {
    let mix = |state: u64, word: u64| (state ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words.iter().fold(state, |state, word| mix(state, u64::from_le_bytes(*word)));
    rest.iter().fold(state, |state, byte| mix(state, u64::from(*byte) + 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_changed_byte_is_seen_and_an_appended_one_is_not() {
        for length in [0_usize, 1, 7, 8, 9, 1_000, 16 * 1024 + 3, 256 * 1024 - 1] {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
            let content = Content::of(&file(&bytes), length as u64, true).unwrap();
            let grown = file(&[&bytes[..], b"more"].concat());
            assert!(content.is_start_of(&grown).unwrap() && content.is_surely_start_of(&grown).unwrap(), "{length}");
            for at in [0, length / 2, length.saturating_sub(1)].into_iter().filter(|at| *at < length) {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert!(!content.is_start_of(&file(&other)).unwrap(), "{length} {at}");
                assert!(!content.is_surely_start_of(&file(&other)).unwrap(), "{length} {at}");
            }
        }
    }

    #[test]
    fn a_long_file_is_looked_at_from_its_first_to_its_last_byte() {
        let length = 3_000_000_usize;
        let bytes: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
        let content = Content::of(&file(&bytes), length as u64, true).unwrap();
        for (at, is_seen_quickly) in [(0, true), (1_234_567, false), (length - 1, true)] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(!content.is_start_of(&file(&other)).unwrap(), is_seen_quickly, "{at}");
            assert!(!content.is_surely_start_of(&file(&other)).unwrap(), "{at}: a thorough look sees every byte");
        }
        assert!(content.is_start_of(&file(&bytes[1..])).is_err(), "a shorter file does not begin with it");
    }
}
