//! `ReefService`: what is stored, read by a library of answers.

use super::Served;
use super::convert::{affected, analysis, correlations, deployment, fleet, predictions, promotion, rows, sql};
use super::errors::{of_answer, of_refusal, of_sql};
use super::{requests, wire};
use crate::answers::affected::affected as find_affected;
use crate::answers::colonies::colonies;
use crate::answers::correlations::{correlation, correlations as list_correlations};
use crate::answers::deployment::deployment as find_deployment;
use crate::answers::deployments::deployments;
use crate::answers::events::events;
use crate::answers::gate::gate;
use crate::answers::health::health;
use crate::answers::metrics::metrics;
use crate::answers::part::asked;
use crate::answers::predictions::predictions as list_predictions;
use crate::answers::status::{StatusQuestion, status};
use crate::answers::topology::topology;
use crate::answers::versions::versions;
use connectrpc::{RequestContext, Response, ServiceRequest, ServiceResult};
use sinks::StoreWriter;
use sinks::memory::MemoryStore;

#[allow(refining_impl_trait, reason = "responses are messages, and nothing else calls these")]
impl wire::ReefService for Served {
    async fn get_status(
        &self,
        _context: RequestContext,
        _request: ServiceRequest<'_, wire::GetStatusRequest>,
    ) -> ServiceResult<wire::GetStatusResponse> {
        let question = StatusQuestion { run: self.run_facts() };
        // a run that opens its store has no rows to show, and says that it is being restored
        let nothing = MemoryStore::new();
        let reader = if self.reading.is_opening() { nothing.reader() } else { self.reader().await? };
        let answer = status(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(fleet::status(answer))
    }

    async fn list_colonies(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ListColoniesRequest>,
    ) -> ServiceResult<wire::ListColoniesResponse> {
        let question = requests::colonies(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = colonies(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(fleet::colonies(answer))
    }

    async fn get_health(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::GetHealthRequest>,
    ) -> ServiceResult<wire::GetHealthResponse> {
        let (question, part) = requests::health(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = health(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        let part = (&part, &*asked("health", &question));
        Response::ok(fleet::health(answer, Some(part)).map_err(|it| of_refusal(&it))?)
    }

    async fn list_versions(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ListVersionsRequest>,
    ) -> ServiceResult<wire::ListVersionsResponse> {
        let (question, part) = requests::versions(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = versions(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        let part = (&part, &*asked("versions", &question));
        Response::ok(fleet::versions(answer, Some(part)).map_err(|it| of_refusal(&it))?)
    }

    async fn get_topology(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ReefServiceGetTopologyRequest>,
    ) -> ServiceResult<wire::ReefServiceGetTopologyResponse> {
        let (question, part) = requests::topology(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = topology(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        let part = (&part, &*asked("topology", &question));
        Response::ok(fleet::topology(answer, Some(part)).map_err(|it| of_refusal(&it))?)
    }

    async fn query_metrics(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::QueryMetricsRequest>,
    ) -> ServiceResult<wire::QueryMetricsResponse> {
        let question = requests::metrics(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = metrics(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(rows::metrics(answer))
    }

    async fn query_events(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::QueryEventsRequest>,
    ) -> ServiceResult<wire::QueryEventsResponse> {
        let question = requests::events(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = events(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(rows::events(answer))
    }

    async fn list_deployments(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ListDeploymentsRequest>,
    ) -> ServiceResult<wire::ListDeploymentsResponse> {
        let question = requests::deployments(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = deployments(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(deployment::list(answer))
    }

    async fn get_deployment(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::GetDeploymentRequest>,
    ) -> ServiceResult<wire::GetDeploymentResponse> {
        let id = request.deployment_id.to_owned();
        let question = requests::deployment(id).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = find_deployment(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(deployment::one(answer))
    }

    async fn list_correlations(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ListCorrelationsRequest>,
    ) -> ServiceResult<wire::ListCorrelationsResponse> {
        let question = requests::correlations(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = list_correlations(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(correlations::list(answer))
    }

    async fn get_correlation(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::GetCorrelationRequest>,
    ) -> ServiceResult<wire::GetCorrelationResponse> {
        let question = requests::correlation(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = correlation(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(correlations::one(answer))
    }

    async fn list_predictions(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ListPredictionsRequest>,
    ) -> ServiceResult<wire::ListPredictionsResponse> {
        let question = requests::predictions(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = list_predictions(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(predictions::list(answer))
    }

    async fn list_affected(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ListAffectedRequest>,
    ) -> ServiceResult<wire::ListAffectedResponse> {
        let question = requests::affected(request.id.to_owned()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = find_affected(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(affected::list(answer))
    }

    async fn assess_promotion(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::AssessPromotionRequest>,
    ) -> ServiceResult<wire::AssessPromotionResponse> {
        let question = requests::promotion(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = gate(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(promotion::assessed(answer))
    }
    async fn list_analyses(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::ListAnalysesRequest>,
    ) -> ServiceResult<wire::ListAnalysesResponse> {
        let (id, part) = requests::analyses(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let list = self.analyst().listed(reader.as_ref(), id.as_deref(), &part).await.map_err(of_answer)?;
        Response::ok(analysis::recorded(list))
    }
    async fn query(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::QueryRequest>,
    ) -> ServiceResult<wire::QueryResponse> {
        let (question, form) = requests::sql(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = self.sql().answer(&question, &reader, self.scope()).await.map_err(of_sql)?;
        Response::ok(sql::rows(answer, form).map_err(of_sql)?)
    }
}
