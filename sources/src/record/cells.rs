//! One reader for each kind of cell, for all formats: text, number, whole number, flag, time.
//!
//! A value is read exactly, or rejected with a message that contains it. Nothing is guessed: an ambiguous cell is
//! rejected, and the message names the alternatives.

use super::fields::{Cell, Field, Record};
use model::check::Fault;
use model::instant::{InstantError, likely_unit};
use model::real::Real;
use model::reject::RejectReason;
use model::time::TimeMs;
use std::borrow::Cow;

/// Floats hold every whole number up to this one.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

fn bad_value(field: Field, problem: &str) -> Fault {
    (RejectReason::BadValue, format!("{} {problem}", field.name()))
}

/// What writers of CSV put where there is no value.
fn is_null_word(text: &str) -> bool {
    matches!(text, "" | "\\N") || ["null", "none", "na", "n/a"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Missing text is empty; the checks of the model say which fields may be.
pub(super) fn text(record: &impl Record, field: Field) -> Result<Cow<'_, str>, Fault> {
    match record.cell(field) {
        Cell::Missing | Cell::Text("\\N") => Ok(Cow::Borrowed("")),
        Cell::Text(text) => Ok(Cow::Borrowed(text)),
        Cell::Int(number) => Ok(Cow::Owned(number.to_string())),
        Cell::Uint(number) => Ok(Cow::Owned(number.to_string())),
        // what Python writes for a missing value
        Cell::Float(number) if number.is_nan() => Ok(Cow::Borrowed("")),
        Cell::Float(number) => Err(bad_value(field, &format!("is the number {number}, expected text"))),
        Cell::Bool(_) => Err(bad_value(field, "is a boolean, expected text")),
        Cell::Unusable(what) => Err(bad_value(field, &format!("is {what}, expected text"))),
    }
}

/// Text of a column that may be missing: exports write `NULL` there, which is no application.
pub(super) fn optional_text(record: &impl Record, field: Field) -> Result<Cow<'_, str>, Fault> {
    let text = text(record, field)?;
    Ok(if text.trim().eq_ignore_ascii_case("null") { Cow::Borrowed("") } else { text })
}

/// Secondary text: any cell, shown as text.
pub(super) fn word(record: &impl Record, field: Field) -> String {
    match record.cell(field) {
        Cell::Missing => String::new(),
        Cell::Text(text) if is_null_word(text.trim()) && !text.trim().eq_ignore_ascii_case("none") => String::new(),
        Cell::Text(text) => text.to_owned(),
        Cell::Int(number) => number.to_string(),
        Cell::Uint(number) => number.to_string(),
        Cell::Float(number) => number.to_string(),
        Cell::Bool(yes) => yes.to_string(),
        Cell::Unusable(what) => what.to_owned(),
    }
}

/// A number of the size of a float.
pub(super) fn number(record: &impl Record, field: Field) -> Result<Option<Real>, Fault> {
    match record.cell(field) {
        Cell::Missing => Ok(None),
        Cell::Int(number) => exactly(field, i128::from(number)).map(Some),
        Cell::Uint(number) => exactly(field, i128::from(number)).map(Some),
        Cell::Float(number) => Ok(Some(Real(number))),
        Cell::Text(text) => number_of_text(field, text.trim()),
        Cell::Bool(_) => Err(bad_value(field, "is a boolean, expected a number")),
        Cell::Unusable(what) => Err(bad_value(field, &format!("is {what}, expected a number"))),
    }
}

/// A whole number as a float, if a float has it.
fn exactly(field: Field, number: i128) -> Result<Real, Fault> {
    let float = number as f64;
    if float as i128 == number {
        return Ok(Real(float));
    }
    Err(bad_value(field, &format!("is {number}, which a 64-bit float does not hold exactly")))
}

fn number_of_text(field: Field, text: &str) -> Result<Option<Real>, Fault> {
    if is_null_word(text) {
        return Ok(None);
    }
    if text.len() <= 38
        && let Ok(number) = text.parse::<i128>()
    {
        return exactly(field, number).map(Some);
    }
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Some(Real(number)));
    }
    let is_comma = text.replacen(',', ".", 1).parse::<f64>().is_ok();
    let hint = if is_comma { "; write the decimal point as a point" } else { "" };
    Err(bad_value(field, &format!("is {text:?}, expected a number{hint}")))
}

