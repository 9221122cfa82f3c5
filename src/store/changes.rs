//! The change log: what changed, when, and whom it concerns; bounded by age and by rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::record::{count, stored};
use super::worker::Fault;
use super::{Limits, Range};
use crate::domain::transition::{Break, Change, ChangeKind, Person};
use crate::domain::vocabulary::{UnknownWord, UserType};

/// Kind of a row of the log if the polls before and after it could not be compared.
const BREAK: &str = "break";

/// One row of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangeRow {
    /// The target.
    pub target: String,
    /// Its number in the target's log; it grows by one with each change.
    pub seq: u64,
    /// It happened after this poll.
    pub after: Timestamp,
    /// It happened before this poll.
    pub before: Timestamp,
    /// What: a kind of change, or `break`.
    #[schemars(with = "LoggedKind")]
    pub kind: String,
    /// The affected user, of an API key its owner: the id in `res.users`.
    pub person: Option<u32>,
    /// Their type then, where they were active.
    pub user_type: Option<String>,
    /// Their login, only where `privacy.store_logins` allowed to keep it.
    pub login: Option<String>,
    /// The API key's id.
    pub api_key: Option<u32>,
    /// Factors, roles, the kind of break, or nothing.
    pub detail: String,
    /// Position in the log of all targets.
    #[serde(skip)]
    pub at: Cursor,
}

/// A position in the change log of all targets, from which the next page continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    before: i64,
    target: i64,
    seq: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.before, self.target, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Option<Vec<i64>> = text.split('.').map(|it| it.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[before, target, seq]) => Ok(Self {
                before,
                target,
                seq,
            }),
            _ => Err("must be the `next` of a response"),
        }
    }
}

impl JsonSchema for Cursor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^-?[0-9]{1,18}\.[0-9]{1,18}\.[0-9]{1,18}$"})
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Kind of a row of the log: one of the words of [`ChangeKind`], or `break`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedKind(&'static str);

impl fmt::Display for LoggedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl LoggedKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::words().map(Self)
    }

    fn words() -> impl Iterator<Item = &'static str> {
        ChangeKind::WORDS.iter().copied().chain([BREAK])
    }
}

impl FromStr for LoggedKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = Self::words().find(|known| *known == word).map(Self);
        known.ok_or_else(|| UnknownWord {
            expected: Self::words().collect(),
        })
    }
}

impl JsonSchema for LoggedKind {
    fn schema_name() -> Cow<'static, str> {
        "LoggedKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = Self::words().collect();
        json_schema!({"type": "string", "enum": words})
    }
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Only rows after this one, for the page after it.
    pub after: Option<Cursor>,
    /// Only rows of these kinds; none means all.
    pub kinds: Vec<LoggedKind>,
    /// Only rows about a user of these types, as it was then; none means all.
    pub types: Vec<UserType>,
    /// At most so many rows.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: None,
            kinds: Vec::new(),
            types: Vec::new(),
            limit: 1000,
        }
    }
}

pub(super) fn add(
    transaction: &Transaction<'_>,
    target: i64,
    changes: &[Change],
    people: &BTreeMap<u32, Person>,
    limits: &Limits,
) -> Result<(), Fault> {
    let Some(newest) = changes.last() else {
        return Ok(());
    };
    let last = last(transaction, target)?;
    let first = last.seq + 1;
    let keep = usize::try_from(limits.changes).unwrap_or(usize::MAX);
    // Of more than are kept, only the last are written.
    let skipped = changes.len().saturating_sub(keep);
    // If logins may not be stored, the answers have none, and an earlier one is not copied either.
    let keeps_logins = people.values().any(|person| person.login.is_some());
    let mut insert = insert(transaction)?;
    for (seq, change) in (first..).zip(changes).skip(skipped) {
        let login = match people.get(&change.person) {
            Some(person) => person.login.clone(),
            // Odoo has no login of a user who was deleted; an earlier change may.
            None if keeps_logins => known_login(transaction, target, change.person)?,
            None => None,
        };
        insert.execute(params![
            target,
            seq,
            change.after.as_second(),
            change.before.as_second(),
            change.kind.as_str(),
            change.person,
            change.user_type.map(|it| it.as_str()),
            login,
            change.key,
            change.detail,
        ])?;
    }
    drop(insert);
    trim(
        transaction,
        target,
        last.now(newest.before),
        changes.len(),
        limits,
    )
}

pub(super) fn add_break(
    transaction: &Transaction<'_>,
    target: i64,
    found: &Break,
    (after, before): (Timestamp, Timestamp),
    limits: &Limits,
) -> Result<(), Fault> {
    let last = last(transaction, target)?;
    let none = None::<String>;
    insert(transaction)?.execute(params![
        target,
        last.seq + 1,
        after.as_second().min(before.as_second()),
        before.as_second(),
        BREAK,
        none,
        none,
        none,
        none,
        format!("{}: {found}", found.as_str()),
    ])?;
    trim(transaction, target, last.now(before), 1, limits)
}

