//! Masking: names, hosts, addresses and secrets become pseudonyms before anything leaves, and names again in the answer.
//!
//! Pseudonyms are numbered by first use in the ranked evidence: the same question has the same ones. A secret that is found by
//! its form is never restored. Masking is no anonymisation: counts and times remain.

use std::collections::{BTreeMap, BTreeSet};

/// What nothing restores.
const SECRET: &str = "secret-redacted";

/// Pseudonyms of one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask {
    /// Names that are masked, with the word for their kind.
    names: Vec<(String, &'static str)>,
    /// The same, to be found in a text.
    index: Index,
    /// Ids of digits, which are found as whole words only: inside a time or a date they are something else.
    numbers: BTreeSet<String>,
    /// Names that stay, whatever they look like.
    kept: BTreeSet<String>,
    /// What no pseudonym may be, folded.
    avoided: BTreeSet<Vec<char>>,
    /// Pseudonyms by name.
    by_name: BTreeMap<String, String>,
    /// How many there are of each kind.
    counts: BTreeMap<&'static str, usize>,
}

/// Texts that are looked for: case-blind, any sign for any other, as the plan finds names. By their first character, the
/// longest first, each with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index(BTreeMap<char, Vec<(Vec<char>, usize)>>);

impl Mask {
    /// For these names, each with the word for its kind.
    pub fn of(names: impl IntoIterator<Item = (String, &'static str)>) -> Mask {
        let names = names.into_iter().filter(|(name, _)| name.chars().filter(|c| c.is_alphanumeric()).count() > 1);
        let (numbers, names): (Vec<_>, Vec<(String, &'static str)>) = names.partition(|(name, _)| is_digits(name));
        let numbers = numbers.into_iter().map(|(name, _)| name).collect();
        let index = Index::of(names.iter().map(|(name, _)| name.as_str()));
        let avoided = names.iter().map(|(name, _)| folded(name)).collect();
        Mask { names, index, numbers, avoided, ..Mask::default() }
    }

    /// The same; these names stay.
    pub fn keeping(self, names: impl IntoIterator<Item = String>) -> Mask {
        Mask { kept: names.into_iter().collect(), ..self }
    }

    /// The same; no pseudonym is one of these words.
    pub fn avoiding<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Mask {
        self.avoided.extend(words.into_iter().map(|word| folded(word.trim_matches(|c: char| !c.is_alphanumeric()))));
        self
    }

    /// The text as it may leave.
    pub fn masked(&mut self, text: &str) -> String {
        let (mut masked, mut plain) = (String::new(), String::new());
        let mut secret_follows = false;
        for (piece, is_word) in pieces(text) {
            if !is_word {
                plain.push_str(piece);
                continue;
            }
            let is_announced = std::mem::take(&mut secret_follows) && piece.len() >= 4 && !piece.starts_with(MARK);
            let out = if is_announced { Some(SECRET.to_owned()) } else { self.word(piece) };
            secret_follows = announces_secret(piece);
            match out {
                // a name may go on in the next words
                None => plain.push_str(piece),
                Some(out) => {
                    masked.push_str(&self.known_names(&std::mem::take(&mut plain)));
                    masked.push_str(&out);
                }
            }
        }
        masked + &self.known_names(&plain)
    }

    /// The text with names again.
    pub fn restored(&self, text: &str) -> String {
        let pairs: Vec<(&String, &String)> = self.by_name.iter().collect();
        let index = Index::of(pairs.iter().map(|(_, pseudonym)| pseudonym.as_str()));
        let name = |(part, found): (&str, Option<usize>)| match found.and_then(|place| pairs.get(place)) {
            Some((name, _)) => (*name).clone(),
            None => part.to_owned(),
        };
        index.split(text).into_iter().map(name).collect()
    }

    /// The text with the known names replaced, in one pass: a pseudonym is no name.
    fn known_names(&mut self, text: &str) -> String {
        let mut masked = String::new();
        for (part, found) in self.index.split(text) {
            match found.and_then(|place| self.names.get(place).cloned()) {
                Some((name, kind)) => masked.push_str(&self.pseudonym(&name, kind)),
                None => masked.push_str(part),
            }
        }
        masked
    }

    /// A word that is an id, an address, a host, or a secret by its form, as it may leave; none for any other word.
    fn word(&mut self, word: &str) -> Option<String> {
        let inside = word.trim_matches(|c: char| !c.is_alphanumeric());
        // "colony/4711", "order:4711", and not the minutes of "10:12"
        let of_name = |at: &usize| inside[..*at].ends_with(char::is_alphabetic);
        let cut = inside.rfind('/').or_else(|| inside.rfind(':').filter(of_name));
        let last = cut.map_or(inside, |at| &inside[at + 1..]);
        let is_name = self.kept.contains(inside) || self.index.has(inside);
        if self.numbers.contains(last) || (cut.is_some() && is_id(last) && !is_name && !is_secret(inside)) {
            let (id, start) = (self.pseudonym(last, "id"), word.rfind(last).unwrap_or(0));
            let (before, after) = (&word[..start], &word[start + last.len()..]);
            let before = match cut {
                Some(_) => self.word(before).unwrap_or_else(|| self.known_names(before)),
                None => before.to_owned(),
            };
            return Some(format!("{before}{id}{after}"));
        }
        if is_name {
            return None;
        }
        match kind_of(inside) {
            Some(SECRET) => Some(word.replace(inside, SECRET)),
            Some(kind) => {
                let pseudonym = self.pseudonym(inside, kind);
                Some(word.replace(inside, &pseudonym))
            }
            None => self.parts(word),
        }
    }

    /// A word that has an id, an address, a host or a secret between other parts, as it may leave: `10.0.0.0/8`,
    /// `db.internal/orders`, `host:10.0.0.1`; none for any other word.
    fn parts(&mut self, word: &str) -> Option<String> {
        if !word.contains(BETWEEN) {
            return self.behind_a_colon(word);
        }
        let (mut masked, mut plain, mut is_masked) = (String::new(), String::new(), false);
        for part in word.split_inclusive(BETWEEN) {
            let inside = part.trim_end_matches(BETWEEN);
            match self.word(inside) {
                None => plain.push_str(part),
                Some(out) => {
                    masked.push_str(&self.known_names(&std::mem::take(&mut plain)));
                    masked.push_str(&out);
                    plain.push_str(&part[inside.len()..]);
                    is_masked = true;
                }
            }
        }
        is_masked.then(|| masked + &self.known_names(&plain))
    }

    /// `host:10.0.0.1`; the minutes of `10:12` are behind no name.
    fn behind_a_colon(&mut self, word: &str) -> Option<String> {
        let colons = word.match_indices(':').filter(|(at, _)| word[..*at].ends_with(char::is_alphabetic));
        let (start, inside, kind) = colons.map(|(at, _)| at + 1).find_map(|start| {
            let inside = word[start..].trim_matches(|c: char| !c.is_alphanumeric());
            let is_name = self.kept.contains(inside) || self.index.has(inside);
            kind_of(inside).filter(|_| !is_name).map(|kind| (start, inside, kind))
        })?;
        let pseudonym = if kind == SECRET { SECRET.to_owned() } else { self.pseudonym(inside, kind) };
        Some(self.known_names(&word[..start]) + &word[start..].replace(inside, &pseudonym))
    }

    fn pseudonym(&mut self, name: &str, kind: &'static str) -> String {
        if let Some(known) = self.by_name.get(name) {
            return known.clone();
        }
        let number = self.counts.entry(kind).or_default();
        let pseudonym = loop {
            *number += 1;
            let pseudonym = format!("{kind}-{number}");
            if !self.avoided.contains(&folded(&pseudonym)) {
                break pseudonym;
            }
        };
        self.by_name.insert(name.to_owned(), pseudonym.clone());
        pseudonym
    }
}

impl Index {
    fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Index {
        let mut index: BTreeMap<char, Vec<(Vec<char>, usize)>> = BTreeMap::new();
        for (place, text) in texts.into_iter().enumerate() {
            let text = folded(text);
            if let Some(first) = text.first() {
                index.entry(*first).or_default().push((text, place));
            }
        }
        index.values_mut().for_each(|list| list.sort_by_key(|(text, place)| (std::cmp::Reverse(text.len()), *place)));
        Index(index)
    }

    /// Whether a whole text is one of them.
    fn has(&self, text: &str) -> bool {
        let text = folded(text);
        text.first().and_then(|first| self.0.get(first)).is_some_and(|list| list.iter().any(|(one, _)| *one == text))
    }

    /// The parts of a text: each text of the index that no longer word surrounds, with its place, and what is between.
    fn split<'a>(&self, text: &'a str) -> Vec<(&'a str, Option<usize>)> {
        let chars = folded(text);
        let mut at: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        at.push(text.len());
        let (mut parts, mut begin, mut place) = (Vec::new(), 0, 0);
        while place < chars.len() {
            let Some((length, found)) = self.at(&chars, place) else {
                place += 1;
                continue;
            };
            parts.push((&text[at[begin]..at[place]], None));
            parts.push((&text[at[place]..at[place + length]], Some(found)));
            place += length;
            begin = place;
        }
        parts.push((&text[at[begin]..], None));
        parts
    }

    /// The longest one that begins here, and its length in characters.
    fn at(&self, chars: &[char], place: usize) -> Option<(usize, usize)> {
        let joins = |a: Option<&char>, b: Option<&char>| {
            a.is_some_and(|c| c.is_alphanumeric()) && b.is_some_and(|c| c.is_alphanumeric())
        };
        let before = place.checked_sub(1).and_then(|before| chars.get(before));
        let fits = |one: &&(Vec<char>, usize)| {
            let rest = &chars[place..];
            rest.starts_with(&one.0) && !joins(before, rest.first()) && !joins(one.0.last(), rest.get(one.0.len()))
        };
        self.0.get(chars.get(place)?)?.iter().find(fits).map(|(text, found)| (text.len(), *found))
    }
}

/// Lower case, and a space for each sign: as many characters as the text has.
fn folded(text: &str) -> Vec<char> {
    let lower = text.chars().map(|c| c.to_lowercase().next().unwrap_or(c));
    lower.map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect()
}

/// Shortest beginning of a key that is looked for.
const BEGINNING_MIN: usize = 6;
/// What all pseudonyms of secrets begin with.
const MARK: &str = "secret-";

/// What is between the parts of a word.
const BETWEEN: [char; 8] = ['/', '%', '\\', '?', '#', '&', '*', '→'];

/// Words and what is between them.
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let is_between = |c: char| c.is_whitespace() || "\"'()<>{}[],;|=".contains(c);
    text.split_inclusive(is_between).flat_map(move |piece| {
        let end = piece.trim_end_matches(is_between).len();
        [(&piece[..end], true), (&piece[end..], false)]
    })
}

/// Whether the next word is a secret: `password=…`, `Authorization: Bearer …`.
fn announces_secret(word: &str) -> bool {
    let lower = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    [
        "password",
        "passwd",
        "pwd",
        "secret",
        "token",
        "apikey",
        "api_key",
        "api-key",
        "bearer",
        "authorization",
        "credential",
    ]
    .iter()
    .any(|name| lower.ends_with(name))
}

/// What a word is by its form.
fn kind_of(word: &str) -> Option<&'static str> {
    if is_id(word) {
        return Some("id");
    }
    let (host, port) = match word.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (word, None),
    };
    if word.contains("://") {
        return Some(if word.contains('@') { SECRET } else { "url" });
    }
    if word.contains('@') {
        return Some("mail");
    }
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok()
        || word.parse::<std::net::Ipv6Addr>().is_ok_and(|_| word.contains(':') && word.len() > 4);
    if is_address {
        return Some("address");
    }
    if is_secret(word) {
        return Some(SECRET);
    }
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let has_letters =
        labels.last().is_some_and(|last| last.len() >= 2 && last.chars().all(|c| c.is_ascii_alphabetic()));
    let are_labels = labels.iter().all(is_label);
    // also of two labels: a metric of two is a name that stays
    let is_host = are_labels && has_letters && labels.len() >= 2;
    if is_host || (port.is_some() && has_letters && host.contains('.')) {
        return Some("host");
    }
    is_host_of_cloud(word).then_some("host")
}

