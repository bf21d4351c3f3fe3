//! Page: rows in aligned columns for people. Long values are shortened; texts cannot act on a terminal.

use super::cells;
use crate::printable::shortened;
use crate::sql::Table;
use datafusion::arrow::datatypes::DataType;

/// Longest shown value, in characters.
const CELL_MAX: usize = 60;

impl Table {
    /// The rows in aligned columns.
    pub fn page(&self) -> String {
        let fields = self.schema.fields();
        let names: Vec<String> = fields.iter().map(|field| shortened(field.name(), CELL_MAX)).collect();
        let is_number: Vec<bool> = fields.iter().map(|field| is_number(field.data_type())).collect();
        let is_plan = self.is_plan();
        let mut rows: Vec<Vec<String>> = Vec::with_capacity(self.len());
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let cell = |column| {
                    let text = cells::text(column, row);
                    if is_plan { text } else { shortened(&text, CELL_MAX) }
                };
                rows.push(batch.columns().iter().map(cell).collect());
            }
        }
        if is_plan {
            return rows.iter().map(|row| row.join("\n")).collect::<Vec<_>>().join("\n");
        }
        aligned(&names, &is_number, &rows)
    }

    /// Whether it is what EXPLAIN says: texts of several lines.
    fn is_plan(&self) -> bool {
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        names == ["plan_type", "plan"]
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn aligned(names: &[String], is_number: &[bool], rows: &[Vec<String>]) -> String {
    let widest =
        |column: usize| rows.iter().map(|row| width(&row[column])).chain([width(&names[column])]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(widest).collect();
    let line = |cells: &[String]| {
        let cell = |(column, text): (usize, &String)| {
            let space = " ".repeat(widths[column] - width(text));
            if is_number[column] { format!("{space}{text}") } else { format!("{text}{space}") }
        };
        cells.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
    let lines = [line(names), rule].into_iter().chain(rows.iter().map(|row| line(row)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_end_together() {
        let names = ["service".to_owned(), "n".to_owned()];
        let rows = [vec!["api".to_owned(), "7".to_owned()], vec!["checkout".to_owned(), "120".to_owned()]];
        let page = aligned(&names, &[false, true], &rows);
        assert_eq!(page, "service     n\n--------  ---\napi         7\ncheckout  120");
    }
}
