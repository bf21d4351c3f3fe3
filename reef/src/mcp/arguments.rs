//! Arguments of a call: their names, which are the same for every tool, read and refused in words.

use super::cursor::Cursor;
use super::moment::Moment;
use crate::answers::Refusal;
use crate::answers::fleet::Filter;
use crate::answers::names::near_hint;
use crate::answers::part::{self, LIMIT_MAX, Part};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most names in one argument.
pub(super) const NAMES_MAX: usize = 50;
/// Characters of a name.
const NAME_MAX: usize = 200;

/// An argument.
#[derive(Debug)]
pub(super) struct Argument {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) kind: Kind,
    /// For the model.
    pub(super) about: &'static str,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name.
    Text,
    /// Names.
    Texts,
    /// Two names.
    Two,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// A number from 1 to [`LIMIT_MAX`].
    Limit,
    /// A time.
    Moment,
    /// Where the next part begins.
    Cursor,
}

/// An argument of a name.
pub(super) const fn argument(name: &'static str, kind: Kind, about: &'static str) -> Argument {
    Argument { name, kind, about }
}

pub(super) const REEF: Argument = argument("reef", Kind::Text, "which reef; default: the usual one");
pub(super) const COLONIES: Argument = argument("colonies", Kind::Texts, "only these colony ids");
pub(super) const ENVIRONMENTS: Argument = argument("environments", Kind::Texts, "only these, e.g. production");
pub(super) const BOTH: Argument =
    argument("environments", Kind::Two, "the one looked at, and the one it is compared with");
pub(super) const APPLICATION: Argument = argument("application", Kind::Text, "only this application");
pub(super) const SERVICE: Argument = argument("service", Kind::Text, "only this service id");
pub(super) const START: Argument = argument("start", Kind::Moment, "RFC 3339 or now-2h; default: 24h before end");
pub(super) const BACK_TO: Argument = argument("start", Kind::Moment, "how far back, e.g. now-7d; default now-24h");
pub(super) const END: Argument = argument("end", Kind::Moment, "RFC 3339 or now-1h; default: now = the newest row");
pub(super) const LIMIT: Argument = argument("limit", Kind::Limit, "most items; default 20");
pub(super) const CURSOR: Argument = argument("cursor", Kind::Cursor, "next_cursor of the result before");
pub(super) const METRICS: Argument = argument("metrics", Kind::Texts, "only these metric names");
pub(super) const METRIC: Argument =
    argument("metric", Kind::Text, "latency, error_rate, throughput or a metric's name; default: all shared ones");
pub(super) const STEP: Argument =
    argument("step", Kind::Text, "length of a point, e.g. 1m; default: at most 24 points");
pub(super) const EVENT_TYPES: Argument = argument("event_types", Kind::Texts, "only these, e.g. deploy, crash, alert");
pub(super) const SEVERITY: Argument =
    argument("severity", Kind::OneOf(&["info", "warning", "error", "critical"]), "at least this bad");
pub(super) const STATUS: Argument =
    argument("status", Kind::OneOf(&["running", "success", "failed", "rolled_back"]), "only these deployments");
pub(super) const ORDER: Argument =
    argument("order", Kind::OneOf(&["time", "effect"]), "effect: the worst verdict first");
pub(super) const VERSION: Argument = argument("version", Kind::Text, "only of this new version");
pub(super) const BEHIND: Argument = argument("behind", Kind::Flag, "only versions that are behind, or differ");
pub(super) const STATE: Argument =
    argument("state", Kind::OneOf(&["confirmed", "candidate", "withdrawn", "all"]), "default confirmed");
pub(super) const OUTCOME: Argument =
    argument("outcome", Kind::OneOf(&["open", "hit", "miss", "void", "all"]), "default open");
pub(super) const DEPLOYMENT_ID: Argument = argument("deployment_id", Kind::Text, "its id, or the beginning of it");
pub(super) const CORRELATION_ID: Argument = argument("correlation_id", Kind::Text, "its id, or the beginning of it");

/// Arguments that have been checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arguments {
    given: BTreeMap<&'static str, Value>,
    asked: String,
    cursor: Cursor,
}

