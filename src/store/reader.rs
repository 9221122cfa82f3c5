//! Reading the file beside a running daemon: for the commands.

use std::path::Path;

use rusqlite::Connection;

use super::file;
use super::worker::Fault;
use super::{ChangeRow, Error, HistoryRow, Page, Range, changes, history};

/// A store that is only read.
#[derive(Debug)]
pub struct Reader(Connection);

impl Reader {
    /// Opens a file, also while a daemon writes to it.
    ///
    /// # Errors
    /// If there is no such file, it is damaged, or a later version or another program wrote it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        file::open_to_read(path)
            .map(Self)
            .map_err(|error| Error::Unavailable(error.to_string()))
    }

    /// The names of the targets that the store knows, sorted.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn targets(&self) -> Result<Vec<String>, Error> {
        let names = || -> Result<Vec<String>, Fault> {
            let mut query = self.0.prepare("SELECT name FROM target ORDER BY name")?;
            let names = query.query_map([], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        names().map_err(failed)
    }

    /// As [`super::Store::history`].
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn history(&self, target: &str, range: Range) -> Result<Vec<HistoryRow>, Error> {
        history::query(&self.0, target, range).map_err(failed)
    }

    /// As [`super::Store::changes`].
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn changes(&self, target: &str, range: Range, page: Page) -> Result<Vec<ChangeRow>, Error> {
        changes::query(&self.0, &[target.to_owned()], range, &page).map_err(failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err expects a function")]
fn failed(fault: Fault) -> Error {
    Error::Failed(fault.to_string())
}
