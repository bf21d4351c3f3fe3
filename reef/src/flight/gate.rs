//! Gate: what every call passes: its form and the caller's rights; a panic ends one call only.

use super::{HANDSHAKE, errors};
use crate::access::{Caller, Role};
use crate::guarded::Call;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tonic::Status;

const NOT_GRPC: &str = "this is Arrow Flight SQL, which is called by gRPC: connect with ADBC or JDBC, for example \
                        grpc://127.0.0.1:3101\n";

/// How long a call may take until its answer begins. A statement has less; a caller that never sends what it has begun to
/// send would wait without an end.
const BEGIN_MAX: Duration = Duration::from_secs(60);

/// Lets a call through that is one and whose caller may read.
pub(super) async fn pass(request: Request, next: Next) -> Response {
    if !is_grpc(&request) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, NOT_GRPC).into_response();
    }
    if let Err(status) = permit(&request) {
        return refusal(status);
    }
    match tokio::time::timeout(BEGIN_MAX, Call::spawn(next.run(request))).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refusal(errors::of_panic(&error)),
        Err(_) => refusal(errors::late()),
    }
}

fn is_grpc(request: &Request) -> bool {
    let sent = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    sent.is_some_and(|sent| sent == "application/grpc" || sent.starts_with("application/grpc+"))
}

fn permit(request: &Request) -> Result<(), Status> {
    // it brings the credentials, and checks them itself
    if request.uri().path() == HANDSHAKE {
        return Ok(());
    }
    match request.extensions().get::<Caller>() {
        Some(caller) => caller.permit(Role::Readonly).map_err(|denied| errors::of_access(&denied)),
        None => Err(errors::unknown("it is not known who calls")),
    }
}

fn refusal(status: Status) -> Response {
    status.into_http()
}
