//! Empty: why a result has no items, and what to call next.

use super::arguments::Arguments;
use super::asking::Asks;
use super::fit::List;
use super::tools::Tool;
use crate::answers::Question;
use crate::answers::fleet::Filter;
use crate::answers::names::near_hint;
use crate::answers::versions::VersionsQuestion;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most colonies that are named.
const NAMED_MAX: usize = 3;

/// The reason, in one line; `None` when there are items.
pub(super) async fn reason(tool: &Tool, arguments: &Arguments, list: &List, asks: &dyn Asks) -> Option<String> {
    if !list.items.is_empty() {
        return None;
    }
    let mut sentences = Vec::new();
    let missing = list.known.get("missing_colonies").and_then(Value::as_array);
    let missing: Vec<&Value> = missing.into_iter().flatten().collect();
    let has_rows = list.known.get("complete_to").and_then(Value::as_object).is_some_and(|known| !known.is_empty());
    if list.total > 0 {
        sentences.push(format!("the cursor is behind the last of {} items", list.total));
    } else if !has_rows && missing.is_empty() {
        sentences.push("no colony fits, or nothing has been received yet".to_owned());
    } else {
        if let Some(service) = arguments.text("service") {
            sentences.extend(unknown_service(&service, arguments, asks).await);
        }
        if let (Some(from), Some(to)) = (list.range["start_time"].as_str(), list.range["end_time"].as_str()) {
            sentences.push(format!("nothing fits from {from} to {to}"));
        }
        for colony in missing.iter().take(NAMED_MAX) {
            let text = |name: &str| colony[name].as_str().unwrap_or_default();
            sentences.push(format!("{} is {}: {}", text("colony_id"), text("state").replace('_', " "), text("reason")));
        }
        if sentences.is_empty() {
            sentences.push("nothing that is stored fits".to_owned());
        }
    }
    Some(format!("No items: {}. Try: {}.", sentences.join("; "), tool.otherwise))
}

/// What to say of a service that is known, but not among these colonies.
async fn unknown_service(service: &str, arguments: &Arguments, asks: &dyn Asks) -> Option<String> {
    let filter = Filter { service: None, ..arguments.filter() };
    let question = Question::Versions(VersionsQuestion { filter, behind: false });
    let told = asks.ask(arguments.text("reef").as_deref(), question).await.ok()?;
    let services = told.document["services"].as_array()?.iter();
    let known: BTreeSet<String> = services.filter_map(|one| one["service_id"].as_str()).map(str::to_owned).collect();
    if known.contains(service) || known.is_empty() {
        return None;
    }
    let hint = near_hint("service", &service.to_lowercase(), &known);
    Some(format!("no topology and no deployment of these colonies names the service {service:?}, {hint}"))
}
