//! The evaluation of analyses: seeded incidents whose causes are planted, asked with models that are honest or lie.
//!
//! A short run is an ordinary test; `cargo xtask eval analysis` runs the long one and writes `docs/evaluation/analysis.md`.

mod incidents;
mod models;

use super::wording::MOST;
use super::*;
use crate::analysis::providers::tests::{Fake, provider};
use crate::analysis::providers::{Chain, Prices, Protocol, Provider};
use incidents::{Incident, KINDS};
use model::clock::SystemClock;
use models::MODELS;
use std::fmt::Write;
use std::path::PathBuf;

/// What became of the questions to one model.
#[derive(Default)]
struct Tally {
    questions: u32,
    named: u32,
    worded: u32,
    kept: u32,
    dropped: u32,
    lies_told: u32,
    lies_shipped: Vec<String>,
    tokens: u64,
}

#[tokio::test]
async fn analysis() {
    // the path is where `cargo xtask eval` wants the figures
    let report = std::env::var_os("CORAL_EVAL_REPORT").map(PathBuf::from);
    let seeds = if report.is_some() { 8 } else { 1 };
    let incidents: Vec<Incident> = KINDS.iter().flat_map(|kind| (0..seeds).map(|seed| kind.planted(seed))).collect();
    let mut rows = String::new();
    let mut none = Tally::default();
    for incident in &incidents {
        none.ask(incident, &Tried::None).await;
    }
    none.row("none (the template)", &mut rows);
    if let Some(real) = report.as_ref().and_then(|_| real()) {
        let mut tally = Tally::default();
        for incident in &incidents {
            tally.ask(incident, &Tried::Real(real.clone())).await;
        }
        assert_eq!(tally.named, tally.questions, "{}: the planted cause is in every answer", real.name());
        tally.row(&format!("`{}`", real.name()), &mut rows);
    }
    for model in MODELS {
        let mut tally = Tally::default();
        for incident in &incidents {
            tally.ask(incident, &Tried::Fake(model)).await;
        }
        assert_eq!(tally.lies_shipped, Vec::<String>::new(), "{}", model.name);
        assert_eq!(tally.named, tally.questions, "{}: the planted cause is in every answer", model.name);
        assert!(model.name == "honest" || tally.lies_told > 0, "{} told no lie", model.name);
        tally.row(model.name, &mut rows);
        if model.name == "honest" {
            let share = f64::from(tally.kept) / f64::from((tally.kept + tally.dropped).max(1));
            assert!(share >= 0.9, "the check drops {} true sentences of {}", tally.dropped, tally.kept + tally.dropped);
            assert!(tally.worded * 10 >= tally.questions * 9 || seeds == 1, "{} of {}", tally.worded, tally.questions);
        }
    }
    if let Some(path) = report {
        std::fs::write(path, page(incidents.len(), &rows)).unwrap();
    }
}

/// Who words the answers.
enum Tried {
    None,
    Fake(&'static models::Liar),
    Real(Provider),
}

/// The model of `CORAL_EVAL_MODEL` (`vendor:model`), at `CORAL_EVAL_ENDPOINT` if that is set, with the key of `CORAL_EVAL_KEY`.
fn real() -> Option<Provider> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let name = set("CORAL_EVAL_MODEL")?;
    let (vendor, model) = name.split_once(':').expect("CORAL_EVAL_MODEL is vendor:model");
    let protocol = Protocol::of_vendor(vendor).expect("CORAL_EVAL_MODEL has a known vendor");
    let endpoint = set("CORAL_EVAL_ENDPOINT").or_else(|| protocol.usual_endpoint().map(str::to_owned));
    let endpoint = endpoint.expect("CORAL_EVAL_ENDPOINT says where the model is");
    Some(Provider { protocol, model: model.to_owned(), endpoint, key: set("CORAL_EVAL_KEY").unwrap_or_default() })
}

