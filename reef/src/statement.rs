//! Statements that give a stored row again, for people and programs that have the store; a reef does not run them.
//!
//! Their values are quoted, because one text has to hold all of it. They are read alike by DuckDB and ClickHouse:
//! `DISTINCT`, because ClickHouse may still hold copies of a row, and no backslash, which only ClickHouse takes for the
//! beginning of an escape.

use model::time::TimeMs;

/// `… WHERE column = 'value' AND …`.
pub(crate) fn statement(select: &str, equal: &[(&str, &str)]) -> String {
    [select, " WHERE ", &conditions(equal)].concat()
}

/// `column = 'value' AND …`. A value with a character that both engines do not read alike becomes a pattern that has any
/// character in its place.
pub(crate) fn conditions(equal: &[(&str, &str)]) -> String {
    let is_ambiguous = |c: char| c == '\\' || c.is_control();
    let condition = |(column, value): &(&str, &str)| {
        let compared = if value.contains(is_ambiguous) { " LIKE '" } else { " = '" };
        [column, compared, &value.replace(is_ambiguous, "_").replace('\'', "''"), "'"].concat()
    };
    equal.iter().map(condition).collect::<Vec<_>>().join(" AND ")
}

/// `column >= 'from' AND column < 'to'`.
pub(crate) fn within(column: &str, from: TimeMs, to: TimeMs) -> String {
    [column, " >= '", &moment(from), "' AND ", column, " < '", &moment(to), "'"].concat()
}

/// `2024-11-13 12:00:00.000`, as both engines read a time.
fn moment(time: TimeMs) -> String {
    // whole seconds without a fraction: a column of whole seconds is compared with them
    time.to_string().trim_end_matches('Z').trim_end_matches(".000").replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_no_statement() {
        let text = statement("SELECT a FROM t", &[("b", "x'; DROP TABLE t; --"), ("c", "")]);
        assert_eq!(text, "SELECT a FROM t WHERE b = 'x''; DROP TABLE t; --' AND c = ''");
        let text = statement("SELECT a FROM t", &[("b", "\\' OR 1=1 -- "), ("c", "x\ny")]);
        assert_eq!(text, "SELECT a FROM t WHERE b LIKE '_'' OR 1=1 -- ' AND c LIKE 'x_y'");
        let noon = TimeMs(1_731_499_200_000);
        assert_eq!(within("t", noon, noon + 1), "t >= '2024-11-13 12:00:00' AND t < '2024-11-13 12:00:00.001'");
    }
}
