//! The tools, as one table, in the order in which they are listed.

use super::arguments::{
    APPLICATION, Argument, Arguments, BACK_TO, BEHIND, BOTH, COLONIES, CORRELATION_ID, CURSOR, DEPLOYMENT_ID, END,
    ENVIRONMENTS, EVENT_TYPES, LIMIT, METRIC, METRICS, ORDER, OUTCOME, REEF, SERVICE, SEVERITY, START, STATE, STATUS,
    STEP, VERSION,
};
use super::moment::{range, window_ms};
use crate::answers::colonies::ColoniesQuestion;
use crate::answers::compare::CompareQuestion;
use crate::answers::correlations::{CorrelationQuestion, CorrelationsQuestion};
use crate::answers::deployment::DeploymentQuestion;
use crate::answers::deployments::DeploymentsQuestion;
use crate::answers::events::EventsQuestion;
use crate::answers::metrics::MetricsQuestion;
use crate::answers::part;
use crate::answers::predictions::PredictionsQuestion;
use crate::answers::status::StatusQuestion;
use crate::answers::topology::TopologyQuestion;
use crate::answers::versions::VersionsQuestion;
use crate::answers::{Question, Refusal};
use model::time::parse_duration_ms;
use serde_json::{Map, Value};

/// Points of a series where no step is given: an answer has many series.
const POINTS_MAX: i64 = 24;

/// A tool.
pub(super) struct Tool {
    /// Its name.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
    /// For the model.
    pub(super) about: &'static str,
    /// What it takes.
    pub(super) arguments: &'static [Argument],
    /// What it needs.
    pub(super) required: &'static [&'static str],
    /// Where the list of the document is that becomes `items`.
    pub(super) list: &'static str,
    /// Fields of each item, with their types in JSON Schema.
    pub(super) item: &'static [(&'static str, &'static str)],
    /// Fields that tell an item from the others, where the part is taken here.
    pub(super) key: &'static [&'static str],
    /// Who takes the part of the list.
    pub(super) parts: Parts,
    /// What becomes of an item.
    pub(super) shaped: fn(Value) -> Value,
    /// A list of the document that belongs to the items.
    pub(super) beside: Option<Beside>,
    /// The question.
    pub(super) question: fn(&Arguments) -> Result<Question, Refusal>,
    /// How to ask for less.
    pub(super) narrow: &'static str,
    /// What to call when there is nothing.
    pub(super) otherwise: &'static str,
}

/// Who takes the part of a list that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// The question has a part, and the document is of it.
    Question,
    /// The document has all.
    Here,
}

