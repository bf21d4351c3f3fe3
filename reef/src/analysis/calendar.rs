//! Names of days, months, parts of a day and time zones: times that are said by them are neither read nor checked.

/// Days and months by their names. March and May are words as well.
const DAYS_AND_MONTHS: [&str; 17] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Parts of days, and days that are not over.
const PARTS: [&str; 7] = ["weekend", "morning", "afternoon", "evening", "night", "tonight", "tomorrow"];
/// Zones other than UTC.
const ZONES: [&str; 17] = [
    "cet", "cest", "bst", "est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt", "ist", "jst", "msk", "eet", "eest",
    "aest",
];

/// All of them.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    DAYS_AND_MONTHS.into_iter().chain(PARTS).chain(ZONES)
}

/// Whether a word is one of them.
pub(super) fn is_name(word: &str) -> bool {
    names().any(|name| name == word)
}
