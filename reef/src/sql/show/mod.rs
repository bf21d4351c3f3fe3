//! Rows in the forms that people and programs read.
//!
//! | file | owns |
//! |---|---|
//! | `cells` | one value as text, and as JSON |
//! | `page` | aligned columns for people |
//! | `csv` | comma-separated values |
//! | `json` | rows as lists, and as lines of objects |
//! | `parquet` | a Parquet file |

mod cells;
mod csv;
mod json;
mod page;
mod parquet;
