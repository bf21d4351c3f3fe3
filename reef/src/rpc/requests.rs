//! Requests: what a request says, as a question of the library of answers. Empty texts and zeros are absent.

use super::convert::shared::Time;
use super::convert::sql::Form;
use super::wire;
use crate::analysis::AnalyzeQuestion;
use crate::answers::Refusal;
use crate::answers::affected::AffectedQuestion;
use crate::answers::colonies::ColoniesQuestion;
use crate::answers::compare::CompareQuestion;
use crate::answers::correlations::{CorrelationQuestion, CorrelationsQuestion};
use crate::answers::deployment::DeploymentQuestion;
use crate::answers::deployments::DeploymentsQuestion;
use crate::answers::events::EventsQuestion;
use crate::answers::fleet::Filter;
use crate::answers::gate::GateQuestion;
use crate::answers::health::HealthQuestion;
use crate::answers::metrics::MetricsQuestion;
use crate::answers::part::Part;
use crate::answers::predictions::PredictionsQuestion;
use crate::answers::range::RangeQuestion;
use crate::answers::topology::TopologyQuestion;
use crate::answers::versions::VersionsQuestion;
use crate::sql::SqlQuestion;
use buffa_types::google::protobuf::Timestamp;
use model::time::{TimeMs, parse_duration_ms};

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.trim().is_empty())
}

fn filter(colony_ids: Vec<String>, environment: String, application_name: String, service_id: String) -> Filter {
    Filter {
        colonies: colony_ids,
        environment: given(environment),
        application: given(application_name),
        service: given(service_id),
        ..Filter::default()
    }
}

fn part(limit: i32, cursor: String) -> Result<Part, Refusal> {
    let limit = match limit {
        0 => None,
        limit => Some(usize::try_from(limit).map_err(|_| {
            Refusal::invalid(format!("limit is {limit}"), format!("give 1 to {}", crate::answers::part::LIMIT_MAX))
                .at("limit")
        })?),
    };
    Ok(Part { limit, cursor: given(cursor), skip: 0 })
}

fn duration(text: String, field: &str) -> Result<Option<i64>, Refusal> {
    let read = |text: String| {
        parse_duration_ms(&text)
            .map_err(|error| Refusal::invalid(error.to_string(), "the usual ones are 1h, 24h and 7d").at(field))
    };
    given(text).map(read).transpose()
}

fn time(field: Time) -> Option<TimeMs> {
    let ms = |time: &Timestamp| time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos / 1_000_000));
    field.as_option().map(|time| TimeMs(ms(time)))
}

fn range((start, end): (Time, Time), time_window: String) -> Result<RangeQuestion, Refusal> {
    Ok(RangeQuestion {
        from: time(start),
        to: time(end),
        window_ms: duration(time_window, "time_window")?,
        ..Default::default()
    })
}

pub(super) fn events(request: wire::QueryEventsRequest) -> Result<EventsQuestion, Refusal> {
    Ok(EventsQuestion {
        filter: filter(request.colony_ids, request.environment, request.application_name, request.service_id),
        event_types: request.event_types,
        severity: given(request.severity),
        range: range((request.start_time, request.end_time), request.time_window)?,
        part: part(request.limit, request.cursor)?,
    })
}

pub(super) fn metrics(request: wire::QueryMetricsRequest) -> Result<MetricsQuestion, Refusal> {
    Ok(MetricsQuestion {
        filter: filter(request.colony_ids, request.environment, request.application_name, request.service_id),
        metric_names: request.metric_names,
        range: range((request.start_time, request.end_time), request.time_window)?,
        step_ms: duration(request.step, "step")?,
        points_max: None,
        part: part(request.limit, request.cursor)?,
    })
}

/// Fails if another reef is meant.
pub(super) fn is_for(given: &str, reef_id: &str) -> Result<(), Refusal> {
    if given.is_empty() || given == reef_id {
        return Ok(());
    }
    let message = format!("there is no reef {given:?} here");
    Err(Refusal::not_found(message, format!("this one is {reef_id:?}; leave reef_id empty")).at("reef_id"))
}

pub(super) fn colonies(request: wire::ListColoniesRequest) -> Result<ColoniesQuestion, Refusal> {
    let filter = filter(request.colony_ids, request.environment, request.application_name, String::new());
    Ok(ColoniesQuestion { filter, part: part(request.limit, request.cursor)? })
}

pub(super) fn health(request: wire::GetHealthRequest) -> Result<(HealthQuestion, Part), Refusal> {
    let filter = filter(request.colony_ids, request.environment, request.application_name, String::new());
    Ok((HealthQuestion { filter }, part(request.limit, request.cursor)?))
}

pub(super) fn versions(request: wire::ListVersionsRequest) -> Result<(VersionsQuestion, Part), Refusal> {
    let filter = filter(request.colony_ids, request.environment, request.application_name, request.service_id);
    Ok((VersionsQuestion { filter, behind: request.behind }, part(request.limit, request.cursor)?))
}

pub(super) fn topology(request: wire::ReefServiceGetTopologyRequest) -> Result<(TopologyQuestion, Part), Refusal> {
    let filter = filter(request.colony_ids, request.environment, request.application_name, request.service_id);
    Ok((TopologyQuestion { filter }, part(request.limit, request.cursor)?))
}

