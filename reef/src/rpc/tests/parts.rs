//! Lists in parts, and predictions, which are such a list.

use super::*;

#[tokio::test]
async fn lists_of_the_fleet_come_in_parts_that_together_are_all_of_them() {
    let opened = open().await;
    let reef = async |method: &str, request: Value| ask(&opened, &format!("{REEF}/{method}"), request).await;
    for (method, list, beside, count) in [
        ("ListColonies", "colonies", None, 2),
        ("GetHealth", "colonies", None, 2),
        ("ListVersions", "services", None, 5),
        ("GetTopology", "services", Some("connections"), 5),
    ] {
        let all = reef(method, json!({})).await;
        let items = |part: &Value, list: &str| part[list].as_array().unwrap().clone();
        assert_eq!((items(&all, list).len(), &all["total"], &all["truncated"]), (count, &json!(count), &json!(false)));
        let (mut paged, mut with, mut cursor) = (Vec::new(), Vec::new(), json!(""));
        for left in (0..count).rev() {
            let part = reef(method, json!({ "limit": 1, "cursor": cursor })).await;
            assert_eq!((&part["total"], &part["truncated"]), (&json!(count), &json!(left > 0)), "{method}");
            paged.extend(items(&part, list));
            with.extend(beside.into_iter().flat_map(|beside| items(&part, beside)));
            cursor = part["next_cursor"].clone();
        }
        assert_eq!((&paged, &cursor), (&items(&all, list), &json!("")), "{method}");
        assert_eq!(with, beside.map(|beside| items(&all, beside)).unwrap_or_default(), "{method}");
        let wrong = opened.json(&format!("{REEF}/{method}"), &json!({ "limit": 201 })).await;
        assert!(wrong.text().contains("limit: limit is 201"), "{method}: {}", wrong.text());
    }
}

#[tokio::test]
async fn predictions_are_listed_by_outcome_pattern_and_part() {
    let opened = open().await;
    let reef = async |method: &str, request: Value| ask(&opened, &format!("{REEF}/{method}"), request).await;
    let status = reef("GetStatus", json!({})).await;
    assert_eq!(
        (&status["open_prediction_count"], &status["open_predictions"][0]["outcome"]),
        (&json!(1), &json!("open"))
    );
    let open = reef("ListPredictions", json!({ "correlation_id": "0123", "service_id": "checkout" })).await;
    assert_eq!((&open["total"], &open["open"], &open["outcome"]), (&json!(1), &json!(1), &json!("open")));
    assert_eq!(open["predictions"][0], status["open_predictions"][0]);
    assert_eq!(open["predictions"][0]["expected_from"], "2024-11-13T14:05:00Z");
    let score = &open["patterns"][0]["scores"][0];
    assert_eq!((&score["days"], &score["hits"], &score["lead_seconds_median"]), (&json!(30), &json!(2), &json!(8_220)));
    let first = reef("ListPredictions", json!({ "outcome": "all", "limit": 4 })).await;
    assert_eq!((&first["total"], &first["truncated"]), (&json!(6), &json!(true)));
    let rest = reef("ListPredictions", json!({ "outcome": "all", "cursor": first["next_cursor"] })).await;
    let of = |part: &Value| {
        part["predictions"].as_array().unwrap().iter().map(|it| it["outcome"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (of(&first), of(&rest)),
        (vec![json!("open"), json!("hit"), json!("void"), json!("miss")], vec![json!("hit"), json!("miss")])
    );
    let then = json!("2024-11-13T12:00:00Z");
    let known = reef("ListPredictions", json!({ "outcome": "all", "as_of": then })).await;
    assert_eq!((&known["total"], &known["as_of"]), (&json!(0), &then), "their history is not stored");
}
