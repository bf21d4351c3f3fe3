//! Refused: calls that get no answer, in words on which a model can act.

use super::asking::Unanswered;
use super::{clean, wording};
use crate::answers::Refusal;

/// Bytes of a refusal.
const TEXT_MAX: usize = 1_500;

/// `argument: what is wrong; what to do instead`.
pub(super) fn text(unanswered: &Unanswered) -> String {
    let text = match unanswered {
        Unanswered::Refused(Refusal { message, hint, field, .. }) => {
            let field = field.as_ref().map_or(String::new(), |field| format!("{}: ", wording::argument(field)));
            format!("{field}{message}; {hint}")
        }
        Unanswered::Failed { message, hint } if hint.is_empty() => message.clone(),
        Unanswered::Failed { message, hint } => format!("{message}; {hint}"),
    };
    let line = clean::page(&wording::of_tools(&text)).lines().collect::<Vec<_>>().join(" ");
    crate::printable::shortened(&line, TEXT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_argument_and_what_to_call() {
        let refusal = Refusal::not_found("there is no pattern \"x\"", "list them: coral reef correlations --state all");
        let text = text(&refusal.at("colony_ids[0]").into());
        assert_eq!(text, "colonies[0]: there is no pattern \"x\"; list them: reef_list_correlations with state all");
    }
}
