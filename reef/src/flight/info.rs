//! Info: what the server is and can do. Everything that the protocol names is said: some clients fail over what is
//! missing.

use super::errors;
use crate::sql::{Limits, STATEMENT_BYTES_MAX};
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedResultSetConcurrency, SqlSupportedResultSetType, SqlSupportedSubqueries, SqlSupportedTransaction,
    SqlSupportedUnions, SqlTransactionIsolationLevel, SupportedSqlGrammar,
};
use std::collections::BTreeMap;
use tonic::Status;

/// Not limited by itself.
const ANY: i64 = 0;

/// All of it.
pub(super) fn all(limits: &Limits) -> Result<SqlInfoData, Status> {
    let mut infos = SqlInfoDataBuilder::new();
    server(&mut infos, limits);
    language(&mut infos);
    names(&mut infos);
    numbers(&mut infos, limits);
    nothing_changes(&mut infos);
    infos.build().map_err(errors::not_sent)
}

fn server(infos: &mut SqlInfoDataBuilder, limits: &Limits) {
    infos.append(SqlInfo::FlightSqlServerName, "coral-pipeline");
    infos.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    infos.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    infos.append(SqlInfo::FlightSqlServerReadOnly, true);
    infos.append(SqlInfo::FlightSqlServerSql, true);
    infos.append(SqlInfo::FlightSqlServerSubstrait, false);
    infos.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    infos.append(SqlInfo::FlightSqlServerCancel, true);
    infos.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    infos.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    let timeout = i32::try_from(limits.timeout.as_millis()).unwrap_or(i32::MAX);
    infos.append(SqlInfo::FlightSqlServerStatementTimeout, timeout);
    infos.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
}

/// What may be written.
fn language(infos: &mut SqlInfoDataBuilder) {
    let none: [&str; 0] = [];
    for list in [
        SqlInfo::SqlKeywords,
        SqlInfo::SqlNumericFunctions,
        SqlInfo::SqlStringFunctions,
        SqlInfo::SqlSystemFunctions,
        SqlInfo::SqlDatetimeFunctions,
    ] {
        infos.append(list, none.as_slice());
    }
    for (info, value) in [
        (SqlInfo::SqlAllTablesAreSelectable, true),
        (SqlInfo::SqlSupportsColumnAliasing, true),
        (SqlInfo::SqlNullPlusNullIsNull, true),
        (SqlInfo::SqlSupportsTableCorrelationNames, true),
        (SqlInfo::SqlSupportsDifferentTableCorrelationNames, false),
        (SqlInfo::SqlSupportsExpressionsInOrderBy, true),
        (SqlInfo::SqlSupportsOrderByUnrelated, true),
        (SqlInfo::SqlSupportsLikeEscapeClause, false),
        (SqlInfo::SqlSupportsNonNullableColumns, false),
        (SqlInfo::SqlSupportsIntegrityEnhancementFacility, false),
        (SqlInfo::SqlCorrelatedSubqueriesSupported, true),
        (SqlInfo::SqlNamedParametersSupported, false),
        (SqlInfo::SqlStoredProceduresSupported, false),
        (SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported, false),
    ] {
        infos.append(info, value);
    }
    infos.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    infos.append(SqlInfo::SqlSupportsConvert, BTreeMap::<i32, Vec<i32>>::new());
    infos.append(SqlInfo::SqlSupportedGroupBy, bit(SqlSupportedGroupBy::SqlGroupByUnrelated as i32));
    let grammar = [SupportedSqlGrammar::SqlMinimumGrammar, SupportedSqlGrammar::SqlCoreGrammar];
    infos.append(SqlInfo::SqlSupportedGrammar, bits(grammar.map(|it| it as i32)));
    infos.append(SqlInfo::SqlAnsi92SupportedLevel, 1_i32);
    let joins = [SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins, SqlOuterJoinsSupportLevel::SqlFullOuterJoins];
    infos.append(SqlInfo::SqlOuterJoinsSupportLevel, bits(joins.map(|it| it as i32)));
    let subqueries = [
        SqlSupportedSubqueries::SqlSubqueriesInComparisons,
        SqlSupportedSubqueries::SqlSubqueriesInExists,
        SqlSupportedSubqueries::SqlSubqueriesInIns,
    ];
    infos.append(SqlInfo::SqlSupportedSubqueries, bits(subqueries.map(|it| it as i32)));
    let unions = [SqlSupportedUnions::SqlUnion, SqlSupportedUnions::SqlUnionAll];
    infos.append(SqlInfo::SqlSupportedUnions, bits(unions.map(|it| it as i32)));
}

/// How names are written.
fn names(infos: &mut SqlInfoDataBuilder) {
    let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
    let as_written = SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32;
    infos.append(SqlInfo::SqlIdentifierCase, lower);
    infos.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    infos.append(SqlInfo::SqlQuotedIdentifierCase, as_written);
    infos.append(SqlInfo::SqlSearchStringEscape, "\\");
    infos.append(SqlInfo::SqlExtraNameCharacters, "");
    infos.append(SqlInfo::SqlSchemaTerm, "schema");
    infos.append(SqlInfo::SqlProcedureTerm, "procedure");
    infos.append(SqlInfo::SqlCatalogTerm, "catalog");
    infos.append(SqlInfo::SqlCatalogAtStart, true);
}

/// How much there may be of what.
fn numbers(infos: &mut SqlInfoDataBuilder, limits: &Limits) {
    for info in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        infos.append(info, ANY);
    }
    infos.append(SqlInfo::SqlMaxRowSizeIncludesBlobs, true);
    infos.append(SqlInfo::SqlMaxStatementLength, i64::try_from(STATEMENT_BYTES_MAX).unwrap_or(ANY));
    infos.append(SqlInfo::SqlMaxStatements, i64::try_from(limits.statements_max).unwrap_or(ANY));
}

/// What has to do with changes, of which there are none.
fn nothing_changes(infos: &mut SqlInfoDataBuilder) {
    for info in [
        SqlInfo::SqlDdlCatalog,
        SqlInfo::SqlDdlSchema,
        SqlInfo::SqlDdlTable,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
    ] {
        infos.append(info, false);
    }
    for info in [
        SqlInfo::SqlSchemasSupportedActions,
        SqlInfo::SqlCatalogsSupportedActions,
        SqlInfo::SqlSupportedPositionedCommands,
    ] {
        infos.append(info, 0_i32);
    }
    let no_transaction = SqlTransactionIsolationLevel::SqlTransactionNone as i32;
    infos.append(SqlInfo::SqlDefaultTransactionIsolation, i64::from(no_transaction));
    infos.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, bit(no_transaction));
    let forward_only = SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32;
    infos.append(SqlInfo::SqlSupportedResultSetTypes, bit(forward_only));
    for info in [
        SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified,
        SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
    ] {
        let read_only = SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32;
        infos.append(info, bit(read_only));
    }
}

fn bit(place: i32) -> i32 {
    1 << place
}

fn bits<const N: usize>(places: [i32; N]) -> i32 {
    places.into_iter().fold(0, |bits, place| bits | bit(place))
}
