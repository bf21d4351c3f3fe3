//! Commands of `coral reef`, each from its words to what it prints.
#![allow(clippy::unwrap_used)]

mod analyses;
mod behind;
mod gates;
mod joining;
mod mcp;
mod questions;
mod reefs;
mod supports;
mod trials;

use clap::{CommandFactory, FromArgMatches, Parser};

/// The arguments of one command as a program of its own.
#[derive(Debug, Parser)]
struct Line<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

/// The arguments that a line gives; its first word is the command.
fn parse<A: clap::Args>(line: &str) -> A {
    let matches = Line::<A>::command().get_matches_from(line.split(' '));
    Line::<A>::from_arg_matches(&matches).unwrap().args
}
