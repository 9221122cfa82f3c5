//! Opening the file: its directory, its lock, its version, its health. A corrupt file is moved aside, never deleted.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{self, VERSION, Version};
use crate::domain::transition::Baseline;

/// Location of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Gone with the process.
    Memory,
    /// A file, or an existing directory that the file [`FILE_NAME`] is in.
    Path(PathBuf),
}

/// The file's name where the location is a directory.
pub const FILE_NAME: &str = "store.db";

/// Why a file is not used, although it could be read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A later version of this program wrote it.
    #[error(
        "{} was written by a later version (format {found}, supported up to {VERSION}): upgrade the exporter, or set --storage.path to another file",
        .path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// A database of something else.
    #[error("{} is the database of another program: set --storage.path to another file", .0.display())]
    Foreign(PathBuf),
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The file must not be touched.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// Not a database, or a damaged one.
    #[error("{} is corrupt: {reason}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Reason of the failure.
        reason: String,
    },
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
}

/// An open store. The lock lasts as long as the connection.
pub(super) struct Open {
    connection: Connection,
    /// Each target's number and baseline, from when a poll asks for it until that poll is written down, which takes them instead of
    /// reading them again. No other process writes baselines.
    pub(super) asked: HashMap<String, (i64, Arc<Baseline>)>,
    /// True if the file existed and was empty.
    pub(super) was_empty: bool,
    place: Option<Place>,
}

/// The file's lock, and which file it is.
struct Place {
    _lock: File,
    identity: (u64, u64),
    was_empty: bool,
}

impl Open {
    /// State of the open file's path, if it no longer leads to it.
    pub(super) fn lost(&self, path: &Path) -> Option<&'static str> {
        let place = self.place.as_ref()?;
        match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("was deleted"),
            Ok(now) if (now.dev(), now.ino()) != place.identity => Some("was replaced"),
            Ok(now) if now.len() == 0 => Some("was emptied"),
            _ => None,
        }
    }
}

impl Deref for Open {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Time that a writer waits for `sqlite3` or another program that locks the file.
const BUSY: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 5000 });

/// The write-ahead log is cut to this size after it was folded into the file.
const WAL_LIMIT: i64 = 4 << 20;

/// Statements that are kept prepared: more than there are.
const STATEMENTS: usize = 64;

impl Location {
    /// The file, if it is one.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::Path(path) if path.is_dir() => Some(path.join(FILE_NAME)),
            Self::Path(path) => Some(path.clone()),
        }
    }
}

/// Opens for reading and writing, alone.
pub(super) fn open(location: &Location) -> Result<Open, OpenError> {
    let Some(path) = location.file() else {
        let connection = Connection::open_in_memory()
            .map_err(|error| unavailable(Path::new(":memory:"), &error))?;
        return prepare(connection, None, Path::new(":memory:"));
    };
    let place = lock(&path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(&path, flags).map_err(|error| fault(&path, &error))?;
    prepare(connection, Some(place), &path)
}

/// Writes everything that is in an open store into a file beside a path.
pub(super) fn rescue(open: &Open, path: &Path) -> io::Result<PathBuf> {
    create_directory_of(path)?;
    let copy = with_suffix(path, ".rescued");
    let _ = std::fs::remove_file(&copy);
    private(&copy)?;
    let name = copy.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    open.execute("VACUUM INTO ?1", [name])
        .map_err(io::Error::other)?;
    File::open(&copy)?.sync_all()?;
    Ok(copy)
}

/// Puts a copy in the place of a file that was deleted, side files included.
pub(super) fn put_back(copy: &Path, path: &Path) -> io::Result<()> {
    for side in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(with_suffix(path, side));
    }
    std::fs::rename(copy, path)
}

/// Opens for reading only, also while a daemon writes.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, OpenError> {
    let path = Location::Path(path.to_owned()).file().unwrap_or_default();
    if !path.exists() {
        return Err(OpenError::Unavailable(format!(
            "{} does not exist",
            path.display()
        )));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(&path, flags).map_err(|error| fault(&path, &error))?;
    connection
        .busy_timeout(BUSY)
        .map_err(|error| fault(&path, &error))?;
    match schema::version(&connection).map_err(|error| fault(&path, &error))? {
        Version::Known(VERSION) => Ok(connection),
        Version::Known(_) | Version::Empty => Err(OpenError::Unavailable(format!(
            "{} has no data of this version yet: start the daemon on it first",
            path.display()
        ))),
        Version::Newer(found) => Err(Refused::TooNew { path, found }.into()),
        Version::Foreign => Err(Refused::Foreign(path).into()),
    }
}

