//! Content: an answer as the structured content and the text of a result.

use super::arguments::Arguments;
use super::asking::Told;
use super::fit::{After, List, TEXT_MAX, cut, fitted, text_size};
use super::tools::{Beside, Parts, Tool};
use super::{clean, known, wording};
use crate::answers::Refusal;
use crate::answers::part::{Listed, Part};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What a call gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    /// For programs, as the tool's schema says.
    pub(super) structured: Map<String, Value>,
    /// For people and for models.
    pub(super) text: String,
}

/// The content of an answer, of which so many items were wanted; `reason` is why it is empty.
pub(super) fn content((list, wanted): (List, usize), told_text: &str, narrow: &str, reason: Option<String>) -> Content {
    let mut structured = fitted(list, wanted, narrow);
    let notes = structured.get_mut("notes").and_then(Value::as_array_mut);
    let mut lines: Vec<String> = Vec::new();
    if let Some(notes) = notes {
        notes.extend(reason.map(Value::String));
        lines.extend(notes.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    if let Some(cursor) = structured["next_cursor"].as_str().filter(|cursor| !cursor.is_empty()) {
        lines.push(format!("More follow: the same arguments with cursor {cursor:?}."));
    }
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let text = text_before(&clean::page(&wording::of_tools(told_text)), &lines);
    Content { structured, text }
}

/// The list of an answer, and what is beside it.
pub(super) fn list(tool: &Tool, arguments: &Arguments, told: &Told) -> Result<List, Refusal> {
    let mut document = match told.document.clone() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let range = json!({ "start_time": told.document["start_time"], "end_time": told.document["end_time"] });
    let known = known::fields(&mut document);
    let all = taken(&mut document, tool.list);
    let paging = ["total", "truncated", "next_cursor"].map(|name| document.shift_remove(name));
    let beside = tool.beside.as_ref().map(|beside| {
        let entries = taken(&mut document, beside.field);
        (beside.field, belonging(beside, &all, entries))
    });
    let (items, skipped, total, after) = match tool.parts {
        Parts::Question => {
            let [total, _, cursor] = &paging;
            let total = total.as_ref().and_then(Value::as_u64).and_then(|total| usize::try_from(total).ok());
            let skipped = arguments.skipped();
            let counted = skipped.saturating_add(all.len());
            let cursor = cursor.as_ref().and_then(Value::as_str).filter(|cursor| !cursor.is_empty());
            (all, skipped, total.unwrap_or(counted), After::Last(cursor.map(str::to_owned)))
        }
        Parts::Here => {
            let names: Vec<String> = all.iter().map(|item| tool.name_of(item)).collect();
            let skipped = arguments.begin(&names);
            let part = Part { cursor: None, skip: skipped, ..arguments.part() };
            let Listed { items, total, .. } = part.of(all)?;
            let names = names.into_iter().skip(skipped).take(items.len()).collect();
            (items, skipped, total, After::Each(names))
        }
    };
    Ok(List {
        items: items.into_iter().map(tool.shaped).map(clean::value).collect(),
        skipped,
        total,
        beside,
        after,
        asked: arguments.asked().to_owned(),
        known,
        rest: clean::value(Value::Object(document)),
        range,
        is_short: false,
    })
}

pub(super) fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Takes the list at a path of names out of a document.
fn taken(document: &mut Map<String, Value>, path: &str) -> Vec<Value> {
    let found = match path.split_once('/') {
        None => document.shift_remove(path),
        Some((name, rest)) => {
            let inner = document.get_mut(name).and_then(Value::as_object_mut);
            return inner.map(|inner| taken(inner, rest)).unwrap_or_default();
        }
    };
    match found {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Each entry with the place of the item that it belongs to; with the first item those that belong to none.
fn belonging(beside: &Beside, items: &[Value], entries: Vec<Value>) -> Vec<(usize, Value)> {
    let key = |value: &Value, names: [&str; 2]| names.map(|name| value[name].as_str().unwrap_or_default().to_owned());
    let places: HashMap<[String; 2], usize> =
        items.iter().enumerate().map(|(place, item)| (key(item, beside.item), place)).collect();
    let placed = entries.into_iter().map(|entry| {
        let place = places.get(&key(&entry, beside.entry)).copied().unwrap_or_default();
        (place, clean::value(entry))
    });
    placed.collect()
}

/// As much of a page as a text has room for before these lines, with a note if there was more.
pub(super) fn text_before(page: &str, lines: &str) -> String {
    let room = TEXT_MAX.saturating_sub(text_size(lines));
    if cut(page, room).is_none() {
        return format!("{page}{lines}");
    }
    let note = "… the rest is in the structured content.\n";
    let begin = cut(page, room.saturating_sub(text_size(note))).unwrap_or(page);
    format!("{begin}{note}{lines}")
}
