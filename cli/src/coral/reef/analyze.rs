//! `coral reef analyze` and `coral ask`: a question in words, answered from what the engine found.

use super::ask::{AskArgs, answered_in_pieces, incomplete_as_required};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::ask::question::Question;
use crate::pipeline::load::load;
use model::time::parse_duration_ms;
use reef::analysis::{AnalyzeQuestion, Piece};
use serde_json::json;

/// Arguments of `analyze` and of `ask`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef analyze \"why is prod slower than staging?\" --reef my-infrastructure",
    after_help = "A running reef answers, with its language model where ai.llm names one; a stopped reef's store is read, and the \
                  engine's own words are the answer. Names, times (\"last 2 hours\", \"since yesterday\", \"after the deploy of \
                  api v2.1.0\") and topics are recognised in the words. Details: docs/llm.md"
)]
pub struct AnalyzeArgs {
    /// The question, in words
    #[arg(required = true)]
    question: Vec<String>,
    /// Only these colonies, separated by commas [default: all]
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    colonies: Vec<String>,
    /// How far to look back: 1h, 24h, 7d [default: what the words say, else 24h]
    #[arg(long, value_name = "DURATION")]
    time_window: Option<String>,
    /// Print the answer while it is made
    #[arg(long)]
    stream: bool,
    /// Leave patterns out
    #[arg(long)]
    no_correlations: bool,
    #[command(flatten)]
    ask: AskArgs,
}

impl AnalyzeArgs {
    fn question(&self) -> Result<AnalyzeQuestion, Failure> {
        let window_ms = self.time_window.as_ref().map(|text| parse_duration_ms(text).map_err(|error| (text, error)));
        let window_ms = window_ms.transpose().map_err(|(text, error)| {
            Failure::new(Exit::Usage, "duration_invalid", format!("--time-window {text:?} is not a duration"))
                .caused_by(Some(&error))
                .hint("write for example 24h or 7d")
        })?;
        Ok(AnalyzeQuestion {
            question: self.question.join(" "),
            colonies: self.colonies.clone(),
            window_ms,
            patterns: !self.no_correlations,
        })
    }
}

/// Asks, and prints the answer.
pub fn run(args: &AnalyzeArgs, output: &Output) -> Result<(), Failure> {
    let question = Question::Analyze { about: args.question()?, streamed: args.stream };
    let path = args.ask.reef.path()?;
    let config = load(&path);
    if let Ok(config) = &config {
        let colonies = match config.colonies.len() {
            0 => "the reef's colonies".to_owned(),
            1 => "1 colony".to_owned(),
            many => format!("{many} colonies"),
        };
        output.message(&format!("Analyzing across {colonies}..."));
    }
    if args.stream {
        output.begin_lines();
    }
    let mut printed = Printed { output, is_streamed: args.stream, text: String::new() };
    let mut pass_on = |piece: &Piece| printed.piece(piece);
    let (document, page) = answered_in_pieces(&question, (config, &path), output, &mut pass_on)?;
    let rest = page.strip_prefix(&printed.text).unwrap_or(&page).trim_start_matches('\n').to_owned();
    let gap = if printed.text.is_empty() { "" } else { "\n" };
    output.concluded(&document, |_| format!("{gap}{rest}"), incomplete_as_required(&document, &args.ask))
}

/// What has been printed of an answer that is being made.
struct Printed<'a> {
    output: &'a Output,
    is_streamed: bool,
    text: String,
}

impl Printed<'_> {
    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Status(status) => self.output.message(&format!("✓ {status}")),
            Piece::Text(_) if !self.is_streamed => {}
            Piece::Text(text) => {
                let is_first = self.text.is_empty();
                self.text.push_str(text);
                let value = json!({ "content": text, "complete": false });
                let gap = if !is_first && text.starts_with("\n\n") { "\n" } else { "" };
                // a closed standard output ends the command at its end
                let _ = self.output.item(&value, |_| format!("{gap}{}", text.trim_matches('\n')));
            }
        }
    }
}
