//! Errors and warnings of a configuration: message, position and hint, and their format.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1, in characters.
    pub column: u64,
}

/// Severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The configuration is refused.
    Error,
    /// The configuration works, but should not stay like that.
    Warning,
}

/// One finding about a configuration. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The configuration file.
    pub file: PathBuf,
    /// Position in the file; none if the file itself could not be read.
    pub position: Option<Position>,
    /// Error or warning.
    pub level: Level,
    /// The error.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// `file:line:column: error: message`, and the hint on a line of its own.
    pub fn render(&self, color: bool) -> String {
        use anstyle::{AnsiColor, Style};
        let styles = |style: Style| if color { style } else { Style::new() };
        let bold = styles(Style::new().bold());
        let (word, level) = match self.level {
            Level::Error => ("error", styles(AnsiColor::Red.on_default().bold())),
            Level::Warning => ("warning", styles(AnsiColor::Yellow.on_default().bold())),
        };
        let at = self
            .position
            .map_or(String::new(), |at| format!(":{}:{}", at.line, at.column));
        let mut text = format!(
            "{bold}{}{at}:{bold:#} {level}{word}:{level:#} {bold}{}{bold:#}",
            self.file.display(),
            self.message
        );
        if let Some(hint) = &self.hint {
            let cyan = styles(AnsiColor::Cyan.on_default());
            text += &format!("\n  {cyan}hint:{cyan:#} {hint}");
        }
        text
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Collects findings while a configuration is read, so that all are reported at once.
pub(super) struct Sink {
    file: PathBuf,
    found: RefCell<Vec<Diagnostic>>,
}

impl Sink {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            found: RefCell::default(),
        }
    }

    pub(super) fn error(
        &self,
        at: impl Into<Option<Position>>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Level::Error, at.into(), message.into(), hint.into());
    }

    pub(super) fn warning(
        &self,
        at: impl Into<Option<Position>>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Level::Warning, at.into(), message.into(), hint.into());
    }

    /// Everything found, in the order of the file, once each: what stands behind an anchor is read at each alias.
    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by(|a, b| {
            (a.position, a.level, &a.message).cmp(&(b.position, b.level, &b.message))
        });
        found.dedup();
        found
    }

    fn push(&self, level: Level, position: Option<Position>, message: String, hint: String) {
        let hint = (!hint.is_empty()).then_some(hint);
        self.found.borrow_mut().push(Diagnostic {
            file: self.file.clone(),
            position,
            level,
            message,
            hint,
        });
    }
}