fn insert<'c>(transaction: &'c Transaction<'_>) -> rusqlite::Result<rusqlite::CachedStatement<'c>> {
    transaction
        .prepare_cached("INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")
}

/// The newest row before an insert.
struct Last {
    /// Its number, or 0.
    seq: i64,
    /// Time of the change; `None` if there is no row.
    before: Option<i64>,
}

impl Last {
    /// The time by which rows expire, in seconds: the poll's, but at most a day after the newest row. A clock that jumps ahead
    /// expires nothing.
    fn now(&self, poll: Timestamp) -> i64 {
        let poll = poll.as_second();
        self.before.map_or(poll, |before| {
            poll.min(before.saturating_add(super::DAY.as_secs().cast_signed()))
        })
    }
}

fn last(transaction: &Transaction<'_>, target: i64) -> Result<Last, Fault> {
    let row = transaction
        .prepare_cached(
            "SELECT seq, before FROM change WHERE target = ?1 ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([target], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (seq, before) = row.unzip();
    Ok(Last {
        seq: seq.unwrap_or(0),
        before,
    })
}

/// The login that an earlier change of a user has.
fn known_login(
    transaction: &Transaction<'_>,
    target: i64,
    person: u32,
) -> Result<Option<String>, Fault> {
    let login = transaction
        .prepare_cached(
            "SELECT login FROM change WHERE target = ?1 AND person = ?2 AND login IS NOT NULL ORDER BY seq DESC LIMIT 1",
        )?
        .query_row(params![target, person], |row| row.get(0))
        .optional()?;
    Ok(login)
}

/// Expired rows that are deleted for each row that is written: enough to keep up, and few enough that a wrong clock destroys little.
const EXPIRED: usize = 2;

/// Deletes rows beyond the limit, and a few of those that are too old. The newest row always stays, so that numbers continue.
fn trim(
    transaction: &Transaction<'_>,
    target: i64,
    now: i64,
    written: usize,
    limits: &Limits,
) -> Result<(), Fault> {
    let age = i64::try_from(limits.age.as_secs()).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "DELETE FROM change WHERE target = ?1 AND seq <= (SELECT max(seq) FROM change WHERE target = ?1) - ?2",
        )?
        .execute(params![target, i64::from(limits.changes.max(1))])?;
    transaction
        .prepare_cached(
            "DELETE FROM change WHERE target = ?1 AND before < ?2 AND seq < (SELECT max(seq) FROM change WHERE target = ?1)
             AND seq IN (SELECT seq FROM change WHERE target = ?1 ORDER BY seq LIMIT ?3)",
        )?
        .execute(params![
            target,
            now.saturating_sub(age),
            i64::try_from(EXPIRED * written).unwrap_or(i64::MAX),
        ])?;
    Ok(())
}

/// The log of one target is read along its own key, that of several along the time.
pub(super) fn query(
    connection: &Connection,
    targets: &[String],
    range: Range,
    page: &Page,
) -> Result<Vec<ChangeRow>, Fault> {
    let (from, to) = range.seconds();
    let text = |words: Vec<&str>| serde_json::Value::from(words).to_string();
    let kinds = text(page.kinds.iter().map(|LoggedKind(word)| *word).collect());
    let types = text(page.types.iter().map(|it| it.as_str()).collect());
    let names = text(targets.iter().map(String::as_str).collect());
    let whose = match targets {
        [_] => "= (SELECT id FROM target WHERE name = (SELECT value FROM json_each(?4)))",
        _ => "IN (SELECT id FROM target WHERE name IN (SELECT value FROM json_each(?4)))",
    };
    let after = page.after.unwrap_or(Cursor {
        before: i64::MAX,
        target: i64::MAX,
        seq: i64::MAX,
    });
    let mut query = connection.prepare_cached(&format!(
        "SELECT seq, after, before, kind, person, user_type, login, api_key, detail, name, change.target
         FROM change JOIN target ON target.id = change.target
         WHERE change.target {whose} AND before BETWEEN ?1 AND ?2
         AND (before, change.target, seq) < (?5, ?6, ?7)
         AND (json_array_length(?8) = 0 OR kind IN (SELECT value FROM json_each(?8)))
         AND (json_array_length(?9) = 0 OR user_type IN (SELECT value FROM json_each(?9)))
         ORDER BY before DESC, change.target DESC, seq DESC LIMIT ?3"
    ))?;
    let Cursor {
        before,
        target,
        seq,
    } = after;
    let mut rows = query.query(params![
        from, to, page.limit, names, before, target, seq, kinds, types
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, before) = (row.get(0)?, row.get(2)?);
        found.push(ChangeRow {
            seq: count(seq)?,
            after: stored(row.get(1)?)?,
            before: stored(before)?,
            kind: row.get(3)?,
            person: row.get(4)?,
            user_type: row.get(5)?,
            login: row.get(6)?,
            api_key: row.get(7)?,
            detail: row.get(8)?,
            target: row.get(9)?,
            at: Cursor {
                before,
                target: row.get(10)?,
                seq,
            },
        });
    }
    Ok(found)
}
