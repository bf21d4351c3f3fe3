//! Detects other file formats by their first bytes.

/// What a file or value is by its first bytes, with what to do; `None` when they are nothing known.
pub(crate) fn known_by(start: &[u8]) -> Option<&'static str> {
    let signatures: [(&[u8], &str); 13] = [
        (b"\x1f\x8b", "compressed with gzip: decompress it first (gunzip)"),
        (b"\x28\xb5\x2f\xfd", "compressed with Zstandard: decompress it first (zstd -d)"),
        (b"BZh", "compressed with bzip2: decompress it first (bunzip2)"),
        (b"\xfd7zXZ\x00", "compressed with xz: decompress it first (unxz)"),
        (b"\x04\x22\x4d\x18", "compressed with LZ4: decompress it first (lz4 -d)"),
        (b"PK\x03\x04", "a ZIP archive or a spreadsheet (.xlsx): unpack it, or save it as CSV"),
        (b"\xff\xfe", "UTF-16 text: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"),
        (b"\xfe\xff", "UTF-16 text: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"),
        (b"PAR1", "a parquet file: let its name end with .parquet"),
        (b"PARE", "an encrypted parquet file: decrypt it first"),
        (b"Obj\x01", "an Avro file: convert it to NDJSON or parquet"),
        (b"ORC", "an ORC file: convert it to parquet"),
        (b"SQLite format 3", "an SQLite database: export its rows as CSV"),
    ];
    if let Some((_, what)) = signatures.iter().find(|(signature, _)| start.starts_with(signature)) {
        return Some(what);
    }
    if start.get(8..12) == Some(b"DUCK") {
        return Some("a DuckDB database: export its rows (COPY … TO 'rows.parquet')");
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    if text.first() == Some(&b'<') {
        return Some("HTML or XML: is it the page of an error or of a sign-in?");
    }
    // text of another width: every second byte of what would be ASCII is zero
    let head = &start[..start.len().min(64)];
    let zeros =
        |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count() * 2 + 2 >= head.len();
    if head.len() >= 8 && (zeros(0) != zeros(1)) {
        return Some("UTF-16 text without a byte-order mark: convert it to UTF-8 (iconv -f UTF-16LE -t UTF-8)");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_and_text_is_not() {
        let utf16: Vec<u8> = "{\"event_id\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (start, word) in [
            (&b"\x1f\x8b\x08\x00"[..], "gzip"),
            (b"\x28\xb5\x2f\xfd\x00", "Zstandard"),
            (b"PK\x03\x04", "spreadsheet"),
            (b"\xff\xfe{\x00", "UTF-16"),
            (&utf16, "UTF-16"),
            (b"PAR1", "parquet"),
            (b"  <!DOCTYPE html>", "HTML"),
            (b"\0\0\0\0\0\0\0\0DUCK", "DuckDB"),
        ] {
            assert!(known_by(start).is_some_and(|what| what.contains(word)), "{word}");
        }
        for text in ["", "{", "colony_id,service_id", "[{\"a\": 1}]", "\u{feff}{\"event_id\": \"\u{e9}\"}", "a\0b"] {
            assert_eq!(known_by(text.as_bytes()), None, "{text:?}");
        }
    }
}
