//! Lines of a file from its end: who needs the newest ones reads no others.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 128 * 1024;

/// Hands lines over, the last one first, until `visit` wants no more; returns whether it has seen all. A line comes
/// without its end, also one that has none yet.
pub(super) fn lines(file: &mut (impl Read + Seek), visit: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let mut end = file.seek(SeekFrom::End(0))?;
    // the begin of a file up to the end of a line that was cut by the begin of the last chunk
    let mut rest: Vec<u8> = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        let mut chunk = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(end - start).read_to_end(&mut chunk)?;
        chunk.append(&mut rest);
        // where the first line begins that is in the chunk from its begin on
        let first = if start == 0 { Some(0) } else { chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1) };
        let first = first.unwrap_or(chunk.len());
        for line in chunk[first..].rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if !visit(line) {
                return Ok(false);
            }
        }
        chunk.truncate(first);
        (rest, end) = (chunk, start);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Cursor;

    /// A file that counts the bytes that are read of it.
    struct Counting(Cursor<Vec<u8>>, usize);

    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buffer)?;
            self.1 += count;
            Ok(count)
        }
    }

    impl Seek for Counting {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    fn of(text: &str) -> Counting {
        Counting(Cursor::new(text.as_bytes().to_vec()), 0)
    }

    fn newest(file: &mut Counting, most: usize) -> (Vec<String>, bool) {
        let mut found = Vec::new();
        let is_all = lines(file, &mut |line| {
            found.push(String::from_utf8(line.to_vec()).unwrap());
            found.len() < most
        });
        (found, is_all.unwrap())
    }

    #[test]
    fn lines_come_once_and_whole_wherever_a_chunk_begins() {
        assert_eq!(newest(&mut of(""), 9), (Vec::new(), true));
        assert_eq!(newest(&mut of("a\n\nbc\nd"), 9), (["d", "bc", "a"].map(str::to_owned).to_vec(), true));
        // lines of all lengths up to several chunks, so that chunks begin at each place of some of them
        let chunk = CHUNK_BYTES as usize;
        let lengths = [1, chunk - 1, chunk, 3 * chunk + 7, 5, chunk + 1, 2 * chunk - 2, 1, 40];
        let all: Vec<String> =
            lengths.iter().enumerate().map(|(place, length)| format!("{place}").repeat(*length)).collect();
        for end in ["\n", ""] {
            let text = all.join("\n") + end;
            let (found, is_all) = newest(&mut of(&text), 99);
            assert!(is_all && found.iter().rev().eq(all.iter()), "{:?}", found.iter().map(String::len));
        }
    }

    #[test]
    fn no_more_is_read_than_is_wanted() {
        let line = format!("{}\n", "x".repeat(99));
        for count in [10_000, 100_000] {
            let mut file = of(&line.repeat(count));
            let (found, is_all) = newest(&mut file, 10);
            assert!(found.len() == 10 && !is_all);
            assert_eq!(file.1, CHUNK_BYTES as usize, "of {count} lines");
        }
    }
}
