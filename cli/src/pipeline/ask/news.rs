//! Patterns as lines on standard output while a reef runs: each when it is confirmed, and when it no longer is.

use crate::output::Output;
use pipelines::desk::{Change, News, Visitor};
use reef::PatternLine;
use serde_json::json;
use std::convert::Infallible;

/// Prints news until it is dropped.
pub async fn print(visitor: &Visitor, output: &Output) -> Infallible {
    loop {
        print_all(&visitor.news().await, output);
    }
}

/// Prints the news that came since.
pub fn print_rest(visitor: &Visitor, output: &Output) {
    print_all(&visitor.news_so_far(), output);
}

fn print_all(news: &[News], output: &Output) {
    for News { change, correlation } in news {
        let word = match change {
            Change::Confirmed => "confirmed",
            Change::Withdrawn => "withdrawn",
        };
        let pattern = PatternLine::of(correlation);
        // a closed standard output is no reason to stop a reef
        let _ = output.item(&json!({ "event": word, "pattern": pattern }), |style| {
            let word = match change {
                Change::Confirmed => style.green(word),
                Change::Withdrawn => style.yellow(word),
            };
            format!("{word}  {}", pattern.to_line())
        });
    }
}
