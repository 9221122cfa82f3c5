//! API keys and trusted devices, and whether all of them were seen.
//!
//! Record rules hide other people's rows without an error. A domain over the one2many is not filtered by them, so it tells who owns
//! one: when these are not the owners of the rows that were read, the rows are not complete.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::users::{Many2one, Users, row, unless_false, unless_forbidden};
use crate::domain::IdSet;
use crate::domain::facts::{ApiKey, Device, Gap, Known, Scope};
use crate::odoo::error::Error;

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

/// A row of `res.users.apikeys` or `auth_totp.device`.
#[derive(Deserialize)]
struct KeyRow {
    id: u32,
    user_id: Many2one,
    #[serde(deserialize_with = "unless_false")]
    scope: Option<String>,
    #[serde(deserialize_with = "unless_false")]
    create_date: Option<Date>,
    #[serde(default, deserialize_with = "unless_false")]
    expiration_date: Option<Date>,
}

/// A date as Odoo writes it: in UTC, without a zone.
#[derive(Clone, Copy)]
struct Date(Timestamp);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date =
            DateTime::strptime("%Y-%m-%d %H:%M:%S", &text).map_err(serde::de::Error::custom)?;
        let zoned = date
            .to_zoned(TimeZone::UTC)
            .map_err(serde::de::Error::custom)?;
        Ok(Self(zoned.timestamp()))
    }
}

/// Somebody who owns something.
#[derive(Deserialize)]
struct OwnerRow {
    id: u32,
    active: bool,
}

row!(KeyRow, OwnerRow);

/// Reads keys and devices.
pub(super) async fn read(users: &Users<'_>) -> Result<KeysAndDevices, Error> {
    let parts = users.question.parts;
    let has_devices = users.has("totp_trusted_device_ids");
    let in_one_table = users.session.server.release < (15, 0);
    let keys = if parts.keys || (parts.devices && has_devices && in_one_table) {
        Some(owned(users, "res.users.apikeys", "api_key_ids").await?)
    } else {
        None
    };
    let devices = match &keys {
        _ if !parts.devices => Known::NotAsked,
        _ if !has_devices => Known::Complete(Vec::new()),
        Some(table) if in_one_table => {
            table.all(|row, active| scope(row).is_none().then(|| device(row, active)))
        }
        _ => owned(users, "auth_totp.device", "totp_trusted_device_ids")
            .await?
            .all(|row, active| Some(device(row, active))),
    };
    Ok(KeysAndDevices {
        poller_expiry: keys
            .as_ref()
            .and_then(|keys| poller_expiry(users, &keys.rows)),
        keys: match &keys {
            Some(keys) if parts.keys => complete_keys(keys),
            _ => Known::NotAsked,
        },
        devices,
    })
}

/// What the account saw of the rows of a model that people own.
struct Owned {
    rows: Vec<KeyRow>,
    /// The owners who are active.
    active: IdSet,
    /// Why the rows are not all there are, if they are not.
    gap: Option<Gap>,
}

impl Owned {
    /// All rows, each with whether its owner is active.
    fn all<T>(&self, item: impl Fn(&KeyRow, bool) -> Option<T>) -> Known<Vec<T>> {
        match &self.gap {
            Some(gap) => Known::Missing(gap.clone()),
            None => Known::Complete(
                self.rows
                    .iter()
                    .filter_map(|row| item(row, self.active.contains(row.user_id.id())))
                    .collect(),
            ),
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
                        active: IdSet::new(),
                        gap,
                    });
                }
            };
        let mut domain = users.people_domain(None);
        domain.push(json!([one2many, "!=", false]));
        let owners = users
            .rows::<OwnerRow>("res.users", domain, &["active"])
            .await?;
        let seen: IdSet = rows.iter().map(|row| row.user_id.id()).collect();
        let real: IdSet = owners.iter().map(|owner| owner.id).collect();
        let gap = (seen != real).then(|| Gap {
            seen: format!(
                "sees {model} of {} of {} people who own one",
                seen.len(),
                real.len()
            ),
            grant: GRANT,
        });
        if gap.is_none() || !std::mem::take(&mut again) {
            let active = owners
                .iter()
                .filter(|owner| owner.active)
                .map(|owner| owner.id)
                .collect();
            return Ok(Owned { rows, active, gap });
        }
    }
}

fn complete_keys(table: &Owned) -> Known<Vec<ApiKey>> {
    if table.gap.is_none() && table.rows.iter().any(|row| row.create_date.is_none()) {
        return Known::Missing(Gap {
            seen: "Odoo does not say when some of the API keys were made".to_owned(),
            grant: "nothing: give those rows of res_users_apikeys a create_date, or revoke the keys",
        });
    }
    table.all(|row, owner_active| {
        Some(ApiKey {
            id: row.id,
            owner: row.user_id.id(),
            owner_active,
            scope: scope(row)?,
            created: row.create_date?.0,
            expires: row.expiration_date.map(|date| date.0),
        })
    })
}

/// Every account sees its own keys, so this is known even where others' are not.
fn poller_expiry(users: &Users<'_>, rows: &[KeyRow]) -> Option<Timestamp> {
    rows.iter()
        .filter(|row| {
            row.user_id.id() == users.session.uid && scope(row).is_some_and(Scope::opens_rpc)
        })
        .filter_map(|row| row.expiration_date.map(|date| date.0))
        .filter(|end| *end > users.question.now)
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

fn device(row: &KeyRow, owner_active: bool) -> Device {
    Device {
        owner: row.user_id.id(),
        owner_active,
        expires: row.expiration_date.map(|date| date.0),
    }
}
