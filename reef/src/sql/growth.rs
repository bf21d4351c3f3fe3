//! Growth: functions that make long texts of short ones. Each fails before it makes more than a limit at once; without that a
//! short statement could ask for more memory than any machine has.

use super::limits::STATEMENT_BYTES_MAX;
use super::sizes;
use datafusion::arrow::array::{AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::concat_elements::concat_elements_utf8;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::{Arc, LazyLock};

/// Functions that are wrapped.
pub(super) const GROWING: &[&str] = &["concat", "concat_ws", "replace", "to_char"];
/// Most bytes that one of them makes of a batch.
const GROWN_BYTES_MAX: usize = 16 << 20;
/// The longest thing that a format of a time stands for, per byte of the format.
const FORMATTED_BYTES: usize = 16;

/// The same function with a limit, where it makes longer texts.
pub(super) fn limited(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match GROWING.contains(&function.name()) {
        true => Arc::new(ScalarUDF::new_from_impl(Limited { inner: function })),
        false => function,
    }
}

/// A function that looks at the size of its result first. It is not simplified: that would put the function itself in its
/// place.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Limited {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), &args)?;
        self.inner.invoke_with_args(args)
    }
}

/// Whether a function may make what it makes of its arguments.
fn check(function: &str, args: &ScalarFunctionArgs) -> Result<()> {
    // a constant is made once, and repeated in each row of a batch
    let (rows, bytes_max) = match is_constant(args) {
        true => (1, STATEMENT_BYTES_MAX),
        false => (args.number_rows, GROWN_BYTES_MAX),
    };
    let texts: Vec<Vec<usize>> = args.args.iter().map(|arg| lengths(arg, rows)).collect();
    match grown(function, &texts) > bytes_max {
        true => Err(DataFusionError::ResourcesExhausted("a function would make too long texts".to_owned())),
        false => Ok(()),
    }
}

fn is_constant(args: &ScalarFunctionArgs) -> bool {
    args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
}

/// Bytes of the text of each row.
fn lengths(arg: &ColumnarValue, rows: usize) -> Vec<usize> {
    match arg {
        ColumnarValue::Array(array) => sizes::of_texts(array),
        ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
            Some(text) => vec![text.map_or(0, str::len); rows],
            None => vec![scalar.size(); rows],
        },
    }
}

/// Bytes that a function makes of texts of these lengths, at most.
fn grown(function: &str, texts: &[Vec<usize>]) -> usize {
    let sum = |lengths: &Vec<usize>| lengths.iter().copied().fold(0, usize::saturating_add);
    match (function, texts) {
        ("concat_ws", [between, parts @ ..]) => {
            let parts_bytes = parts.iter().map(sum).fold(0, usize::saturating_add);
            parts_bytes.saturating_add(sum(between).saturating_mul(parts.len()))
        }
        ("replace", [whole, from, to]) => {
            let of_row = |((whole, from), to): ((&usize, &usize), &usize)| {
                // an empty text is found at each place
                let places = whole / (*from).max(1) + 1;
                whole.saturating_add(places.saturating_mul(*to))
            };
            whole.iter().zip(from).zip(to).map(of_row).fold(0, usize::saturating_add)
        }
        ("to_char", [_, format]) => sum(format).saturating_mul(FORMATTED_BYTES),
        (_, all) => all.iter().map(sum).fold(0, usize::saturating_add),
    }
}

/// Plans `a || b` as such a function, and no OVERLAY, which is not among the functions.
pub(super) fn planner() -> Arc<dyn ExprPlanner> {
    Arc::new(Operators)
}

#[derive(Debug)]
struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        static JOINED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Joined::new())));
        match expr.op {
            BinaryOperator::StringConcat => {
                let joined = ScalarFunction::new_udf(Arc::clone(&JOINED), vec![expr.left, expr.right]);
                Ok(PlannerResult::Planned(Expr::ScalarFunction(joined)))
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }

    fn plan_overlay(&self, _: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Err(DataFusionError::Plan("OVERLAY is not among the functions".to_owned()))
    }
}

