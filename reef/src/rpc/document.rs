//! Document: an answer as the JSON of its message, for the command line. It is the response of the RPC of the same name.

use super::convert::{affected, analysis, compare, correlations, deployment, fleet, predictions, promotion, rows, sql};
use super::json::whole;
use crate::analysis::Analysis;
use crate::answers::Answered;
use crate::sql::{SqlAnswer, SqlError, Table};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use buffa::MessageName;
use serde::Serialize;
use serde::ser::Error;
use serde_json::Value;

/// The answer as a JSON object.
///
/// # Errors
/// When a number of it cannot be written.
pub fn document(answer: Answered) -> Result<Value, serde_json::Error> {
    match answer {
        Answered::Affected(answer) => written(&affected::list(*answer)),
        Answered::Gate(answer) => written(&promotion::assessed(*answer)),
        Answered::Status(answer) => written(&fleet::status(*answer)),
        Answered::Colonies(answer) => written(&fleet::colonies(answer)),
        Answered::Events(answer) => written(&rows::events(answer)),
        Answered::Metrics(answer) => written(&rows::metrics(answer)),
        Answered::Compare(answer) => written(&compare::comparison(answer)),
        Answered::Deployment(answer) => written(&deployment::analysed(*answer)),
        Answered::Deployments(answer) => written(&deployment::list(answer)),
        Answered::Health(answer) => written(&fleet::health(answer, None).map_err(serde_json::Error::custom)?),
        Answered::Versions(answer) => written(&fleet::versions(answer, None).map_err(serde_json::Error::custom)?),
        Answered::Topology(answer) => written(&fleet::topology(answer, None).map_err(serde_json::Error::custom)?),
        Answered::Correlations(answer) => written(&correlations::list(answer)),
        Answered::Correlation(answer) => written(&correlations::one(*answer)),
        Answered::Predictions(answer) => written(&predictions::list(answer)),
    }
}

/// The answer to a question in words as a JSON object.
///
/// # Errors
/// When a number of it cannot be written.
pub fn analysis_document(answer: Analysis) -> Result<Value, serde_json::Error> {
    written(&analysis::analysed(answer))
}

/// The answer to a statement as a JSON object; its rows are a stream of Arrow's format, in base64.
///
/// # Errors
/// When the rows cannot be written.
pub fn sql_document(answer: SqlAnswer) -> Result<Value, serde_json::Error> {
    written(&sql::rows(answer, sql::Form::Arrow).map_err(serde_json::Error::custom)?)
}

/// The rows of such an object.
///
/// # Errors
/// When it is none.
pub fn sql_table(document: &Value) -> Result<Table, SqlError> {
    let wrong = || SqlError::Failed { message: "the reef's answer has no rows".to_owned() };
    let text = document["arrow"].as_str().ok_or_else(wrong)?;
    Table::of_arrow(&BASE64_STANDARD.decode(text).map_err(|_| wrong())?)
}

/// Through text, as a response is: a number has the same digits then.
fn written<M: MessageName + Serialize>(message: &M) -> Result<Value, serde_json::Error> {
    Ok(whole(M::FULL_NAME, serde_json::from_slice(&serde_json::to_vec(message)?)?))
}
