//! Tables: catalogs, schemas and tables that a statement may name, as clients list them.

use super::{columns, errors};
use crate::sql::NamedTable;
use arrow::array::RecordBatch;
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables};
use std::collections::BTreeSet;
use tonic::Status;

/// What all of them are.
const TABLE: &str = "TABLE";

/// Names of catalogs.
pub(super) fn catalogs<'a>(names: impl Iterator<Item = &'a str>) -> Result<RecordBatch, Status> {
    let mut builder = CommandGetCatalogs {}.into_builder();
    names.for_each(|name| builder.append(name));
    builder.build().map_err(errors::not_sent)
}

/// Catalogs and schemas that the command asks for.
pub(super) fn schemas(command: CommandGetDbSchemas, tables: &[NamedTable]) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    let names: BTreeSet<(&str, &str)> = tables.iter().map(|it| (it.catalog.as_str(), it.schema.as_str())).collect();
    names.into_iter().for_each(|(catalog, schema)| builder.append(catalog, schema));
    builder.build().map_err(errors::not_sent)
}

/// Tables that the command asks for, with their columns where it wants them.
pub(super) fn tables(command: CommandGetTables, tables: &[NamedTable]) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    for it in tables {
        let columns = columns::plain(&it.columns);
        builder.append(&it.catalog, &it.schema, &it.name, TABLE, &columns).map_err(errors::not_sent)?;
    }
    builder.build().map_err(errors::not_sent)
}

/// Types of tables.
pub(super) fn table_types() -> Result<RecordBatch, Status> {
    let mut builder = CommandGetTableTypes {}.into_builder();
    builder.append(TABLE);
    builder.build().map_err(errors::not_sent)
}
