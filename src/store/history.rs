//! The headline numbers over time: at each poll, later one an hour, later one a day.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use schemars::JsonSchema;
use serde::Serialize;

use super::record::{signed, stored};
use super::worker::Fault;
use super::{Limits, Range};
use crate::domain::{Posture, UserType};

/// The headline numbers of one poll. `None`: unknown in that poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Headline {
    /// Internal users who are active and not exempt.
    pub internal_eligible: Option<u64>,
    /// Of those, with an accepted factor.
    pub internal_protected: Option<u64>,
    /// Portal users who are active and not exempt.
    pub portal_eligible: Option<u64>,
    /// Of those, with an accepted factor.
    pub portal_protected: Option<u64>,
    /// Active users of all types who are exempt.
    pub exempt: Option<u64>,
    /// Eligible users in a role.
    pub privileged: Option<u64>,
    /// Of those, unprotected.
    pub privileged_without_mfa: Option<u64>,
    /// Active API keys.
    pub api_keys: Option<u64>,
    /// Browsers that skip the second factor.
    pub trusted_devices: Option<u64>,
    /// Users of all types whose password alone may open RPC.
    pub password_rpc: Option<u64>,
    /// Eligible users in the roles `settings` and `access_rights` who are unprotected.
    pub administrators_without_mfa: Option<u64>,
    /// Active API keys of users in a role.
    pub keys_of_privileged: Option<u64>,
    /// Unexpired API keys of archived users.
    pub keys_of_archived: Option<u64>,
}

/// The headline numbers at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HistoryRow {
    /// Time at which the poll started.
    pub at: jiff::Timestamp,
    /// The numbers.
    #[serde(flatten)]
    pub numbers: Headline,
}

impl Headline {
    /// Takes them from a posture.
    pub fn of(posture: &Posture) -> Self {
        let protected = |user_type| posture.protected.map(|protected| protected[user_type]);
        Self {
            internal_eligible: Some(posture.eligible[UserType::Internal]),
            internal_protected: protected(UserType::Internal),
            portal_eligible: Some(posture.eligible[UserType::Portal]),
            portal_protected: protected(UserType::Portal),
            exempt: Some(posture.exempt.0.iter().flatten().sum()),
            privileged: posture.privileged.as_ref().map(|it| it.people),
            privileged_without_mfa: posture.privileged.as_ref().and_then(|it| it.unprotected),
            api_keys: posture
                .keys
                .as_ref()
                .map(|keys| keys.unrestricted + keys.rpc + keys.other),
            trusted_devices: posture.devices.map(|it| it.devices),
            password_rpc: posture.password_rpc.map(|it| it.0.iter().sum()),
            administrators_without_mfa: (posture.privileged.as_ref())
                .and_then(|it| it.unprotected_admins),
            keys_of_privileged: posture.keys.as_ref().and_then(|keys| keys.of_privileged),
            keys_of_archived: posture.keys.as_ref().map(|keys| keys.of_archived),
        }
    }

