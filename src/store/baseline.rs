//! Baselines in the file: sets of ids in chunks of 65,536 ids, of which only those are written that changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::record::{bits, stored};
use super::worker::Fault;
use crate::domain::transition::{Baseline, Factors, Key, Origin, Part, RoleMembers};
use crate::domain::{IdSet, PerType, UserType};

const INTERNAL: &str = "internal";
const PUBLIC: &str = "public";
const NONE: &str = "none";
const TOTP: &str = "totp";
const PASSKEY: &str = "passkey";
const ARCHIVED_HOLDERS: &str = "archived_holders";
/// Followed by the role's name.
const ROLE: &str = "role:";

/// The columns of `target` that belong to the baseline.
struct Head {
    id: i64,
    at: Timestamp,
    origin: Origin,
    release: (u32, u32),
    poller: u32,
    types: i64,
    factors_at: Option<Timestamp>,
    roles: Option<(Timestamp, u64)>,
    keys_at: Option<Timestamp>,
    witnesses: BTreeMap<u32, Timestamp>,
}

/// The target's number and baseline.
pub(super) fn load(
    connection: &Connection,
    target: &str,
) -> Result<Option<(i64, Baseline)>, Fault> {
    let Some(head) = head(connection, target)? else {
        return Ok(None);
    };
    let mut sets = sets(connection, head.id)?;
    let mut take = |name: &str| sets.remove(name).unwrap_or_default();
    let factors = head.factors_at.map(|at| Part {
        at,
        value: Factors {
            totp: take(TOTP),
            passkey: take(PASSKEY),
        },
    });
    let mut baseline = Baseline {
        at: head.at,
        origin: head.origin,
        release: head.release,
        poller: head.poller,
        types: PerType::from_fn(|user_type| head.types & (1 << user_type as usize) != 0),
        internal: take(INTERNAL),
        public: take(PUBLIC),
        none: take(NONE),
        factors,
        roles: None,
        keys: None,
        archived_holders: take(ARCHIVED_HOLDERS),
        witnesses: head.witnesses,
    };
    baseline.roles = head.roles.map(|(at, definition)| Part {
        at,
        value: RoleMembers {
            definition,
            members: sets
                .into_iter()
                .filter_map(|(name, people)| Some((name.strip_prefix(ROLE)?.to_owned(), people)))
                .collect(),
        },
    });
    if let Some(at) = head.keys_at {
        let value = keys(connection, head.id)?;
        baseline.keys = Some(Part { at, value });
    }
    Ok(Some((head.id, baseline)))
}

/// Writes what is different from the one before, and gives the target's number.
pub(super) fn save(
    transaction: &Transaction<'_>,
    target: &str,
    before: Option<&Baseline>,
    now: &Baseline,
) -> Result<i64, Fault> {
    let id = save_head(transaction, target, now)?;
    let (was, is) = (before.map(named_sets).unwrap_or_default(), named_sets(now));
    let nobody = IdSet::new();
    for (name, people) in &is {
        let people_before = was.get(name).copied().unwrap_or(&nobody);
        save_set(transaction, id, name, people_before, people)?;
    }
    for (name, people) in was.iter().filter(|(name, _)| !is.contains_key(*name)) {
        save_set(transaction, id, name, people, &nobody)?;
    }
    save_keys(
        transaction,
        id,
        before.and_then(|it| it.keys.as_ref()).map(|it| &it.value),
        now.keys.as_ref().map(|it| &it.value),
    )?;
    Ok(id)
}

fn head(connection: &Connection, target: &str) -> Result<Option<Head>, Fault> {
    let mut query = connection.prepare_cached(
        "SELECT id, url, database, baseline_at, release_major, release_minor, poller, types, factors_at, roles_at,
                roles_definition, keys_at, witnesses
         FROM target WHERE name = ?1",
    )?;
    let mut rows = query.query([target])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let time = |column| -> Result<Option<Timestamp>, Fault> {
        let seconds: Option<i64> = row.get(column)?;
        seconds.map(stored).transpose()
    };
    let witnesses: String = row.get(12)?;
    let witnesses: BTreeMap<u32, i64> = serde_json::from_str(&witnesses)
        .map_err(|error| Fault::Corrupt(format!("witnesses: {error}")))?;
    let definition: Option<i64> = row.get(10)?;
    Ok(Some(Head {
        id: row.get(0)?,
        origin: Origin {
            url: row.get(1)?,
            database: row.get(2)?,
        },
        at: stored(row.get(3)?)?,
        release: (row.get(4)?, row.get(5)?),
        poller: row.get(6)?,
        types: row.get(7)?,
        factors_at: time(8)?,
        roles: time(9)?.zip(definition.map(i64::cast_unsigned)),
        keys_at: time(11)?,
        witnesses: witnesses
            .into_iter()
            .map(|(id, created)| Ok((id, stored(created)?)))
            .collect::<Result<_, Fault>>()?,
    }))
}

