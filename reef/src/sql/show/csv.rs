//! CSV: comma-separated values as RFC 4180 has them, with a line of names.

use super::cells;
use crate::sql::Table;

impl Table {
    /// The rows as CSV. An absent value is empty, an empty text is `""`.
    pub fn csv(&self) -> String {
        let names: Vec<String> = self.schema.fields().iter().map(|field| quoted(field.name())).collect();
        let mut text = names.join(",") + "\n";
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let cell = |column: &_| match cells::json(column, row) {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(value) => quoted(&value),
                    other => quoted(&other.to_string()),
                };
                text.push_str(&batch.columns().iter().map(cell).collect::<Vec<_>>().join(","));
                text.push('\n');
            }
        }
        text
    }
}

fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']);
    if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_be_taken_for_two() {
        assert_eq!(quoted("a,b\"c\n"), "\"a,b\"\"c\n\"");
        assert_eq!((quoted("plain").as_str(), quoted("").as_str()), ("plain", "\"\""));
    }
}