/// `a || b`; absent if one of them is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl Joined {
    fn new() -> Joined {
        Joined { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect::<Vec<_>>().join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What stands beside a text becomes one.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |given: &DataType| {
            matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
        };
        if given.len() == 2 && given.iter().any(is_text) && given.iter().all(|it| is_text(it) || !it.is_nested()) {
            return Ok(vec![DataType::Utf8; 2]);
        }
        Err(DataFusionError::Plan(format!("|| joins two texts, not {given:?}")))
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), &args)?;
        let is_constant = is_constant(&args);
        let rows = if is_constant { 1 } else { args.number_rows };
        let text = |arg: &ColumnarValue| -> Result<StringArray> {
            Ok(cast(&arg.to_array(rows)?, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        let [left, right] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("|| has two sides".to_owned()));
        };
        let joined = concat_elements_utf8(&text(left)?, &text(right)?)?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::datatypes::Field;
    use datafusion::common::config::ConfigOptions;
    use datafusion::execution::SessionStateDefaults;

    fn function(name: &str) -> Arc<ScalarUDF> {
        let all = SessionStateDefaults::default_scalar_functions();
        limited(all.into_iter().find(|function| function.name() == name).unwrap())
    }

    fn constant(text: &str) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(text))
    }

    fn column(text: &str, rows: usize) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(StringArray::from(vec![text; rows])))
    }

    fn call(function: &ScalarUDF, args: Vec<ColumnarValue>, rows: usize) -> Result<ColumnarValue> {
        let field = Arc::new(Field::new("t", DataType::Utf8, true));
        function.invoke_with_args(ScalarFunctionArgs {
            arg_fields: args.iter().map(|_| Arc::clone(&field)).collect(),
            args,
            number_rows: rows,
            return_field: field,
            config_options: Arc::new(ConfigOptions::default()),
        })
    }

    fn text(function: &ScalarUDF, texts: &[&str]) -> String {
        match call(function, texts.iter().map(|text| constant(text)).collect(), 1).unwrap() {
            ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten().unwrap().to_owned(),
            ColumnarValue::Array(array) => array.as_string::<i32>().value(0).to_owned(),
        }
    }

    #[test]
    fn texts_grow_up_to_the_limit() {
        let joined = ScalarUDF::new_from_impl(Joined::new());
        assert_eq!(text(&joined, &["a", "b"]), "ab");
        assert_eq!(text(&function("concat"), &["a", "b", "c"]), "abc");
        assert_eq!(text(&function("concat_ws"), &["-", "b", "c"]), "b-c");
        assert_eq!(text(&function("replace"), &["aba", "a", "xy"]), "xybxy");
        let is_refused = |ended: Result<ColumnarValue>| matches!(ended, Err(DataFusionError::ResourcesExhausted(_)));
        let long = "x".repeat(30_000);
        for (name, texts) in [
            ("concat", vec![long.as_str(); 3]),
            ("concat_ws", vec![long.as_str(), "", "", ""]),
            ("replace", vec![long.as_str(), "x", "yyy"]),
            ("replace", vec![long.as_str(), "", "yyy"]),
        ] {
            let constants = texts.iter().map(|text| constant(text)).collect();
            assert!(is_refused(call(&function(name), constants, 1)), "{name} of constants");
            let columns = texts.iter().map(|text| column(text, 200)).collect();
            assert!(is_refused(call(&function(name), columns, 200)), "{name} of columns");
            let columns = texts.iter().map(|text| column(text, 10)).collect();
            assert!(call(&function(name), columns, 10).is_ok(), "{name} of few rows");
        }
        // a constant is repeated in each row
        assert!(is_refused(call(&joined, vec![column("x", 4_000), constant(&long)], 4_000)));
        assert!(call(&joined, vec![column("x", 4), constant(&long)], 4).is_ok());
    }

    #[test]
    fn a_text_is_joined_with_what_is_beside_it() {
        let joined = Joined::new();
        let text = vec![DataType::Utf8; 2];
        assert_eq!(joined.coerce_types(&[DataType::Utf8View, DataType::Int64]).unwrap(), text);
        assert_eq!(joined.coerce_types(&[DataType::Null, DataType::Utf8]).unwrap(), text);
        assert!(joined.coerce_types(&[DataType::Int64, DataType::Int64]).is_err());
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        assert!(joined.coerce_types(&[DataType::Utf8, list]).is_err());
    }
}
