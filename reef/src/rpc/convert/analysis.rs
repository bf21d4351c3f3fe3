//! Answers to questions in words.

use super::shared::{Field, completeness, large, small, time, time_if, timestamp};
use crate::analysis::journal::Record;
use crate::analysis::{Action, Analysis, RecordedEvidence};
use crate::answers::part::Listed;
use crate::rpc::wire;
use buffa::MessageField;

pub(in crate::rpc) fn analysed(answer: Analysis) -> wire::AnalyzeResponse {
    let metadata = metadata(&answer);
    wire::AnalyzeResponse {
        answer: answer.answer(),
        evidence: answer.found.evidence().map(|one| evidence(one.into())).collect(),
        actions: answer.actions.iter().map(action).collect(),
        metadata,
        findings_omitted: small(answer.found.omitted),
        completeness: completeness(answer.found.completeness),
        analysis_id: answer.metadata.analysis_id,
        ..Default::default()
    }
}

fn metadata(answer: &Analysis) -> Field<wire::AnalysisMetadata> {
    let metadata = &answer.metadata;
    let colonies: Vec<String> = answer.colonies().into_iter().map(str::to_owned).collect();
    MessageField::some(wire::AnalysisMetadata {
        analyzed_at: metadata.analyzed_at.map(timestamp).into(),
        model_used: metadata.model_used.clone(),
        colonies_queried: small(colonies.len()),
        tokens_used: small(u64::from(metadata.input_tokens) + u64::from(metadata.output_tokens)),
        confidence_score: metadata.confidence as f32,
        input_tokens: small(metadata.input_tokens),
        output_tokens: small(metadata.output_tokens),
        colonies,
        cost_usd: metadata.cost_micros.map(|micros| micros as f64 / 1e6),
        sentences_dropped: small(metadata.sentences_dropped),
        template_reason: metadata.template_reason.clone(),
        tokens_estimated: metadata.tokens_estimated,
        ..Default::default()
    })
}

fn evidence(one: RecordedEvidence) -> wire::Evidence {
    wire::Evidence {
        complete_to: time_if(one.complete_to.as_ref()),
        r#type: one.kind,
        colony_id: one.colony_id,
        description: one.description,
        query: one.query,
        data: one.data.into_iter().collect(),
        id: one.id,
        confidence: one.confidence,
        claim: one.claim,
        ..Default::default()
    }
}

fn action(one: &Action) -> wire::Action {
    wire::Action {
        description: one.description.clone(),
        command: one.command.clone(),
        requires_approval: one.requires_approval,
        ..Default::default()
    }
}

/// Analyses as they were recorded.
pub(in crate::rpc) fn recorded(list: Listed<Record>) -> wire::ListAnalysesResponse {
    wire::ListAnalysesResponse {
        analyses: list.items.into_iter().map(record).collect(),
        total: small(list.total),
        truncated: list.truncated,
        next_cursor: list.next_cursor.unwrap_or_default(),
        ..Default::default()
    }
}

fn record(one: Record) -> wire::AnalysisRecord {
    wire::AnalysisRecord {
        evidence: RecordedEvidence::of(&one).into_iter().map(evidence).collect(),
        asked_at: time(&one.asked_at),
        analysis_id: one.analysis_id,
        took_ms: large(one.took_ms),
        caller: one.caller,
        question: one.question,
        outcome: one.outcome,
        model_used: one.model_used,
        input_tokens: small(one.input_tokens),
        output_tokens: small(one.output_tokens),
        cost_usd: one.cost_micros.map(|micros| micros as f64 / 1e6),
        evidence_ids: one.evidence_ids,
        answer_sha256: one.answer_sha256,
        sentences_dropped: small(one.sentences_dropped),
        streamed: one.streamed,
        reason: one.reason,
        answer: one.answer,
        sent: one.sent,
        role: one.role,
        tokens_estimated: one.tokens_estimated,
        ..Default::default()
    }
}
