//! A directory of reports, one a day: the next one is compared with the last.

use std::fs::{DirBuilder, read_dir, read_to_string};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::output::complain;
use super::scan::write;
use crate::scan::Previous;

/// What a report's name begins with; the day follows.
const NAME: &str = "odoo-mfa-";

/// The directory.
#[derive(Debug)]
pub(super) struct Archive(PathBuf);

impl Archive {
    /// Creates the directory if it is missing, for its owner alone: reports name users.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// The report of the last day before today. One that cannot be read is a warning.
    pub(super) fn previous(&self) -> Option<Previous> {
        let path = self.last_before(&name(Timestamp::now(), "json"))?;
        let read = read_to_string(&path).map_err(|error| format!("cannot be read: {error}"));
        let read = read.and_then(|text| Previous::read(&text).map_err(|why| why.to_string()));
        match read {
            Ok(previous) => Some(previous),
            Err(why) => {
                complain(format_args!(
                    "warning: {} {why}; the report says nothing about changes",
                    path.display()
                ));
                None
            }
        }
    }

    fn last_before(&self, today: &str) -> Option<PathBuf> {
        let entries = read_dir(&self.0).ok()?.filter_map(Result::ok);
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let earlier = names.filter(|it| it.starts_with(NAME) && it.ends_with(".json"));
        let last = earlier.filter(|it| it.as_str() < today).max()?;
        Some(self.0.join(last))
    }

    /// Writes both forms, and gives the path of the page.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn write(&self, at: Timestamp, html: &str, json: &str) -> Result<PathBuf, String> {
        for (text, kind) in [(json, "json"), (html, "html")] {
            let name = name(at, kind);
            let path = self.0.join(&name);
            let written = write(&path, text).and_then(|()| self.link(&name, kind));
            written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(self.0.join(name(at, "html")))
    }

    /// Lets `latest` lead to a file, at once.
    fn link(&self, name: &str, kind: &str) -> io::Result<()> {
        let temporary = self
            .0
            .join(format!("latest.{kind}.{}.tmp", std::process::id()));
        symlink(name, &temporary)?;
        std::fs::rename(&temporary, self.0.join(format!("latest.{kind}")))
    }
}

fn name(at: Timestamp, kind: &str) -> String {
    format!("{NAME}{}.{kind}", at.strftime("%Y-%m-%d"))
}
