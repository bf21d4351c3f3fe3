//! Statements over the RPC: rows as lists and in Arrow's format, and why there are none.

use super::*;

#[tokio::test]
async fn a_statement_is_answered_as_lists_or_in_the_format_of_arrow() {
    let opened = open_for(Caller(Ok(Role::Readonly))).await;
    let method = format!("{REEF}/Query");
    let sql = "SELECT value AS n, 'a' AS t, NULL AS none, 1.5 AS r FROM generate_series(1, 3)";
    let value = ask(&opened, &method, json!({ "sql": sql, "limit": 2 })).await;
    assert_eq!(value["columns"][0], json!({ "name": "n", "type": "Int64" }));
    let rows = value["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &value["row_count"], &value["truncated"]), (2, &json!(2), &json!(true)));
    assert_eq!(rows[1][0].as_f64(), Some(2.0));
    assert_eq!(rows[1].as_array().unwrap()[1..], [json!("a"), json!(null), json!(1.5)]);
    assert_eq!((&value["notes"][0]["code"], &value["arrow"]), (&json!("limit_reached"), &json!("")));
    assert!(value["completeness"]["colonies"].as_array().is_some_and(|colonies| !colonies.is_empty()), "{value}");
    let value = ask(&opened, &method, json!({ "sql": sql, "format": "arrow", "timeout": "20s" })).await;
    assert_eq!((&value["rows"], &value["row_count"], &value["truncated"]), (&json!([]), &json!(3), &json!(false)));
    assert_eq!(json!(sql_table(&value).unwrap().json_rows()[2]), json!([3, "a", null, 1.5]));
}

/// A number of JSON is a double here.
#[tokio::test]
async fn whole_numbers_that_no_double_holds_come_as_texts() {
    let opened = open_for(Caller(Ok(Role::Readonly))).await;
    let sql = "SELECT 9007199254740992 AS a, 9007199254740993 AS b, 18446744073709551615 AS c";
    let value = ask(&opened, &format!("{REEF}/Query"), json!({ "sql": sql })).await;
    assert_eq!(value["rows"][0][0].as_f64(), Some(9_007_199_254_740_992.0));
    assert_eq!(value["rows"][0].as_array().unwrap()[1..], [json!("9007199254740993"), json!("18446744073709551615")]);
}

#[tokio::test]
async fn a_statement_without_an_answer_says_why() {
    let opened = open().await;
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b";
    for (request, status, code, words) in [
        (json!({}), 400, "invalid_argument", "sql: there is no statement"),
        (json!({ "sql": "DROP TABLE federated_events" }), 400, "invalid_argument", "sql: "),
        (json!({ "sql": "SELECT nothing" }), 400, "invalid_argument", "nothing"),
        (json!({ "sql": "SELECT 1", "format": "xml" }), 400, "invalid_argument", "format: "),
        (json!({ "sql": "SELECT 1", "limit": -1 }), 400, "invalid_argument", "limit: limit is -1"),
        (json!({ "sql": "SELECT 1", "limit": 100_001 }), 400, "invalid_argument", "100000"),
        (json!({ "sql": "SELECT 1", "timeout": "61s" }), 400, "invalid_argument", "30 s"),
        (json!({ "sql": "SELECT 1", "timeout": "soon" }), 400, "invalid_argument", "timeout: "),
        (json!({ "sql": "SELECT 1", "statement": 1 }), 400, "invalid_argument", "statement"),
        (json!({ "sql": endless, "timeout": "200ms" }), 504, "deadline_exceeded", "200 ms"),
    ] {
        let answer = opened.json(&format!("{REEF}/Query"), &request).await;
        let value = answer.value();
        assert_eq!((answer.status, &value["code"]), (status, &json!(code)), "{request}: {value}");
        assert!(value["message"].as_str().unwrap().contains(words), "{request}: {value}");
    }
    // the store of this test has no tables
    let answer = opened.json(&format!("{REEF}/Query"), &json!({ "sql": "SELECT * FROM federated_events" })).await;
    assert_ne!(answer.status, 200, "{}", answer.text());
}
