//! Versions of services: where events name them, when two names mean the same version, and their order.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a name of a version is. The order is that of preference for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VersionKind {
    /// A semantic version, a date, a tag.
    Named,
    /// A hash of a commit or an image.
    Hash,
    /// A running number.
    Number,
}

/// A version as it is named by an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// What the name is.
    pub kind: VersionKind,
    /// The name, as it was written.
    pub text: String,
}

/// Longest name that is kept, in characters.
const CHARS_MAX: usize = 120;
/// Fewest and most digits of a commit's hash.
const HASH_DIGITS: std::ops::RangeInclusive<usize> = 7..=64;
/// Digits of an image's digest that are kept.
const DIGEST_DIGITS: usize = 12;

/// Metadata fields that name the new version, best first, in lower case without separators.
const TO_FIELDS: [&str; 31] = [
    "version",
    "toversion",
    "newversion",
    "targetversion",
    "appversion",
    "releaseversion",
    "serviceversion",
    "versionto",
    "tag",
    "totag",
    "newtag",
    "imagetag",
    "gittag",
    "release",
    "image",
    "toimage",
    "newimage",
    "containerimage",
    "gitsha",
    "sha",
    "commit",
    "commitsha",
    "commithash",
    "gitcommit",
    "headsha",
    "gitrevision",
    "revision",
    "torevision",
    "newrevision",
    "buildnumber",
    "build",
];

/// Metadata fields that name the version before.
const FROM_FIELDS: [&str; 16] = [
    "fromversion",
    "previousversion",
    "oldversion",
    "prevversion",
    "versionfrom",
    "fromtag",
    "previoustag",
    "oldtag",
    "fromimage",
    "previousimage",
    "oldimage",
    "previoussha",
    "fromsha",
    "fromrevision",
    "previousrevision",
    "oldrevision",
];

/// The versions that an event names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedVersions {
    /// The version before.
    pub from: Option<Version>,
    /// The new version.
    pub to: Option<Version>,
}

impl Version {
    /// What a field or a word names; `None` if it is no version.
    ///
    /// ```
    /// use coral_model::version::{Version, VersionKind};
    /// let read = |text: &str| Version::read(text).map(|version| (version.kind, version.text));
    /// assert_eq!(read(" v2.1.0 "), Some((VersionKind::Named, "v2.1.0".into())));
    /// assert_eq!(read("registry.example.com:5000/shop/api:2.1.0"), Some((VersionKind::Named, "2.1.0".into())));
    /// assert_eq!(read("9fceb02d0ae5"), Some((VersionKind::Hash, "9fceb02d0ae5".into())));
    /// assert_eq!(read("17"), Some((VersionKind::Number, "17".into())));
    /// assert_eq!([read("latest"), read("null"), read("shop/api")], [None, None, None]);
    /// ```
    pub fn read(text: &str) -> Option<Version> {
        let text = text.trim().trim_matches(['"', '\'']);
        let text = match text.rsplit_once('/') {
            // the tag of an image: what follows the colon after the last slash
            Some((_, image)) => image.split_once([':', '@'])?.1,
            None => match text.split_once(':') {
                Some((_, tag)) => tag,
                None => text,
            },
        };
        let text =
            text.rsplit_once("sha256:").map_or(text, |(_, digest)| digest.get(..DIGEST_DIGITS).unwrap_or(digest));
        let text = text.trim();
        let is_word = |word: &str| text.eq_ignore_ascii_case(word);
        if text.is_empty() || ["null", "none", "latest", "unknown", "n/a", "-", "head", "main"].into_iter().any(is_word)
        {
            return None;
        }
        if text.chars().count() > CHARS_MAX || text.contains(char::is_whitespace) || text.contains(char::is_control) {
            return None;
        }
        let kind = if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 8 {
            VersionKind::Number
        } else if is_hash(text) {
            VersionKind::Hash
        } else {
            VersionKind::Named
        };
        Some(Version { kind, text: text.to_owned() })
    }

    /// Whether both mean the same; `None` if names of their kinds cannot be compared.
    ///
    /// ```
    /// use coral_model::version::Version;
    /// let same = |a: &str, b: &str| Version::read(a).unwrap().is_same(&Version::read(b).unwrap());
    /// assert_eq!(same("v2.1.0", "2.1.0"), Some(true));
    /// assert_eq!(same("9fceb02", "9fceb02d0ae598e95dc970b74767f19372d61af8"), Some(true));
    /// assert_eq!(same("v2.1.0", "v2.1.1"), Some(false));
    /// assert_eq!(same("v2.1.0", "9fceb02"), None);
    /// ```
    pub fn is_same(&self, other: &Version) -> Option<bool> {
        if self.kind != other.kind {
            return None;
        }
        Some(match self.kind {
            VersionKind::Named => plain(&self.text) == plain(&other.text),
            VersionKind::Number => self.text == other.text,
            VersionKind::Hash => {
                let (a, b) = (self.text.to_ascii_lowercase(), other.text.to_ascii_lowercase());
                a.starts_with(&b) || b.starts_with(&a)
            }
        })
    }

    /// Whether both names, as they are shown, mean the same version.
    pub fn are_same(a: &str, b: &str) -> bool {
        match (Version::read(a), Version::read(b)) {
            (Some(a), Some(b)) => a.is_same(&b) == Some(true),
            _ => a == b,
        }
    }
}

