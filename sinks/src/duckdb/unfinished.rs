//! A file whose creation was interrupted: it is shorter than any database.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A new file is three headers of 4 KiB, written one after the other; tables come later.
const HEADERS_BYTES: u64 = 3 * 4_096;
/// Offset of DuckDB's magic bytes in the first header, and the bytes.
const MARK: (usize, &[u8]) = (8, b"DUCK");

/// Whether the file is the beginning of an empty database. Any other short file is foreign.
pub(super) fn is_unfinished(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    let Ok(data) = file.metadata() else { return false };
    if !data.is_file() {
        return false;
    }
    let bytes = data.len();
    let (at, mark) = MARK;
    let mut head = [0; 12];
    bytes == 0 || (bytes < HEADERS_BYTES && file.read_exact(&mut head).is_ok() && &head[at..] == mark)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::duckdb::{DuckDbConfig, DuckDbStore, stored_version};
    use duckdb::Connection;

    #[tokio::test]
    async fn a_file_that_was_cut_off_in_its_making_is_recreated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.duckdb");
        Connection::open(&path).unwrap().close().unwrap();
        let new = std::fs::read(&path).unwrap();
        assert_eq!(new.len(), 12_288, "a new database is its headers");
        assert_eq!(stored_version(&path, None).await.unwrap(), None, "no tables at all");
        for bytes in [0, 4_096, 8_192] {
            let path = folder.path().join(format!("{bytes}.duckdb"));
            std::fs::write(&path, &new[..bytes]).unwrap();
            assert_eq!(stored_version(&path, None).await.unwrap(), None, "nothing is in it: {bytes}");
            DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() > 12_288, "{bytes}");
        }
    }

    #[tokio::test]
    async fn a_short_file_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "no database").unwrap();
        assert!(DuckDbStore::open(DuckDbConfig::at(&path)).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "no database");
    }
}