/// So many digits are no count of anything.
const ID_DIGITS_MIN: usize = 6;
/// Shortest text of hexadecimal digits that is an id.
const ID_HEX_MIN: usize = 12;

fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Many digits, or hexadecimal ones, also in groups: an order, a trace, a commit, a UUID.
fn is_id(word: &str) -> bool {
    if is_digits(word) {
        return word.len() >= ID_DIGITS_MIN;
    }
    let hex: String = word.chars().filter(|c| *c != '-').collect();
    let has_both = hex.bytes().any(|byte| byte.is_ascii_digit()) && hex.bytes().any(|byte| byte.is_ascii_alphabetic());
    // forty and more are a secret
    (ID_HEX_MIN..40).contains(&hex.len()) && has_both && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A provider's own words without its key, and without what is a secret by its form. `text` may be cut.
pub(super) fn without_secrets(text: &str, key: &str) -> String {
    let mut text = if key.is_empty() { text.to_owned() } else { text.replace(key, SECRET) };
    // the beginning of a key at the end of a cut text
    let end = text.trim_end_matches('…').len();
    let mut beginnings = (BEGINNING_MIN..key.len()).rev().filter_map(|length| key.get(..length));
    if let Some(beginning) = beginnings.find(|beginning| text[..end].ends_with(beginning)) {
        text.replace_range(end - beginning.len()..end, SECRET);
    }
    let shown = |(piece, _): (&str, bool)| {
        let inside = piece.trim_matches(|c: char| !c.is_alphanumeric());
        if is_secret(inside) { piece.replace(inside, SECRET) } else { piece.to_owned() }
    };
    pieces(&text).map(shown).collect()
}

/// `ip-10-0-0-1`.
fn is_host_of_cloud(word: &str) -> bool {
    word.strip_prefix("ip-")
        .is_some_and(|rest| rest.split('-').take(4).filter(|part| part.parse::<u8>().is_ok()).count() == 4)
}

/// Keys by their beginnings, and long random text.
pub(super) fn is_secret(word: &str) -> bool {
    let prefixes =
        ["sk-", "ghp_", "gho_", "github_pat_", "xox", "AKIA", "ASIA", "eyJ", "coral_", "glpat-", "AIza", "-----BEGIN"];
    if prefixes.iter().any(|prefix| word.starts_with(prefix)) && word.len() >= 12 {
        return true;
    }
    let is_token = word.len() >= 28 && word.chars().all(|c| c.is_ascii_alphanumeric() || "+/_-=".contains(c));
    let has = |of: fn(&char) -> bool| word.chars().any(|c| of(&c));
    is_token && has(char::is_ascii_digit) && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase)
        || (word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        let names = [
            ("my-shop-production", "colony"),
            ("my-shop", "application"),
            ("api", "service"),
            ("payment-api", "service"),
            ("production", "environment"),
            ("v2.1.0", "version"),
        ];
        Mask::of(names.map(|(name, kind)| (name.to_owned(), kind)))
    }

    #[test]
    fn names_become_pseudonyms_and_names_again() {
        let mut mask = mask();
        let text = "api v2.1.0 of my-shop-production (my-shop) and payment-api: rapid, 247ms in production";
        let masked = mask.masked(text);
        assert_eq!(
            masked,
            "service-1 version-1 of colony-1 (application-1) and service-2: rapid, 247ms in environment-1"
        );
        assert_eq!(mask.restored(&masked), text);
        assert_eq!(mask.masked("api again"), "service-1 again");
        assert_eq!(mask.restored("Service-2 and service-22"), "payment-api and service-22");
    }

    #[test]
    fn names_leave_in_no_other_case_and_with_no_other_signs() {
        let mut mask = mask();
        let masked = mask.masked("Is Payment API of My-Shop (MY SHOP) slower? API!");
        assert_eq!(masked, "Is service-1 of application-1 (application-1) slower? service-2!");
        assert_eq!(mask.restored(&masked), "Is payment-api of my-shop (my-shop) slower? api!");
    }

    #[test]
    fn the_words_of_a_provider_have_no_key() {
        let key = "my.own.key.0123";
        for text in ["the key my.own.key.0123 is wrong", "wrong: my.own.k…", "bad \"sk-abcdef1234567890\""] {
            let shown = without_secrets(text, key);
            assert!(shown.contains(SECRET) && !shown.contains("my.own") && !shown.contains("abcdef12"), "{shown}");
        }
        assert_eq!(without_secrets("model m1 not found", key), "model m1 not found");
        assert_eq!(without_secrets("no key", ""), "no key");
    }

    #[test]
    fn no_pseudonym_is_a_name() {
        let names = [("api", "service"), ("service-1", "service"), ("colony-1", "colony")];
        let mut mask = Mask::of(names.map(|(name, kind)| (name.to_owned(), kind))).avoiding(["service-2,"]);
        let text = "service-1 calls api, and api calls service-1 in colony-1; service-2 is unknown";
        let masked = mask.masked(text);
        assert_eq!(
            masked,
            "service-3 calls service-4, and service-4 calls service-3 in colony-2; service-2 is unknown"
        );
        assert_eq!(mask.restored(&masked), text);
    }

    #[test]
    fn ids_of_digits_leave_nowhere_and_times_and_counts_stay() {
        let names = [("4711", "id"), ("12", "id"), ("my-shop-production", "colony"), ("7", "id")];
        let mut mask = Mask::of(names.map(|(name, kind)| (name.to_owned(), kind)));
        let text = "deployment 4711 (my-shop-production/4711) at 10:12 on 2024-11-12: 47110 rows, 7 errors, #4711";
        let masked = mask.masked(text);
        assert_eq!(masked, "deployment id-1 (colony-1/id-1) at 10:12 on 2024-11-12: 47110 rows, 7 errors, #id-1");
        assert_eq!(mask.restored(&masked), text);
        let text = "order:20251127 and deploy:4711 on db.internal/4711, 4711/4711";
        let masked = mask.masked(text);
        assert_eq!(masked, "order:id-2 and deploy:id-1 on host-1/id-1, id-1/id-1");
        assert_eq!(mask.restored(&masked), text);
        let mut mask = Mask::default().keeping(["cpu.usage", "db.pool"].map(str::to_owned));
        let text = "order 20251127 of 550e8400-e29b-41d4-a716-446655440000, trace 4bf92f3577b34da6, commit 0a1b2c3d4e5f, \
                    on db.internal and example.com";
        let masked = mask.masked(text);
        assert_eq!(masked, "order id-1 of id-2, trace id-3, commit id-4, on host-1 and host-2");
        assert_eq!(mask.restored(&masked), text);
        let plain = "12,345 rows and 99999 more, cpu.usage, db.pool, v2.1.0, 1.5 GB, 2024-11-13 10:30:00, facade";
        assert_eq!(mask.masked(plain), plain);
    }

    #[test]
    fn addresses_hosts_and_secrets_do_not_leave() {
        let secrets = [
            "password=hunter2hunter2",
            "token: abcd1234",
            "Authorization: Bearer abc.def.ghi",
            "sk-abcdef1234567890",
            "AKIAIOSFODNN7EXAMPLE",
            "https://user:pass@db.example.com/x",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ];
        for secret in secrets {
            let mut mask = mask();
            let masked = mask.masked(&format!("error for {secret} at start"));
            assert!(masked.contains(SECRET), "{masked}");
            for part in ["hunter2", "abcd1234", "abc.def", "abcdef12", "IOSFODNN", "user:pass", "9f86d08"] {
                assert!(!masked.contains(part), "{masked}");
            }
            assert!(mask.restored(&masked).contains(SECRET), "a secret is not restored");
        }
        let mut mask = mask();
        let text = "from 10.42.0.1:9000 and fe80::1 to db-1.internal.example.com, ask ann@example.com at ip-10-0-0-1";
        let masked = mask.masked(text);
        for part in ["10.42", "fe80", "example", "ann@", "10-0-0"] {
            assert!(!masked.contains(part), "{masked}");
        }
        assert_eq!(mask.restored(&masked), text);
        let plain =
            "2024-11-13T10:30:00Z and 10:30:00 UTC, 0.03%, 2h15m, 1.5 GB, 400 req/s, 8/8 hours, e.g. v1.0.0→v1.1.0";
        assert_eq!(mask.masked(plain), plain);
    }

    #[test]
    fn addresses_and_hosts_beside_other_signs_do_not_leave() {
        let texts = [
            ("10.0.0.0/8", "address-1/8"),
            ("10.1.2.3/health", "address-1/health"),
            ("10.1.2.3:9000/metrics", "address-1/metrics"),
            ("host:10.1.2.3:9000", "host:address-1"),
            ("db-1.corp.example.com/api", "host-1/service-1"),
            ("db.internal:5432/orders", "host-1/orders"),
            ("api/v2?from=10.1.2.3&to=10.1.2.4", "service-1/v2?from=address-1&to=address-2"),
            ("10.1.2.3→10.1.2.4", "address-1→address-2"),
            ("fe80::1%eth0", "address-1%eth0"),
            ("root@db01", "mail-1"),
            ("acme.ai", "host-1"),
            ("(example.de),", "(host-1),"),
            ("acme.ai/20251127/x", "host-1/id-1/x"),
            ("cpu.usage/acme.ai", "cpu.usage/host-1"),
            ("metric:cpu.usage", "metric:cpu.usage"),
            ("api:to:acme.ai", "service-1:to:host-1"),
        ];
        for (text, expected) in texts {
            let mut mask = mask().keeping(["cpu.usage".to_owned()]);
            let masked = mask.masked(text);
            assert_eq!(masked, expected, "{text}");
            assert_eq!(mask.restored(&masked), text);
        }
        // as many parts as a question may have
        for separator in ["/", ":"] {
            let long = format!("a{separator}").repeat(1_000) + "10.1.2.3";
            assert!(mask().masked(&long).ends_with("address-1"));
        }
    }
}
