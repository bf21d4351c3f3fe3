//! `ReefLLM`: questions in words, two environments, one deployment.

use super::convert::{analysis, compare as comparison, deployment as deployments};
use super::errors::{of_analysis, of_answer, of_refusal};
use super::{Served, pieces, requests, wire};
use crate::access::{Asker, Caller, Who};
use crate::analysis::Asked;
use crate::answers::compare::compare;
use crate::answers::deployment::deployment;
use connectrpc::{ConnectError, RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream};
use sinks::StoreReader;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a model may take where the caller names no deadline; below that of the listener.
const WAIT_USUAL: Duration = Duration::from_secs(28);
/// What is left for everything but the model.
const WAIT_MARGIN: Duration = Duration::from_secs(1);

impl Served {
    /// The question of a request, and who asks it.
    fn asked(
        &self,
        context: &RequestContext,
        request: wire::AnalyzeRequest,
        streamed: bool,
    ) -> Result<Asked, ConnectError> {
        requests::is_for(&request.reef_id, &self.scope().reef_id).map_err(|it| of_refusal(&it))?;
        let question = requests::analyze(request).map_err(|it| of_refusal(&it))?;
        let who = Who::of(context.extensions().get::<Asker>(), context.extensions().get::<Caller>());
        let wait = context.time_remaining().unwrap_or(WAIT_USUAL).saturating_sub(WAIT_MARGIN);
        Ok(Asked { question, caller: who.caller, role: who.role, streamed, wait })
    }

    /// A reader for a question; what opening it takes is gone from the question's time.
    async fn reader_within(&self, asked: &mut Asked) -> Result<Arc<dyn StoreReader>, ConnectError> {
        let began = Instant::now();
        let reader = self.reader().await?;
        asked.wait = asked.wait.saturating_sub(began.elapsed());
        Ok(reader)
    }
}

#[allow(refining_impl_trait, reason = "responses are messages, and nothing else calls these")]
impl wire::ReefLlm for Served {
    async fn analyze(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, wire::AnalyzeRequest>,
    ) -> ServiceResult<wire::AnalyzeResponse> {
        let mut asked = self.asked(&context, request.to_owned_message(), false)?;
        let reader = self.reader_within(&mut asked).await?;
        let answer = self.analyst().analyze(&asked, (reader.as_ref(), self.scope()), None).await;
        Response::ok(analysis::analysed(answer.map_err(of_analysis)?))
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
        context: RequestContext,
        request: ServiceRequest<'_, wire::AnalyzeRequest>,
    ) -> ServiceResult<ServiceStream<wire::AnalysisChunk>> {
        let mut asked = self.asked(&context, request.to_owned_message(), true)?;
        let reader = self.reader_within(&mut asked).await?;
        // what is wrong with the request, and a limit, are errors; what fails afterwards is in the last piece
        let admitted = self.analyst().admit(&asked).map_err(of_analysis)?;
        let from = (reader, self.scope().clone());
        Response::ok(pieces::stream(Arc::clone(self.analyst()), (admitted, asked), from))
    }
}
