//! Service: answers as each request of the suite says, and tells it back what was received.

use super::wire::{self, conformance_payload::RequestInfo, unary_response_definition::Response as Wanted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use buffa::{Inline, Message, MessageField, MessageName};
use buffa_types::google::protobuf::Any;
use connectrpc::{
    ConnectError, ErrorCode, ErrorDetail, InboundStream, RequestContext, Response, ServiceRequest, ServiceResult,
    ServiceStream,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// The service of the suite.
pub struct Suite;

/// A message in a message.
type Field<M> = MessageField<M, Inline<M>>;

/// What a request asks to be answered.
#[derive(Clone, Default)]
struct Plan {
    headers: HeaderMap,
    trailers: HeaderMap,
    pieces: Vec<Vec<u8>>,
    delay: Duration,
    error: Option<wire::Error>,
}

fn headers(of: &[wire::Header]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for header in of {
        for value in &header.value {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(&header.name), HeaderValue::try_from(value)) {
                map.append(name, value);
            }
        }
    }
    map
}

impl Plan {
    fn of_one(definition: Field<wire::UnaryResponseDefinition>) -> Plan {
        let Some(definition) = definition.into_option() else {
            return Plan { pieces: vec![Vec::new()], ..Plan::default() };
        };
        let (pieces, error) = match definition.response {
            Some(Wanted::ResponseData(data)) => (vec![data], None),
            Some(Wanted::Error(error)) => (Vec::new(), Some(*error)),
            None => (vec![Vec::new()], None),
        };
        Plan {
            headers: headers(&definition.response_headers),
            trailers: headers(&definition.response_trailers),
            delay: Duration::from_millis(definition.response_delay_ms.into()),
            pieces,
            error,
        }
    }

    fn of_stream(definition: Field<wire::StreamResponseDefinition>) -> Plan {
        let Some(definition) = definition.into_option() else { return Plan::default() };
        Plan {
            headers: headers(&definition.response_headers),
            trailers: headers(&definition.response_trailers),
            delay: Duration::from_millis(definition.response_delay_ms.into()),
            pieces: definition.response_data,
            error: definition.error.into_option(),
        }
    }

    /// The error that is wanted; with what was received, where no piece has said it.
    fn error(&self, info: Option<RequestInfo>) -> Option<ConnectError> {
        let wanted = self.error.as_ref()?;
        let code = u32::try_from(wanted.code.to_i32()).ok().and_then(ErrorCode::from_grpc_code);
        let mut error =
            ConnectError::new(code.unwrap_or(ErrorCode::Unknown), wanted.message.clone().unwrap_or_default());
        if wanted.message.is_none() {
            error.message = None;
        }
        for detail in &wanted.details {
            let name = detail.type_url.rsplit('/').next().unwrap_or_default().to_owned();
            let value = Some(STANDARD_NO_PAD.encode(&detail.value));
            error = error.with_detail(ErrorDetail { type_url: name, value, debug: None });
        }
        match info {
            Some(info) => Some(
                error
                    .with_detail(ErrorDetail::from_message(RequestInfo::FULL_NAME, &info))
                    .with_headers(self.headers.clone())
                    .with_trailers(self.trailers.clone()),
            ),
            None => Some(error),
        }
    }

    fn respond<B>(&self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        response.headers = self.headers.clone();
        response.trailers = self.trailers.clone();
        response
    }

    /// The one answer to all requests.
    async fn one(&self, info: RequestInfo) -> Result<Field<wire::ConformancePayload>, ConnectError> {
        tokio::time::sleep(self.delay).await;
        match self.pieces.first() {
            Some(data) => Ok(payload(data.clone(), Some(info))),
            None => {
                Err(self.error(Some(info)).unwrap_or_else(|| ConnectError::internal("the request asks for nothing")))
            }
        }
    }
}

fn payload(data: Vec<u8>, info: Option<RequestInfo>) -> Field<wire::ConformancePayload> {
    MessageField::some(wire::ConformancePayload { data, request_info: info.into(), ..Default::default() })
}

fn any<M: Message + MessageName>(bytes: impl Into<Vec<u8>>) -> Any {
    let value: Vec<u8> = bytes.into();
    Any { type_url: M::TYPE_URL.to_owned(), value: value.into(), ..Default::default() }
}

/// What was received.
fn info(context: &RequestContext, requests: Vec<Any>) -> RequestInfo {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in context.headers() {
        by_name.entry(name.to_string()).or_default().push(value.to_str().unwrap_or_default().to_owned());
    }
    let request_headers =
        by_name.into_iter().map(|(name, value)| wire::Header { name, value, ..Default::default() }).collect();
    let header = |name: &str| context.headers().get(name).and_then(|value| value.to_str().ok());
    let timeout_ms = header("connect-timeout-ms").and_then(|text| text.parse().ok());
    let timeout_ms = timeout_ms.or_else(|| header("grpc-timeout").and_then(grpc_timeout_ms));
    RequestInfo { request_headers, timeout_ms, requests, ..Default::default() }
}

fn grpc_timeout_ms(text: &str) -> Option<i64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: i64 = digits.parse().ok()?;
    let of_unit_ns: i64 = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    Some(count.saturating_mul(of_unit_ns) / 1_000_000)
}

/// A stream whose pieces a task sends.
type Pieces<M> = mpsc::Sender<Result<M, ConnectError>>;

fn stream<M: Send + 'static>() -> (Pieces<M>, ServiceStream<M>) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Box::pin(ReceiverStream::new(receiver)))
}

