//! Groups: the optional tools, which a reef offers only where its configuration names them.

use super::{analysis, sql};

/// The groups that are switched on (`api.mcp_groups`); usually none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Questions in words.
    pub analyze: bool,
    /// Statements in SQL.
    pub sql: bool,
}

impl Groups {
    /// Those of a configuration.
    pub fn of(names: &[String]) -> Groups {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        Groups { analyze: has("analyze"), sql: has("sql") }
    }

    /// Why a tool of a group is not offered; `None` for other names.
    pub(super) fn refusal(self, name: &str) -> Option<String> {
        let group = match name {
            analysis::NAME if !self.analyze => "analyze",
            sql::NAME if !self.sql => "sql",
            _ => return None,
        };
        Some(format!("{name} is switched off; api.mcp_groups = [{group:?}] in the reef's configuration switches it on"))
    }
}