    /// The numbers with their names, in the order of the columns.
    pub fn columns(&self) -> [(&'static str, Option<u64>); 13] {
        [
            ("internal_eligible", self.internal_eligible),
            ("internal_protected", self.internal_protected),
            ("portal_eligible", self.portal_eligible),
            ("portal_protected", self.portal_protected),
            ("exempt", self.exempt),
            ("privileged", self.privileged),
            ("privileged_without_mfa", self.privileged_without_mfa),
            ("api_keys", self.api_keys),
            ("trusted_devices", self.trusted_devices),
            ("password_rpc", self.password_rpc),
            (
                "administrators_without_mfa",
                self.administrators_without_mfa,
            ),
            ("keys_of_privileged", self.keys_of_privileged),
            ("keys_of_archived", self.keys_of_archived),
        ]
    }
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

pub(super) fn add(
    transaction: &Transaction<'_>,
    target: i64,
    at: jiff::Timestamp,
    numbers: &Headline,
    limits: &Limits,
) -> Result<(), Fault> {
    let at = at.as_second();
    let last: Option<i64> = transaction
        .prepare_cached("SELECT max(at) FROM history WHERE target = ?1 AND at < ?2")?
        .query_row([target, at], |row| row.get(0))
        .optional()?
        .flatten();
    let values = numbers.columns().map(|(_, value)| value.map(signed));
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    let [a, b, c, d, e, f, g, h, i, j, k, l, m] = values;
    insert.execute(params![target, at, a, b, c, d, e, f, g, h, i, j, k, l, m])?;
    match last {
        Some(last) if last.div_euclid(HOUR) != at.div_euclid(HOUR) => {
            // A clock that jumps ahead expires nothing.
            thin(transaction, target, at.min(last + DAY), last, limits)
        }
        _ => Ok(()),
    }
}

/// Rows that are deleted for each row of the last hour: enough to keep up, and few enough that a wrong clock destroys little.
const EXPIRED: i64 = 4;

/// Keeps the last row of each hour, then of each day, then nothing; but deletes no more than a few rows, the oldest first.
fn thin(
    transaction: &Transaction<'_>,
    target: i64,
    now: i64,
    last: i64,
    limits: &Limits,
) -> Result<(), Fault> {
    let ago = |period: std::time::Duration, step: i64| {
        let seconds = i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
        now.saturating_sub(seconds).div_euclid(step) * step
    };
    let oldest = ago(limits.age, DAY);
    let by_day = ago(limits.every_hour, DAY);
    let by_hour = ago(limits.every_poll, HOUR);
    let rows: i64 = transaction
        .prepare_cached("SELECT count(*) FROM history WHERE target = ?1 AND at BETWEEN ?2 AND ?3")?
        .query_row([target, last - HOUR + 1, last], |row| row.get(0))?;
    let mut left = EXPIRED * rows;
    left -= delete(
        transaction
            .prepare_cached(
                "DELETE FROM history WHERE target = ?1 AND at IN (SELECT at FROM history WHERE target = ?1 AND at < ?2 ORDER BY at LIMIT ?3)",
            )?
            .execute([target, oldest, left]),
    )?;
    let mut keep_last = transaction.prepare_cached(
        "DELETE FROM history WHERE target = ?1 AND at IN (
             SELECT at FROM history AS old WHERE target = ?1 AND at >= ?2 AND at < ?3 AND EXISTS (
                 SELECT 1 FROM history AS later
                 WHERE later.target = ?1 AND later.at > old.at AND later.at < (old.at / ?4 + 1) * ?4)
             ORDER BY at LIMIT ?5)",
    )?;
    left -= delete(keep_last.execute([target, oldest, by_day, DAY, left]))?;
    keep_last.execute([target, by_day, by_hour, HOUR, left])?;
    Ok(())
}

fn delete(deleted: rusqlite::Result<usize>) -> Result<i64, Fault> {
    Ok(i64::try_from(deleted?).unwrap_or(i64::MAX))
}

const COLUMNS: &str =
    "internal_eligible, internal_protected, portal_eligible, portal_protected, exempt, privileged,
    privileged_without_mfa, api_keys, trusted_devices, password_rpc, administrators_without_mfa, keys_of_privileged,
    keys_of_archived
    FROM history WHERE target = (SELECT id FROM target WHERE name = ?1) AND at BETWEEN ?2 AND ?3";

pub(super) fn query(
    connection: &Connection,
    target: &str,
    range: Range,
) -> Result<Vec<HistoryRow>, Fault> {
    let (from, to) = range.seconds();
    let mut query = connection.prepare_cached(&format!("SELECT at, {COLUMNS} ORDER BY at"))?;
    rows(query.query(params![target, from, to])?)
}

/// The last row of each step.
pub(super) fn sampled(
    connection: &Connection,
    target: &str,
    range: Range,
    step: Duration,
) -> Result<Vec<HistoryRow>, Fault> {
    let (from, to) = range.seconds();
    let step = i64::try_from(step.as_secs()).unwrap_or(i64::MAX).max(1);
    // SQLite takes the other columns from the row that has the maximum.
    let mut query = connection.prepare_cached(&format!(
        "SELECT max(at), {COLUMNS} GROUP BY at / ?4 ORDER BY 1"
    ))?;
    rows(query.query(params![target, from, to, step])?)
}

fn rows(mut rows: rusqlite::Rows<'_>) -> Result<Vec<HistoryRow>, Fault> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let number = |column| -> Result<Option<u64>, Fault> {
            let value: Option<i64> = row.get(column)?;
            value.map(super::record::count).transpose()
        };
        found.push(HistoryRow {
            at: stored(row.get(0)?)?,
            numbers: Headline {
                internal_eligible: number(1)?,
                internal_protected: number(2)?,
                portal_eligible: number(3)?,
                portal_protected: number(4)?,
                exempt: number(5)?,
                privileged: number(6)?,
                privileged_without_mfa: number(7)?,
                api_keys: number(8)?,
                trusted_devices: number(9)?,
                password_rpc: number(10)?,
                administrators_without_mfa: number(11)?,
                keys_of_privileged: number(12)?,
                keys_of_archived: number(13)?,
            },
        });
    }
    Ok(found)
}

