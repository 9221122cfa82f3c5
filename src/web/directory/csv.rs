//! Lists as CSV (RFC 4180).

use axum::body::Bytes;

use super::Silent;
use crate::store::render::csv_line as line;

/// A row with a fixed number of named columns: the first two are `target` and `id`, the last is `error`.
pub(super) trait Row<const N: usize> {
    /// The columns' names.
    const HEADER: [&'static str; N];
    /// The columns, empty where nothing is known.
    fn cells(&self) -> [String; N];

    /// The header of a file, and a row for each target that is missing in it.
    fn head(silent: &[Silent]) -> Bytes {
        let missing = silent
            .iter()
            .map(|silent| Self::missing(&silent.target, None, &silent.reason));
        Bytes::from(line(Self::HEADER) + &missing.collect::<String>())
    }

    /// Rows.
    fn lines<'a>(rows: impl Iterator<Item = &'a Self>) -> String
    where
        Self: 'a,
    {
        rows.map(|row| line(row.cells())).collect()
    }

    /// A row for what is not in the list, and why.
    fn missing(target: &str, id: Option<u32>, why: &str) -> String {
        let mut cells: [String; N] = std::array::from_fn(|_| String::new());
        cells[0] = target.to_owned();
        cells[1] = id.map(|id| id.to_string()).unwrap_or_default();
        cells[N - 1] = why.to_owned();
        line(cells)
    }
}

/// Text in `error` for a user or a key that Odoo no longer shows.
pub(super) const NOT_VISIBLE: &str = "not visible now";

/// `true` or `false`, or empty if unknown.
pub(super) fn yes_or_no(truth: Option<bool>) -> String {
    truth.map(|it| it.to_string()).unwrap_or_default()
}
