//! Types: types of columns as JDBC and ODBC name them, for clients that list them.

use super::errors;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use tonic::Status;

/// All types.
pub(super) fn all() -> Result<XdbcTypeInfoData, Status> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for (name, data_type, bits) in [
        ("BOOLEAN", XdbcDataType::XdbcBit, 1),
        ("SMALLINT", XdbcDataType::XdbcSmallint, 16),
        ("INTEGER", XdbcDataType::XdbcInteger, 32),
        ("BIGINT", XdbcDataType::XdbcBigint, 64),
        ("REAL", XdbcDataType::XdbcReal, 24),
        ("DOUBLE", XdbcDataType::XdbcDouble, 53),
    ] {
        let is_number = data_type != XdbcDataType::XdbcBit;
        let number = XdbcTypeInfo {
            unsigned_attribute: is_number.then_some(false),
            num_prec_radix: is_number.then_some(2),
            ..named(name, data_type, bits)
        };
        builder.append(number);
    }
    builder.append(quoted(named("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX)));
    builder.append(quoted(named("VARBINARY", XdbcDataType::XdbcVarbinary, i32::MAX)));
    builder.append(quoted(named("DATE", XdbcDataType::XdbcDate, 10)));
    let subcode = Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp);
    let time = XdbcTypeInfo {
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: subcode,
        ..named("TIMESTAMP", XdbcDataType::XdbcTimestamp, 29)
    };
    builder.append(quoted(time));
    builder.build().map_err(errors::not_sent)
}

fn named(name: &str, data_type: XdbcDataType, size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: Some(size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        auto_increment: Some(false),
        local_type_name: Some(name.to_owned()),
        sql_data_type: data_type,
        ..XdbcTypeInfo::default()
    }
}

/// A type whose literals stand in quotes.
fn quoted(info: XdbcTypeInfo) -> XdbcTypeInfo {
    let quote = || Some("'".to_owned());
    let case_sensitive = info.data_type == XdbcDataType::XdbcVarchar;
    XdbcTypeInfo { literal_prefix: quote(), literal_suffix: quote(), case_sensitive, ..info }
}
