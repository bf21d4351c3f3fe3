//! `coral reef mcp`: a tool gets what the other commands print.

use super::questions::{coral, reef};
use crate::coral::reef::choice::ReefChoice;
use crate::coral::reef::mcp::Reefs;
use crate::entry::runtime;
use crate::exit::Exit;
use reef::answers::compare::CompareQuestion;
use reef::answers::correlations::CorrelationsQuestion;
use reef::answers::deployment::DeploymentQuestion;
use reef::answers::deployments::DeploymentsQuestion;
use reef::answers::refusal::RefusalKind;
use reef::answers::status::StatusQuestion;
use reef::answers::topology::TopologyQuestion;
use reef::answers::versions::VersionsQuestion;
use reef::answers::{Question, Refusal};
use reef::mcp::asking::{Asks, Told, Unanswered};
use reef::sql::SqlQuestion;
use serde_json::Value;
use std::path::Path;

fn told(folder: &Path, name: Option<&str>, question: Question) -> Result<Told, Unanswered> {
    let file = folder.join("reef.toml").to_str().unwrap().to_owned();
    let reefs = Reefs { usual: ReefChoice { reef: Some(file) } };
    runtime().unwrap().block_on(reefs.ask(name, question))
}

#[test]
fn a_tool_gets_what_the_command_prints() {
    let folder = reef();
    let compare = CompareQuestion {
        environment_a: "production".to_owned(),
        environment_b: "staging".to_owned(),
        ..CompareQuestion::default()
    };
    for (line, question) in [
        ("compare production staging", Question::Compare(compare)),
        ("deployments", Question::Deployments(DeploymentsQuestion::default())),
        ("deployment deploy-abc123", Question::Deployment(DeploymentQuestion { id: "deploy-abc123".to_owned() })),
        ("versions", Question::Versions(VersionsQuestion::default())),
        ("topology", Question::Topology(TopologyQuestion::default())),
        ("correlations", Question::Correlations(CorrelationsQuestion::default())),
    ] {
        let by_tool = told(folder.path(), None, question).unwrap();
        let (json, page) = (coral(folder.path(), &format!("{line} --json")), coral(folder.path(), line));
        assert_eq!((json.0, page.0), (Exit::Ok, Exit::Ok), "{line}");
        let (document, page) = (serde_json::from_str::<Value>(&json.1.stdout()).unwrap(), page.1.stdout());
        for (field, value) in by_tool.document.as_object().unwrap() {
            assert_eq!(&document[field], value, "{line}: {field}");
        }
        assert_eq!(by_tool.text.trim(), page.trim(), "{line}");
    }
}

#[test]
fn an_optional_tool_is_that_of_the_reef_that_is_asked() {
    let folder = reef();
    let file = folder.path().join("reef.toml");
    let select = || {
        let reefs = Reefs { usual: ReefChoice { reef: Some(file.to_str().unwrap().to_owned()) } };
        let question = SqlQuestion { sql: "SELECT 1 AS one".to_owned(), limit: None, timeout_ms: None };
        runtime().unwrap().block_on(reefs.select(None, question))
    };
    let Err(Unanswered::Failed { message, hint }) = select() else { panic!("it is switched off") };
    assert!(message.contains("\"sql\"") && hint.contains("api.mcp_groups"), "{message}; {hint}");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[api]\nmcp_groups = [\"sql\"]\n")).unwrap();
    assert_eq!(select().unwrap().document["row_count"], 1);
}

#[test]
fn a_name_from_a_model_opens_no_file() {
    let folder = reef();
    let status = || Question::Status(StatusQuestion::default());
    let by_id = told(folder.path(), Some("r"), status()).unwrap();
    assert_eq!(by_id.document["reef_id"], "r");
    let file = folder.path().join("reef.toml");
    for name in ["other.toml", "../reef", file.to_str().unwrap()] {
        let Err(Unanswered::Refused(Refusal { kind, field, .. })) = told(folder.path(), Some(name), status()) else {
            panic!("{name} is opened")
        };
        assert_eq!((kind, field.as_deref()), (RefusalKind::Invalid, Some("reef")), "{name}");
    }
}
