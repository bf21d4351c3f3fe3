//! Known: what an answer is complete to, and which colonies are missing, in a bounded number of entries.

use super::clean;
use super::fit::size;
use crate::printable::shortened;
use serde_json::{Map, Value, json};

/// Most colonies of which the time is named: a fleet has more than a model should read.
const COLONIES_MAX: usize = 40;
/// Bytes of their names and times.
const COLONIES_BYTES_MAX: usize = 3_000;
/// Most colonies that are named as missing.
const MISSING_MAX: usize = 20;
/// Bytes of them.
const MISSING_BYTES_MAX: usize = 5_000;
/// Characters of a reason.
const REASON_MAX: usize = 160;

/// Takes `completeness` out of a document: the fields that stand for it in a result, their texts cleaned.
pub(super) fn fields(document: &mut Map<String, Value>) -> Map<String, Value> {
    let completeness = clean::value(document.shift_remove("completeness").unwrap_or_default());
    let colonies = completeness["colonies"].as_array().cloned().unwrap_or_default();
    let mut known: Vec<(&str, &str)> = colonies
        .iter()
        .filter_map(|colony| Some((colony["complete_to"].as_str()?, colony["colony_id"].as_str()?)))
        .collect();
    known.sort_unstable();
    let line = |colony: &Value| {
        let reason = shortened(colony["reason"].as_str().unwrap_or_default(), REASON_MAX);
        json!({ "colony_id": colony["colony_id"], "state": colony["state"], "reason": reason })
    };
    let missing: Vec<Value> = colonies.iter().filter(|colony| colony["state"] != "current").map(line).collect();
    let mut fields = Map::new();
    let named = fitting(known.iter().take(COLONIES_MAX).map(|entry| size(&json!(entry))), COLONIES_BYTES_MAX);
    let complete_to = known.iter().take(named).map(|(time, id)| ((*id).to_owned(), json!(time)));
    fields.insert("complete_to".to_owned(), Value::Object(complete_to.collect()));
    // by time: all others are complete to at least this
    if let Some((time, _)) = known.get(named) {
        fields.insert("others_complete_to".to_owned(), json!(time));
    }
    let named = fitting(missing.iter().take(MISSING_MAX).map(size), MISSING_BYTES_MAX);
    let rest = missing.len() - named;
    fields.insert("missing_colonies".to_owned(), missing.into_iter().take(named).collect());
    if rest > 0 {
        fields.insert("more_missing_colonies".to_owned(), json!(rest));
    }
    fields
}

/// How many of these sizes fit into so many bytes.
fn fitting(sizes: impl Iterator<Item = usize>, bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = |size: &usize| {
        bytes += size;
        bytes <= bytes_max
    };
    sizes.take_while(fits).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn colonies_that_are_not_current_are_missing_with_their_reason_and_a_large_fleet_is_summed_up() {
        let colony = |place: usize| {
            let (state, reason) = if place.is_multiple_of(2) { ("current", "") } else { ("late", "no answer") };
            let complete_to = (place != 3).then(|| format!("2024-11-13T12:{:02}:00Z", place % 60));
            json!({ "colony_id": format!("c{place}"), "state": state, "complete_to": complete_to, "reason": reason })
        };
        let of = |count: usize| {
            let colonies: Vec<Value> = (0..count).map(colony).collect();
            let mut document = json!({ "completeness": { "colonies": colonies } }).as_object().unwrap().clone();
            let fields = fields(&mut document);
            assert!(document.is_empty());
            Value::Object(fields)
        };
        let few = of(4);
        let complete_to = json!({
            "c0": "2024-11-13T12:00:00Z", "c1": "2024-11-13T12:01:00Z", "c2": "2024-11-13T12:02:00Z",
        });
        assert_eq!(few["complete_to"], complete_to, "nothing has been received from c3");
        assert_eq!(few["missing_colonies"][1], json!({ "colony_id": "c3", "state": "late", "reason": "no answer" }));
        assert_eq!((few.get("others_complete_to"), few.get("more_missing_colonies")), (None, None));
        let many = of(200);
        assert_eq!(many["complete_to"].as_object().unwrap().len(), COLONIES_MAX);
        assert_eq!(many["missing_colonies"].as_array().unwrap().len(), MISSING_MAX);
        assert_eq!(many["more_missing_colonies"], 80);
        let others = many["others_complete_to"].as_str().unwrap();
        assert!(many["complete_to"].as_object().unwrap().values().all(|time| time.as_str().unwrap() <= others));
    }

    #[test]
    fn long_names_take_no_more_room_and_the_others_are_counted() {
        let colony = |place: usize| {
            let (id, time) = (format!("{place:02}-{}", "ü\"".repeat(2_000)), format!("2024-11-13T12:{place:02}:00Z"));
            json!({ "colony_id": id, "state": "late", "complete_to": time, "reason": "no answer" })
        };
        let colonies: Vec<Value> = (0..30).map(colony).collect();
        let fields = fields(json!({ "completeness": { "colonies": colonies } }).as_object_mut().unwrap());
        let bytes = size(&json!(fields));
        assert!(bytes <= COLONIES_BYTES_MAX + MISSING_BYTES_MAX + 200, "{bytes} bytes");
        let (named, missing) = (&fields["complete_to"], fields["missing_colonies"].as_array().unwrap().len());
        assert!(named.as_object().is_some_and(|named| (1..30).contains(&named.len())) && missing > 0, "{named}");
        let others = format!("2024-11-13T12:{:02}:00Z", named.as_object().unwrap().len());
        assert_eq!(
            (&fields["others_complete_to"], &fields["more_missing_colonies"]),
            (&json!(others), &json!(30 - missing))
        );
    }
}