pub(super) fn deployments(request: wire::ListDeploymentsRequest) -> Result<DeploymentsQuestion, Refusal> {
    let filter = filter(request.colony_ids, request.environment, request.application_name, request.service_id);
    let part = part(request.limit, request.cursor)?;
    let (status, version, order) = (given(request.status), given(request.version), given(request.order));
    Ok(DeploymentsQuestion { filter, status, version, order, part })
}

pub(super) fn deployment(deployment_id: String) -> Result<DeploymentQuestion, Refusal> {
    match given(deployment_id) {
        Some(id) => Ok(DeploymentQuestion { id }),
        None => {
            let hint = "name a deployment, or list them: ListDeployments";
            Err(Refusal::invalid("no deployment is named", hint).at("deployment_id"))
        }
    }
}

pub(super) fn correlations(request: wire::ListCorrelationsRequest) -> Result<CorrelationsQuestion, Refusal> {
    let filter = filter(request.colony_ids, request.environment, request.application_name, request.service_id);
    let part = part(request.limit, request.cursor)?;
    Ok(CorrelationsQuestion { filter, state: given(request.state), as_of: time(request.as_of), part })
}

pub(super) fn correlation(request: wire::GetCorrelationRequest) -> Result<CorrelationQuestion, Refusal> {
    match given(request.correlation_id) {
        Some(id) => Ok(CorrelationQuestion { id }),
        None => {
            let hint = "name a pattern, or list them: ListCorrelations";
            Err(Refusal::invalid("no pattern is named", hint).at("correlation_id"))
        }
    }
}

pub(super) fn predictions(request: wire::ListPredictionsRequest) -> Result<PredictionsQuestion, Refusal> {
    Ok(PredictionsQuestion {
        filter: filter(request.colony_ids, request.environment, request.application_name, request.service_id),
        outcome: given(request.outcome),
        pattern: given(request.correlation_id),
        as_of: time(request.as_of),
        part: part(request.limit, request.cursor)?,
    })
}

pub(super) fn affected(id: String) -> Result<AffectedQuestion, Refusal> {
    let hint = "name a deployment or an event, or list them: ListDeployments, QueryEvents";
    match given(id) {
        Some(id) => Ok(AffectedQuestion { id }),
        None => Err(Refusal::invalid("nothing is named", hint).at("id")),
    }
}

pub(super) fn promotion(request: wire::AssessPromotionRequest) -> Result<GateQuestion, Refusal> {
    let named = |text: String, what: &str, field: &str| {
        given(text).ok_or_else(|| Refusal::invalid(format!("no {what} is named"), format!("name the {what}")).at(field))
    };
    Ok(GateQuestion {
        service: named(request.service_id, "service", "service_id")?,
        version: named(request.version, "version", "version")?,
        from: named(request.from_environment, "environment", "from_environment")?,
        to: named(request.to_environment, "environment", "to_environment")?,
        application: given(request.application_name),
    })
}

pub(super) fn analyze(request: wire::AnalyzeRequest) -> Result<AnalyzeQuestion, Refusal> {
    Ok(AnalyzeQuestion {
        question: request.question,
        colonies: request.colony_ids,
        window_ms: duration(request.time_window, "time_window")?,
        patterns: request.include_correlations,
    })
}

/// One analysis, or a part of the list.
pub(super) fn analyses(request: wire::ListAnalysesRequest) -> Result<(Option<String>, Part), Refusal> {
    Ok((given(request.analysis_id), part(request.limit, request.cursor)?))
}

pub(super) fn compare(request: wire::CompareRequest) -> Result<CompareQuestion, Refusal> {
    let named = |text: String, field: &str| {
        given(text).ok_or_else(|| Refusal::invalid("no environment is named", "name two").at(field))
    };
    if !request.colony_ids.is_empty() {
        let hint = "leave it empty and name the application_name";
        return Err(Refusal::invalid("hours are stored by environment, not by colony", hint).at("colony_ids"));
    }
    let window_ms = duration(request.time_window, "time_window")?;
    Ok(CompareQuestion {
        environment_a: named(request.environment_a, "environment_a")?,
        environment_b: named(request.environment_b, "environment_b")?,
        metric: given(request.metric),
        window_ms,
        application: given(request.application_name),
    })
}

/// A statement, and how its rows come.
pub(super) fn sql(request: wire::QueryRequest) -> Result<(SqlQuestion, Form), Refusal> {
    let limit = match request.limit {
        0 => None,
        rows => {
            let wrong = || Refusal::invalid(format!("limit is {rows}"), "give 1 to 100000, or 0 for 1000").at("limit");
            Some(usize::try_from(rows).map_err(|_| wrong())?)
        }
    };
    let timeout_ms = duration(request.timeout, "timeout")?.map(|ms| u64::try_from(ms).unwrap_or(0));
    let form = match request.format.as_str() {
        "" | "json" => Form::Json,
        "arrow" => Form::Arrow,
        other => {
            return Err(Refusal::invalid(format!("there is no format {other:?}"), "give json or arrow").at("format"));
        }
    };
    Ok((SqlQuestion { sql: request.sql, limit, timeout_ms }, form))
}
