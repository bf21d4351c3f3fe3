//! The two ends of a pattern or of a prediction: in words, as facts, and what evidence about them has in common.

use super::super::evidence::{Claim, Evidence, Fact, Kind};
use crate::predicted::PredictionLine;
use crate::report::PatternLine;

/// One end.
pub(super) struct End<'a> {
    colony_id: &'a str,
    application: &'a str,
    environment: &'a str,
    service: &'a str,
    signal: &'a str,
}

/// What comes first, and what follows.
pub(super) struct Ends<'a> {
    pub source: End<'a>,
    pub target: End<'a>,
}

impl End<'_> {
    /// `error_spike of api in my-shop-production`.
    pub fn shown(&self) -> String {
        let service = if ["", "*"].contains(&self.service) { "any service" } else { self.service };
        format!("{} of {service} in {}", self.signal, self.colony_id)
    }

    fn names(&self) -> [&str; 5] {
        [self.colony_id, self.application, self.environment, self.service, self.signal]
    }
}

/// Of a line that names both in its columns.
macro_rules! ends {
    ($line:expr) => {
        Ends {
            source: End {
                colony_id: &$line.source_colony_id,
                application: &$line.source_application,
                environment: &$line.source_environment,
                service: &$line.source_service,
                signal: &$line.source_signal,
            },
            target: End {
                colony_id: &$line.target_colony_id,
                application: &$line.target_application,
                environment: &$line.target_environment,
                service: &$line.target_service,
                signal: &$line.target_signal,
            },
        }
    };
}

impl<'a> Ends<'a> {
    /// Those of a pattern.
    pub fn of_pattern(line: &'a PatternLine) -> Ends<'a> {
        ends!(line)
    }

    /// Those of a prediction.
    pub fn of_prediction(line: &'a PredictionLine) -> Ends<'a> {
        ends!(line)
    }

    /// All names of both.
    pub fn names(&self) -> Vec<Fact> {
        let pairs = self.source.names().into_iter().zip(self.target.names());
        let names = pairs.flat_map(|(source, target)| [source, target]).filter(|name| !name.is_empty());
        names.map(|name| Fact::Name(name.to_owned())).collect()
    }

    /// That the target came after the source, or that neither may be said.
    pub fn order(&self, is_ordered: bool) -> Fact {
        Fact::order(self.source.names(), self.target.names(), is_ordered)
    }

    /// Evidence about both that says nothing yet: it is found at the target.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            id: String::new(),
            kind: Kind::Correlation,
            colony_id: self.target.colony_id.to_owned(),
            other_colony_id: Some(self.source.colony_id.to_owned()),
            description: String::new(),
            query: String::new(),
            data: Vec::new(),
            facts: Vec::new(),
            claim: Claim::Observed,
            confidence: 0.0,
            complete_to: None,
        }
    }
}
