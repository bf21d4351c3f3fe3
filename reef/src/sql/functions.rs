//! Functions: those that a statement may call. Others are not registered, so that no statement can name them.
//!
//! None of these reads anything but its arguments and the time. None makes a long text of a short one by a number; those that
//! join texts have a limit (`growth`).

use super::growth;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::SessionStateBuilder;

/// Functions of one row.
#[rustfmt::skip]
pub(super) const SCALAR: &[&str] = &[
    "coalesce", "greatest", "least", "nullif", "nvl", "nvl2", "arrow_typeof",
    "current_date", "current_time", "date_bin", "date_part", "date_trunc", "from_unixtime", "make_date", "now", "to_char",
    "to_date", "to_local_time", "to_timestamp", "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros",
    "to_timestamp_nanos", "to_unixtime",
    "abs", "acos", "asin", "atan", "atan2", "cbrt", "ceil", "cos", "degrees", "exp", "floor", "isnan", "iszero", "ln",
    "log", "log10", "log2", "nanvl", "pi", "power", "radians", "round", "signum", "sin", "sqrt", "tan", "trunc",
    "ascii", "btrim", "chr", "concat", "concat_ws", "contains", "ends_with", "lower", "ltrim", "octet_length", "replace",
    "rtrim", "split_part", "starts_with", "upper",
    "character_length", "initcap", "left", "reverse", "right", "strpos", "substr", "substr_index",
];

/// Functions of a group.
#[rustfmt::skip]
pub(super) const AGGREGATE: &[&str] = &[
    "approx_distinct", "approx_median", "approx_percentile_cont", "array_agg", "avg", "bool_and", "bool_or", "corr", "count",
    "covar_pop", "covar_samp", "first_value", "grouping", "last_value", "max", "median", "min", "nth_value",
    "percentile_cont", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx",
    "regr_sxy", "regr_syy", "stddev", "stddev_pop", "string_agg", "sum", "var", "var_pop",
];

/// Functions over a window.
#[rustfmt::skip]
pub(super) const WINDOW: &[&str] = &[
    "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value",
    "nth_value",
];

/// Functions that give rows.
pub(super) const TABLE: &[&str] = &["generate_series", "range"];

/// Registers them.
pub(super) fn registered(builder: SessionStateBuilder) -> SessionStateBuilder {
    let scalar = SessionStateDefaults::default_scalar_functions().into_iter();
    let aggregate = SessionStateDefaults::default_aggregate_functions().into_iter();
    let window = SessionStateDefaults::default_window_functions().into_iter();
    let table = SessionStateDefaults::default_table_functions().into_iter();
    let planners = std::iter::once(growth::planner()).chain(SessionStateDefaults::default_expr_planners());
    builder
        .with_expr_planners(planners.collect())
        .with_scalar_functions(scalar.filter(|it| SCALAR.contains(&it.name())).map(growth::limited).collect())
        .with_aggregate_functions(aggregate.filter(|it| AGGREGATE.contains(&it.name())).collect())
        .with_window_functions(window.filter(|it| WINDOW.contains(&it.name())).collect())
        .with_table_function_list(table.filter(|it| TABLE.contains(&it.name())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_one_that_the_engine_has() {
        let all = |names: Vec<String>| names.into_iter().collect::<BTreeSet<String>>();
        let scalar = SessionStateDefaults::default_scalar_functions();
        let aggregate = SessionStateDefaults::default_aggregate_functions();
        let window = SessionStateDefaults::default_window_functions();
        let table = SessionStateDefaults::default_table_functions();
        let known = [
            (SCALAR, all(scalar.iter().map(|it| it.name().to_owned()).collect())),
            (AGGREGATE, all(aggregate.iter().map(|it| it.name().to_owned()).collect())),
            (WINDOW, all(window.iter().map(|it| it.name().to_owned()).collect())),
            (TABLE, all(table.iter().map(|it| it.name().to_owned()).collect())),
            (growth::GROWING, all(SCALAR.iter().map(|name| (*name).to_owned()).collect())),
        ];
        for (allowed, known) in known {
            for name in allowed {
                assert!(known.contains(*name), "{name} is none of {known:?}");
            }
        }
    }
}