impl Arguments {
    /// Reads what a call of the tool `tool` gives, which takes `known` and needs `required`.
    pub(super) fn read(
        tool: &str,
        (known, required): (&'static [Argument], &[&'static str]),
        given: Map<String, Value>,
    ) -> Result<Arguments, Refusal> {
        let mut arguments = Arguments::default();
        for (name, value) in given {
            let Some(argument) = known.iter().find(|argument| argument.name == name) else {
                let known: BTreeSet<String> = known.iter().map(|argument| argument.name.to_owned()).collect();
                let hint = near_hint("argument", &name.to_lowercase(), &known);
                return Err(Refusal::invalid(format!("{tool} has no argument {name:?}"), hint));
            };
            if !is_absent(&value) {
                argument.check(&value)?;
                arguments.given.insert(argument.name, value);
            }
        }
        for name in required {
            let about = known.iter().find(|argument| argument.name == *name).map_or("", |it| it.about);
            if !arguments.given.contains_key(name) {
                return Err(Refusal::invalid(format!("{tool} needs it"), format!("give {about}")).at(name));
            }
        }
        let about = arguments.given.iter().filter(|(name, _)| !["limit", "cursor"].contains(*name));
        arguments.asked = part::asked(tool, &about.collect::<BTreeMap<_, _>>());
        if let Some(text) = arguments.text("cursor") {
            arguments.cursor = Cursor::read(&text, &arguments.asked)?;
        }
        Ok(arguments)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.given.get(name).and_then(Value::as_str).map(|text| text.trim().to_owned())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.given.get(name).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(|text| text.trim().to_owned()).collect()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.given.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    pub(super) fn start(&self) -> Option<Moment> {
        self.moment("start")
    }

    /// First and last moment.
    pub(super) fn moments(&self) -> (Option<Moment>, Option<Moment>) {
        (self.moment("start"), self.moment("end"))
    }

    fn moment(&self, name: &str) -> Option<Moment> {
        self.text(name).and_then(|text| Moment::read(&text))
    }

    pub(super) fn filter(&self) -> Filter {
        Filter {
            colonies: self.texts("colonies"),
            environments: self.texts("environments"),
            application: self.text("application"),
            service: self.text("service"),
            ..Filter::default()
        }
    }

    pub(super) fn part(&self) -> Part {
        let limit = self.given.get("limit").and_then(whole).and_then(|limit| usize::try_from(limit).ok());
        let Cursor { skipped, after } = &self.cursor;
        Part { limit, cursor: after.clone(), skip: if after.is_some() { 0 } else { *skipped } }
    }

    /// The same with at most so many items.
    pub(super) fn limited(mut self, most: usize) -> Arguments {
        self.given.insert(LIMIT.name, json!(most));
        self
    }

    /// What cursors of the list are of: the tool and its arguments.
    pub(super) fn asked(&self) -> &str {
        &self.asked
    }

    /// Items before the part.
    pub(super) fn skipped(&self) -> usize {
        self.cursor.skipped
    }

    /// Items before the part, in the whole list whose items have these names.
    pub(super) fn begin(&self, names: &[String]) -> usize {
        let Cursor { skipped, after } = &self.cursor;
        let Some(after) = after else { return *skipped };
        let is_it = |place: &usize| names.get(*place) == Some(after);
        let last = skipped.checked_sub(1).filter(is_it).or_else(|| names.iter().position(|name| name == after));
        // the item is gone: after as many others as came before
        last.map_or(*skipped, |last| last + 1)
    }
}

impl Argument {
    /// Whether the value is one for it.
    fn check(&self, value: &Value) -> Result<(), Refusal> {
        let refused = |message: String, hint: String| Err(Refusal::invalid(message, hint).at(self.name));
        let not = |what: &str| refused(format!("{what} is expected, not {}", word_of(value)), self.about.to_owned());
        match (self.kind, value) {
            (Kind::Text, Value::String(text)) => check_name(text).map_err(|refusal| refusal.at(self.name)),
            (Kind::Cursor, Value::String(_)) => Ok(()),
            (Kind::Text | Kind::Cursor, _) => not("a text"),
            (Kind::Texts | Kind::Two, Value::Array(items)) => {
                if items.len() > NAMES_MAX {
                    return refused(format!("{} names are too many", items.len()), format!("give at most {NAMES_MAX}"));
                }
                if self.kind == Kind::Two && items.len() != 2 {
                    return refused(format!("{} names are given", items.len()), format!("give two: {}", self.about));
                }
                items.iter().enumerate().try_for_each(|(place, item)| {
                    let at = format!("{}[{place}]", self.name);
                    match item.as_str() {
                        Some(text) => check_name(text).map_err(|refusal| refusal.at(&at)),
                        None => {
                            let message = format!("a text is expected, not {}", word_of(item));
                            Err(Refusal::invalid(message, self.about).at(&at))
                        }
                    }
                })
            }
            (Kind::Texts | Kind::Two, _) => not("a list of texts"),
            (Kind::OneOf(words), Value::String(word)) if words.contains(&word.as_str()) => Ok(()),
            (Kind::OneOf(words), _) => refused(format!("{value} is none"), format!("one of: {}", words.join(", "))),
            (Kind::Flag, value) if value.is_boolean() => Ok(()),
            (Kind::Flag, _) => not("true or false"),
            (Kind::Limit, value) => match whole(value) {
                Some(limit) if (1..=LIMIT_MAX as u64).contains(&limit) => Ok(()),
                _ => refused(format!("limit is {}", word_of(value)), format!("give 1 to {LIMIT_MAX}")),
            },
            (Kind::Moment, Value::String(text)) if Moment::read(text).is_some() => Ok(()),
            (Kind::Moment, _) => refused(
                format!("{} is no time", word_of(value)),
                "write RFC 3339 such as 2026-03-01T12:00:00Z, or now-2h".to_owned(),
            ),
        }
    }
}

fn check_name(text: &str) -> Result<(), Refusal> {
    match text.chars().count() {
        0..=NAME_MAX => Ok(()),
        many => Err(Refusal::invalid(format!("{many} characters are too many"), "give a name")),
    }
}

/// Programs write what they do not mean as null, or as an empty text or list.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A whole number, also one that is written as a text or with a fraction of zero.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_u64().or_else(|| {
            let real = number.as_f64().filter(|real| real.fract() == 0.0 && (0.0..1e9).contains(real))?;
            Some(real as u64)
        }),
        _ => None,
    }
}

fn word_of(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > NAME_MAX => "a long text".to_owned(),
        other => other.to_string(),
    }
}
