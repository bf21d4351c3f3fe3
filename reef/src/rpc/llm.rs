//! `ReefLLM`: the two methods that need no model; the others say that there is none.

use super::convert::{compare as comparison, deployment as deployments};
use super::errors::{no_model, of_answer, of_refusal};
use super::{Served, requests, wire};
use crate::answers::compare::compare;
use crate::answers::deployment::deployment;
use connectrpc::{RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream};

#[allow(refining_impl_trait, reason = "responses are messages, and nothing else calls these")]
impl wire::ReefLlm for Served {
    async fn analyze(
        &self,
        _context: RequestContext,
        _request: ServiceRequest<'_, wire::AnalyzeRequest>,
    ) -> ServiceResult<wire::AnalyzeResponse> {
        Err(no_model())
    }

    async fn compare_environments(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::CompareRequest>,
    ) -> ServiceResult<wire::CompareResponse> {
        requests::is_for(request.reef_id, &self.scope().reef_id).map_err(|it| of_refusal(&it))?;
        let question = requests::compare(request.to_owned_message()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = compare(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(comparison::comparison(answer))
    }

    async fn analyze_deployment(
        &self,
        _context: RequestContext,
        request: ServiceRequest<'_, wire::DeploymentRequest>,
    ) -> ServiceResult<wire::DeploymentResponse> {
        requests::is_for(request.reef_id, &self.scope().reef_id).map_err(|it| of_refusal(&it))?;
        let question = requests::deployment(request.deployment_id.to_owned()).map_err(|it| of_refusal(&it))?;
        let reader = self.reader().await?;
        let answer = deployment(&question, reader.as_ref(), self.scope()).await.map_err(of_answer)?;
        Response::ok(deployments::analysed(answer))
    }

    async fn stream_analysis(
        &self,
        _context: RequestContext,
        _request: ServiceRequest<'_, wire::AnalyzeRequest>,
    ) -> ServiceResult<ServiceStream<wire::AnalysisChunk>> {
        Err(no_model())
    }
}
