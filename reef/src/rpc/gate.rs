//! Gate: what every call passes: whether the caller may, whether its JSON is a request; and the response's JSON.

use super::{errors, json, table};
use crate::access::{Caller, Denied, DeniedKind, Role};
use connectrpc::interceptor::{PayloadStream, StreamRequest, StreamResponse, UnaryRequest, UnaryResponse};
use connectrpc::{CodecFormat, ConnectError, Interceptor, Next, NextStream, Payload, RequestContext};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_stream::StreamExt;

/// Before and after each call.
pub(super) struct Gate {
    calls: Semaphore,
}

/// Calls that may read the store at once; the store itself reads for two of them.
const CALLS_MAX: usize = 8;
/// How long a call may wait for its turn.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// Methods that spend tokens of a language model. They take no turn: a model would keep it, and the analyst has a limit of
/// its own.
const SPENDING: [&str; 2] = ["/coral.reef.v1.ReefLLM/Analyze", "/coral.reef.v1.ReefLLM/StreamAnalysis"];
/// What others have asked, and what it cost.
const RECORDED: &str = "/coral.reef.v1.ReefService/ListAnalyses";
/// Answers like `/readyz`: probes have no token.
const PROBED: &str = "/grpc.health.v1.Health/";

/// The role that a method needs.
fn needed(path: &str) -> Option<Role> {
    match path {
        path if path.starts_with(PROBED) => None,
        path if SPENDING.contains(&path) || path == RECORDED => Some(Role::Analyst),
        _ => Some(Role::Readonly),
    }
}

fn permit(context: &RequestContext) -> Result<(), ConnectError> {
    let Some(needed) = needed(context.path().unwrap_or_default()) else { return Ok(()) };
    let unknown = || Denied {
        kind: DeniedKind::Unauthenticated,
        message: "it is not known who calls".to_owned(),
        hint: "send a token: Authorization: Bearer coral_…",
    };
    let permitted = context.extensions().get::<Caller>().map_or_else(|| Err(unknown()), |caller| caller.permit(needed));
    permitted.map_err(|denied| errors::of_access(&denied))
}

fn check(method: &table::Method, payload: &Payload) -> Result<(), ConnectError> {
    match payload.format() {
        CodecFormat::Json => json::check(method.input, payload.bytes()).map_err(|wrong| errors::of_request(&wrong)),
        _ => Ok(()),
    }
}

/// The payload with all its fields, if it is JSON.
fn whole(method: &table::Method, payload: Payload) -> Result<Payload, ConnectError> {
    if payload.format() != CodecFormat::Json {
        return Ok(payload);
    }
    let failed = |error: serde_json::Error| ConnectError::internal(format!("the response cannot be written: {error}"));
    let value = serde_json::from_slice(&payload.encoded()?).map_err(failed)?;
    let text = serde_json::to_vec(&json::whole(method.output, value)).map_err(failed)?;
    Ok(Payload::new(text.into(), CodecFormat::Json))
}

impl Gate {
    pub(super) fn new() -> Gate {
        Gate { calls: Semaphore::new(CALLS_MAX) }
    }

    /// Waits for one's turn, a while.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, ConnectError> {
        let turn = tokio::time::timeout(TURN_WAIT, self.calls.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| errors::busy("calls"))
    }
}

#[connectrpc::async_trait]
impl Interceptor for Gate {
    async fn intercept_unary(&self, request: UnaryRequest, next: Next<'_>) -> Result<UnaryResponse, ConnectError> {
        permit(&request.ctx)?;
        let Some(method) = request.ctx.path().and_then(table::method) else { return next.run(request).await };
        check(method, &request.payload)?;
        let _turn = if SPENDING.contains(&method.path) { None } else { Some(self.turn().await?) };
        let mut response = next.run(request).await?;
        response.body = whole(method, response.body)?;
        Ok(response)
    }

    async fn intercept_streaming(
        &self,
        request: StreamRequest,
        inbound: PayloadStream,
        next: NextStream<'_>,
    ) -> Result<StreamResponse, ConnectError> {
        permit(&request.ctx)?;
        let Some(method) = request.ctx.path().and_then(table::method) else { return next.run(request, inbound).await };
        let checked = inbound.map(|payload| payload.and_then(|payload| check(method, &payload).map(|()| payload)));
        let response = next.run(request, Box::pin(checked)).await?;
        let written = |pieces: PayloadStream| -> PayloadStream {
            Box::pin(pieces.map(|piece| piece.and_then(|piece| whole(method, piece))))
        };
        Ok(response.map_body(written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_ours_needs_a_role_and_a_probe_needs_none() {
        for method in table::METHODS {
            let expected = if method.path.contains("Anal") && !method.path.ends_with("AnalyzeDeployment") {
                Role::Analyst
            } else {
                Role::Readonly
            };
            assert_eq!(needed(method.path), Some(expected), "{}", method.path);
        }
        assert_eq!(needed("/grpc.health.v1.Health/Check"), None);
        assert_eq!(needed("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), Some(Role::Readonly));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_gets_no_turn_is_told_when_to_come_again() {
        let gate = Gate::new();
        let mut turns = Vec::new();
        for _ in 0..CALLS_MAX {
            turns.push(gate.turn().await.expect("its turn"));
        }
        let refused = gate.turn().await.expect_err("no turn");
        assert_eq!(refused.code, connectrpc::ErrorCode::ResourceExhausted);
        assert_eq!(refused.response_headers().get("retry-after").map(|value| value.as_bytes()), Some(&b"1"[..]));
        turns.pop();
        drop(gate.turn().await.expect("its turn"));
    }
}