impl Tally {
    async fn ask(&mut self, incident: &Incident, tried: &Tried) {
        let store = incident.store().await;
        let folder = tempfile::tempdir().unwrap();
        let fake = match tried {
            Tried::Fake(model) => Some(Fake::of(vec![model.says()]).await),
            Tried::None | Tried::Real(_) => None,
        };
        let asked_provider = match (tried, &fake) {
            (Tried::Real(provider), _) => Some(provider.clone()),
            (_, Some(fake)) => Some(provider(Protocol::OpenAi, fake)),
            _ => None,
        };
        let asked_model = asked_provider.map(|provider| Model {
            chain: Chain { providers: vec![provider], timeout: Duration::from_secs(15) },
            privacy: Privacy::Mask,
            prices: Prices::default(),
        });
        let journal = folder.path().join("a.ndjson");
        let analyst = Analyst::new(asked_model, MOST, &journal, SystemClock::shared());
        let from = store.reader();
        let answer =
            analyst.analyze(&asked(question(incident.question)), (from.as_ref(), &Scope::default()), None).await;
        let analysis = answer.unwrap();
        self.questions += 1;
        self.named += u32::from(incident.is_named_in(&analysis));
        self.worded += u32::from(!analysis.metadata.model_used.is_empty());
        self.tokens += u64::from(analysis.metadata.input_tokens) + u64::from(analysis.metadata.output_tokens);
        let dropped = analysis.metadata.sentences_dropped;
        self.dropped += dropped;
        let (Tried::Fake(model), Some(fake)) = (tried, &fake) else {
            // a sentence of a model is on a line of its own, behind the headline, and ends with its evidence
            let worded = analysis.text.lines().skip(1).filter(|line| line.ends_with(']') && !line.starts_with(' '));
            self.kept +=
                if analysis.metadata.model_used.is_empty() { 0 } else { u32::try_from(worded.count()).unwrap() };
            return;
        };
        let requests = fake.requests();
        // the texts of all events are orders
        assert!(!requests.iter().any(|request| request.contains("order-db")), "the text of an event has left");
        let told = requests.last().map(|request| model.sentences_for(request)).unwrap_or_default();
        self.kept += u32::try_from(told.len()).unwrap().saturating_sub(dropped);
        for lie in told.iter().filter(|sentence| sentence.is_lie) {
            self.lies_told += 1;
            // names are masked before they leave: what is compared is the form of the lie
            if model.is_shipped(lie, &analysis.text) {
                self.lies_shipped.push(lie.text.clone());
            }
        }
    }

    fn row(&self, name: &str, rows: &mut String) {
        writeln!(
            rows,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.questions,
            self.named,
            self.worded,
            self.kept,
            self.dropped,
            self.lies_told,
            self.lies_shipped.len(),
            self.tokens / u64::from(self.questions.max(1))
        )
        .unwrap();
    }
}

fn page(count: usize, rows: &str) -> String {
    let commit = std::env::var("CORAL_EVAL_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    format!(
        "# Answers to questions in words\n\nWritten by `cargo xtask eval analysis` at commit {commit} (no figure here is a \
         time). {count} incidents with planted causes: a deployment\nthat slows its service, a full pool behind a slow \
         environment, a pattern that was confirmed, and a quiet environment. Each is\nasked about once with each model. \
         The models are programs that speak a provider's protocol: one repeats the evidence, the others\nlie in one way \
         each. Tokens are those that the fake states. A real model is asked as well where CORAL_EVAL_MODEL names one (vendor:model;\n\
         CORAL_EVAL_ENDPOINT, CORAL_EVAL_KEY); which of its sentences are lies is not known.\n\n\
         A lie is *shipped* if the answer has it. The check drops sentences; where too few are left, the template is the \
         answer.\n\n\
         | model | questions | cause named | worded by the model | sentences kept | dropped | lies told | lies shipped | tokens a question |\n\
         |---|---|---|---|---|---|---|---|---|\n{rows}"
    )
}
