//! Table: names of messages, fields and methods, written by the build from the `.proto` files.

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    /// With its package.
    pub(super) name: &'static str,
    /// In the order of the file.
    pub(super) fields: &'static [Field],
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    /// As the file spells it.
    pub(super) name: &'static str,
    /// The same in camelCase.
    pub(super) json: &'static str,
    /// How often it occurs.
    pub(super) shape: Shape,
    /// What it is.
    pub(super) kind: Kind,
}

/// How often a field occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the files decide which of them occur")]
pub(super) enum Shape {
    /// Once; a message may be absent.
    One,
    /// Once or not at all.
    Optional,
    /// Any number of times.
    Many,
    /// Texts by text.
    Map,
}

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the files decide which of them occur")]
pub(super) enum Kind {
    Text,
    Bool,
    /// A number with a fraction.
    Real,
    /// A whole number of 32 bits.
    Small,
    /// A whole number of 64 bits; a text in JSON.
    Large,
    /// A time; a text in JSON.
    Time,
    /// Another message.
    Message(&'static str),
}

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    /// `/package.Service/Method`.
    pub(super) path: &'static str,
    /// The message of a request.
    pub(super) input: &'static str,
    /// The message of a response.
    pub(super) output: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The message of this name, if it is one of ours.
pub(super) fn message(name: &str) -> Option<&'static Message> {
    MESSAGES.iter().find(|message| message.name == name)
}

/// The method at this path, if it is one of ours.
pub(super) fn method(path: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.path == path)
}
