//! The counters of transitions in the file.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::record::{count, signed};
use super::worker::Fault;
use crate::domain::UserType;
use crate::domain::transition::{Counters, KeyTransition, MfaTransition, PrivilegeTransition};

const MFA: &str = "mfa";
const PRIVILEGED_MFA: &str = "privileged_mfa";
const PRIVILEGE: &str = "privilege";
const API_KEY: &str = "api_key";

/// One counter: family, type of user where the family has it, transition, value.
type Row = (&'static str, &'static str, &'static str, u64);

pub(super) fn load_by_name(
    connection: &Connection,
    target: &str,
) -> Result<Option<Counters>, Fault> {
    let id: Option<i64> = connection
        .prepare_cached("SELECT id FROM target WHERE name = ?1")?
        .query_row([target], |row| row.get(0))
        .optional()?;
    id.map(|id| load(connection, id)).transpose()
}

pub(super) fn load(connection: &Connection, target: i64) -> Result<Counters, Fault> {
    let mut counters = Counters::default();
    let breaks: i64 = connection
        .prepare_cached("SELECT breaks FROM target WHERE id = ?1")?
        .query_row([target], |row| row.get(0))?;
    counters.breaks = count(breaks)?;
    let mut query = connection.prepare_cached(
        "SELECT family, user_type, transition, value FROM counter WHERE target = ?1",
    )?;
    let mut rows = query.query([target])?;
    while let Some(row) = rows.next()? {
        let (family, user_type, transition) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let value = count(row.get(3)?)?;
        match family {
            MFA => {
                let user_type: UserType = word(user_type)?;
                let transition: MfaTransition = word(transition)?;
                counters.mfa[user_type].get_or_insert_default()[transition as usize] = value;
            }
            PRIVILEGED_MFA => {
                let transition: MfaTransition = word(transition)?;
                counters.privileged_mfa.get_or_insert_default()[transition as usize] = value;
            }
            PRIVILEGE => {
                let transition: PrivilegeTransition = word(transition)?;
                counters.privilege.get_or_insert_default()[transition as usize] = value;
            }
            API_KEY => {
                let transition: KeyTransition = word(transition)?;
                counters.api_keys.get_or_insert_default()[transition as usize] = value;
            }
            other => {
                return Err(Fault::Corrupt(format!(
                    "unknown family of counters {other:?}"
                )));
            }
        }
    }
    Ok(counters)
}

/// Writes those that are new or changed.
pub(super) fn save(
    transaction: &Transaction<'_>,
    target: i64,
    before: &Counters,
    now: &Counters,
) -> Result<(), Fault> {
    let known = rows(before);
    let mut insert = transaction.prepare_cached(
        "INSERT INTO counter (target, family, user_type, transition, value) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    for row in rows(now) {
        if !known.contains(&row) {
            let (family, user_type, transition, value) = row;
            insert.execute(params![
                target,
                family,
                user_type,
                transition,
                signed(value)
            ])?;
        }
    }
    if before.breaks != now.breaks {
        transaction.execute(
            "UPDATE target SET breaks = ?2 WHERE id = ?1",
            params![target, signed(now.breaks)],
        )?;
    }
    Ok(())
}

fn rows(counters: &Counters) -> Vec<Row> {
    let mut rows = Vec::new();
    for (user_type, values) in counters.mfa.iter() {
        for transition in MfaTransition::ALL.iter().filter(|_| values.is_some()) {
            let value = values.unwrap_or_default()[*transition as usize];
            rows.push((MFA, user_type.as_str(), transition.as_str(), value));
        }
    }
    let mut plain = |family, words: &[&'static str], values: Option<&[u64]>| {
        for (word, value) in words.iter().zip(values.unwrap_or_default()) {
            rows.push((family, "", *word, *value));
        }
    };
    let mfa = [MfaTransition::Enrolled, MfaTransition::Disabled].map(MfaTransition::as_str);
    let privilege = [PrivilegeTransition::Granted, PrivilegeTransition::Revoked]
        .map(PrivilegeTransition::as_str);
    let keys = [
        KeyTransition::Created,
        KeyTransition::Revoked,
        KeyTransition::Expired,
    ]
    .map(KeyTransition::as_str);
    plain(
        PRIVILEGED_MFA,
        &mfa,
        counters.privileged_mfa.as_ref().map(<[u64; 2]>::as_slice),
    );
    plain(
        PRIVILEGE,
        &privilege,
        counters.privilege.as_ref().map(<[u64; 2]>::as_slice),
    );
    plain(
        API_KEY,
        &keys,
        counters.api_keys.as_ref().map(<[u64; 3]>::as_slice),
    );
    rows
}

fn text<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<&'a str, Fault> {
    let value = row.get_ref(column)?;
    value
        .as_str()
        .map_err(|error| Fault::Corrupt(error.to_string()))
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Fault> {
    text.parse()
        .map_err(|error| Fault::Corrupt(format!("{text:?} is {error}")))
}
