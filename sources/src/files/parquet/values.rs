//! The values of one column of a parquet file for a few rows, as cells.

use super::kinds::Kind;
use crate::record::fields::Cell;
use ::parquet::column::reader::{ColumnReader as Raw, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType, Int96};
use ::parquet::errors::ParquetError;
use model::time::DAY_MS;

/// A column of one row group.
pub(super) struct ColumnReader {
    raw: Raw,
    kind: Kind,
}

/// Values of some rows.
pub(super) struct Values {
    held: Held,
    /// For a column with nulls: by row, the value, or [`NULL`].
    places: Option<Vec<u32>>,
}

const NULL: u32 = u32::MAX;

enum Held {
    Ints(Vec<i64>),
    Uints(Vec<u64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
    Bytes(Vec<ByteArray>),
    Texts(Vec<String>),
}

impl ColumnReader {
    pub(super) fn new(raw: Raw, kind: Kind) -> ColumnReader {
        ColumnReader { raw, kind }
    }

    /// Moves over rows.
    pub(super) fn skip(&mut self, rows: usize) -> Result<(), ParquetError> {
        if rows == 0 {
            return Ok(());
        }
        let skipped = match &mut self.raw {
            Raw::BoolColumnReader(reader) => reader.skip_records(rows),
            Raw::Int32ColumnReader(reader) => reader.skip_records(rows),
            Raw::Int64ColumnReader(reader) => reader.skip_records(rows),
            Raw::Int96ColumnReader(reader) => reader.skip_records(rows),
            Raw::FloatColumnReader(reader) => reader.skip_records(rows),
            Raw::DoubleColumnReader(reader) => reader.skip_records(rows),
            Raw::ByteArrayColumnReader(reader) => reader.skip_records(rows),
            Raw::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
        }?;
        if skipped == rows { Ok(()) } else { Err(ended(skipped, rows)) }
    }

    /// Reads the next `rows` rows.
    pub(super) fn read(&mut self, rows: usize) -> Result<Values, ParquetError> {
        let kind = self.kind;
        let (held, places) = match &mut self.raw {
            Raw::BoolColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                (Held::Bools(values), places)
            }
            Raw::Int32ColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                let held = match kind {
                    // the bits of an unsigned number are stored as a signed one
                    Kind::Uint => Held::Uints(values.into_iter().map(|value| u64::from(value as u32)).collect()),
                    _ => whole(values.into_iter().map(i64::from).collect(), kind),
                };
                (held, places)
            }
            Raw::Int64ColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                (whole(values, kind), places)
            }
            Raw::Int96ColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                (Held::Ints(values.iter().map(milliseconds).collect()), places)
            }
            Raw::FloatColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                (Held::Floats(values.into_iter().map(f64::from).collect()), places)
            }
            Raw::DoubleColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                (Held::Floats(values), places)
            }
            Raw::ByteArrayColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                (bytes(values, kind), places)
            }
            Raw::FixedLenByteArrayColumnReader(reader) => {
                let (values, places) = read(reader, rows)?;
                (bytes(values.into_iter().map(ByteArray::from).collect(), kind), places)
            }
        };
        Ok(Values { held, places })
    }
}

fn ended(found: usize, wanted: usize) -> ParquetError {
    ParquetError::General(format!("the column ends after {found} of {wanted} rows"))
}

type Read<T> = (Vec<T>, Option<Vec<u32>>);

fn read<T: DataType>(reader: &mut ColumnReaderImpl<T>, rows: usize) -> Result<Read<T::T>, ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (found, count, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if found != rows {
        return Err(ended(found, rows));
    }
    if levels.is_empty() {
        return Ok((values, None));
    }
    let defined = levels.iter().copied().max().unwrap_or_default();
    // every value is at the maximum level; a column of nulls has none
    let mut next = 0;
    let places = levels.iter().map(|level| {
        let is_value = count > 0 && *level == defined;
        next += u32::from(is_value);
        if is_value { next - 1 } else { NULL }
    });
    Ok((values, Some(places.collect())))
}

fn whole(values: Vec<i64>, kind: Kind) -> Held {
    match kind {
        Kind::Uint => Held::Uints(values.into_iter().map(|value| value as u64).collect()),
        Kind::Decimal(scale) => {
            Held::Texts(values.into_iter().map(|value| decimal(i128::from(value), scale)).collect())
        }
        Kind::Date => Held::Ints(values.into_iter().map(|days| days.saturating_mul(DAY_MS)).collect()),
        Kind::Time { per_ms } => Held::Ints(values.into_iter().map(|value| value.div_euclid(per_ms)).collect()),
        _ => Held::Ints(values),
    }
}

