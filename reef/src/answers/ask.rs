//! All questions as one type, so that a running reef and a program that reads its store answer alike.

use super::affected::{AffectedQuestion, affected};
use super::colonies::{ColoniesQuestion, colonies};
use super::compare::{CompareQuestion, compare};
use super::completeness::Completeness;
use super::correlations::{CorrelationQuestion, CorrelationsQuestion, correlation, correlations};
use super::deployment::{DeploymentQuestion, deployment};
use super::deployments::{DeploymentsQuestion, deployments};
use super::events::{EventsQuestion, events};
use super::fleet::Scope;
use super::gate::{GateQuestion, gate};
use super::health::{HealthQuestion, health};
use super::metrics::{MetricsQuestion, metrics};
use super::predictions::{PredictionsQuestion, predictions};
use super::refusal::AnswerError;
use super::status::{StatusQuestion, status};
use super::topology::{TopologyQuestion, topology};
use super::versions::{VersionsQuestion, versions};
use serde::{Deserialize, Serialize};
use sinks::StoreReader;

/// A question about a reef.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    /// The deployments.
    Deployments(DeploymentsQuestion),
    /// One deployment.
    Deployment(DeploymentQuestion),
    /// Whom a deployment or an event affects.
    Affected(AffectedQuestion),
    /// Whether a version may go to the next environment.
    Gate(GateQuestion),
    /// Two environments.
    Compare(CompareQuestion),
    /// Whether the reef runs, and how it is.
    Status(StatusQuestion),
    /// How the colonies are.
    Health(HealthQuestion),
    /// Which version runs where.
    Versions(VersionsQuestion),
    /// Services and calls.
    Topology(TopologyQuestion),
    /// The patterns.
    Correlations(CorrelationsQuestion),
    /// One pattern.
    Correlation(CorrelationQuestion),
    /// The colonies.
    Colonies(ColoniesQuestion),
    /// Events of a range of time.
    Events(EventsQuestion),
    /// Metrics of a range of time.
    Metrics(MetricsQuestion),
    /// What is about to happen.
    Predictions(PredictionsQuestion),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "as the questions")]
pub enum Answered {
    Deployments(super::deployments::Deployments),
    Deployment(Box<super::deployment::Deployment>),
    Affected(Box<super::affected::Affected>),
    Gate(Box<super::gate::Gate>),
    Compare(super::compare::Comparison),
    Status(Box<super::status::Status>),
    Health(super::health::Health),
    Versions(super::versions::Versions),
    Topology(super::topology::Topology),
    Correlations(super::correlations::Correlations),
    Correlation(Box<super::correlations::OneCorrelation>),
    Colonies(super::colonies::Colonies),
    Events(super::events::Events),
    Metrics(super::metrics::Metrics),
    Predictions(super::predictions::Predictions),
}

impl Question {
    /// Answers from a store.
    ///
    /// # Errors
    /// Those of the store, and a question that cannot be answered as it is.
    pub async fn answer(&self, reader: &dyn StoreReader, scope: &Scope) -> Result<Answered, AnswerError> {
        Ok(match self {
            Question::Deployments(question) => Answered::Deployments(deployments(question, reader, scope).await?),
            Question::Deployment(question) => {
                Answered::Deployment(Box::new(deployment(question, reader, scope).await?))
            }
            Question::Affected(question) => Answered::Affected(Box::new(affected(question, reader, scope).await?)),
            Question::Gate(question) => Answered::Gate(Box::new(gate(question, reader, scope).await?)),
            Question::Compare(question) => Answered::Compare(compare(question, reader, scope).await?),
            Question::Status(question) => Answered::Status(Box::new(status(question, reader, scope).await?)),
            Question::Health(question) => Answered::Health(health(question, reader, scope).await?),
            Question::Versions(question) => Answered::Versions(versions(question, reader, scope).await?),
            Question::Topology(question) => Answered::Topology(topology(question, reader, scope).await?),
            Question::Correlations(question) => Answered::Correlations(correlations(question, reader, scope).await?),
            Question::Correlation(question) => {
                Answered::Correlation(Box::new(correlation(question, reader, scope).await?))
            }
            Question::Colonies(question) => Answered::Colonies(colonies(question, reader, scope).await?),
            Question::Events(question) => Answered::Events(events(question, reader, scope).await?),
            Question::Metrics(question) => Answered::Metrics(metrics(question, reader, scope).await?),
            Question::Predictions(question) => Answered::Predictions(predictions(question, reader, scope).await?),
        })
    }
}

impl Answered {
    /// For people; ends with a line break, has no colours.
    pub fn text(&self) -> String {
        match self {
            Answered::Deployments(answer) => answer.text(),
            Answered::Deployment(answer) => answer.text(),
            Answered::Affected(answer) => answer.text(),
            Answered::Gate(answer) => answer.text(),
            Answered::Compare(answer) => answer.text(),
            Answered::Status(answer) => answer.text(),
            Answered::Health(answer) => answer.text(),
            Answered::Versions(answer) => answer.text(),
            Answered::Topology(answer) => answer.text(),
            Answered::Correlations(answer) => answer.text(),
            Answered::Correlation(answer) => answer.text(),
            Answered::Colonies(answer) => answer.text(),
            Answered::Events(answer) => answer.text(),
            Answered::Metrics(answer) => answer.text(),
            Answered::Predictions(answer) => answer.text(),
        }
    }

    /// What it is complete to.
    pub fn completeness(&self) -> &Completeness {
        match self {
            Answered::Deployments(answer) => &answer.completeness,
            Answered::Deployment(answer) => &answer.completeness,
            Answered::Affected(answer) => &answer.completeness,
            Answered::Gate(answer) => &answer.completeness,
            Answered::Compare(answer) => &answer.completeness,
            Answered::Status(answer) => &answer.completeness,
            Answered::Health(answer) => &answer.completeness,
            Answered::Versions(answer) => &answer.completeness,
            Answered::Topology(answer) => &answer.completeness,
            Answered::Correlations(answer) => &answer.completeness,
            Answered::Correlation(answer) => &answer.completeness,
            Answered::Colonies(answer) => &answer.health.completeness,
            Answered::Events(answer) => &answer.completeness,
            Answered::Metrics(answer) => &answer.completeness,
            Answered::Predictions(answer) => &answer.completeness,
        }
    }
}