/// Entries that come with their item.
pub(super) struct Beside {
    /// The list.
    pub(super) field: &'static str,
    /// What tells the item, in an entry.
    pub(super) entry: [&'static str; 2],
    /// The same in the item.
    pub(super) item: [&'static str; 2],
}

/// All of them.
pub(super) static TOOLS: &[Tool] = &[
    Tool {
        name: "reef_list_colonies",
        title: "List colonies",
        about: "Colonies (one application in one environment) with health and up to when each is known. Call it first.",
        arguments: &[REEF, COLONIES, ENVIRONMENTS, APPLICATION, LIMIT, CURSOR],
        required: &[],
        list: "colonies",
        item: &[("colony_id", "string"), ("environment", "string"), ("health", "string"), ("state", "string")],
        parts: Parts::Question,
        question: |it| Ok(Question::Colonies(ColoniesQuestion { filter: it.filter(), part: it.part() })),
        narrow: "name colonies or environments",
        otherwise: "reef_get_status shows whether the reef runs",
        ..USUAL
    },
    Tool {
        name: "reef_get_status",
        title: "Status of the reef",
        about: "Whether the reef runs, health of its colonies, and the patterns confirmed last.",
        arguments: &[REEF, LIMIT, CURSOR],
        list: "colonies",
        item: &[("colony_id", "string"), ("health", "string"), ("services", "integer")],
        key: &["colony_id"],
        question: |_| Ok(Question::Status(StatusQuestion { run: None })),
        narrow: "reef_list_colonies takes colonies and environments",
        otherwise: "nothing has been received yet: start the reef, or add a colony",
        ..USUAL
    },
    Tool {
        name: "reef_list_services",
        title: "List services and versions",
        about: "Services with the version that runs in each colony, and which are behind.",
        arguments: &[REEF, COLONIES, ENVIRONMENTS, APPLICATION, SERVICE, BEHIND, LIMIT, CURSOR],
        list: "services",
        item: &[("service_id", "string"), ("colony_id", "string"), ("version", "string"), ("standing", "string")],
        key: &["application_name", "service_id", "environment", "colony_id"],
        question: |it| Ok(Question::Versions(VersionsQuestion { filter: it.filter(), behind: it.flag("behind") })),
        narrow: "name a service, colonies or environments",
        otherwise: "reef_get_topology, or reef_query_events for services that state no version",
        ..USUAL
    },
    Tool {
        name: "reef_query_metrics",
        title: "Query metrics",
        about: "Metric series. A point is [begin, value (mean p95), max, samples, buckets].",
        arguments: &[REEF, COLONIES, ENVIRONMENTS, APPLICATION, SERVICE, METRICS, START, END, STEP, LIMIT, CURSOR],
        list: "series",
        item: &[("colony_id", "string"), ("service_id", "string"), ("metric_name", "string"), ("points", "array")],
        parts: Parts::Question,
        shaped: points_as_rows,
        question: |it| {
            let (start, end) = it.moments();
            let step = it.text("step").map(|step| duration(&step)).transpose()?;
            Ok(Question::Metrics(MetricsQuestion {
                filter: it.filter(),
                metric_names: it.texts("metrics"),
                range: range(start, end),
                step_ms: step,
                points_max: Some(POINTS_MAX),
                part: it.part(),
            }))
        },
        narrow: "name metrics, a service or colonies, or take a longer step",
        otherwise: "an earlier start (now-7d), or reef_list_colonies to see up to when rows came",
        ..USUAL
    },
    Tool {
        name: "reef_query_events",
        title: "Query events",
        about: "Events (deploys, restarts, crashes, alerts), newest first.",
        arguments: &[
            REEF,
            COLONIES,
            ENVIRONMENTS,
            APPLICATION,
            SERVICE,
            EVENT_TYPES,
            SEVERITY,
            START,
            END,
            LIMIT,
            CURSOR,
        ],
        list: "events",
        item: &[("colony_id", "string"), ("event_id", "string"), ("timestamp", "string"), ("event_type", "string")],
        parts: Parts::Question,
        question: |it| {
            let (start, end) = it.moments();
            Ok(Question::Events(EventsQuestion {
                filter: it.filter(),
                event_types: it.texts("event_types"),
                severity: it.text("severity"),
                range: range(start, end),
                part: it.part(),
            }))
        },
        narrow: "name event_types, a severity, a service, or a shorter range",
        otherwise: "an earlier start (now-7d), a lower severity, or reef_list_colonies to see up to when rows came",
        ..USUAL
    },
    Tool {
        name: "reef_compare_environments",
        title: "Compare environments",
        about: "How the metrics of two environments of an application differ, worst first, over the hours both have.",
        arguments: &[REEF, BOTH, APPLICATION, METRIC, BACK_TO, LIMIT, CURSOR],
        required: &["environments"],
        list: "differences",
        item: &[("metric_name", "string"), ("value_a", "number"), ("value_b", "number"), ("significance", "string")],
        key: &["metric_name"],
        question: |it| {
            let mut two = it.texts("environments").into_iter();
            Ok(Question::Compare(CompareQuestion {
                environment_a: two.next().unwrap_or_default(),
                environment_b: two.next().unwrap_or_default(),
                metric: it.text("metric"),
                window_ms: window_ms(it.start())?,
                application: it.text("application"),
            }))
        },
        narrow: "name a metric",
        otherwise: "an earlier start (now-7d), or reef_query_metrics to see what each environment has",
        ..USUAL
    },
    Tool {
        name: "reef_list_deployments",
        title: "List deployments",
        about: "Deployments, newest first.",
        arguments: &[REEF, COLONIES, ENVIRONMENTS, APPLICATION, SERVICE, STATUS, VERSION, ORDER, LIMIT, CURSOR],
        list: "deployments",
        item: &[
            ("deployment_id", "string"),
            ("colony_id", "string"),
            ("service_id", "string"),
            ("started_at", "string"),
            ("status", "string"),
        ],
        parts: Parts::Question,
        question: |it| {
            Ok(Question::Deployments(DeploymentsQuestion {
                filter: it.filter(),
                status: it.text("status"),
                version: it.text("version"),
                order: it.text("order"),
                part: it.part(),
            }))
        },
        narrow: "name a service, environments, a status or a version",
        otherwise: "reef_query_events with event_types deploy, deployment, release, rollout, rollback",
        ..USUAL
    },
    Tool {
        name: "reef_get_deployment_impact",
        title: "Impact of a deployment",
        about: "One deployment: verdict, metrics before and after (items), incidents that followed, similar ones.",
        arguments: &[REEF, DEPLOYMENT_ID, LIMIT, CURSOR],
        required: &["deployment_id"],
        list: "impact/changes",
        item: &[
            ("metric_name", "string"),
            ("before_value", "number"),
            ("after_value", "number"),
            ("significance", "string"),
        ],
        key: &["metric_name"],
        question: |it| {
            let id = it.text("deployment_id").unwrap_or_default();
            Ok(Question::Deployment(DeploymentQuestion { id }))
        },
        narrow: "continue with the cursor",
        otherwise: "no metric of its service was judged, see impact.verdict_reason; reef_query_metrics has the series",
        ..USUAL
    },
    Tool {
        name: "reef_list_correlations",
        title: "List patterns",
        about: "Patterns: an event or metric that follows another with a time lag, best first.",
        arguments: &[REEF, COLONIES, ENVIRONMENTS, APPLICATION, SERVICE, STATE, LIMIT, CURSOR],
        list: "correlations",
        item: &[
            ("correlation_id", "string"),
            ("state", "string"),
            ("pattern_description", "string"),
            ("confidence", "number"),
            ("lag_seconds", "integer"),
        ],
        parts: Parts::Question,
        question: |it| {
            Ok(Question::Correlations(CorrelationsQuestion {
                filter: it.filter(),
                state: it.text("state"),
                as_of: None,
                part: it.part(),
            }))
        },
        narrow: "name a service, colonies or environments",
        otherwise: "the same with state all, which adds candidates and withdrawn ones",
        ..USUAL
    },
    Tool {
        name: "reef_explain_correlation",
        title: "Rows behind a pattern",
        about: "One pattern and the matched pairs of rows behind it (items).",
        arguments: &[REEF, CORRELATION_ID, LIMIT, CURSOR],
        required: &["correlation_id"],
        list: "evidence",
        item: &[("source_ref", "string"), ("target_ref", "string"), ("source_timestamp", "string")],
        key: &["source_ref", "target_ref", "source_timestamp"],
        question: |it| {
            let id = it.text("correlation_id").unwrap_or_default();
            Ok(Question::Correlation(CorrelationQuestion { id }))
        },
        narrow: "continue with the cursor",
        otherwise: "the rows behind it are older than what is kept",
        ..USUAL
    },
    Tool {
        name: "reef_list_predictions",
        title: "List predictions",
        about: "What patterns expect next, when and how probably; how often each was right (patterns).",
        arguments: &[REEF, COLONIES, ENVIRONMENTS, APPLICATION, SERVICE, OUTCOME, CORRELATION_ID, LIMIT, CURSOR],
        list: "predictions",
        item: &[("summary", "string"), ("correlation_id", "string"), ("outcome", "string"), ("probability", "number")],
        parts: Parts::Question,
        question: |it| {
            Ok(Question::Predictions(PredictionsQuestion {
                outcome: it.text("outcome"),
                pattern: it.text("correlation_id"),
                filter: it.filter(),
                as_of: None,
                part: it.part(),
            }))
        },
        narrow: "name a service, colonies or environments",
        otherwise: "the same with outcome all, which adds earlier ones; reef_list_correlations has the patterns",
        ..USUAL
    },
    Tool {
        name: "reef_get_topology",
        title: "Services and calls",
        about: "Services (items) and the calls between them (connections). With a service: it and its neighbours.",
        arguments: &[REEF, COLONIES, ENVIRONMENTS, APPLICATION, SERVICE, LIMIT, CURSOR],
        list: "services",
        item: &[("colony_id", "string"), ("service_id", "string"), ("status", "string")],
        key: &["colony_id", "service_id"],
        beside: Some(Beside {
            field: "connections",
            entry: ["colony_id", "from_service"],
            item: ["colony_id", "service_id"],
        }),
        question: |it| Ok(Question::Topology(TopologyQuestion { filter: it.filter() })),
        narrow: "name a service, colonies or environments",
        otherwise: "live colonies state their topology, files and topics carry none; reef_list_services, reef_query_events",
        ..USUAL
    },
];

impl Tool {
    /// The arguments of a call.
    pub(super) fn read(&self, given: Map<String, Value>) -> Result<Arguments, Refusal> {
        Arguments::read(self.name, (self.arguments, self.required), given)
    }

    /// A short name of an item, as cursors carry it.
    pub(super) fn name_of(&self, item: &Value) -> String {
        let fields: Vec<&Value> = self.key.iter().map(|name| &item[*name]).collect();
        part::asked(self.list, &fields)
    }
}

/// What most tools have in common.
const USUAL: Tool = Tool {
    name: "",
    title: "",
    about: "",
    arguments: &[],
    required: &[],
    list: "",
    item: &[],
    key: &[],
    parts: Parts::Here,
    shaped: |item| item,
    beside: None,
    question: |_| Ok(Question::Status(StatusQuestion { run: None })),
    narrow: "",
    otherwise: "",
};

/// The tool of this name.
pub(super) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

fn duration(text: &str) -> Result<i64, Refusal> {
    parse_duration_ms(text)
        .map_err(|error| Refusal::invalid(error.to_string(), "usual ones are 1m, 1h and 1d").at("step"))
}

/// Points as rows: their names would be most of the text.
fn points_as_rows(mut series: Value) -> Value {
    let rows = series["points"].as_array().into_iter().flatten().map(|point| {
        let columns = ["timestamp", "value", "max", "sample_count", "bucket_count"];
        Value::Array(columns.iter().map(|column| point[*column].clone()).collect())
    });
    series["points"] = rows.collect();
    series
}