fn bytes(values: Vec<ByteArray>, kind: Kind) -> Held {
    match kind {
        Kind::Decimal(scale) => Held::Texts(
            values
                .iter()
                .map(|value| unscaled(value.data()).map_or("out of range".to_owned(), |number| decimal(number, scale)))
                .collect(),
        ),
        Kind::Uuid => Held::Texts(values.iter().map(|value| uuid(value.data())).collect()),
        Kind::HalfFloat => Held::Floats(values.iter().map(|value| half(value.data())).collect()),
        _ => Held::Bytes(values),
    }
}

/// A big-endian number of up to 16 bytes.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    (bytes.len() <= 16).then(|| {
        let sign = if first & 0x80 == 0 { 0 } else { -1 };
        bytes.iter().fold(sign, |number: i128, byte| number << 8 | i128::from(*byte))
    })
}

/// The exact digits, without zeros that say nothing.
fn decimal(number: i128, scale: u32) -> String {
    if scale == 0 {
        return number.to_string();
    }
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let fraction = fraction.trim_end_matches('0');
    let sign = if number < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn uuid(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match hex.len() {
        32 => format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]),
        _ => hex,
    }
}

/// A float of 16 bits, little-endian.
fn half(bytes: &[u8]) -> f64 {
    let &[low, high] = bytes else { return f64::NAN };
    let bits = u16::from_le_bytes([low, high]);
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction / 1_024.0) * 2_f64.powi(exponent - 15),
    }
}

/// A day of the Julian calendar and nanoseconds of it.
fn milliseconds(value: &Int96) -> i64 {
    const EPOCH_DAY: i64 = 2_440_588;
    let &[low, high, day] = value.data() else { return i64::MIN };
    let nanos = (u64::from(high) << 32 | u64::from(low)) as i64;
    (i64::from(day) - EPOCH_DAY).saturating_mul(DAY_MS).saturating_add(nanos.div_euclid(1_000_000))
}

impl Values {
    /// The cell of a row.
    pub(super) fn cell(&self, row: usize) -> Cell<'_> {
        let at = match &self.places {
            None => row,
            Some(places) => match places.get(row).copied().unwrap_or(NULL) {
                NULL => return Cell::Missing,
                place => place as usize,
            },
        };
        let cell = match &self.held {
            Held::Ints(values) => values.get(at).map(|value| Cell::Int(*value)),
            Held::Uints(values) => {
                values.get(at).map(|value| i64::try_from(*value).map_or(Cell::Uint(*value), Cell::Int))
            }
            Held::Floats(values) => values.get(at).map(|value| Cell::Float(*value)),
            Held::Bools(values) => values.get(at).map(|value| Cell::Bool(*value)),
            Held::Texts(values) => values.get(at).map(|value| Cell::Text(value)),
            Held::Bytes(values) => values.get(at).map(|value| match std::str::from_utf8(value.data()) {
                Ok(text) => Cell::Text(text),
                Err(_) => Cell::Unusable("not UTF-8 text"),
            }),
        };
        cell.unwrap_or(Cell::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_their_exact_digits() {
        for (number, scale, expected) in
            [(12_345, 2, "123.45"), (-5, 3, "-0.005"), (1_500, 3, "1.5"), (1_000, 3, "1"), (-7, 0, "-7"), (0, 4, "0")]
        {
            assert_eq!(decimal(number, scale), expected);
        }
        assert_eq!(unscaled(&[0xff, 0xfe]), Some(-2));
        assert_eq!(unscaled(&[0x00, 0xff]), Some(255));
        assert_eq!((unscaled(&[]), unscaled(&[0; 17])), (None, None));
    }

    #[test]
    fn old_and_short_types_are_what_they_stand_for() {
        let mut time = Int96::new();
        time.set_data(123_456_789, 0, 2_440_588 + 19_360);
        assert_eq!(milliseconds(&time), 19_360 * DAY_MS + 123);
        assert_eq!(half(&0x3c00_u16.to_le_bytes()), 1.0);
        assert_eq!(half(&0xc500_u16.to_le_bytes()), -5.0);
        assert_eq!(half(&0x0001_u16.to_le_bytes()), 2_f64.powi(-24));
        assert!(half(&0x7e00_u16.to_le_bytes()).is_nan());
        assert_eq!(uuid(&[0xab; 16]), "abababab-abab-abab-abab-abababababab");
    }
}