/// Sends the pieces from `first` on, and the error after them. `info` goes with the first of all pieces.
async fn send_rest<M>(
    plan: &Plan,
    first: usize,
    mut info: Option<RequestInfo>,
    pieces: &Pieces<M>,
    message: fn(Field<wire::ConformancePayload>) -> M,
) {
    for data in plan.pieces.iter().skip(first) {
        tokio::time::sleep(plan.delay).await;
        if pieces.send(Ok(message(payload(data.clone(), info.take())))).await.is_err() {
            return;
        }
    }
    if let Some(error) = plan.error(None) {
        // the caller may be gone
        let _ = pieces.send(Err(error)).await;
    }
}

#[allow(refining_impl_trait, reason = "responses are messages, and nothing else calls these")]
impl wire::ConformanceService for Suite {
    async fn unary(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, wire::UnaryRequest>,
    ) -> ServiceResult<wire::UnaryResponse> {
        let info = info(&context, vec![any::<wire::UnaryRequest>(request.bytes().to_vec())]);
        let plan = Plan::of_one(request.to_owned_message().response_definition);
        let payload = plan.one(info).await?;
        Ok(plan.respond(wire::UnaryResponse { payload, ..Default::default() }))
    }

    async fn idempotent_unary(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, wire::IdempotentUnaryRequest>,
    ) -> ServiceResult<wire::IdempotentUnaryResponse> {
        let info = info(&context, vec![any::<wire::IdempotentUnaryRequest>(request.bytes().to_vec())]);
        let plan = Plan::of_one(request.to_owned_message().response_definition);
        let payload = plan.one(info).await?;
        Ok(plan.respond(wire::IdempotentUnaryResponse { payload, ..Default::default() }))
    }

    async fn unimplemented(
        &self,
        _context: RequestContext,
        _request: ServiceRequest<'_, wire::UnimplementedRequest>,
    ) -> ServiceResult<wire::UnimplementedResponse> {
        Err(ConnectError::unimplemented("the suite asks for a method that is not there"))
    }

    async fn server_stream(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, wire::ServerStreamRequest>,
    ) -> ServiceResult<ServiceStream<wire::ServerStreamResponse>> {
        let info = info(&context, vec![any::<wire::ServerStreamRequest>(request.bytes().to_vec())]);
        let plan = Plan::of_stream(request.to_owned_message().response_definition);
        if let Some(error) = plan.error(Some(info.clone())).filter(|_| plan.pieces.is_empty()) {
            return Err(error);
        }
        let (pieces, stream) = stream();
        let response = plan.respond(stream);
        tokio::spawn(async move {
            let message = |payload| wire::ServerStreamResponse { payload, ..Default::default() };
            send_rest(&plan, 0, Some(info), &pieces, message).await;
        });
        Ok(response)
    }

    async fn client_stream(
        &self,
        context: RequestContext,
        mut requests: InboundStream<wire::ClientStreamRequest>,
    ) -> ServiceResult<wire::ClientStreamResponse> {
        let (mut plan, mut received) = (None, Vec::new());
        while let Some(request) = requests.next().await {
            let request = request?;
            received.push(any::<wire::ClientStreamRequest>(request.bytes().to_vec()));
            plan.get_or_insert_with(|| Plan::of_one(request.to_owned_message().response_definition));
        }
        let plan = plan.unwrap_or_else(|| Plan { pieces: vec![Vec::new()], ..Plan::default() });
        let payload = plan.one(info(&context, received)).await?;
        Ok(plan.respond(wire::ClientStreamResponse { payload, ..Default::default() }))
    }

    async fn bidi_stream(
        &self,
        context: RequestContext,
        mut requests: InboundStream<wire::BidiStreamRequest>,
    ) -> ServiceResult<ServiceStream<wire::BidiStreamResponse>> {
        let (pieces, stream) = stream();
        let Some(first) = requests.next().await.transpose()? else { return Ok(Response::new(stream)) };
        let mut received = vec![any::<wire::BidiStreamRequest>(first.bytes().to_vec())];
        let first = first.to_owned_message();
        let plan = Plan::of_stream(first.response_definition);
        if !first.full_duplex {
            while let Some(request) = requests.next().await {
                received.push(any::<wire::BidiStreamRequest>(request?.bytes().to_vec()));
            }
        }
        let of_first = info(&context, received);
        if let Some(error) = plan.error(Some(of_first.clone())).filter(|_| plan.pieces.is_empty()) {
            return Err(error);
        }
        let response = plan.respond(stream);
        let message: fn(_) -> _ = |payload| wire::BidiStreamResponse { payload, ..Default::default() };
        tokio::spawn(async move {
            let (mut sent, mut next) = (0, Some(of_first));
            while first.full_duplex && sent < plan.pieces.len() {
                let info = match next.take() {
                    Some(info) => info,
                    None => match requests.next().await {
                        Some(Ok(request)) => {
                            let received = vec![any::<wire::BidiStreamRequest>(request.bytes().to_vec())];
                            RequestInfo { requests: received, ..Default::default() }
                        }
                        Some(Err(error)) => {
                            let _ = pieces.send(Err(error)).await;
                            return;
                        }
                        None => break,
                    },
                };
                tokio::time::sleep(plan.delay).await;
                if pieces.send(Ok(message(payload(plan.pieces[sent].clone(), Some(info))))).await.is_err() {
                    return;
                }
                sent += 1;
            }
            send_rest(&plan, sent, next, &pieces, message).await;
        });
        Ok(response)
    }
}
