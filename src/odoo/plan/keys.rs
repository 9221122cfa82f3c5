//! API keys and trusted devices, and whether all of them were seen.
//!
//! Record rules hide other people's rows without an error. A domain over the one2many is not filtered by them, so it tells who owns
//! one: when these are not the owners of the rows that were read, the rows are not complete.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::users::{Many2one, Users, is_set, row, unless_false, unless_forbidden};
use crate::domain::IdSet;
use crate::domain::facts::{ApiKey, Device, Gap, Known, Scope};
use crate::odoo::date::Date;
use crate::odoo::error::Error;

/// The field of `res.users` with somebody's API keys.
const KEYS: &str = "api_key_ids";

/// The field of `res.users` with somebody's trusted devices.
const DEVICES: &str = "totp_trusted_device_ids";

const GRANT: &str =
    "a group with read access and a record rule [(1, '=', 1)] on the model, or base.group_system";

/// Odoo 14 keeps trusted browsers among the API keys.
const SCOPE_OF_14S_DEVICES: &str = "2fa_trusted_device";

/// What is known of keys and devices.
pub(super) struct KeysAndDevices {
    pub(super) keys: Known<Vec<ApiKey>>,
    pub(super) devices: Known<Vec<Device>>,
    pub(super) poller_expiry: Option<Timestamp>,
}

/// A row of `res.users.apikeys` or `auth_totp.device`: an object, or a list of the fields in this order.
#[derive(Deserialize)]
pub(super) struct KeyRow {
    id: u32,
    user_id: Many2one,
    #[serde(deserialize_with = "unless_false")]
    scope: Option<String>,
    #[serde(deserialize_with = "unless_false")]
    create_date: Option<Date>,
    #[serde(default, deserialize_with = "unless_false")]
    expiration_date: Option<Date>,
}

row!(KeyRow);

/// Reads keys and devices.
pub(super) async fn read(users: &Users<'_>) -> Result<KeysAndDevices, Error> {
    let parts = users.question.parts;
    let has_devices = users.has(DEVICES);
    let in_one_table = users.session.server.release < (15, 0);
    let keys = if parts.keys || (parts.devices && has_devices && in_one_table) {
        Some(owned(users, "res.users.apikeys", KEYS).await?)
    } else {
        None
    };
    let devices = if parts.devices && has_devices && !in_one_table {
        Some(owned(users, "auth_totp.device", DEVICES).await?)
    } else {
        None
    };
    let archived = archived_owners(users, keys.iter().chain(&devices)).await?;
    let is_device = |row: &KeyRow| scope(row).is_none();
    let devices = match (&keys, &devices) {
        _ if !parts.devices => Known::NotAsked,
        (_, Some(devices)) => devices.all(|row| Some(device(row, &archived))),
        (Some(table), None) if has_devices => {
            table.all(|row| is_device(row).then(|| device(row, &archived)))
        }
        _ => Known::Complete(Vec::new()),
    };
    Ok(KeysAndDevices {
        poller_expiry: keys
            .as_ref()
            .and_then(|keys| poller_expiry(&keys.rows, users.session.uid, users.question.now)),
        keys: match &keys {
            Some(keys) if parts.keys => complete_keys(keys, &archived),
            _ => Known::NotAsked,
        },
        devices,
    })
}

/// The same of rows that are known to be all there are.
pub(super) fn complete(
    keys: Option<Vec<KeyRow>>,
    devices: Option<Vec<KeyRow>>,
    archived: &IdSet,
    poller: u32,
    now: Timestamp,
) -> KeysAndDevices {
    let all = |rows| Owned { rows, gap: None };
    let keys = keys.map(all);
    KeysAndDevices {
        poller_expiry: keys
            .as_ref()
            .and_then(|keys| poller_expiry(&keys.rows, poller, now)),
        keys: keys.map_or(Known::NotAsked, |keys| complete_keys(&keys, archived)),
        devices: devices.map_or(Known::NotAsked, |rows| {
            all(rows).all(|row| Some(device(row, archived)))
        }),
    }
}

