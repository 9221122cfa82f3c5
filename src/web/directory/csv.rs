//! Rows as CSV (RFC 4180).

pub use crate::store::render::csv as line;

/// A row with a fixed number of named columns.
pub(super) trait Row<const N: usize> {
    /// The columns' names.
    const HEADER: [&'static str; N];
    /// The columns, empty where nothing is known.
    fn cells(&self) -> [String; N];
}

/// A truth, or nothing where it is not known.
pub(super) fn yes_or_no(truth: Option<bool>) -> String {
    truth.map(|it| it.to_string()).unwrap_or_default()
}
