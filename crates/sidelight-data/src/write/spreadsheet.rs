//! Text that a spreadsheet program would take for a formula.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How text is written as CSV, which says of no cell whether it is text. JSON Lines and Parquet do, and need nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CsvText {
    /// As it is: what is read back is what was written.
    #[default]
    Exact,
    /// With an apostrophe before what a spreadsheet program would run as a formula, names of columns included.
    ///
    /// # Source
    ///
    /// OWASP, "CSV Injection": cells that begin with `=`, `+`, `-`, `@`, a tab or a line end.
    SpreadsheetSafe,
}

impl CsvText {
    /// The text as it is written.
    pub(super) fn write(self, text: &str) -> Cow<'_, str> {
        let may_be_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
        match self {
            Self::SpreadsheetSafe if may_be_formula => format!("'{text}").into(),
            _ => text.into(),
        }
    }
}