/// One role on one day, by the last poll of that day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct RoleNumbers {
    /// Its name in the configuration.
    pub role: String,
    /// Distinct eligible users in it.
    pub users: u64,
    /// Of those, unprotected; `None` where that poll did not know.
    pub unprotected: Option<u64>,
}

/// For so many days roles are kept.
const ROLE_DAYS: i64 = 92;

/// Writes down the roles of a day, over what an earlier poll of the day found, and deletes those that are too old: a few, so that a wrong clock
/// destroys little.
pub(super) fn add_roles(
    transaction: &Transaction<'_>,
    target: i64,
    at: jiff::Timestamp,
    posture: &Posture,
) -> Result<(), Fault> {
    let Some(privileged) = &posture.privileged else {
        return Ok(());
    };
    let roles = privileged.roles.iter().map(|role| RoleNumbers {
        role: role.name.clone(),
        users: role.people,
        unprotected: role.unprotected,
    });
    let roles = serde_json::to_string(&roles.collect::<Vec<_>>())
        .map_err(|error| Fault::Corrupt(error.to_string()))?;
    let day = at.as_second().div_euclid(DAY);
    transaction
        .prepare_cached(
            "INSERT INTO role_day VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET roles = excluded.roles WHERE roles <> excluded.roles",
        )?
        .execute(params![target, day, roles])?;
    transaction
        .prepare_cached(
            "DELETE FROM role_day WHERE target = ?1 AND day IN
             (SELECT day FROM role_day WHERE target = ?1 AND day < ?2 ORDER BY day LIMIT 2)",
        )?
        .execute([target, day - ROLE_DAYS])?;
    Ok(())
}

/// The roles of a target by the day, oldest first, each with the day's first second.
pub(super) fn roles(
    connection: &Connection,
    target: &str,
    range: Range,
) -> Result<Vec<(jiff::Timestamp, Vec<RoleNumbers>)>, Fault> {
    let (from, to) = range.seconds();
    let mut query = connection.prepare_cached(
        "SELECT day, roles FROM role_day WHERE target = (SELECT id FROM target WHERE name = ?1) AND day BETWEEN ?2 AND ?3 ORDER BY day",
    )?;
    let mut rows = query.query(params![target, from.div_euclid(DAY), to.div_euclid(DAY)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let roles =
            serde_json::from_str(&text).map_err(|error| Fault::Corrupt(error.to_string()))?;
        let day: i64 = row.get(0)?;
        found.push((stored(day.saturating_mul(DAY))?, roles));
    }
    Ok(found)
}
