//! The tables, and how a file of an older version becomes one of this version.
//!
//! docs/storage.md describes them for those who read the file with `sqlite3`. A released step is never changed: a new version is a new
//! step at the end.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a file as this program's: `MFAx`.
pub(super) const APPLICATION_ID: i32 = 0x4D46_4178;

/// Step n makes version n + 1 out of version n.
const STEPS: &[&str] = &[V1, V2, V3];

/// The version that this program writes.
pub(super) const VERSION: usize = STEPS.len();

const V1: &str = "
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    database TEXT NOT NULL,
    baseline_at INTEGER NOT NULL,
    release_major INTEGER NOT NULL,
    release_minor INTEGER NOT NULL,
    poller INTEGER NOT NULL,
    types INTEGER NOT NULL,
    factors_at INTEGER,
    roles_at INTEGER,
    roles_definition INTEGER,
    keys_at INTEGER,
    witnesses TEXT NOT NULL,
    breaks INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE id_set (
    target INTEGER NOT NULL REFERENCES target (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    chunk INTEGER NOT NULL,
    ids BLOB NOT NULL,
    PRIMARY KEY (target, name, chunk)
) WITHOUT ROWID;
CREATE TABLE api_key (
    target INTEGER NOT NULL REFERENCES target (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    PRIMARY KEY (target, id)
) WITHOUT ROWID;
CREATE TABLE counter (
    target INTEGER NOT NULL REFERENCES target (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    user_type TEXT NOT NULL,
    transition TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (target, family, user_type, transition)
) WITHOUT ROWID;
CREATE TABLE change (
    target INTEGER NOT NULL REFERENCES target (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    after INTEGER NOT NULL,
    before INTEGER NOT NULL,
    kind TEXT NOT NULL,
    person INTEGER,
    user_type TEXT,
    login TEXT,
    api_key INTEGER,
    detail TEXT NOT NULL,
    PRIMARY KEY (target, seq)
) WITHOUT ROWID;
CREATE TABLE history (
    target INTEGER NOT NULL REFERENCES target (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    internal_eligible INTEGER,
    internal_protected INTEGER,
    portal_eligible INTEGER,
    portal_protected INTEGER,
    exempt INTEGER,
    privileged INTEGER,
    privileged_without_mfa INTEGER,
    api_keys INTEGER,
    trusted_devices INTEGER,
    password_rpc INTEGER,
    PRIMARY KEY (target, at)
) WITHOUT ROWID;
CREATE TABLE last_poll (
    target INTEGER PRIMARY KEY REFERENCES target (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    success INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    result BLOB NOT NULL
);
CREATE TABLE state (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
";

/// Events for alerts are part of the baseline, no longer of the alerts' state.
const V2: &str = "
ALTER TABLE target ADD COLUMN protection_at INTEGER;
ALTER TABLE target ADD COLUMN protection TEXT;
ALTER TABLE target ADD COLUMN recent TEXT;
DELETE FROM state WHERE kind = 'alerts' AND key GLOB 'memory/*';
";

/// More numbers over time, roles by the day, and the change log of all targets in the order of time.
const V3: &str = "
ALTER TABLE history ADD COLUMN administrators_without_mfa INTEGER;
ALTER TABLE history ADD COLUMN keys_of_privileged INTEGER;
ALTER TABLE history ADD COLUMN keys_of_archived INTEGER;
CREATE TABLE role_day (
    target INTEGER NOT NULL REFERENCES target (id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    roles TEXT NOT NULL,
    PRIMARY KEY (target, day)
) WITHOUT ROWID;
CREATE INDEX change_by_time ON change (before, target, seq);
";

/// Kind of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Nothing in it yet.
    Empty,
    /// This program's, of a version that it knows.
    Known(usize),
    /// This program's, of a later version.
    Newer(i64),
    /// Another program's.
    Foreign,
}

/// Looks at a file without changing it.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<Version> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Version::Empty);
    }
    if pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Ok(Version::Foreign);
    }
    let version = pragma("user_version")?;
    Ok(match usize::try_from(version) {
        Ok(known) if known <= VERSION => Version::Known(known),
        _ => Version::Newer(version),
    })
}

/// Brings a file to this program's version, all of it or nothing.
pub(super) fn migrate(connection: &mut Connection, from: usize) -> rusqlite::Result<()> {
    if from == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &STEPS[from..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(VERSION).unwrap_or(i64::MAX),
    )?;
    transaction.commit()
}
