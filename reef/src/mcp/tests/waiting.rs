//! Waiting: calls that take long, beside calls that do not.

use super::client::{Client, here};
use crate::access::Who;
use crate::analysis::AnalyzeQuestion;
use crate::answers::Question;
use crate::answers::tests::predictions::foreseen;
use crate::mcp::asking::{Asking, Asks, Here};
use crate::mcp::groups::Groups;
use crate::sql::SqlQuestion;
use serde_json::json;
use sinks::StoreWriter;
use std::sync::Arc;
use std::time::Duration;

/// A reef whose model never answers.
struct Stalled(Here);

impl Asks for Stalled {
    fn ask<'a>(&'a self, reef: Option<&'a str>, question: Question) -> Asking<'a> {
        self.0.ask(reef, question)
    }

    fn analyze<'a>(&'a self, _: Option<&'a str>, _: AnalyzeQuestion, _: &'a Who) -> Asking<'a> {
        Box::pin(std::future::pending())
    }

    fn select<'a>(&'a self, reef: Option<&'a str>, question: SqlQuestion) -> Asking<'a> {
        self.0.select(reef, question)
    }
}

#[tokio::test]
async fn questions_in_words_that_wait_for_a_model_hold_up_no_other_call() {
    let store = foreseen().await;
    let client = Client::with(Arc::new(Stalled(here(store.reader()))), Groups { analyze: true, sql: false }).await;
    let words = || client.try_call("reef_analyze", json!({ "question": "what happened?" }));
    // more than there are places
    let waiting = async { tokio::join!(words(), words(), words(), words(), words(), words()) };
    let status = client.structured("reef_get_status", json!({}));
    tokio::select! {
        biased;
        answers = waiting => panic!("{answers:?}"),
        status = tokio::time::timeout(Duration::from_secs(20), status) => {
            assert_eq!(status.expect("an answer beside them")["reef_id"], "my-reef");
        }
    }
}