fn save_head(transaction: &Transaction<'_>, target: &str, now: &Baseline) -> Result<i64, Fault> {
    let types = now.types.iter().fold(0_i64, |types, (user_type, there)| {
        types | (i64::from(*there) << user_type as usize)
    });
    let witnesses: Vec<String> = now
        .witnesses
        .iter()
        .map(|(id, created)| format!("\"{id}\":{}", created.as_second()))
        .collect();
    let id = transaction
        .prepare_cached(
            "INSERT INTO target (name, url, database, baseline_at, release_major, release_minor, poller, types, factors_at, roles_at,
                                 roles_definition, keys_at, witnesses)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (name) DO UPDATE SET url = excluded.url, database = excluded.database, baseline_at = excluded.baseline_at,
                 release_major = excluded.release_major, release_minor = excluded.release_minor, poller = excluded.poller,
                 types = excluded.types, factors_at = excluded.factors_at, roles_at = excluded.roles_at,
                 roles_definition = excluded.roles_definition, keys_at = excluded.keys_at, witnesses = excluded.witnesses
             RETURNING id",
        )?
        .query_row(
            params![
                target,
                now.origin.url,
                now.origin.database,
                now.at.as_second(),
                now.release.0,
                now.release.1,
                now.poller,
                types,
                now.factors.as_ref().map(|part| part.at.as_second()),
                now.roles.as_ref().map(|part| part.at.as_second()),
                now.roles.as_ref().map(|part| bits(part.value.definition)),
                now.keys.as_ref().map(|part| part.at.as_second()),
                format!("{{{}}}", witnesses.join(",")),
            ],
            |row| row.get(0),
        )
        .optional()?;
    id.ok_or_else(|| Fault::Corrupt("the row of a target was not written".to_owned()))
}

/// The sets that a baseline is made of, by the names that they have in the file.
fn named_sets(baseline: &Baseline) -> BTreeMap<String, &IdSet> {
    let mut sets = BTreeMap::from([
        (INTERNAL.to_owned(), &baseline.internal),
        (PUBLIC.to_owned(), &baseline.public),
        (NONE.to_owned(), &baseline.none),
        (ARCHIVED_HOLDERS.to_owned(), &baseline.archived_holders),
    ]);
    if let Some(factors) = &baseline.factors {
        sets.insert(TOTP.to_owned(), &factors.value.totp);
        sets.insert(PASSKEY.to_owned(), &factors.value.passkey);
    }
    for (role, people) in baseline.roles.iter().flat_map(|roles| &roles.value.members) {
        sets.insert(format!("{ROLE}{role}"), people);
    }
    sets
}

/// A set with no chunk in the file is empty.
fn sets(connection: &Connection, target: i64) -> Result<BTreeMap<String, IdSet>, Fault> {
    let mut query = connection
        .prepare_cached("SELECT name, ids FROM id_set WHERE target = ?1 ORDER BY name, chunk")?;
    let mut rows = query.query([target])?;
    let mut sets: BTreeMap<String, IdSet> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let blob = row.get_ref(1)?;
        let bytes = blob
            .as_blob()
            .map_err(|error| Fault::Corrupt(error.to_string()))?;
        let ids = IdSet::deserialize_from(bytes)
            .map_err(|error| Fault::Corrupt(format!("the set {name:?} cannot be read: {error}")))?;
        *sets.entry(name).or_default() |= ids;
    }
    Ok(sets)
}

fn save_set(
    transaction: &Transaction<'_>,
    target: i64,
    name: &str,
    before: &IdSet,
    now: &IdSet,
) -> Result<(), Fault> {
    let changed = before ^ now;
    let mut next = changed.min();
    while let Some(id) = next {
        let chunk = id >> 16;
        let ids = chunk << 16..=chunk << 16 | 0xFFFF;
        let mut people: IdSet = now.range(ids.clone()).collect();
        if people.is_empty() {
            transaction
                .prepare_cached(
                    "DELETE FROM id_set WHERE target = ?1 AND name = ?2 AND chunk = ?3",
                )?
                .execute(params![target, name, chunk])?;
        } else {
            people.optimize();
            let mut blob = Vec::with_capacity(people.serialized_size());
            people
                .serialize_into(&mut blob)
                .map_err(|error| Fault::Corrupt(format!("a set cannot be encoded: {error}")))?;
            transaction
                .prepare_cached(
                    "INSERT INTO id_set (target, name, chunk, ids) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET ids = excluded.ids",
                )?
                .execute(params![target, name, chunk, blob])?;
        }
        next = ids
            .end()
            .checked_add(1)
            .and_then(|from| changed.range(from..).next());
    }
    Ok(())
}

/// How the column `created`, which is never NULL, says that Odoo does not know when a key was created.
const NO_DATE: i64 = i64::MIN;

fn keys(connection: &Connection, target: i64) -> Result<BTreeMap<u32, Key>, Fault> {
    let mut query = connection
        .prepare_cached("SELECT id, owner, created, expires FROM api_key WHERE target = ?1")?;
    let mut rows = query.query([target])?;
    let mut keys = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let created: i64 = row.get(2)?;
        let created = Some(created).filter(|it| *it != NO_DATE);
        let expires: Option<i64> = row.get(3)?;
        let key = Key {
            owner: row.get(1)?,
            created: created.map(stored).transpose()?,
            expires: expires.map(stored).transpose()?,
        };
        keys.insert(row.get(0)?, key);
    }
    Ok(keys)
}

fn save_keys(
    transaction: &Transaction<'_>,
    target: i64,
    before: Option<&BTreeMap<u32, Key>>,
    now: Option<&BTreeMap<u32, Key>>,
) -> Result<(), Fault> {
    let none = BTreeMap::new();
    let (before, now) = (before.unwrap_or(&none), now.unwrap_or(&none));
    let mut delete =
        transaction.prepare_cached("DELETE FROM api_key WHERE target = ?1 AND id = ?2")?;
    for id in before.keys().filter(|id| !now.contains_key(*id)) {
        delete.execute(params![target, id])?;
    }
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO api_key VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (id, key) in now {
        if before.get(id) != Some(key) {
            let expires = key.expires.map(Timestamp::as_second);
            insert.execute(params![
                target,
                id,
                key.owner,
                key.created.map_or(NO_DATE, Timestamp::as_second),
                expires
            ])?;
        }
    }
    Ok(())
}

const _: () = assert!(UserType::ALL.len() <= 8, "types fit into the column");
