//! Words into lines, cells into columns, shares into bars: by the columns that a terminal gives a text, which are not its characters.
//!
//! Not comfy-table: it colors cells only with its terminal features, and cannot let the last cell of a short row run on.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of a bar.
const BAR: usize = 10;

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    fn style(self, style: Style, text: &str) -> String {
        if self.0 {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.style(Style::new().bold(), text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.style(Style::new().dimmed(), text)
    }

    pub(super) fn colour(self, colour: AnsiColor, text: &str) -> String {
        self.style(colour.on_default(), text)
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    right: bool,
    colour: Option<AnsiColor>,
}

impl Cell {
    pub(super) fn left(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            right: false,
            colour: None,
        }
    }

    pub(super) fn right(text: &str) -> Self {
        Self {
            right: true,
            ..Self::left(text)
        }
    }

    /// A number, or a dash where it is not known.
    pub(super) fn number(number: Option<u64>) -> Self {
        Self::right(&number.map_or("-".to_owned(), crate::domain::finding::grouped))
    }

    /// A share, 0 to 1. A bar is full only where the share is.
    pub(super) fn bar(share: f64, colour: AnsiColor) -> Self {
        let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64) as usize;
        let mut text = "█".repeat(eighths / 8);
        const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        text += PARTS[eighths % 8];
        let rest = BAR - text.width();
        text += &"·".repeat(rest);
        Self::left(&text).coloured(colour)
    }

    pub(super) fn coloured(mut self, colour: AnsiColor) -> Self {
        self.colour = Some(colour);
        self
    }
}

/// A table with a heading; a heading stands over numbers on the right, as they do.
pub(super) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        Self {
            heading: heading.iter().map(|it| (*it).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Lines of at most `width` columns; what does not fit is cut and ends in `…`.
    pub(super) fn render(&self, paint: Paint, width: usize) -> String {
        // A short row's last cell runs on over the columns that the row does not have.
        let count = self.heading.len();
        let cells = |column: usize| {
            let whole = move |row: &&Vec<Cell>| row.len() == count || column + 1 < row.len();
            self.rows.iter().filter(whole).map(move |row| &row[column])
        };
        let columns: Vec<usize> = (0..count)
            .map(|column| {
                let widest = cells(column).map(|cell| cell.text.width()).max();
                widest.unwrap_or(0).max(self.heading[column].width())
            })
            .collect();
        let right: Vec<bool> = (0..count)
            .map(|column| cells(column).any(|cell| cell.right))
            .collect();
        let heading: Vec<Cell> = self
            .heading
            .iter()
            .zip(&right)
            .map(|(text, right)| Cell {
                right: *right,
                ..Cell::left(text)
            })
            .collect();
        let mut text = paint.dim(&line(&heading, &columns, Paint(false), width));
        text.push('\n');
        for row in &self.rows {
            text += &line(row, &columns, paint, width);
            text.push('\n');
        }
        text
    }
}

fn line(row: &[Cell], columns: &[usize], paint: Paint, width: usize) -> String {
    let mut text = String::from("  ");
    let mut used = 2;
    for (index, cell) in row.iter().enumerate() {
        let last = index + 1 == row.len();
        let gap = if index == 0 { 0 } else { 2 };
        let room = width.saturating_sub(used + gap);
        if room == 0 {
            break;
        }
        let shown = cut(&cell.text, room);
        let fill = if last && !cell.right {
            0
        } else {
            columns[index].min(room).saturating_sub(shown.width())
        };
        used += gap + shown.width() + fill;
        let painted = match cell.colour {
            Some(colour) => paint.colour(colour, &shown),
            None => shown,
        };
        let blank = " ".repeat(fill);
        text += &" ".repeat(gap);
        text += &if cell.right {
            format!("{blank}{painted}")
        } else {
            format!("{painted}{blank}")
        };
    }
    text.trim_end().to_owned()
}

/// Fills up with blanks on the right.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// What fits; a text that does not ends in `…`.
pub(super) fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= room {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

/// Breaks a text between words. A word that is wider than a line is broken within.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if line.width() + c.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}
