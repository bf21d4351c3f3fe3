//! The MCP server of a reef: tools that read the store, for programs that put a language model's questions.
//!
//! | file | owns |
//! |---|---|
//! | `tools` | the tools, as one table |
//! | `groups` | the optional tools |
//! | `analysis` | a question in words, an optional tool |
//! | `sql` | a statement in SQL, an optional tool |
//! | `arguments` | arguments of a call: their names, read and refused in words |
//! | `moment` | times as callers write them |
//! | `cursor` | where the next part of a list begins |
//! | `schema` | schemas of arguments and results |
//! | `asking` | who answers: the reef of this process, or whatever a command reaches |
//! | `content` | an answer as the content of a result |
//! | `fit` | results cut to what a client accepts |
//! | `clean` | text from colonies as data |
//! | `known` | what is missing of an answer, and why |
//! | `empty` | why a result is empty, and what to call next |
//! | `wording` | hints of the command line in words of the tools |
//! | `refused` | calls that get no answer |
//! | `server` | the protocol's handler |
//! | `http` | the route `/mcp` |
//! | `stdio` | standard input and output |
//!
//! No tool outside the optional groups asks a language model, no tool changes anything, and no call depends on one before it. The library for the
//! protocol, rmcp, is named in this folder only. A result has the facts of the RPC of the same name: it is the RPC's
//! response ([`crate::rpc::document`]), with its list under `items`.

mod analysis;
mod arguments;
pub mod asking;
mod clean;
mod content;
mod cursor;
mod empty;
mod fit;
pub mod groups;
pub mod http;
mod known;
mod moment;
mod refused;
mod schema;
mod server;
mod sql;
pub mod stdio;
#[cfg(test)]
mod tests;
mod tools;
mod wording;

/// Where the services serve it.
pub const PATH: &str = "/mcp";