/// What the account saw of the rows of a model that people own.
struct Owned {
    rows: Vec<KeyRow>,
    /// Why the rows are not all there are, if they are not.
    gap: Option<Gap>,
}

impl Owned {
    /// All rows, turned into something.
    fn all<T>(&self, item: impl Fn(&KeyRow) -> Option<T>) -> Known<Vec<T>> {
        match &self.gap {
            Some(gap) => Known::Missing(gap.clone()),
            None => Known::Complete(self.rows.iter().filter_map(item).collect()),
        }
    }
}

async fn owned(
    users: &Users<'_>,
    model: &'static str,
    one2many: &'static str,
) -> Result<Owned, Error> {
    let mut fields = vec!["user_id", "scope", "create_date"];
    if users.session.keys_expire {
        fields.push("expiration_date");
    }
    // Somebody may make or revoke one between the two questions: what does not match is read once more.
    let mut again = true;
    loop {
        let domain = vec![json!(["user_id", "not in", users.pseudo])];
        let rows =
            match unless_forbidden(users.rows::<KeyRow>(model, domain, &fields).await, GRANT)? {
                Known::Complete(rows) => rows,
                refused => {
                    let gap = refused.gap().cloned();
                    return Ok(Owned {
                        rows: Vec::new(),
                        gap,
                    });
                }
            };
        let owners = users.count(None, vec![is_set(one2many)]).await?;
        let seen = rows
            .iter()
            .map(|row| row.user_id.id())
            .collect::<IdSet>()
            .len();
        let gap = (seen != owners).then(|| Gap {
            seen: format!("sees rows of {model} of {seen} of the {owners} people who own one"),
            grant: GRANT,
        });
        if gap.is_none() || !std::mem::take(&mut again) {
            return Ok(Owned { rows, gap });
        }
    }
}

/// Archived people among the owners: all others are active. Asked by id, since PostgreSQL takes long over who owns either.
async fn archived_owners(
    users: &Users<'_>,
    tables: impl Iterator<Item = &Owned>,
) -> Result<IdSet, Error> {
    let owners: IdSet = tables
        .filter(|table| table.gap.is_none())
        .flat_map(|table| &table.rows)
        .map(|row| row.user_id.id())
        .collect();
    if owners.is_empty() {
        return Ok(owners);
    }
    let owners: Vec<u32> = owners.iter().collect();
    users
        .ids(Some(false), vec![json!(["id", "in", owners])])
        .await
}

fn complete_keys(table: &Owned, archived: &IdSet) -> Known<Vec<ApiKey>> {
    if table.gap.is_none() && table.rows.iter().any(|row| row.create_date.is_none()) {
        return Known::Missing(Gap {
            seen: "Odoo does not say when some of the API keys were made".to_owned(),
            grant: "nothing: give those rows of res_users_apikeys a create_date, or revoke the keys",
        });
    }
    table.all(|row| {
        Some(ApiKey {
            id: row.id,
            owner: row.user_id.id(),
            owner_active: !archived.contains(row.user_id.id()),
            scope: scope(row)?,
            created: row.create_date?.into(),
            expires: row.expiration_date.map(Timestamp::from),
        })
    })
}

/// Every account sees its own keys, so this is known even where others' are not.
fn poller_expiry(rows: &[KeyRow], poller: u32, now: Timestamp) -> Option<Timestamp> {
    rows.iter()
        .filter(|row| row.user_id.id() == poller && scope(row).is_some_and(Scope::opens_rpc))
        .filter_map(|row| row.expiration_date.map(Timestamp::from))
        .filter(|end| *end > now)
        .min()
}

/// What a row opens; `None` for a trusted browser.
fn scope(row: &KeyRow) -> Option<Scope> {
    match row.scope.as_deref() {
        Some(SCOPE_OF_14S_DEVICES) => None,
        None | Some("") => Some(Scope::Unrestricted),
        Some("rpc") => Some(Scope::Rpc),
        Some(_) => Some(Scope::Other),
    }
}

fn device(row: &KeyRow, archived: &IdSet) -> Device {
    Device {
        owner: row.user_id.id(),
        owner_active: !archived.contains(row.user_id.id()),
        expires: row.expiration_date.map(Timestamp::from),
    }
}
