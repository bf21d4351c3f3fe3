//! Services that a question names: those that exist, near names for others.

use super::fleet::Narrowed;
use super::names;
use super::refusal::{AnswerError, Refusal, RefusalKind};
use sinks::{SinkError, StoreReader};
use std::collections::BTreeSet;

/// The services of the topology, and the ends of its calls.
async fn in_topology(reader: &dyn StoreReader) -> Result<BTreeSet<String>, SinkError> {
    let nodes = reader.services().await?.into_iter().map(|node| node.latest.service_id);
    let calls = reader.calls().await?.into_iter();
    let ends = calls.flat_map(|call| [call.latest.from_service, call.latest.to_service]);
    Ok(nodes.chain(ends).collect())
}

/// The filter with its service as the topology or `others` have it; `named_by` says what these are.
pub(super) async fn resolved(
    filter: Narrowed,
    (named_by, others): (&str, BTreeSet<String>),
    reader: &dyn StoreReader,
) -> Result<Narrowed, AnswerError> {
    let Some(given) = filter.service().map(str::to_owned) else { return Ok(filter) };
    let mut known = in_topology(reader).await?;
    known.extend(others);
    known.remove("");
    let service = names::resolve("service", &given, &known).map_err(|refusal| {
        let refusal = match refusal.kind {
            RefusalKind::NotFound => Refusal { message: format!("no {named_by} names a service {given:?}"), ..refusal },
            RefusalKind::Ambiguous | RefusalKind::Invalid => refusal,
        };
        refusal.at("service_id")
    })?;
    Ok(filter.with_service(service))
}

/// Fails for a service of which no row was seen in a range, and which is not in the topology either.
pub(super) async fn observed(
    filter: &Narrowed,
    seen: BTreeSet<String>,
    reader: &dyn StoreReader,
) -> Result<(), AnswerError> {
    let Some(given) = filter.service().filter(|given| !seen.contains(*given)) else { return Ok(()) };
    let mut known = in_topology(reader).await?;
    if known.contains(given) {
        return Ok(());
    }
    known.extend(seen);
    known.remove("");
    let hint = names::near_hint("service", &given.to_lowercase(), &known);
    let message = format!("no service {given:?} was observed in the range");
    Err(Refusal::not_found(message, hint).at("service_id").into())
}
