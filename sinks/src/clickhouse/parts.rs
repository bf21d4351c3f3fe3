//! Splits look-ups into queries: the server accepts no bound value above 128 KiB (`http_max_field_value_size`), and a
//! commit whose look-up is refused would fail after every restart.

/// Maximum bytes of one bound value, as sent. A key fits in any case: the names of a row are limited together
/// (`model::check::NAMES_BYTES_MAX`), and half of that is left for escapes.
const VALUE_BYTES_MAX: usize = 120 * 1024;

/// What a key takes as part of a bound list.
pub(super) trait Encoded {
    /// Maximum bytes.
    fn encoded_bytes(&self) -> usize;
}

impl Encoded for str {
    /// Quotes, a comma, and a backslash before some characters.
    fn encoded_bytes(&self) -> usize {
        let escaped = self.bytes().filter(|byte| matches!(byte, b'\\' | b'\'' | b'`' | b'\t' | b'\n')).count();
        self.len() + escaped + 3
    }
}

impl Encoded for String {
    fn encoded_bytes(&self) -> usize {
        self.as_str().encoded_bytes()
    }
}

impl Encoded for u32 {
    fn encoded_bytes(&self) -> usize {
        11
    }
}

impl<T: Encoded + ?Sized> Encoded for &T {
    fn encoded_bytes(&self) -> usize {
        (**self).encoded_bytes()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Encoded),+> Encoded for ($($name,)+) {
            #[allow(non_snake_case)]
            fn encoded_bytes(&self) -> usize {
                let ($($name,)+) = self;
                3 $(+ $name.encoded_bytes())+
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E F);

/// `keys` in parts, each of which can be bound as one value.
pub(super) fn parts<K: Encoded>(keys: &[K]) -> Vec<&[K]> {
    parts_by(keys, K::encoded_bytes)
}

/// The same with the bytes that `encoded_bytes` says.
pub(super) fn parts_by<T>(rows: &[T], encoded_bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut parts, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (place, row) in rows.iter().enumerate() {
        let more = encoded_bytes(row);
        if bytes + more > VALUE_BYTES_MAX && place > begin {
            parts.push(&rows[begin..place]);
            (begin, bytes) = (place, 0);
        }
        bytes += more;
    }
    if begin < rows.len() {
        parts.push(&rows[begin..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_once_and_no_part_is_too_large() {
        let keys: Vec<(String, String)> =
            (0..5_000_usize).map(|n| (format!("colony-{n}"), "it's\\".repeat(n % 40))).collect();
        let parts = parts(&keys);
        assert!(parts.len() > 1);
        assert_eq!(parts.concat(), keys);
        for part in parts {
            let sent = part.iter().map(|(one, two)| {
                let two = two.replace('\\', "\\\\").replace('\'', "\\'");
                format!("('{one}','{two}'),").len()
            });
            assert!(sent.sum::<usize>() < 128 * 1024);
        }
    }

    #[test]
    fn a_key_above_the_limit_is_asked_for_alone_and_nothing_is_asked_for_nothing() {
        let keys = ["a".to_owned(), "b".repeat(VALUE_BYTES_MAX), "c".to_owned()];
        assert_eq!(parts(&keys).iter().map(|part| part.len()).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(parts::<String>(&[]).is_empty());
    }

    #[test]
    fn the_longest_names_that_pass_the_checks_fit_with_every_character_escaped() {
        let quarter = "'".repeat(model::check::NAMES_BYTES_MAX / 4);
        let key = (&*quarter, &*quarter, &*quarter, "", &*quarter, 60_u32);
        assert!(key.encoded_bytes() < VALUE_BYTES_MAX);
    }
}