/// Without the letter that many write before a number.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix('v') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => rest.to_owned(),
        _ => name,
    }
}

fn is_hash(text: &str) -> bool {
    HASH_DIGITS.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && (text.bytes().any(|byte| byte.is_ascii_alphabetic()) || text.len() == 40)
}

/// The versions that metadata names, else those that the description names.
pub fn named(metadata: &BTreeMap<String, String>, description: &str) -> NamedVersions {
    let fields: BTreeMap<String, &str> = metadata.iter().map(|(name, value)| (folded(name), value.as_str())).collect();
    let first = |names: &[&str]| {
        names.iter().find_map(|name| {
            let value = fields.get(*name)?;
            // an image without a tag, or the name of a release
            let names_none = (name.ends_with("image") && !value.contains([':', '@']))
                || (["release", "build"].contains(name) && !may_be_named(value));
            if names_none { None } else { Version::read(value) }
        })
    };
    let (from, to) = (first(&FROM_FIELDS), first(&TO_FIELDS));
    if from.is_some() && to.is_some() {
        return NamedVersions { from, to };
    }
    let told = in_text(description);
    NamedVersions { from: from.or(told.from), to: to.or(told.to) }
}

/// A field's name in lower case without separators and without a prefix such as `app.kubernetes.io/`.
pub fn folded(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The versions in a sentence: `from X to Y`, `version X`, `image a/b:X`, or a word that looks like one.
fn in_text(text: &str) -> NamedVersions {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || [',', ';', '(', ')', '=', '→'].contains(&c))
        .map(|word| word.trim_matches(|c: char| ['.', ':', '!', '?', '"', '\'', '`', '[', ']', '<', '>'].contains(&c)))
        .filter(|word| !word.is_empty())
        .collect();
    let mut found = NamedVersions::default();
    let mut loose = None;
    for (place, word) in words.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| folded(words[before])).unwrap_or_default();
        let says_version = TO_FIELDS[..30].contains(&before.as_str());
        let is_likely = looks_like_a_version(word);
        let Some(version) = Version::read(word).filter(|_| is_likely || (says_version && may_be_named(word))) else {
            continue;
        };
        match before.as_str() {
            "from" | "was" if found.from.is_none() => found.from = Some(version),
            "to" if found.to.is_none() => found.to = Some(version),
            _ if says_version && found.to.is_none() => found.to = Some(version),
            _ if is_likely && loose.is_none() => loose = Some(version),
            _ => {}
        }
    }
    found.to = found.to.or(loose);
    found
}

/// After the name of a field: it has a digit, so that `version bump` names none.
fn may_be_named(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Such as `v2`, `2.1`, `2024.11.13-rc1`, `shop/api:2.1.0`; not an address, a time or a duration.
fn looks_like_a_version(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let name = name.rsplit([':', '@']).next().unwrap_or(name);
    let (letter, rest) = match name.strip_prefix(['v', 'V']) {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    let head: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let parts: Vec<&str> = head.split('.').collect();
    let are_numbers = parts.iter().all(|part| !part.is_empty());
    let tail = &rest[head.len()..];
    let is_tail = tail.is_empty() || tail.starts_with(['-', '+', '_']) || tail.starts_with("rc");
    let is_clock = word.contains(':') && !word.contains('/') && word.starts_with(|c: char| c.is_ascii_digit());
    are_numbers && is_tail && !is_clock && ((2..=3).contains(&parts.len()) || (letter && parts.len() == 1))
}

/// The order of two versions where their names have one: numbers in names compare as numbers. `None` for hashes, and
/// for names of different kinds or shapes.
///
/// ```
/// use coral_model::version::order;
/// use std::cmp::Ordering;
/// assert_eq!(order("v2.9.0", "2.10.0"), Some(Ordering::Less));
/// assert_eq!(order("2024.11.13", "2024.11.2"), Some(Ordering::Greater));
/// assert_eq!(order("2.1.0-rc1", "2.1.0"), Some(Ordering::Less));
/// assert_eq!(order("9fceb02", "0ae598e"), None);
/// ```
pub fn order(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::read(a)?, Version::read(b)?);
    if a.kind != b.kind || a.kind == VersionKind::Hash {
        return None;
    }
    let (a, b) = (numbers(&a.text)?, numbers(&b.text)?);
    Some(a.0.cmp(&b.0).then_with(|| match (a.1.is_empty(), b.1.is_empty()) {
        // a release is after its candidates
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.1.cmp(&b.1),
    }))
}

/// The numbers at the start of a name without trailing zeros, and what follows a hyphen.
fn numbers(name: &str) -> Option<(Vec<u64>, String)> {
    let name = plain(name);
    let name = name.split('+').next().unwrap_or_default();
    let (head, tail) = name.split_once(['-', '_']).unwrap_or((name, ""));
    // a date such as 2024-11-13 is numbers throughout
    let is_date = !head.contains('.') && tail.split('-').all(|part| part.parse::<u64>().is_ok()) && !tail.is_empty();
    let (head, tail) = if is_date { (name, "") } else { (head, tail) };
    let mut parts = head.split(['.', '-']).map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>()?;
    while parts.len() > 1 && parts.last() == Some(&0) {
        parts.pop();
    }
    Some((parts, tail.to_owned()))
}