fn prepare(
    mut connection: Connection,
    place: Option<Place>,
    path: &Path,
) -> Result<Open, OpenError> {
    let known = (|| {
        connection.busy_timeout(BUSY)?;
        // Looks before it writes: a refused file stays as it is.
        let version = schema::version(&connection)?;
        Ok(version)
    })()
    .map_err(|error| fault(path, &error))?;
    let from = match known {
        Version::Empty => 0,
        Version::Known(version) => version,
        Version::Newer(found) => {
            let path = path.to_owned();
            return Err(Refused::TooNew { path, found }.into());
        }
        Version::Foreign => return Err(Refused::Foreign(path.to_owned()).into()),
    };
    let checked = (|| {
        let text = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        connection.pragma_update_and_check(None, "journal_mode", "WAL", text)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // One plan for a statement with any parameters: otherwise each poll plans ranges of time again.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update_and_check(None, "journal_size_limit", WAL_LIMIT, |_| Ok(()))?;
        let check: String = connection.query_row("PRAGMA quick_check(1)", [], text)?;
        if check == "ok" {
            schema::migrate(&mut connection, from)?;
        }
        Ok(check)
    })()
    .map_err(|error| fault(path, &error))?;
    if checked != "ok" {
        return Err(OpenError::Corrupt {
            path: path.to_owned(),
            reason: checked,
        });
    }
    Ok(Open {
        connection,
        asked: HashMap::new(),
        was_empty: place.as_ref().is_some_and(|it| it.was_empty),
        place,
    })
}

/// Creates the directory and the file, readable by their owner only, and takes the lock. The lock is on a file of its own, since closing a
/// descriptor of the database would drop SQLite's own locks.
fn lock(path: &Path) -> Result<Place, OpenError> {
    let cannot = |what: &str, error: &io::Error| {
        OpenError::Unavailable(format!("{} cannot be {what}: {error}", path.display()))
    };
    create_directory_of(path).map_err(|error| cannot("made", &error))?;
    let lock = private(&with_suffix(path, ".lock")).map_err(|error| cannot("locked", &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::Unavailable(format!(
                "{} is in use by another odoo-mfa-exporter",
                path.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(cannot("locked", &error)),
    }
    let was_empty = std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() == 0);
    // SQLite gives its side files the mode of this one.
    let metadata = private(path).and_then(|file| file.metadata());
    let metadata = metadata.map_err(|error| cannot("written", &error))?;
    Ok(Place {
        _lock: lock,
        identity: (metadata.dev(), metadata.ino()),
        was_empty,
    })
}

fn create_directory_of(path: &Path) -> io::Result<()> {
    match path.parent().filter(|it| !it.as_os_str().is_empty()) {
        Some(directory) => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory),
        None => Ok(()),
    }
}

/// Opens a file, and creates it readable by its owner only.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Moves a corrupt file and its side files aside and gives the new name of the first.
pub(super) fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut name = with_suffix(path, &format!(".corrupt-{stamp}"));
    let mut again = 1;
    while name.exists() {
        again += 1;
        name = with_suffix(path, &format!(".corrupt-{stamp}-{again}"));
    }
    for side in ["-wal", "-shm"] {
        let from = with_suffix(path, side);
        if from.exists() {
            std::fs::rename(&from, with_suffix(&name, side))?;
        }
    }
    std::fs::rename(path, &name)?;
    Ok(name)
}

/// Returns true if an error says that the file itself is damaged.
pub(super) fn is_corruption(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn fault(path: &Path, error: &rusqlite::Error) -> OpenError {
    if is_corruption(error) {
        OpenError::Corrupt {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    } else {
        unavailable(path, error)
    }
}

fn unavailable(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Unavailable(format!("{} cannot be opened: {error}", path.display()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
