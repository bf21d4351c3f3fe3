//! Why an exchange with a colony failed, what its health is then, and whether the right colony answered.

use model::colony::{ColonyIdentity, identity_from_id};
use model::error::one_line;
use model::topology::{REVOKED, UNREACHABLE};
use proto::reef::v1::GetSummaryResponse;
use tonic::{Code, Status};

/// Why an exchange failed.
#[derive(Debug)]
pub(crate) enum LinkFault {
    /// It may be temporary; the text says what happened. The endpoint may also be corrected remotely, so even a wrong
    /// colony is retried, and never stops the run for the others.
    Passing(String),
    /// The colony has revoked this reef.
    Revoked(String),
    /// The response is larger than a message may be: request less.
    TooLarge(String),
    /// The response does not name its colony.
    Nameless,
}

impl LinkFault {
    /// What the colony's health is after it.
    pub(crate) fn health(&self) -> &'static str {
        match self {
            LinkFault::Revoked(_) => REVOKED,
            LinkFault::Passing(_) | LinkFault::TooLarge(_) | LinkFault::Nameless => UNREACHABLE,
        }
    }
}

/// What a status means: ask for less, try again, or give up.
pub(crate) fn classify(status: &Status) -> LinkFault {
    let code = status.code();
    let mut words = format!("{code:?}");
    if !status.message().is_empty() {
        words = format!("{words}: {}", status.message());
    }
    match code {
        Code::ResourceExhausted | Code::OutOfRange => LinkFault::TooLarge(words),
        Code::PermissionDenied if status.message() == mesh::REVOKED => LinkFault::Revoked(words),
        Code::Unimplemented => {
            let problem = "the endpoint is not a colony (it does not serve coral.reef.v1.ColonyFederation); \
                           correct the endpoint in the config, or what listens there";
            LinkFault::Passing(problem.to_owned())
        }
        _ => {
            if let Some(cause) = std::error::Error::source(status) {
                let cause = one_line(cause);
                if !words.contains(&cause) {
                    words = format!("{words}: {cause}");
                }
            }
            LinkFault::Passing(words)
        }
    }
}

/// The identity that a response states; it must be that of the configured colony.
pub(crate) fn check_identity(colony_id: &str, answer: &GetSummaryResponse) -> Result<ColonyIdentity, LinkFault> {
    if answer.colony_id.is_empty() {
        return Err(LinkFault::Nameless);
    }
    if answer.colony_id != colony_id {
        let problem = format!(
            "colony {} is at this endpoint; correct the endpoint or the colony_id in the config",
            answer.colony_id
        );
        return Err(LinkFault::Passing(problem));
    }
    let (application, environment) = identity_from_id(colony_id);
    let or = |stated: &str, from_id: String| if stated.is_empty() { from_id } else { stated.to_owned() };
    Ok(ColonyIdentity {
        colony_id: colony_id.to_owned(),
        application_name: or(&answer.application_name, application),
        environment: or(&answer.environment, environment),
    })
}
