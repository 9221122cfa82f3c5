//! Rows as a table, as JSON, and as CSV.

use std::fmt::Write as _;

use serde::Serialize;

use super::{ChangeRow, HistoryRow};
use crate::domain::vocabulary::vocabulary;

vocabulary! {
    /// Output format of rows.
    Format {
        /// Columns for users.
        Table = "table",
        /// One array of objects.
        Json = "json",
        /// RFC 4180, with a header.
        Csv = "csv",
    }
}

/// A row with named columns.
pub trait Row: Serialize {
    /// The columns' names.
    fn header() -> Vec<&'static str>;
    /// The columns, as text; empty where there is nothing.
    fn cells(&self) -> Vec<String>;
}

/// Writes rows, with a line break at the end.
pub fn render<T: Row>(rows: &[T], format: Format) -> String {
    match format {
        Format::Table => table(rows),
        Format::Json => {
            // Numbers, texts and times: nothing in it that JSON cannot say.
            let mut text = serde_json::to_string_pretty(rows).unwrap_or_default();
            text.push('\n');
            text
        }
        Format::Csv => {
            let mut text = csv_line(T::header());
            for row in rows {
                text.push_str(&csv_line(row.cells()));
            }
            text
        }
    }
}

impl Row for HistoryRow {
    fn header() -> Vec<&'static str> {
        let columns = super::Headline::default().columns();
        let names = columns.into_iter().map(|(name, _)| name);
        std::iter::once("at").chain(names).collect()
    }

    fn cells(&self) -> Vec<String> {
        let numbers = self.numbers.columns();
        let numbers = numbers.into_iter().map(|(_, value)| optional(value));
        std::iter::once(self.at.to_string())
            .chain(numbers)
            .collect()
    }
}

impl Row for ChangeRow {
    fn header() -> Vec<&'static str> {
        vec![
            "target",
            "seq",
            "after",
            "before",
            "kind",
            "person",
            "user_type",
            "login",
            "api_key",
            "detail",
        ]
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.target.clone(),
            self.seq.to_string(),
            self.after.to_string(),
            self.before.to_string(),
            self.kind.clone(),
            optional(self.person),
            optional(self.user_type.as_ref()),
            optional(self.login.as_ref()),
            optional(self.api_key),
            self.detail.clone(),
        ]
    }
}

fn optional(value: Option<impl ToString>) -> String {
    value.map(|it| it.to_string()).unwrap_or_default()
}

/// Columns as wide as their widest cell, with the words of a name above each other; numbers to the right; a dash where there is nothing.
fn table<T: Row>(rows: &[T]) -> String {
    let names: Vec<Vec<&str>> = T::header()
        .iter()
        .map(|name| name.split('_').collect())
        .collect();
    let height = names.iter().map(Vec::len).max().unwrap_or(0);
    let header = (0..height).map(|line| {
        let word = |name: &Vec<&str>| {
            let first = height - name.len();
            line.checked_sub(first)
                .map(|line| name[line].to_uppercase())
                .unwrap_or_default()
        };
        names.iter().map(word).collect::<Vec<String>>()
    });
    let lines: Vec<Vec<String>> = header
        .chain(
            rows.iter()
                .map(|row| row.cells().iter().map(|cell| plain(cell)).collect()),
        )
        .collect();
    let cells = &lines[height..];
    let number = |cell: &str| cell == "-" || cell.bytes().all(|c| c.is_ascii_digit());
    let columns: Vec<(usize, bool)> = (0..names.len())
        .map(|column| {
            let width = lines.iter().map(|line| line[column].chars().count()).max();
            let right = cells.iter().all(|line| number(&line[column]));
            (width.unwrap_or(0), right)
        })
        .collect();
    let mut text = String::new();
    for line in &lines {
        let mut out = String::new();
        for (cell, (width, right)) in line.iter().zip(&columns) {
            let _ = if *right {
                write!(out, "{cell:>width$}  ")
            } else {
                write!(out, "{cell:<width$}  ")
            };
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}

/// A login may hold anything: nothing of it may steer a terminal.
fn plain(cell: &str) -> String {
    if cell.is_empty() {
        return "-".to_owned();
    }
    cell.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// One line of CSV. A cell that a spreadsheet would take for a formula is made text.
pub fn csv_line(cells: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let guarded = cells.into_iter().map(|cell| {
        let cell = cell.as_ref();
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        format!("{}{cell}", if formula { "'" } else { "" })
    });
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let written = writer.write_record(guarded);
    written.expect("a vector takes everything");
    let line = writer.into_inner().expect("a vector takes everything");
    String::from_utf8(line).expect("cells are UTF-8")
}
