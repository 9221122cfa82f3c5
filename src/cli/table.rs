//! Tables for a terminal: columns as wide as their widest cell, words colored by their meaning.

use anstyle::{AnsiColor, Style};

/// Rows under a header. Rows may be shorter than the header.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: Vec<&str>) -> Self {
        Self {
            rows: vec![header.into_iter().map(str::to_owned).collect()],
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text, with a line break behind each row.
    pub(super) fn render(&self, color: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let style = if color {
                    style(number == 0, cell)
                } else {
                    Style::new()
                };
                let padding = " ".repeat(width - cell.chars().count() + 2);
                line += &format!("{style}{cell}{style:#}{padding}");
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

fn style(header: bool, cell: &str) -> Style {
    let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    match cell {
        _ if header => Style::new().bold(),
        "ok" | "yes" => color(AnsiColor::Green),
        "no" => color(AnsiColor::Yellow),
        word if word.parse::<crate::domain::Reason>().is_ok() => color(AnsiColor::Red),
        _ => Style::new(),
    }
}
