//! What clients list: catalogs, schemas, tables, keys, what the server can do; and what is refused.

use super::*;
use arrow::array::AsArray;
use arrow::datatypes::UInt32Type;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, CommandStatementIngest,
    CommandStatementSubstraitPlan, SqlInfo, XdbcDataType,
};
use arrow_flight::{Action, Criteria, Empty, FlightData, IpcMessage};
use std::collections::BTreeSet;

/// The rows of an answer, whose schema is the advertised one.
async fn listed(client: &mut Client, info: &FlightInfo) -> Vec<RecordBatch> {
    let (streamed, batches) = fetched(client, info).await.unwrap();
    assert_eq!(*streamed, info.clone().try_decode_schema().unwrap());
    batches
}

#[tokio::test]
async fn catalogs_schemas_and_tables_are_listed_as_a_client_narrows_them() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(texts(&listed(&mut client, &info).await), [["reef"]]);
    let of = |catalog: &str| CommandGetDbSchemas { catalog: Some(catalog.to_owned()), ..Default::default() };
    let info = client.get_db_schemas(of("reef")).await.unwrap();
    assert_eq!(texts(&listed(&mut client, &info).await), [["reef", "store"]]);
    let info = client.get_db_schemas(of("other")).await.unwrap();
    assert!(listed(&mut client, &info).await.is_empty());
    let info = client.get_table_types().await.unwrap();
    assert_eq!(texts(&listed(&mut client, &info).await), [["TABLE"]]);

    let all = client.get_tables(CommandGetTables::default()).await.unwrap();
    let all = texts(&listed(&mut client, &all).await);
    let names: BTreeSet<&str> = all.iter().map(|row| row[2].as_str()).collect();
    let stored: BTreeSet<&str> = crate::sql::stored_tables().map(|table| table.name).collect();
    assert_eq!(names, stored);
    let narrowed = |pattern: &str, table_type: &str| CommandGetTables {
        table_name_filter_pattern: Some(pattern.to_owned()),
        table_types: vec![table_type.to_owned()],
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(narrowed("federated%", "VIEW")).await.unwrap();
    assert!(listed(&mut client, &info).await.is_empty());
    let info = client.get_tables(narrowed("federated%", "TABLE")).await.unwrap();
    let batches = listed(&mut client, &info).await;
    let names: Vec<&str> = batches[0].column(2).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["federated_events", "federated_metrics"]);
    for (place, name) in names.into_iter().enumerate() {
        let bytes = batches[0].column(4).as_binary::<i32>().value(place).to_vec();
        let listed = Schema::try_from(IpcMessage(bytes.into())).unwrap();
        let selected = client.execute(format!("SELECT * FROM {name}"), None).await.unwrap();
        assert_eq!(selected.try_decode_schema().unwrap().fields(), listed.fields(), "{name}");
    }
}

#[tokio::test]
async fn keys_are_listed_and_there_are_none() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let table = "federated_events".to_owned();
    let primary = CommandGetPrimaryKeys { table: table.clone(), ..Default::default() };
    let exported = CommandGetExportedKeys { table: table.clone(), ..Default::default() };
    let imported = CommandGetImportedKeys { table: table.clone(), ..Default::default() };
    let crossed = CommandGetCrossReference { pk_table: table.clone(), fk_table: table, ..Default::default() };
    for (info, columns) in [
        (client.get_primary_keys(primary).await.unwrap(), 6),
        (client.get_exported_keys(exported).await.unwrap(), 13),
        (client.get_imported_keys(imported).await.unwrap(), 13),
        (client.get_cross_reference(crossed).await.unwrap(), 13),
    ] {
        assert!(listed(&mut client, &info).await.is_empty());
        assert_eq!(info.try_decode_schema().unwrap().fields().len(), columns);
    }
}

#[tokio::test]
async fn what_the_server_can_do_is_said_in_full_or_as_asked() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let info = client.get_sql_info(Vec::new()).await.unwrap();
    let batches = listed(&mut client, &info).await;
    let known: BTreeSet<u32> = batches[0].column(0).as_primitive::<UInt32Type>().values().iter().copied().collect();
    let missing: Vec<u32> = (500..=576).filter(|code| !known.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let asked = vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerReadOnly, SqlInfo::FlightSqlServerCancel];
    let info = client.get_sql_info(asked).await.unwrap();
    let rows = texts(&listed(&mut client, &info).await);
    let values: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(values, ["{string_value=coral-pipeline}", "{bool_value=true}", "{bool_value=true}"]);

    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    let all = texts(&listed(&mut client, &info).await);
    assert!(all.iter().any(|row| row[0] == "TIMESTAMP") && all.len() >= 8, "{all:?}");
    let varchar = CommandGetXdbcTypeInfo { data_type: Some(XdbcDataType::XdbcVarchar as i32) };
    let info = client.get_xdbc_type_info(varchar).await.unwrap();
    let rows = texts(&listed(&mut client, &info).await);
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["VARCHAR"]);
}

#[tokio::test]
async fn changes_are_refused_and_what_is_not_served_is_said() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let update = client.execute_update("DELETE FROM federated_events".to_owned(), None).await.unwrap_err();
    let (code, message) = said(update);
    assert!(code == Code::PermissionDenied && message.contains("nothing can be changed"), "{code:?} {message}");
    let ingest = CommandStatementIngest { table: "federated_events".to_owned(), ..Default::default() };
    let put = |command: arrow_flight::sql::Any| FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(command.encode_to_vec())),
        ..FlightData::default()
    };
    let refused = client.do_put(tokio_stream::once(put(ingest.as_any()))).await.unwrap_err();
    assert_eq!(said(refused).0, Code::PermissionDenied);
    let plan = CommandStatementSubstraitPlan::default();
    let refused = client.do_put(tokio_stream::once(put(plan.as_any()))).await.unwrap_err();
    assert_eq!(said(refused).0, Code::Unimplemented);
    assert_eq!(said(client.begin_transaction().await.unwrap_err()).0, Code::Unimplemented);
    for other in ["CloseSession", "SetSessionOptions", "RenewFlightEndpoint"] {
        let action = Action { r#type: other.to_owned(), ..Action::default() };
        assert_eq!(said(client.do_action(action).await.unwrap_err()).0, Code::Unimplemented, "{other}");
    }
    let flights = client.inner_mut().list_flights(Criteria::default()).await.unwrap_err();
    assert_eq!(flights.code(), Code::Unimplemented);
    let mut actions = client.inner_mut().list_actions(Empty::default()).await.unwrap().into_inner();
    let mut names = Vec::new();
    while let Some(action) = actions.message().await.unwrap() {
        names.push(action.r#type);
    }
    assert_eq!(names, ["CreatePreparedStatement", "ClosePreparedStatement", "CancelQuery", "CancelFlightInfo"]);
}
