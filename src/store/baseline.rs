//! Baselines in the file: sets of ids in chunks of 65,536 ids, of which only those are written that changed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::record::{bits, stored};
use super::worker::Fault;
use crate::domain::transition::{
    Baseline, BreakGlass, Enforcement, Factors, Key, Origin, Part, Protection, Recent, RoleMembers,
};
use crate::domain::{Factor, IdSet, PerType, UserType};

const INTERNAL: &str = "internal";
const PUBLIC: &str = "public";
const NONE: &str = "none";
const TOTP: &str = "totp";
const PASSKEY: &str = "passkey";
const ARCHIVED_HOLDERS: &str = "archived_holders";
const PROTECTED: &str = "protected";
const EXEMPT: &str = "exempt";
/// Followed by the role's name.
const ROLE: &str = "role:";
/// Followed by when the loss was found and the type of user.
const LOST: &str = "lost:";
/// Followed by when the transition was found and what it is.
const RECENT: &str = "recent:";

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
    protection: Option<(Timestamp, Protected)>,
    recent: Remembered,
}

/// A [`Protection`] without its set.
#[derive(Serialize, Deserialize)]
struct Protected {
    accepted: BTreeSet<Factor>,
    covered: PerType<bool>,
    eligible: PerType<u64>,
    protected: PerType<u64>,
    bare_portal: u64,
}

/// A [`Recent`] without its sets.
#[derive(Default, Serialize, Deserialize)]
struct Remembered {
    counted: Vec<(i64, UserType, u64)>,
    enforcement: PerType<Enforcement>,
    #[serde(default)]
    break_glass: Option<BreakGlass>,
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
            archived_holders: take(ARCHIVED_HOLDERS),
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
        protection: None,
        exempt: take(EXEMPT),
        enforced: None,
        break_glass: None,
        recent: Recent::default(),
        witnesses: head.witnesses,
    };
    baseline.protection = head.protection.map(|(at, rest)| Part {
        at,
        value: Protection {
            accepted: rest.accepted,
            users: take(PROTECTED),
            covered: rest.covered,
            eligible: rest.eligible,
            protected: rest.protected,
            bare_portal: rest.bare_portal,
        },
    });
    baseline.recent = recent(head.recent, &sets)?;
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

/// Events of a target for alerts.
pub(super) fn recent_of(connection: &Connection, target: &str) -> Result<Option<Recent>, Fault> {
    let Some(head) = head(connection, target)? else {
        return Ok(None);
    };
    recent(head.recent, &sets(connection, head.id)?).map(Some)
}

fn recent(rest: Remembered, sets: &BTreeMap<String, IdSet>) -> Result<Recent, Fault> {
    let mut recent = Recent {
        enforcement: rest.enforcement,
        break_glass: rest.break_glass,
        ..Recent::default()
    };
    for (at, user_type, count) in rest.counted {
        recent.counted.insert((stored(at)?, user_type), count);
    }
    for (name, people) in sets {
        if let Some(key) = name.strip_prefix(LOST) {
            recent.lost.insert(dated(key)?, people.clone());
        } else if let Some(key) = name.strip_prefix(RECENT) {
            recent.transitions.insert(dated(key)?, people.clone());
        }
    }
    Ok(recent)
}

/// A time and a word, as a part of a set's name.
fn dated<T: std::str::FromStr>(key: &str) -> Result<(Timestamp, T), Fault> {
    let wrong = || Fault::Corrupt(format!("{key:?} is not a time and a word"));
    let (at, word) = key.split_once(':').ok_or_else(wrong)?;
    let at = at.parse().map_err(|_| wrong())?;
    Ok((stored(at)?, word.parse().map_err(|_| wrong())?))
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
                roles_definition, keys_at, witnesses, protection_at, protection, recent
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
    let witnesses: BTreeMap<u32, i64> = parse(&witnesses)?;
    let protection: Option<String> = row.get(14)?;
    let recent: Option<String> = row.get(15)?;
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
        protection: time(13)?.zip(protection.as_deref().map(parse).transpose()?),
        recent: recent
            .as_deref()
            .map(parse)
            .transpose()?
            .unwrap_or_default(),
    }))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Corrupt(format!("{text:?}: {error}")))
}

fn write(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|error| Fault::Corrupt(format!("cannot encode a baseline: {error}")))
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
    let protection = now.protection.as_ref().map(|part| {
        let Protection {
            accepted,
            users: _,
            covered,
            eligible,
            protected,
            bare_portal,
        } = &part.value;
        write(&Protected {
            accepted: accepted.clone(),
            covered: *covered,
            eligible: *eligible,
            protected: *protected,
            bare_portal: *bare_portal,
        })
    });
    let counted = now.recent.counted.iter();
    let recent = Remembered {
        counted: counted
            .map(|((at, user_type), count)| (at.as_second(), *user_type, *count))
            .collect(),
        enforcement: now.recent.enforcement,
        break_glass: now.recent.break_glass,
    };
    let id = transaction
        .prepare_cached(
            "INSERT INTO target (name, url, database, baseline_at, release_major, release_minor, poller, types, factors_at, roles_at,
                                 roles_definition, keys_at, witnesses, protection_at, protection, recent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (name) DO UPDATE SET url = excluded.url, database = excluded.database, baseline_at = excluded.baseline_at,
                 release_major = excluded.release_major, release_minor = excluded.release_minor, poller = excluded.poller,
                 types = excluded.types, factors_at = excluded.factors_at, roles_at = excluded.roles_at,
                 roles_definition = excluded.roles_definition, keys_at = excluded.keys_at, witnesses = excluded.witnesses,
                 protection_at = excluded.protection_at, protection = excluded.protection, recent = excluded.recent
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
                now.protection.as_ref().map(|part| part.at.as_second()),
                protection.transpose()?,
                write(&recent)?,
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
        (EXEMPT.to_owned(), &baseline.exempt),
    ]);
    if let Some(protection) = &baseline.protection {
        sets.insert(PROTECTED.to_owned(), &protection.value.users);
    }
    for ((at, user_type), people) in &baseline.recent.lost {
        sets.insert(format!("{LOST}{}:{user_type}", at.as_second()), people);
    }
    for ((at, kind), people) in &baseline.recent.transitions {
        sets.insert(format!("{RECENT}{}:{kind}", at.as_second()), people);
    }
    if let Some(factors) = &baseline.factors {
        sets.insert(TOTP.to_owned(), &factors.value.totp);
        sets.insert(PASSKEY.to_owned(), &factors.value.passkey);
        let archived = &factors.value.archived_holders;
        sets.insert(ARCHIVED_HOLDERS.to_owned(), archived);
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
            .map_err(|error| Fault::Corrupt(format!("cannot read the set {name:?}: {error}")))?;
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
                .map_err(|error| Fault::Corrupt(format!("cannot encode a set: {error}")))?;
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

/// Value of the column `created`, which is never NULL, for an API key without a creation date.
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