/// True or false; false when missing. CSV knows only text, and writers have several words.
pub(super) fn flag(record: &impl Record, field: Field) -> Result<bool, Fault> {
    let refused = |what: &str| Err(bad_value(field, &format!("is {what}, expected true or false")));
    match record.cell(field) {
        Cell::Missing => Ok(false),
        Cell::Bool(yes) => Ok(yes),
        Cell::Int(number @ (0 | 1)) => Ok(number == 1),
        Cell::Float(number) if number == 0.0 || number == 1.0 => Ok(number == 1.0),
        Cell::Int(number) => refused(&number.to_string()),
        Cell::Uint(number) => refused(&number.to_string()),
        Cell::Float(number) => refused(&number.to_string()),
        Cell::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "false" | "f" | "no" | "n" | "0" => Ok(false),
            "true" | "t" | "yes" | "y" | "1" => Ok(true),
            word if is_null_word(word) => Ok(false),
            _ => refused(&format!("{text:?}")),
        },
        Cell::Unusable(what) => refused(what),
    }
}

/// A whole number from 0 to `max`. Floats count when they are whole: columns with nulls often come as floats.
pub(super) fn whole(record: &impl Record, field: Field, max: u64) -> Result<Option<u64>, Fault> {
    let found = match record.cell(field) {
        Cell::Int(number) => Some(i128::from(number)),
        Cell::Uint(number) => Some(i128::from(number)),
        Cell::Text(text) if text.len() <= 38 => text.trim().parse().ok(),
        _ => None,
    };
    let found = match found {
        Some(number) => number,
        None => match number(record, field)? {
            None => return Ok(None),
            Some(Real(value)) if value.fract() == 0.0 && value.abs() <= EXACT_INTEGER_MAX => value as i128,
            Some(Real(value)) => {
                return Err(bad_value(field, &format!("is {value}, expected a whole number of at least 0")));
            }
        },
    };
    match u64::try_from(found) {
        Ok(number) if number <= max => Ok(Some(number)),
        Ok(number) => Err(bad_value(field, &format!("is {number}, the greatest is {max}"))),
        Err(_) if found < 0 => Err(bad_value(field, &format!("is {found}, below 0"))),
        Err(_) => Err(bad_value(field, &format!("is {found}, the greatest is {max}"))),
    }
}

/// An instant: whole milliseconds since 1970, or text that states one.
pub(super) fn timestamp(record: &impl Record, now: TimeMs) -> Result<TimeMs, Fault> {
    let refused = |what: &str| Err((RejectReason::BadTimestamp, format!("timestamp is {what}")));
    let expected = |what: &str| refused(&format!("{what}, {}", InstantError::NotATime));
    match record.cell(Field::Timestamp) {
        Cell::Missing => Err((RejectReason::MissingField, "timestamp is missing".to_owned())),
        Cell::Int(ms) => Ok(TimeMs(ms)),
        Cell::Uint(number) => expected(&number.to_string()),
        Cell::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT_INTEGER_MAX => Ok(TimeMs(number as i64)),
        Cell::Float(number) => match likely_unit(number as i64, now) {
            Some((unit, time)) => refused(&format!(
                "{number}, expected whole milliseconds since 1970; in {unit}, the likely unit, it is {time}"
            )),
            None => expected(&number.to_string()),
        },
        Cell::Text(text) => match text.trim() {
            "" | "\\N" => Err((RejectReason::MissingField, "timestamp is missing".to_owned())),
            trimmed => match milliseconds(trimmed).map_or_else(|| TimeMs::read(trimmed), Ok) {
                Ok(time) => Ok(time),
                Err(InstantError::NotATime) => expected(&format!("{trimmed:?}")),
                Err(error) => refused(&format!("{trimmed:?}, which {error}")),
            },
        },
        Cell::Bool(_) => expected("a boolean"),
        Cell::Unusable(what) => expected(what),
    }
}

/// `1672772778000`, and `1672772778000.0` as data frames write it.
fn milliseconds(text: &str) -> Option<TimeMs> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    // eight digits are a date
    (whole.len() > 8).then(|| whole.parse().ok().map(TimeMs))?
}
